import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from tests.certificates import Authority, authority

from leasehold.credentials import (
    Certificate,
    CredentialsError,
    Kept,
    names_in,
    parse_certificate,
    parse_tokens,
)


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority."""
    return authority(tmp_path_factory.mktemp("ca"))


_OTHER_NAMES = {"spiffe://a.example/b", "ada@a.example"}
_CURVE = "ec -pkeyopt ec_paramgen_curve:"


def _whole_and_half(file: Path, ca: Authority) -> bytes:
    return file.read_bytes() + ca.ca_file.read_bytes()[:700]


class Files:
    """A certificate, its key and the authorities of callers, where a service looks for them."""

    def __init__(self, directory: Path, ca: Authority) -> None:
        self.cert, self.key, self.roots = (directory / name for name in ("crt", "key", "ca"))
        self.roots.write_bytes(ca.ca_file.read_bytes())

    def put(self, pair: tuple[Path, Path]) -> None:
        """Replace certificate and key."""
        self.cert.write_bytes(pair[0].read_bytes())
        self.key.write_bytes(pair[1].read_bytes())

    def keep(self) -> Kept[Certificate]:
        """Read them."""
        return Kept([self.cert, self.key, self.roots], parse_certificate)


@pytest.fixture
def files(tmp_path: Path, ca: Authority) -> Files:
    """Good files."""
    made = Files(tmp_path, ca)
    made.put(ca.issue("good"))
    return made


def test_a_certificate_that_is_replaced_is_taken(files: Files, ca: Authority) -> None:
    """Whatever changes in any of the files is noticed, and the same again is not news."""
    kept = files.keep()
    first = kept.value
    assert not kept.look()
    os.utime(files.cert)
    assert not kept.look()

    files.put(ca.issue("other"))

    assert kept.look()
    assert kept.value.chain == files.cert.read_bytes() != first.chain
    assert kept.fault is None
    assert not kept.look()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda f, _: f.cert.write_bytes(f.cert.read_bytes()[:500]), "the certificate cannot be"),
        (lambda f, _: f.key.write_bytes(f.key.read_bytes()[:500]), "the key is no private key"),
        (lambda f, _: f.roots.write_bytes(b"nonsense"), "the clients' authorities cannot be read"),
        (lambda f, _: f.cert.unlink(), "No such file"),
        (lambda f, ca: f.key.write_bytes(ca.issue("other")[1].read_bytes()), "is not that of"),
        (lambda f, ca: f.put(ca.issue("expired", days=0)), "the certificate is valid from"),
        # Half a chain, and half a list of authorities: what is whole in them is not all of it.
        (lambda f, ca: f.cert.write_bytes(_whole_and_half(f.cert, ca)), "to the end"),
        (lambda f, ca: f.roots.write_bytes(_whole_and_half(f.roots, ca)), "to the end"),
        # Some of these no library here can even read.
        (lambda f, ca: f.put(ca.issue("small", new_key="rsa:1024")), "the key is none of"),
        (lambda f, ca: f.put(ca.issue("edwards", new_key="ed25519")), "the key is none of"),
        (lambda f, ca: f.put(ca.issue("odd", new_key=f"{_CURVE}secp112r1")), "the key is none of"),
    ],
)
def test_a_certificate_that_cannot_be_used_leaves_the_last_good_one(
    files: Files, ca: Authority, spoil: Callable[[Files, Authority], object], reason: str
) -> None:
    """Half-written, mismatched, expired or missing: told once, and the good one stays."""
    kept = files.keep()
    good = kept.value
    spoil(files, ca)

    assert kept.look()
    assert kept.value is good
    assert reason in str(kept.fault)
    assert not kept.look()
    with pytest.raises(CredentialsError, match=reason):
        files.keep()

    files.roots.write_bytes(ca.ca_file.read_bytes())
    files.put(ca.issue("next"))
    assert kept.look()
    assert kept.fault is None
    assert kept.value is not good


def test_a_good_one_that_comes_back_ends_the_fault(files: Files) -> None:
    """The fault ends when the files are again what is in use."""
    kept = files.keep()
    good = files.cert.read_bytes()
    files.cert.write_bytes(b"")
    assert kept.look()

    files.cert.write_bytes(good)

    assert kept.look()
    assert kept.fault is None


def test_a_certificate_that_is_not_valid_yet_is_refused(files: Files) -> None:
    """Copied early, it would have callers refuse the service until its day."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tomorrow")])
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(tomorrow)
        .not_valid_after(tomorrow + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    files.cert.write_bytes(certificate.public_bytes(Encoding.PEM))
    files.key.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )

    with pytest.raises(CredentialsError, match="the certificate is valid from"):
        files.keep()


@pytest.mark.parametrize("curve", ["P-256", "P-384"])
def test_a_certificate_of_a_common_curve_is_taken(files: Files, ca: Authority, curve: str) -> None:
    """RSA is not the only kind of key; what gRPC's callers take is taken, with its chain."""
    files.put(ca.issue("curve", new_key=_CURVE + curve))
    files.cert.write_bytes(files.cert.read_bytes() + ca.ca_file.read_bytes())

    assert files.keep().value.chain == files.cert.read_bytes()


@pytest.mark.parametrize(
    ("hosts", "names"),
    [
        (("DNS:a.example", "DNS:b.example", "IP:127.0.0.1"), {"a.example", "b.example"}),
        (("URI:spiffe://a.example/b", "email:ada@a.example"), _OTHER_NAMES),
        # A name of one kind that looks like one of another: authorities check each kind otherwise.
        (("URI:a.example", "email:a.example"), set()),
        (("RID:1.2.3",), set()),
        # No names at all, but the place for them.
        (("DER:3000",), set()),
        # a.example, a zero byte, and what the caller really owns.
        (("DER:30128210612e6578616d706c6500652e666f6f6f",), {"a.example\0e.fooo"}),
        # No text, and a name of a kind that nobody uses.
        (("DER:3005820361ff62",), set()),
        (("DER:3002a300",), set()),
    ],
)
def test_names_in_a_certificate_are_whole_and_of_their_kind(
    ca: Authority, hosts: tuple[str, ...], names: set[str]
) -> None:
    """Only what an authority has looked at as such is a name; the common name is none here."""
    certificate, _ = ca.issue("odd-names", *hosts, common_name="a.example")

    assert names_in(certificate.read_bytes()) == names


def test_names_in_a_certificate_without_alternative_ones_are_its_common_name(
    ca: Authority,
) -> None:
    """That is how names were written once; two of them leave open which one is meant."""
    one, _ = ca.issue("one", common_name="a.example", sans=False)
    two, _ = ca.issue("two", common_name="a.example/CN=b.example", sans=False)

    assert names_in(one.read_bytes()) == {"a.example"}
    assert names_in(two.read_bytes()) == set()
    assert names_in(b"no certificate") == set()


@pytest.mark.parametrize("sent", ["Bearer \udcff\udcfe", "Bearer ÿ", b"Bearer \xff", "Bearer"])
def test_an_authorization_that_is_no_text_lets_nobody_in(sent: str | bytes) -> None:
    """Whatever bytes a stranger sends, the answer is no, and not an error."""
    assert not parse_tokens(b"good-" * 4).let_in(sent)


@pytest.mark.parametrize("text", [b"", b"\n \n"])
def test_tokens_that_are_none_let_nobody_in(text: bytes) -> None:
    """An empty file must not mean an empty token."""
    with pytest.raises(CredentialsError, match="no token"):
        parse_tokens(text)


def test_token_file_may_have_marks_of_its_encoding() -> None:
    """Editors write them, also in each of two files that become one, and no caller sends them."""
    tokens = parse_tokens("\ufefffirst-token-of-ours\r\n\ufeffsecond-token-of-ours\r\n".encode())
    for word in ("first", "second"):
        assert tokens.let_in(f"Bearer {word}-token-of-ours")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "latin-1"])
def test_token_file_in_another_encoding_is_refused(encoding: str) -> None:
    """No caller would be let in by what such a file holds."""
    text = "fürst-token-of-ours" if encoding == "latin-1" else "first-token-of-ours"
    with pytest.raises(CredentialsError, match="not UTF-8 text"):
        parse_tokens(text.encode(encoding))


def test_tokens_of_fewer_than_sixteen_characters_are_refused() -> None:
    """A short one can be guessed; every line at fault is named, and no token is."""
    assert parse_tokens(b"0123456789abcdef").let_in("Bearer 0123456789abcdef")
    with pytest.raises(CredentialsError, match=r"fewer than 16 characters: line 3, 4$") as caught:
        parse_tokens("0123456789abcdef\n\n0123456789abcde\nüüüüüüüü\n".encode())
    assert "0123456789" not in str(caught.value)


def test_short_token_leaves_the_last_good_ones(tmp_path: Path) -> None:
    """A file that is replaced by a worse one is not taken over."""
    path = tmp_path / "tokens"
    path.write_text("0123456789abcdef")
    kept = Kept([path], parse_tokens)
    path.write_text("x")

    assert kept.look()
    assert kept.value.let_in("Bearer 0123456789abcdef")
    assert kept.fault
    assert "fewer than 16" in kept.fault
    with pytest.raises(CredentialsError, match=f"^{path}: .* fewer than 16"):
        Kept([path], parse_tokens)
