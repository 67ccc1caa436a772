"""Who is let in: certificates, names, tokens; and certificates that change while it serves."""

import itertools
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography.x509 import load_pem_x509_certificate
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tests.calls import read_failure
from tests.certificates import authority
from tests.servers import RedisServer, poll
from tests.service import Service, run, serving
from tests.tls import PARTNER, House, Pair, create_lease, der, house

from leasehold.generated.leasehold.v1 import inventory_service_pb2 as inventory_pb
from leasehold.generated.leasehold.v1 import inventory_service_pb2_grpc as inventory_grpc

FIRST, SECOND = "first-token-of-ours", "second-token-of-ours"


@pytest.fixture(scope="module")
def at_home(tmp_path_factory: pytest.TempPathFactory) -> House:
    """The authorities of this file's tests."""
    return house(tmp_path_factory.mktemp("house"))


@pytest.fixture
def partners(at_home: House, valkey: RedisServer) -> Iterator[Service]:
    """A service that serves one partner."""
    with serving(REDIS_URL=valkey.url, **at_home.settings()) as service:
        yield service


def refusal(call: Callable[[], Any]) -> Any:
    """Return the error that a call must end with."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value


def test_partner_listener_serves_whose_certificate_has_a_name_that_is_allowed(
    at_home: House, partners: Service
) -> None:
    """By any of its alternative names, or by its common name where it has no other."""
    several = at_home.clients.issue("several", "DNS:other.example", f"DNS:{PARTNER}")
    plain = at_home.clients.issue("plain", common_name=PARTNER, sans=False)
    for number, pair in enumerate((at_home.partner, several, plain)):
        with at_home.channel(partners.address, pair) as channel:
            assert create_lease(channel, f"named-{number}").HasField("lease")


def test_partner_listener_refuses_a_trusted_certificate_of_another_name(
    at_home: House, partners: Service
) -> None:
    """Authorities sign for many: the name decides, for health too, and letter for letter."""
    names = {
        "other": ("DNS:other.example",),
        "longer": (f"DNS:not.{PARTNER}",),
        "wildcard": ("DNS:*.businesslink-3.net",),
        "common": ("DNS:other.example",),
        "other-kind": (f"URI:{PARTNER}", f"email:{PARTNER}"),
        # A name that goes on behind a zero byte; gRPC's list of names would cut it off there.
        "zero-byte": (f"DER:{dns_name(f'{PARTNER}{chr(0)}.example')}",),
    }
    for name, hosts in names.items():
        common_name = PARTNER if name == "common" else name
        pair = at_home.clients.issue(name, *hosts, common_name=common_name)
        with at_home.channel(partners.address, pair) as channel:
            # The types of health know no synchronous call.
            stub: Any = health_pb2_grpc.HealthStub(channel)
            asked = health_pb2.HealthCheckRequest()
            calls: list[Callable[[], Any]] = [
                partial(create_lease, channel),
                partial(stub.Check, asked, timeout=10),
                partial(next, stub.Watch(asked, timeout=10)),
            ]
            for call in calls:
                failure = read_failure(refusal(call))
                assert failure.code is grpc.StatusCode.PERMISSION_DENIED
                assert failure.reason == "CALLER_NOT_ALLOWED"


def test_partner_listener_refuses_others_in_the_handshake(
    at_home: House, partners: Service, tmp_path: Path
) -> None:
    """No certificate, another authority's, one that has ended, or no TLS: there is no call."""
    strange = authority(tmp_path).issue(PARTNER)
    ended = at_home.clients.issue("ended", f"DNS:{PARTNER}", days=0)
    for pair in (strange, ended):
        with at_home.channel(partners.address, pair) as channel:
            error = refusal(partial(create_lease, channel))
            assert error.code() is grpc.StatusCode.UNAVAILABLE
    with grpc.secure_channel(partners.address, at_home.credentials(None)) as channel:
        assert refusal(lambda: create_lease(channel)).code() is grpc.StatusCode.UNAVAILABLE
    with grpc.insecure_channel(partners.address) as channel:
        assert refusal(lambda: create_lease(channel)).code() is grpc.StatusCode.UNAVAILABLE
    assert not [event for event in partners.events() if event["event"] == "call_handled"]


def dns_name(name: str) -> str:
    """Return subject alternative names with this one only, as ASN.1 has them, in hexadecimal."""
    return (bytes((0x30, len(name) + 2, 0x82, len(name))) + name.encode()).hex()


class Files:
    """The files of a certificate, as a service finds them."""

    def __init__(self, directory: Path, at_home: House) -> None:
        self.cert_file, self.key_file = directory / "tls.crt", directory / "tls.key"
        self._issue = at_home.servers.issue

    def put(self, pair: Pair) -> None:
        """Write certificate and key, one after the other."""
        self.cert_file.write_bytes(pair[0].read_bytes())
        self.key_file.write_bytes(pair[1].read_bytes())

    def issue(self, name: str, days: int = 2) -> Pair:
        """Return a certificate for this machine."""
        return self._issue(name, "IP:127.0.0.1", days=days)

    def spoilings(self) -> Iterator[tuple[str, Callable[[], object]]]:
        """Yield what can be wrong with the files of the moment, and how that comes about."""
        other, ended = self.issue("other"), self.issue("ended", days=0)
        odd = self._issue("odd", new_key="ec -pkeyopt ec_paramgen_curve:secp112r1")

        def halve(*, behind: bytes) -> None:
            self.cert_file.write_bytes(behind + self.cert_file.read_bytes()[:700])

        yield "half-written", lambda: halve(behind=b"")
        yield "half a key", lambda: self.key_file.write_bytes(self.key_file.read_bytes()[:60])
        yield "half a chain", lambda: halve(behind=self.cert_file.read_bytes())
        yield "odd", lambda: self.put(odd)
        yield "mismatched", lambda: self.cert_file.write_bytes(other[0].read_bytes())
        yield "expired", lambda: self.put(ended)
        yield "missing", self.key_file.unlink


@pytest.mark.long
def test_certificates_change_while_serving_and_the_last_good_one_stays(
    at_home: House, valkey: RedisServer, tmp_path: Path
) -> None:
    """Valid, broken, expired, missing: new connections get the last good one (failure mode 37)."""
    files = Files(tmp_path, at_home)
    good = files.issue("first")
    files.put(good)
    pair = (files.cert_file, files.key_file)
    ops = {"OPS_TLS_CERT_FILE": str(pair[0]), "OPS_TLS_KEY_FILE": str(pair[1])}
    with (
        serving(REDIS_URL=valkey.url, **at_home.settings(pair), **ops) as service,
        at_home.channel(service.address) as old_channel,
    ):
        create_lease(old_channel, "rotation")

        def shows(pair: Pair) -> bool:
            addresses = (service.address, service.told["ops_listen"])
            return all(at_home.shown(address) == der(pair) for address in addresses)

        def failures() -> float:
            return metric(at_home, service, "leasehold_credential_reload_failures_total")

        assert shows(good)
        for name, spoil in files.spoilings():
            before = failures()
            spoil()
            poll(f"{name} is noticed", lambda before=before: failures() > before)
            assert shows(good), name
            with at_home.channel(service.address) as channel:
                create_lease(channel, f"rotation-{name}")

            good = files.issue(f"after-{name}")
            files.put(good)
            poll("the new one is shown", lambda good=good: shows(good))
            with at_home.channel(service.address) as channel:
                create_lease(channel, f"rotation-after-{name}")
        create_lease(old_channel, "rotation-old")
        told = [e["event"] for e in service.events() if e["event"].startswith("credentials_")]
        # Once for each listener at least, and not once for each look.
        assert told.count("credentials_renewed") >= 2 * 7
        assert told.count("credentials_unusable") <= 2 * 2 * 7
        expires = metric(at_home, service, "leasehold_certificate_expires_timestamp_seconds")
        assert (
            expires
            == load_pem_x509_certificate(good[0].read_bytes()).not_valid_after_utc.timestamp()
        )


def test_ops_shows_the_last_good_one_even_if_nobody_connected_meanwhile(
    at_home: House, valkey: RedisServer, tmp_path: Path
) -> None:
    """A good certificate and then an expired one, before anybody asks: the good one is shown."""
    files = Files(tmp_path, at_home)
    files.put(files.issue("ops-first"))
    ops = {"OPS_TLS_CERT_FILE": str(files.cert_file), "OPS_TLS_KEY_FILE": str(files.key_file)}
    with serving(REDIS_URL=valkey.url, **ops) as service:
        good, ended = files.issue("ops-good"), files.issue("ops-ended", days=0)
        files.put(good)
        poll("it is taken", lambda: "credentials_renewed" in service.log_text())
        files.put(ended)
        poll("it is refused", lambda: "is valid from" in service.log_text())

        assert at_home.shown(service.told["ops_listen"]) == der(good)


def metric(at_home: House, service: Service, name: str) -> float:
    """Return what a metric says of the partner listener."""
    text = fetch(at_home, service, "/metrics")[1]
    (line,) = [
        it for it in text.splitlines() if it.startswith(f'{name}{{listener="partners"}} ')
    ] or [f"{name} 0"]
    return float(line.rpartition(" ")[2])


def fetch(at_home: House, service: Service, path: str, token: str | None = None) -> tuple[int, str]:
    """Ask the ops listener by HTTPS."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    url = f"https://{service.told['ops_listen']}{path}"
    context = ssl.create_default_context(cafile=at_home.servers.ca_file)
    try:
        request = urllib.request.Request(url, headers=headers)
        with urllib.request.urlopen(request, timeout=5, context=context) as response:  # noqa: S310
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_authorities_of_callers_change_while_serving(
    at_home: House, valkey: RedisServer, tmp_path: Path
) -> None:
    """Whoever a new authority has signed for gets in; whoever the old one had does not any more."""
    later = authority(tmp_path)
    pair = later.issue(PARTNER)
    trusted = tmp_path / "trusted.crt"
    trusted.write_bytes(at_home.clients.ca_file.read_bytes())
    settings = {**at_home.settings(), "TLS_CLIENT_CA_FILE": str(trusted)}
    numbers = itertools.count()
    with serving(REDIS_URL=valkey.url, **settings) as service:

        def serves(pair: Pair) -> bool:
            with at_home.channel(service.address, pair) as channel:
                try:
                    lease = create_lease(channel, f"authorities-{next(numbers)}")
                except grpc.RpcError as error:
                    if error.code() is grpc.StatusCode.UNAVAILABLE:
                        return False
                    raise
                return bool(lease.HasField("lease"))

        assert serves(at_home.partner)
        assert not serves(pair)
        trusted.write_bytes(trusted.read_bytes() + later.ca_file.read_bytes())
        poll("the new one is trusted, too", lambda: serves(pair))
        assert serves(at_home.partner)
        trusted.write_bytes(later.ca_file.read_bytes())
        poll("the old one is not", lambda: not serves(at_home.partner))
        assert serves(pair)


def test_operators_and_ops_ask_for_tokens_that_may_change(
    at_home: House, valkey: RedisServer, tmp_path: Path
) -> None:
    """A listener with a token file serves who sends one of its tokens; kubelet's probes pass."""
    tokens = tmp_path / "tokens"
    tokens.write_text(f"{FIRST}\n")
    cert_file, key_file = map(str, at_home.server)
    listeners = {
        f"{name}_{setting}": value
        for name in ("OPERATOR", "OPS")
        for setting, value in (
            ("TLS_CERT_FILE", cert_file),
            ("TLS_KEY_FILE", key_file),
            ("TOKEN_FILE", str(tokens)),
        )
    }
    with serving(REDIS_URL=valkey.url, **listeners) as service:

        def ask_operators(token: str) -> grpc.StatusCode:
            address, credentials = service.told["operator_listen"], at_home.credentials(None)
            with grpc.secure_channel(address, credentials) as channel:
                stub = inventory_grpc.InventoryServiceStub(channel)
                error = refusal(
                    lambda: stub.ReplaceAvailability(
                        inventory_pb.ReplaceAvailabilityRequest(),
                        metadata=(("authorization", f"Bearer {token}"),),
                        timeout=10,
                    )
                )
                code: grpc.StatusCode = error.code()
                return code

        def let_in(token: str) -> bool:
            code, status = ask_operators(token), fetch(at_home, service, "/metrics", token)[0]
            assert (code, status) in {
                (grpc.StatusCode.INVALID_ARGUMENT, 200),
                (grpc.StatusCode.UNAUTHENTICATED, 401),
            }
            return status == 200

        poll("ready", lambda: fetch(at_home, service, "/readyz")[0] == 200)
        assert fetch(at_home, service, "/livez")[0] == 200
        for path in ("/metrics", "/config", "/readyz?verbose"):
            assert fetch(at_home, service, path)[0] == 401
            assert fetch(at_home, service, path, FIRST)[0] == 200
        assert let_in(FIRST)
        assert not let_in(SECOND)
        tokens.write_text(f"{SECOND}\n{FIRST}\n")
        poll(
            "the new one is good, too",
            lambda: fetch(at_home, service, "/config", SECOND)[0] == 200,
        )
        tokens.write_text(f"{SECOND}\n")
        poll("the old one is not", lambda: fetch(at_home, service, "/config", FIRST)[0] == 401)
        tokens.unlink()
        poll("noticed", lambda: "credentials_unusable" in service.log_text())
        assert fetch(at_home, service, "/config", SECOND)[0] == 200
        assert FIRST not in service.log_text()


def test_operators_listener_asks_for_everything_that_is_set(
    at_home: House, valkey: RedisServer, tmp_path: Path
) -> None:
    """With authorities, names and tokens a caller needs all three, for health and the rest."""
    tokens = tmp_path / "tokens"
    tokens.write_text("word-for-operators\n")
    settings = {f"OPERATOR_{name}": value for name, value in at_home.settings().items()}
    other = at_home.clients.issue("other-operator")
    with serving(REDIS_URL=valkey.url, OPERATOR_TOKEN_FILE=str(tokens), **settings) as service:

        def ask(pair: Pair, *words: str) -> set[grpc.StatusCode]:
            told = {"metadata": [("authorization", f"Bearer {word}") for word in words]}
            with at_home.channel(service.told["operator_listen"], pair) as channel:
                inventory = inventory_grpc.InventoryServiceStub(channel)
                health: Any = health_pb2_grpc.HealthStub(channel)
                empty, unknown = inventory_pb.ReplaceAvailabilityRequest(), "no-such-service"
                named = health_pb2.HealthCheckRequest(service=unknown)
                calls: list[Callable[[], Any]] = [
                    lambda: inventory.ReplaceAvailability(empty, timeout=10, **told),
                    lambda: health.Check(named, timeout=10, **told),
                ]
                return {refusal(call).code() for call in calls}

        assert ask(other, "word-for-operators") == {grpc.StatusCode.PERMISSION_DENIED}
        assert ask(at_home.partner) == {grpc.StatusCode.UNAUTHENTICATED}
        assert ask(at_home.partner, "wrong") == {grpc.StatusCode.UNAUTHENTICATED}
        served = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND}
        assert ask(at_home.partner, "word-for-operators") == served


def test_serve_with_a_certificate_that_cannot_be_used_refuses_to_start(at_home: House) -> None:
    """At the start there is no last good one: the file is named, and what is wrong with it."""
    key = at_home.clients.issue("somebody")[1]
    ended = run(
        "serve",
        settings={
            "REDIS_URL": "redis://127.0.0.1:1",
            **at_home.settings((at_home.server[0], key)),
        },
    )

    assert ended.returncode == 2
    assert str(key) in ended.stderr
    assert "the key is not that of the certificate" in ended.stderr
