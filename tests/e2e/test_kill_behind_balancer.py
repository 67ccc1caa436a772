"""One of two processes behind a balancer is killed under load."""

import asyncio
import signal
from pathlib import Path

import pytest
from tests.callers import Load, calls_of, load, until
from tests.envoy import balancing
from tests.proxies import program, proxying
from tests.servers import RedisServer, free_port
from tests.service import Service
from tests.tls import House, house

CALLERS = 8


@pytest.fixture(scope="module")
def at_home(tmp_path_factory: pytest.TempPathFactory) -> House:
    """The authorities of this file's tests."""
    return house(tmp_path_factory.mktemp("house"))


async def kill_the_first(services: list[Service], callers: Load) -> None:
    """Kill one of two processes that both serve, and wait until the other has served some calls."""
    await until("both serve", lambda: all(calls_of(each) > 20 for each in services))
    services[0].process.send_signal(signal.SIGKILL)
    served = callers.served
    await until("the other serves", lambda: callers.served > served + 200)


async def test_kill_behind_envoy_loses_only_calls_that_were_on_their_way(
    at_home: House, valkey: RedisServer, tmp_path: Path
) -> None:
    """A refused connection is tried elsewhere: each caller loses at most the one call under way."""
    own = at_home.clients.issue("envoy.internal")
    settings = {"REDIS_URL": valkey.url, **at_home.settings(), "TLS_CLIENT_NAMES": "envoy.internal"}
    addresses = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    services = [Service(LISTEN=address, **settings) for address in addresses]
    try:
        for service in services:
            await asyncio.to_thread(service.wait_until_serving)
        # The third place of the file leads to the second process.
        with balancing(at_home, own, [*addresses, addresses[1]], tmp_path) as balancer:
            credentials = at_home.credentials(at_home.partner)
            async with load(balancer.address, "m-kill", credentials, count=CALLERS) as callers:
                await kill_the_first(services, callers)
    finally:
        for service in services:
            service.close()
    kinds = {failure.rpartition("reset reason: ")[2] for failure in callers.failures}
    assert kinds <= {"connection termination"}, callers.failures
    assert len(callers.failures) <= CALLERS


@pytest.mark.parametrize("name", ["nginx", "haproxy"])
async def test_kill_behind_a_proxy_loses_only_calls_that_were_on_their_way(
    name: str, at_home: House, valkey: RedisServer, tmp_path: Path
) -> None:
    """Nginx and HAProxy try a refused connection elsewhere, as Envoy does."""
    program(name)
    own = at_home.clients.issue("proxy.internal")
    settings = {"REDIS_URL": valkey.url, **at_home.settings(), "TLS_CLIENT_NAMES": "proxy.internal"}
    services = [Service(**settings) for _ in range(2)]
    try:
        for service in services:
            await asyncio.to_thread(service.wait_until_serving)
        with proxying(name, at_home, own, services, tmp_path) as address:
            credentials = at_home.credentials(at_home.partner)
            async with load(address, f"m-{name}", credentials, count=CALLERS) as callers:
                await kill_the_first(services, callers)
    finally:
        for service in services:
            service.close()
    assert len(callers.failures) <= CALLERS, callers.failures
