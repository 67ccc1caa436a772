"""How ids are written: percent-encoded, and lease and booking ids made from callers' tokens."""

import hashlib
import hmac
import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, unquote

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_SUFFIX_CHARACTERS = 26
_SUFFIX_BYTES = 16
# Two characters at a time: every call names something.
_PAIRS = [first + second for first in _CROCKFORD for second in _CROCKFORD]
_SHIFTS = range(5 * (_SUFFIX_CHARACTERS - 2), -1, -10)
# 128 bits in 26 characters of five bits leave two bits at the front that are always zero.
_SUFFIX = re.compile(rf"[0-7][{_CROCKFORD}]{{{_SUFFIX_CHARACTERS - 1}}}")
_MAX_REFERENCE_BYTES = 900


@lru_cache(maxsize=10_000)
def encode_id(value: str) -> str:
    """Percent-encode every character outside ``A-Z a-z 0-9 - _ ~ .``.

    What remains holds none of the characters that separate the parts of a key or of a lease
    id's cluster tag, so no id can forge one.
    """
    return quote(value, safe="")


def decode_id(text: str) -> str:
    """Undo encode_id."""
    return unquote(text, errors="strict")


def _suffix(domain: str, text: str) -> str:
    """Return 128 bits of BLAKE2b as 26 characters of Crockford base32.

    The domains keep what is made from different things apart: none can be passed for another.
    """
    made = hashlib.blake2b(text.encode(), digest_size=_SUFFIX_BYTES, person=domain.encode())
    return _written(made.digest())


def _written(digest: bytes) -> str:
    number = int.from_bytes(digest, "big")
    return "".join([_PAIRS[(number >> shift) & 1023] for shift in _SHIFTS])


def lease_suffix(reference: str) -> str:
    """Name the one lease that ``reference`` can ever make.

    A repeat on any pod, after any loss, names the same lease.
    """
    return _suffix("lease", reference)


def booking_suffix(api: str, token: str) -> str:
    """Name the one booking that ``token`` can ever make through a version of the API."""
    return _suffix(f"booking-{api}", token)


def user_digest(user_id: str, key: bytes | None = None) -> str:
    """Stand for a user where a key or a value must name one.

    Without ``key`` everybody can make it who guesses the user.
    """
    if key is None:
        return _suffix("user", user_id)
    return _written(hmac.digest(key, b"user\0" + user_id.encode(), "sha256")[:_SUFFIX_BYTES])


def key_fingerprint(key: bytes) -> str:
    """Name a key of users without telling anything of it; no digest of a user is the same."""
    return _written(hmac.digest(key, b"fingerprint", "sha256")[:_SUFFIX_BYTES])


def wire_id(merchant_id: str, suffix: str) -> str:
    """Return a lease or booking id on the wire, ``<encoded merchant>.<suffix>``.

    It alone leads to the shard. Source: contract 6.2, "Lease ids and booking ids"; at most 900
    bytes by the limits on ids.
    """
    return f"{encode_id(merchant_id)}.{suffix}"


@dataclass(frozen=True, slots=True)
class Reference:
    """A lease or booking id taken apart."""

    merchant_id: str
    suffix: str


def parse_wire_id(text: str) -> Reference | None:
    """Take a lease or booking id apart, or return None when it can be none of ours."""
    merchant, _, suffix = text.rpartition(".")
    if not merchant or len(text.encode()) > _MAX_REFERENCE_BYTES or not _SUFFIX.fullmatch(suffix):
        return None
    try:
        merchant_id = decode_id(merchant)
    except UnicodeDecodeError:
        return None
    # An id has one spelling; any other is unknown, so that it cannot pass for a second id.
    return Reference(merchant_id, suffix) if encode_id(merchant_id) == merchant else None
