"""Three processes behind Envoy, restarted one after the other under load."""

import asyncio
import signal
import socket
import subprocess
import time
from pathlib import Path

import grpc
import pytest
from tests.callers import calls_of, load, until
from tests.calls import Failure, lease_request, read_failure
from tests.envoy import balancing, binary, render
from tests.servers import RedisServer, free_port, poll, running
from tests.service import Service, now_ms, serving
from tests.tls import House, house

from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2_grpc as pb_grpc


@pytest.fixture(scope="module")
def at_home(tmp_path_factory: pytest.TempPathFactory) -> House:
    """The authorities of this file's tests."""
    return house(tmp_path_factory.mktemp("house"))


def test_envoy_configuration_is_valid(at_home: House, tmp_path: Path) -> None:
    """The file in deploy/ is one that Envoy takes."""
    configuration = tmp_path / "envoy.yaml"
    upstreams = [f"127.0.0.1:{port}" for port in (1, 2, 3)]
    configuration.write_text(render(at_home, at_home.server, upstreams, port=4, admin=5))

    checked = subprocess.run(
        [binary(), "--mode", "validate", "--config-path", configuration],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert checked.returncode == 0, checked.stderr
    assert "OK" in checked.stdout
    # Not even a warning, of something deprecated for example.
    assert "[warning]" not in checked.stderr


@pytest.mark.long
def test_envoy_cuts_off_whoever_does_not_finish_the_handshake(
    at_home: House, valkey: RedisServer, tmp_path: Path
) -> None:
    """A connection on which nobody speaks costs nothing after ten seconds, as without Envoy."""
    own = at_home.clients.issue("envoy.internal")
    settings = {"REDIS_URL": valkey.url, **at_home.settings(), "TLS_CLIENT_NAMES": "envoy.internal"}
    addresses = [f"127.0.0.1:{free_port()}"] * 3
    with (
        serving(LISTEN=addresses[0], **settings),
        balancing(at_home, own, addresses, tmp_path) as balancer,
    ):
        host, _, port = balancer.address.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=30) as silent:
            began_at_s = time.monotonic()
            assert silent.recv(1) == b""
            assert 5 < time.monotonic() - began_at_s < 20


@pytest.mark.long
def test_outage_behind_envoy_is_answered_by_envoy_without_a_reason(
    at_home: House, tmp_path: Path
) -> None:
    """When no process is ready callers learn no reason, and we count nothing (failure mode 69).

    What docs/api.md says of an UNAVAILABLE that is not ours.
    """
    own = at_home.clients.issue("envoy.internal")
    names = {**at_home.settings(), "TLS_CLIENT_NAMES": "envoy.internal"}
    addresses = [f"127.0.0.1:{free_port()}"] * 3
    with (
        running("valkey9") as store,
        serving(LISTEN=addresses[0], REDIS_URL=store.url, UNREADY_AFTER_S="0.1", **names) as one,
        balancing(at_home, own, addresses, tmp_path) as balancer,
        grpc.secure_channel(balancer.address, at_home.credentials(at_home.partner)) as channel,
    ):
        create_lease = pb_grpc.BookingServiceStub(channel).CreateLease

        def failure() -> Failure:
            with pytest.raises(grpc.RpcError) as caught:
                create_lease(lease_request(now_ms(), reference="r-2"), timeout=10)
            return read_failure(caught.value)

        assert create_lease(lease_request(now_ms()), timeout=10).HasField("lease")
        store.stop()
        # Envoy's workers learn a moment after its page does.
        poll("Envoy refuses", lambda: failure().details == ())
        before = calls_of(one)
        refused = failure()
        assert refused == Failure(grpc.StatusCode.UNAVAILABLE, "no healthy upstream", ())
        assert calls_of(one) == before
        assert balancer.healthy() == set()
        assert balancer.stat("cluster.leasehold.membership_healthy") == 0
        assert balancer.stat("cluster.leasehold.upstream_cx_none_healthy") >= 1


@pytest.mark.long
async def test_rolling_restart_behind_envoy_loses_no_call(
    at_home: House, valkey: RedisServer, tmp_path: Path
) -> None:
    """Active health checks and the delay of the drain; callers repeat no call (failure mode 35)."""
    own = at_home.clients.issue("envoy.internal")
    settings = {
        "REDIS_URL": valkey.url,
        **at_home.settings(),
        "TLS_CLIENT_NAMES": "envoy.internal",
        "DRAIN_DELAY_S": "5",
    }
    addresses = [f"127.0.0.1:{free_port()}" for _ in range(3)]
    services = [Service(LISTEN=address, **settings) for address in addresses]
    try:
        for service in services:
            await asyncio.to_thread(service.wait_until_serving)
        with balancing(at_home, own, addresses, tmp_path) as balancer:
            credentials = at_home.credentials(at_home.partner)
            async with load(balancer.address, "m-rolling", credentials) as callers:
                await until("all serve", lambda: all(calls_of(each) > 50 for each in services))
                for number, address in enumerate(addresses):
                    services[number].process.send_signal(signal.SIGTERM)
                    leaving = services[number].process.wait
                    assert await asyncio.to_thread(leaving, 30) == 0
                    assert "calls_cut_off" not in services[number].log_text()
                    services[number].close()
                    services[number] = new = Service(LISTEN=address, **settings)
                    await asyncio.to_thread(new.wait_until_serving)
                    await until("it is healthy", lambda: balancer.healthy() == set(addresses))
                    await until("it serves", lambda new=new: calls_of(new) > 50)
        assert callers.failures == []
        assert callers.served > 1000
    finally:
        for service in services:
            service.close()
