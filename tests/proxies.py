"""nginx and HAProxy as the tests run them: with the configurations of deploy/, at their ports."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.servers import free_port, poll
from tests.service import Service
from tests.tls import House, Pair

DEPLOY = Path(__file__).parents[1] / "deploy"


def program(name: str) -> str:
    """Return the program, or skip the test; in CI a missing one is a failure."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])
    found = shutil.which(name, path=path)
    if not found:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"no {name} on this machine")
    return str(found)


def together(pair: Pair, directory: Path) -> str:
    """Write a certificate and its key into one file, as HAProxy reads them."""
    file = directory / f"{pair[0].stem}.pem"
    file.write_text(pair[0].read_text() + pair[1].read_text())
    return str(file)


def render(
    name: str, at_home: House, own: Pair, services: Sequence[Service], port: int, directory: Path
) -> Path:
    """Write the configuration with everything that belongs to a place replaced."""
    template = DEPLOY / name / {"nginx": "nginx.conf", "haproxy": "haproxy.cfg"}[name]
    text = template.read_text()
    places = {
        "0.0.0.0:8443": f"127.0.0.1:{port}",
        "/run/nginx.pid": str(directory / "nginx.pid"),
        f"/etc/{name}/tls/server.pem": together(at_home.server, directory),
        "/etc/haproxy/tls/haproxy.pem": together(own, directory),
        f"/etc/{name}/tls/server.crt": str(at_home.server[0]),
        f"/etc/{name}/tls/server.key": str(at_home.server[1]),
        f"/etc/{name}/tls/partner-ca.crt": str(at_home.clients.ca_file),
        "/etc/nginx/tls/nginx.crt": str(own[0]),
        "/etc/nginx/tls/nginx.key": str(own[1]),
        f"/etc/{name}/tls/leasehold-ca.crt": str(at_home.servers.ca_file),
    }
    for number, service in enumerate(services, 1):
        ops_port = service.told["ops_listen"].rpartition(":")[2]
        places[f"leasehold-{number}:50051 port 9464"] = f"{service.address} port {ops_port}"
        places[f"leasehold-{number}:50051"] = service.address
    for place, here in places.items():
        text = text.replace(place, here)
    assert "/etc/" not in text
    (directory / template.name).write_text(text)
    return directory / template.name


@contextmanager
def proxying(
    name: str, at_home: House, own: Pair, services: Sequence[Service], directory: Path
) -> Iterator[str]:
    """Run a proxy before services until the context ends; yields its address."""
    port = free_port()
    file = render(name, at_home, own, services, port, directory)
    arguments = {
        "nginx": ["-c", str(file), "-p", str(directory), "-e", "stderr", "-g", "daemon off;"],
        "haproxy": ["-db", "-f", str(file)],
    }[name]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen([program(name), *arguments], stdout=log, stderr=log)
    try:
        poll(f"{name} listens", lambda: listens(at_home, f"127.0.0.1:{port}", process))
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def listens(at_home: House, address: str, process: "subprocess.Popen[bytes]") -> bool:
    """Tell whether a handshake succeeds."""
    assert process.poll() is None
    try:
        return bool(at_home.shown(address))
    except OSError:
        return False
