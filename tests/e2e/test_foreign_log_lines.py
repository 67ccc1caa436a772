"""What gRPC writes into our log beside us."""

import json
import re
import socket
from pathlib import Path

import pytest
from tests.servers import RedisServer, poll
from tests.service import Service, serving
from tests.tls import house

DEPLOYMENT = Path(__file__).parents[2] / "docs" / "deployment.md"


def foreign(service: Service) -> list[str]:
    """Return the complete lines that are no JSON objects."""
    lines = service.log_text().rpartition("\n")[0].splitlines()
    return [line for line in lines if not line.startswith("{")]


def test_every_line_of_a_json_log_is_json_or_reads_as_documented(
    valkey: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A collector can read what gRPC says of a handshake that failed (failure mode 69)."""
    (pattern,) = re.findall(r"^(\^\(\[IWEF\].*\$)$", DEPLOYMENT.read_text(), re.MULTILINE)
    monkeypatch.setenv("GRPC_VERBOSITY", "INFO")
    at_home = house(tmp_path)
    with serving(REDIS_URL=valkey.url, **at_home.settings()) as service:
        host, _, port = service.address.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=10) as stranger:
            stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
            stranger.recv(1)
        poll("a line of gRPC's", lambda: any("andshake" in line for line in foreign(service)))

        others = [line for line in foreign(service) if not re.fullmatch(pattern, line)]
        assert others == []
        for line in service.log_text().rpartition("\n")[0].splitlines():
            if line.startswith("{"):
                json.loads(line)
