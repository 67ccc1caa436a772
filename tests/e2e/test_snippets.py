"""The Python programs that README.md and docs/client.md print, run as printed on real services."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.service import Service, in_a_hundred_days, serving
from tests.tls import house

ROOT = Path(__file__).parents[2]
DOCUMENTS = ("README.md", "docs/client.md")
BOOKED = r"Booked\(booking_id='salon-1\.[0-9A-Z]{26}'.*\)\n"


def blocks(kind: str) -> list[str]:
    """Return every block of code of a kind, of all documents."""
    texts = [(ROOT / name).read_text() for name in DOCUMENTS]
    found = [
        re.findall(rf"^```{kind}\n(.*?)^```", text, re.MULTILINE | re.DOTALL) for text in texts
    ]
    return [block for each in found for block in each]


def play(block: str, addresses: dict[str, str], folder: Path) -> str:
    """Run a program as it is printed, but for its addresses and its day; return what it prints."""
    day = ", ".join(str(int(part)) for part in in_a_hundred_days().split("-"))
    assert "2027, 3, 1" in block
    text = block.replace("2027, 3, 1", day)
    for printed, real in addresses.items():
        text = text.replace(f'"{printed}"', f'"{real}"')
    done = subprocess.run(
        [sys.executable, "-c", text],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """What `make run` serves."""
    with serving("--embedded", EMBEDDED_DIR=str(tmp_path / "store")) as service:
        yield service


def test_printed_programs_on_loopback_hold_and_book(service: Service, tmp_path: Path) -> None:
    """Each program that calls what `make run` serves is whole, and books its slot."""
    programs = [block for block in blocks("python") if "127.0.0.1" in block]
    at = {
        "127.0.0.1:50051": service.address,
        "127.0.0.1:50052": str(service.told["operator_listen"]),
    }

    assert len(programs) == len(DOCUMENTS)
    for program in programs:
        assert re.fullmatch(BOOKED, play(program, at, tmp_path))


def test_printed_programs_with_certificate_and_token_hold(tmp_path: Path) -> None:
    """Every other program runs by TLS, with its files beside it."""
    at_home = house(tmp_path)
    server, key = at_home.server
    (tmp_path / "token").write_text("a-token-of-this-test")
    for name, source in zip(
        ("ca.pem", "me.pem", "me.key"), (at_home.servers.ca_file, *at_home.partner), strict=True
    ):
        (tmp_path / name).write_bytes(source.read_bytes())
    operators = {
        "OPERATOR_TLS_CERT_FILE": str(server),
        "OPERATOR_TLS_KEY_FILE": str(key),
        "OPERATOR_TOKEN_FILE": str(tmp_path / "token"),
    }
    programs = [block for block in blocks("python") if "127.0.0.1" not in block]
    settings = {**at_home.settings(), **operators, "EMBEDDED_DIR": str(tmp_path / "store")}
    with serving("--embedded", **settings) as service:
        at = {
            "holds.example:443": service.address,
            "ops.example:443": str(service.told["operator_listen"]),
        }
        printed = [play(program, at, tmp_path) for program in programs]
    assert [bool(re.fullmatch(r"held until [0-9:]{8} UTC\n", it)) for it in printed] == [True]


@pytest.mark.long
def test_printed_line_installs_the_client(tmp_path: Path) -> None:
    """The line of both documents is the same, and what it installs has the client."""
    lines = [line for block in blocks("sh") for line in block.splitlines() if "pip" in line]
    assert len(lines) == len(DOCUMENTS)
    (line,) = set(lines)
    # Nothing is fetched: what the package needs is there, and so is what builds it.
    offline = ("--no-deps", "--no-build-isolation", "--quiet", "--target", str(tmp_path))
    words = [sys.executable, *line.split()[1:], *offline]
    subprocess.run(words, cwd=ROOT, check=True, timeout=120)

    shown = subprocess.run(
        [sys.executable, "-c", "import leasehold.client; print(leasehold.client.__file__)"],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
        },
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert shown.stdout.startswith(str(tmp_path))
