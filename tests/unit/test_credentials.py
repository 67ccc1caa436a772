import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.certificates import Authority, authority

from leasehold.credentials import (
    Certificate,
    CredentialsError,
    Kept,
    parse_certificate,
    parse_tokens,
)


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority."""
    return authority(tmp_path_factory.mktemp("ca"))


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


@pytest.mark.parametrize("text", [b"", b"\n \n"])
def test_tokens_that_are_none_let_nobody_in(text: bytes) -> None:
    """An empty file must not mean an empty token."""
    with pytest.raises(CredentialsError, match="no token"):
        parse_tokens(text)
