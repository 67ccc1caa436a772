"""The commands that call a service, at listeners that ask who calls (LEASEHOLD_CLIENT_...)."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.servers import RedisServer
from tests.service import Service, in_a_hundred_days, run, serving
from tests.tls import House, house

SLOT = ("--merchant", "salon-1", "--service", "haircut", "--duration", "30m")
START = ("--start", f"{in_a_hundred_days()}T10:00Z")


@pytest.fixture
def at_home(tmp_path: Path) -> House:
    """The authorities of a test."""
    return house(tmp_path)


@pytest.fixture
def service(at_home: House, valkey: RedisServer, tmp_path: Path) -> Iterator[Service]:
    """A service whose listeners have TLS, and ask for a certificate or a token."""
    (tmp_path / "tokens").write_text("open-sesame-and-close-it\n")
    operators = {
        "OPERATOR_TLS_CERT_FILE": str(at_home.server[0]),
        "OPERATOR_TLS_KEY_FILE": str(at_home.server[1]),
        "OPERATOR_TOKEN_FILE": str(tmp_path / "tokens"),
    }
    with serving(REDIS_URL=valkey.url, **at_home.settings(), **operators) as service:
        yield service


def test_commands_call_by_tls_with_a_certificate_and_a_token(
    at_home: House, service: Service, tmp_path: Path
) -> None:
    """A partner shows a certificate, an operator a token; without them the exit code says so."""
    trust = {"CLIENT_CA_FILE": str(at_home.servers.ca_file)}
    cert_file, key_file = map(str, at_home.partner)
    partner = {**trust, "CLIENT_CERT_FILE": cert_file, "CLIENT_KEY_FILE": key_file}
    operator = {**trust, "CLIENT_TOKEN_FILE": str(tmp_path / "tokens")}
    to_partners = ("--address", service.address)
    to_operators = ("--address", str(service.told["operator_listen"]))

    held = run("hold", *SLOT, *START, "--for", "5m", *to_partners, settings=partner)
    assert held.returncode == 0, held.stderr
    (lease_id,) = re.findall(r"salon-1\.[0-9A-Z]{26}", held.stdout)
    shown = run("lease", "get", lease_id, *to_operators, settings=operator)
    assert shown.returncode == 0, shown.stderr
    listed = run("slot", "inspect", *SLOT, *START, *to_operators, settings=operator)
    assert lease_id in listed.stdout, listed.stderr
    released = run(
        "lease", "release", lease_id, "--reason", "INC-1", *to_operators, settings=operator
    )
    assert released.returncode == 0, released.stderr

    plain = run("check", *SLOT, *START, *to_partners)
    assert plain.returncode == 3
    without = run("lease", "get", lease_id, *to_operators, settings=trust)
    assert without.returncode == 2
    assert "UNAUTHENTICATED" in without.stderr
    assert "open-sesame-and-close-it" not in held.stderr + shown.stderr + without.stderr


def test_commands_refuse_what_would_not_be_safe(tmp_path: Path) -> None:
    """Beyond loopback there is TLS unless asked otherwise, and never a token without it."""
    token = tmp_path / "token"
    token.write_text("open-sesame-and-close-it\n")
    beyond = ("lease", "get", "salon-1.x", "--address", "holds.example:443")

    refused = run(*beyond, settings={"CLIENT_TOKEN_FILE": str(token), "CLIENT_PLAINTEXT": "true"})
    assert refused.returncode == 2
    assert "for everybody to read" in refused.stderr
    missing = run(*beyond, settings={"CLIENT_CA_FILE": str(tmp_path / "no.pem")})
    assert missing.returncode == 2
    assert f"LEASEHOLD_CLIENT_CA_FILE='{tmp_path / 'no.pem'}'" in missing.stderr
    nonsense = run("bookings", "--user", "ada", "--address", "nonsense")
    assert nonsense.returncode == 2
    assert "'nonsense' is not an address" in nonsense.stderr


def test_commands_call_whoever_listens_everywhere_on_this_machine(tmp_path: Path) -> None:
    """In a pod the listener's own setting is the address: 0.0.0.0 is called here, and plainly."""
    with serving("--embedded", EMBEDDED_DIR=str(tmp_path)) as service:
        everywhere = service.address.replace("127.0.0.1", "0.0.0.0")  # noqa: S104 - nothing is bound
        held = run("hold", *SLOT, *START, "--for", "5m", settings={"LISTEN": everywhere})
        assert held.returncode == 0, held.stderr


def test_settings_of_the_commands_draw_no_warning_and_a_misspelt_one_does() -> None:
    """A service's environment may hold them, too."""
    known = run("config", settings={"CLIENT_SERVER_NAME": "holds.example"})
    assert "Warning" not in known.stderr
    misspelt = run("config", settings={"CLIENT_CAFILE": "ca.pem"})
    assert "did you mean LEASEHOLD_CLIENT_CA_FILE?" in misspelt.stderr
