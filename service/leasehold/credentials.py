"""Certificates and tokens in files that others replace while we serve."""

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Generic, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID

Value = TypeVar("Value")

_LEAST_RSA_BITS = 2048
_LEAST_TOKEN_CHARACTERS = 16


class CredentialsError(Exception):
    """Files that cannot be used; the message says why, and quotes nothing of them."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a listener proves itself with, and whom it trusts; all of it PEM."""

    chain: bytes
    key: bytes
    client_roots: bytes | None
    """Authorities of the callers' certificates; None asks callers for none."""
    expires_at: datetime


def parse_certificate(chain: bytes, key: bytes, client_roots: bytes | None = None) -> Certificate:
    """Return a certificate that can be used now, or raise CredentialsError."""
    leaf = _certificates(chain, "certificate")[0]
    try:
        public_key = load_pem_private_key(key, password=None).public_key()
        fits = leaf.public_key() == public_key
    except (ValueError, TypeError):
        raise CredentialsError("the key is no private key in PEM without a password") from None
    except UnsupportedAlgorithm:
        fits, public_key = True, None
    if not fits:
        raise CredentialsError("the key is not that of the certificate")
    if not _is_common(public_key):
        raise CredentialsError("the key is none of RSA with 2048 bits or more, P-256 and P-384")
    if not leaf.not_valid_before_utc <= datetime.now(UTC) < leaf.not_valid_after_utc:
        raise CredentialsError(
            f"the certificate is valid from {leaf.not_valid_before_utc:%Y-%m-%d %H:%M:%S}"
            f" to {leaf.not_valid_after_utc:%Y-%m-%d %H:%M:%S} UTC"
        )
    if client_roots is not None:
        _certificates(client_roots, "clients' authorities")
    return Certificate(chain, key, client_roots, leaf.not_valid_after_utc)


def _is_common(public_key: object) -> bool:
    """Tell whether gRPC shows such a key, and its callers take it."""
    if isinstance(public_key, rsa.RSAPublicKey):
        return public_key.key_size >= _LEAST_RSA_BITS
    return isinstance(public_key, ec.EllipticCurvePublicKey) and isinstance(
        public_key.curve, ec.SECP256R1 | ec.SECP384R1
    )


def _certificates(pem: bytes, what: str) -> list[x509.Certificate]:
    try:
        found = x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise CredentialsError(f"the {what} cannot be read as PEM") from None
    # A block without its end is passed over by the library, and is half a file.
    begun = pem.count(b"-----BEGIN CERTIFICATE-----")
    if begun != len(found) or pem.count(b"-----B") != pem.count(b"-----E"):
        raise CredentialsError(f"the {what} cannot be read as PEM to the end")
    return found


def names_in(pem: bytes) -> frozenset[str]:
    """Return whom a caller's certificate names: hosts, URIs and addresses of mail.

    Its common name counts only where it has no subject alternative names at all. A name is taken
    as a whole, whatever bytes are in it, and none of one kind passes for another.
    """
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        return _alternative_names(certificate)
    except x509.ExtensionNotFound:
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return frozenset(str(name.value) for name in names) if len(names) == 1 else frozenset()
    except (ValueError, x509.UnsupportedGeneralNameType):
        return frozenset()


def _alternative_names(certificate: x509.Certificate) -> frozenset[str]:
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return frozenset(
        name.value
        for name in extension.value
        if isinstance(name, x509.DNSName)
        or (isinstance(name, x509.UniformResourceIdentifier) and ":" in name.value)
        or (isinstance(name, x509.RFC822Name) and "@" in name.value)
    )


@dataclass(frozen=True, slots=True)
class Tokens:
    """The words that let a caller in; several of them, so that they can be changed one by one."""

    words: tuple[bytes, ...]

    def let_in(self, authorization: str | bytes | None) -> bool:
        """Judge the value of an ``authorization`` header; how long that takes tells nothing."""
        if authorization is None:
            return False
        if isinstance(authorization, str):
            # HTTP brings bytes that are no text as surrogates.
            sent = authorization.encode(errors="surrogateescape")
        else:
            sent = authorization
        scheme, _, word = sent.partition(b" ")
        # Every word is compared, whichever fits.
        fits = [hmac.compare_digest(word.strip(), known) for known in self.words]
        return scheme.lower() == b"bearer" and any(fits)


def parse_tokens(text: bytes) -> Tokens:
    """Return the tokens of a file, one a line, or raise CredentialsError."""
    words = {number: line.strip() for number, line in enumerate(_lines(text), 1) if line.strip()}
    if not words:
        raise CredentialsError("there is no token in it")
    short = [str(number) for number, word in words.items() if len(word) < _LEAST_TOKEN_CHARACTERS]
    if short:
        raise CredentialsError(
            f"a token has fewer than {_LEAST_TOKEN_CHARACTERS} characters: line {', '.join(short)}"
        )
    return Tokens(tuple(word.encode() for word in words.values()))


def _lines(text: bytes) -> list[str]:
    """Return the lines without the marks of encoding that some editors write."""
    try:
        read = text.decode()
    except UnicodeDecodeError:
        read = "\0"
    # UTF-16 of plain words may be UTF-8 as well, with these between.
    if "\0" in read:
        raise CredentialsError("it is not UTF-8 text")
    return read.replace("\ufeff", "").splitlines()


class Kept(Generic[Value]):
    """The last good state of something that is read from files.

    Files are compared by what is in them: their times say nothing where a volume is a link that
    moves. While they are half-written, do not fit together or are missing, ``value`` stays.
    """

    def __init__(self, files: Sequence[Path], parse: Callable[..., Value]) -> None:
        """Read for the first time; CredentialsError says why that cannot be used."""
        self._files = tuple(files)
        self._parse = parse
        self._contents = self._read()
        self.value = self._parsed(self._contents)
        self.fault: str | None = None
        """Why the files are not what is in use, if they are not."""

    def look(self) -> bool:
        """Read again, and tell whether ``value`` or ``fault`` are other ones now."""
        was = self.value, self.fault
        try:
            contents = self._read()
            if contents != self._contents:
                self.value = self._parsed(contents)
                self._contents = contents
            self.fault = None
        except CredentialsError as error:
            self.fault = str(error)
        return (self.value, self.fault) != was

    def is_in_files(self) -> bool:
        """Tell whether the files hold what is in use."""
        try:
            return self._read() == self._contents
        except CredentialsError:
            return False

    def _read(self) -> list[bytes]:
        try:
            return [path.read_bytes() for path in self._files]
        except OSError as error:
            raise CredentialsError(f"{error.filename}: {error.strerror}") from None

    def _parsed(self, contents: list[bytes]) -> Value:
        try:
            return self._parse(*contents)
        except CredentialsError as error:
            raise CredentialsError(f"{', '.join(map(str, self._files))}: {error}") from None
