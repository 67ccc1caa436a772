"""Three processes behind Envoy, restarted one after the other under load."""

import asyncio
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from tests.callers import calls_of, load, until
from tests.envoy import balancing, binary, render
from tests.servers import RedisServer, free_port
from tests.service import Service, serving
from tests.tls import House, house


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
