"""Whom a client trusts, what it shows, and what it refuses to do."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.clients import FIVE_MINUTES, slot_of, soon
from tests.servers import RedisServer
from tests.service import Service, serving
from tests.tls import House, house

from leasehold.client import (
    Access,
    AccessError,
    CallError,
    Client,
    Held,
    LeaseState,
    NoAnswerError,
    Operators,
)
from leasehold.client.access import read_address

BEYOND = "holds.example:443"
HERE = "127.0.0.1:50051"


@pytest.fixture(scope="module")
def at_home(tmp_path_factory: pytest.TempPathFactory) -> House:
    """The authorities of this file's tests."""
    return house(tmp_path_factory.mktemp("house"))


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    """The tokens of the operators' listener."""
    path = tmp_path / "tokens"
    path.write_text("first-token-of-ours\nsecond-token-of-ours\n")
    return path


@pytest.fixture
def service(at_home: House, valkey: RedisServer, token_file: Path) -> Iterator[Service]:
    """A service with mutual TLS for partners, and TLS and tokens for operators."""
    cert_file, key_file = map(str, at_home.server)
    operators = {
        "OPERATOR_TLS_CERT_FILE": cert_file,
        "OPERATOR_TLS_KEY_FILE": key_file,
        "OPERATOR_TOKEN_FILE": str(token_file),
    }
    with serving(REDIS_URL=valkey.url, **at_home.settings(), **operators) as service:
        yield service


def partner_access(at_home: House) -> Access:
    """Return what the partner listener asks for."""
    cert_file, key_file = at_home.partner
    return Access(ca_file=at_home.servers.ca_file, cert_file=cert_file, key_file=key_file)


async def test_client_calls_both_listeners_by_tls(
    at_home: House, service: Service, tmp_path: Path
) -> None:
    """With a certificate at one and a token at the other, a hold is made and given back."""
    mine = tmp_path / "mine"
    mine.write_text("\ufefffirst-token-of-ours\n", encoding="utf-8")
    access = Access(ca_file=at_home.servers.ca_file, token_file=mine)
    operators = Operators(str(service.told["operator_listen"]), access=access)
    async with Client(
        service.address, access=partner_access(at_home), operators=operators
    ) as client:
        async with client.hold(slot_of("anna", "salon-tls"), FIVE_MINUTES) as hold:
            pass
        assert (await operators.get_lease(hold.lease_id)).state is LeaseState.RELEASED

        mine.write_text("second-token-of-ours\n")
        assert (await operators.get_lease(hold.lease_id)).state is LeaseState.RELEASED
        mine.write_text("third-token-of-ours\n")
        with pytest.raises(CallError) as caught:
            await operators.get_lease(hold.lease_id)
        assert (caught.value.code, caught.value.reason) == ("UNAUTHENTICATED", "TOKEN_REQUIRED")
        assert caught.value.is_callers_fault
    assert "third" not in str(caught.value)


async def test_client_without_a_certificate_is_not_let_in(at_home: House, service: Service) -> None:
    """The handshake fails, which is tried until the deadline; a name that is not served is told."""
    bare = Access(ca_file=at_home.servers.ca_file)
    async with Client(service.address, access=bare, timeout_s=0.5) as client:
        with pytest.raises(NoAnswerError):
            await client.list_bookings("ada")
    cert_file, key_file = at_home.clients.issue("stranger")
    strange = Access(ca_file=at_home.servers.ca_file, cert_file=cert_file, key_file=key_file)
    async with Client(service.address, access=strange) as client:
        with pytest.raises(CallError) as caught:
            await client.list_bookings("ada")
    assert caught.value.reason == "CALLER_NOT_ALLOWED"


async def test_client_trusts_only_its_authorities_and_the_name(
    at_home: House, service: Service
) -> None:
    """Another authority's certificate, or one with another name, is not talked to."""
    good = partner_access(at_home)
    others = at_home.clients.ca_file
    wrong = (
        Access(ca_file=others, cert_file=good.cert_file, key_file=good.key_file),
        Access(
            ca_file=good.ca_file,
            cert_file=good.cert_file,
            key_file=good.key_file,
            server_name="somebody.example",
        ),
    )
    for access in wrong:
        async with Client(service.address, access=access, timeout_s=0.5) as client:
            with pytest.raises(NoAnswerError):
                await client.list_bookings("ada")
    named = Access(
        ca_file=good.ca_file,
        cert_file=good.cert_file,
        key_file=good.key_file,
        server_name="leasehold.internal",
    )
    async with Client(service.address, access=named) as client:
        held = await client.create_lease(slot_of("bo", "salon-tls"), soon())
        assert isinstance(held, Held)


async def fault(address: str, access: Access) -> str:
    """Return why a listener cannot be called like this, or nothing."""
    try:
        async with Client(address, access=access):
            return ""
    except AccessError as error:
        return str(error)


async def test_a_token_is_not_sent_for_everybody_to_read(token_file: Path) -> None:
    """Beyond loopback a token needs TLS, which is the rule there anyway."""
    plain = Access(token_file=token_file, tls=False)

    assert "for everybody to read" in await fault(BEYOND, plain)
    assert not await fault(BEYOND, Access(token_file=token_file))
    assert not await fault(HERE, plain)
    assert not await fault("[::1]:50051", Access(token_file=token_file))


async def test_files_that_cannot_be_used_are_named(at_home: House, tmp_path: Path) -> None:
    """Missing, empty, broken or unfitting files are told on entering, and not quoted."""
    missing, broken = tmp_path / "missing", tmp_path / "broken"
    broken.write_text("secret\nwords \x01\n")
    empty = tmp_path / "empty"
    empty.write_text("\n")
    cert_file, key_file = at_home.partner
    other_key = at_home.server[1]
    cases: list[tuple[Access, str]] = [
        (Access(ca_file=missing), "missing: No such file"),
        (Access(token_file=missing), "missing: No such file"),
        (Access(token_file=empty), "there is no token in it"),
        (Access(ca_file=broken), "broken: cannot be used"),
        (Access(cert_file=cert_file), "only of use together"),
        (Access(cert_file=cert_file, key_file=other_key), "cannot be used"),
        (Access(ca_file=at_home.servers.ca_file, tls=False), "of no use without TLS"),
    ]
    for access, told in cases:
        found = await fault(HERE, access)
        assert told in found
        assert "secret" not in found
    assert not await fault(HERE, Access(cert_file=cert_file, key_file=key_file))


@pytest.mark.parametrize("make", [Client, Operators])
def test_what_is_no_address_is_refused(make: Callable[[str], object]) -> None:
    """Host and port, and nothing else: which decides whether TLS is used."""
    for text in ("holds.example", "dns:///holds.example:443", "holds.example:99999", ""):
        with pytest.raises(AccessError, match="is not an address"):
            make(text)


def test_tls_is_the_rule_beyond_loopback() -> None:
    """Plainly only where nobody listens in, or where it is asked for."""
    assert Access().uses_tls(read_address(BEYOND))
    assert not Access().uses_tls(read_address(HERE))
    assert not Access().uses_tls(read_address("localhost:1"))
    assert not Access(tls=False).uses_tls(read_address(BEYOND))
    assert Access(tls=True).uses_tls(read_address(HERE))
    assert Access(ca_file="ca.pem").uses_tls(read_address(HERE))
