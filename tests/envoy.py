"""Envoy as the tests run it: with the configuration of deploy/envoy, at their ports."""

import importlib.util
import os
import re
import subprocess
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.servers import free_port, poll
from tests.tls import House, Pair

TEMPLATE = Path(__file__).parents[1] / "deploy" / "envoy" / "envoy.yaml"


def binary() -> Path:
    """Return the program, or skip the test; in CI a missing one is a failure."""
    if "FAKETIME" in os.environ:
        pytest.skip("Envoy's allocator and libfaketime wait for each other")
    package = importlib.util.find_spec("envoy")
    if not package:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no Envoy on this machine")
    return Path(str(package.origin)).parent / "_bin" / "envoy"


def render(at_home: House, envoy: Pair, upstreams: Sequence[str], port: int, admin: int) -> str:
    """Return the configuration with everything that belongs to a place replaced."""
    text = TEMPLATE.read_text()
    places = {
        "address: 127.0.0.1, port_value: 9901": f"address: 127.0.0.1, port_value: {admin}",
        "address: 0.0.0.0, port_value: 8443": f"address: 127.0.0.1, port_value: {port}",
        "/etc/envoy/tls/server.crt": str(at_home.server[0]),
        "/etc/envoy/tls/server.key": str(at_home.server[1]),
        "/etc/envoy/tls/partner-ca.crt": str(at_home.clients.ca_file),
        "/etc/envoy/tls/envoy.crt": str(envoy[0]),
        "/etc/envoy/tls/envoy.key": str(envoy[1]),
        "/etc/envoy/tls/leasehold-ca.crt": str(at_home.servers.ca_file),
    }
    for number, upstream in enumerate(upstreams, 1):
        host, _, upstream_port = upstream.rpartition(":")
        places[f"address: leasehold-{number}, port_value: 50051"] = (
            f"address: {host}, port_value: {upstream_port}"
        )
    for place, here in places.items():
        assert text.count(place) == 1, place
        text = text.replace(place, here)
    assert not re.search(r"/etc/|leasehold-\d", re.sub(r"#.*", "", text))
    return text


class Envoy:
    """A running Envoy."""

    def __init__(self, configuration: Path, port: int, admin: int) -> None:
        self.address = f"127.0.0.1:{port}"
        self._admin = admin
        self._log = configuration.with_suffix(".log")
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    *(binary(), "--config-path", configuration, "--disable-hot-restart"),
                    *("--concurrency", "1", "--log-level", "warning"),
                ],
                stdout=log,
                stderr=log,
            )

    def healthy(self) -> set[str]:
        """Return the addresses that calls are sent to."""
        assert self.process.poll() is None, self._log.read_text()
        try:
            text = self._read("/clusters")
        except OSError:
            return set()
        return set(
            re.findall(r"^leasehold::([^:]+:\d+)::health_flags::healthy$", text, re.MULTILINE)
        )

    def stat(self, name: str) -> int:
        """Return a counter or a gauge by its full name."""
        return int(self._read(f"/stats?filter=^{name}$").rpartition(": ")[2])

    def _read(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._admin}{path}", timeout=5) as it:
            return str(it.read().decode())


@contextmanager
def balancing(
    at_home: House, own: Pair, upstreams: Sequence[str], directory: Path
) -> Iterator[Envoy]:
    """Run Envoy before services until the context ends."""
    port, admin = free_port(), free_port()
    configuration = directory / "envoy.yaml"
    configuration.write_text(render(at_home, own, upstreams, port, admin))
    running = Envoy(configuration, port, admin)
    try:
        poll("every upstream is healthy", lambda: running.healthy() == set(upstreams))
        yield running
    finally:
        running.process.terminate()
        running.process.wait(20)
