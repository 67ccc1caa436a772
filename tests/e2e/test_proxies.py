"""nginx and HAProxy before two processes: one that drains, long metadata, names in certificates."""

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from tests.callers import Load, calls_of, load, until
from tests.calls import lease_request
from tests.proxies import program, proxying
from tests.servers import RedisServer
from tests.service import Service, now_ms
from tests.tls import House, create_lease, house

from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2_grpc as pb_grpc


@pytest.fixture(scope="module")
def at_home(tmp_path_factory: pytest.TempPathFactory) -> House:
    """The authorities of this file's tests."""
    return house(tmp_path_factory.mktemp("house"))


@contextlib.contextmanager
def behind(
    name: str, at_home: House, store: RedisServer, directory: Path, **settings: str
) -> Iterator[tuple[str, list[Service]]]:
    """Run two processes behind a proxy; yields its address and them."""
    program(name)
    own = at_home.clients.issue("proxy.internal")
    names = {**at_home.settings(), "TLS_CLIENT_NAMES": "proxy.internal"}
    services = [Service(REDIS_URL=store.url, **names, **settings) for _ in range(2)]
    try:
        for service in services:
            service.wait_until_serving()
        with proxying(name, at_home, own, services, directory) as address:
            yield address, services
    finally:
        for service in services:
            service.close()


async def quiet(leaving: Service, callers: Load) -> None:
    """Wait until a process gets none of a hundred calls."""

    async def gets_calls() -> bool:
        before, served = calls_of(leaving), callers.served
        await until("calls go on", lambda: callers.served >= served + 100)
        return calls_of(leaving) > before

    async with asyncio.timeout(30):
        while await gets_calls():
            pass


async def test_drain_behind_haproxy_gets_no_new_calls_and_loses_none(
    at_home: House, valkey: RedisServer, tmp_path: Path
) -> None:
    """The check of /readyz takes out a process that still serves; its end costs no call then."""
    with behind("haproxy", at_home, valkey, tmp_path, DRAIN_DELAY_S="600") as (address, services):
        credentials = at_home.credentials(at_home.partner)
        async with load(address, "m-drain", credentials) as callers:
            await until("both serve", lambda: all(calls_of(each) > 20 for each in services))
            services[0].process.send_signal(signal.SIGTERM)
            await quiet(services[0], callers)
            assert services[0].http("/readyz")[0] == 503
            services[0].process.send_signal(signal.SIGKILL)
            served = callers.served
            await until("the other serves", lambda: callers.served > served + 200)
    assert callers.failures == []


async def test_restart_behind_nginx_loses_no_call(
    at_home: House, valkey: RedisServer, tmp_path: Path
) -> None:
    """Connections leave at their age and a refused one is tried elsewhere: nginx checks nothing."""
    with behind("nginx", at_home, valkey, tmp_path, MAX_CONNECTION_AGE_S="0.5") as there:
        address, services = there
        credentials = at_home.credentials(at_home.partner)
        async with load(address, "m-restart", credentials) as callers:
            await until("both serve", lambda: all(calls_of(each) > 20 for each in services))
            services[0].process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(services[0].process.wait, 30) == 0
            served = callers.served
            await until("the other serves", lambda: callers.served > served + 200)
    assert callers.failures == []


@pytest.mark.long
@pytest.mark.parametrize("name", ["nginx", "haproxy"])
def test_long_metadata_and_any_name_of_the_authority_pass_a_proxy(
    name: str, at_home: House, valkey: RedisServer, tmp_path: Path
) -> None:
    """What Leasehold takes passes; and a name that Leasehold itself would refuse passes too."""
    other = at_home.clients.issue(f"other-{name}.example")
    with behind(name, at_home, valkey, tmp_path) as (address, _services):
        with at_home.channel(address) as channel:
            metadata = [("x-long", "~" * 15_000)]
            pb_grpc.BookingServiceStub(channel).CreateLease(
                lease_request(now_ms(), reference=name, staff=name), timeout=10, metadata=metadata
            )
        with at_home.channel(address, other) as channel:
            assert create_lease(channel, f"other-{name}").HasField("lease")
        stranger = at_home.servers.issue(f"stranger-{name}.example")
        with at_home.channel(address, stranger) as channel, pytest.raises(grpc.RpcError):
            create_lease(channel, f"stranger-{name}")
