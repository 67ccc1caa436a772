"""How ids are written: percent-encoded ids and lease ids made from references."""

import hashlib
from urllib.parse import quote

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_SUFFIX_CHARACTERS = 26
_SUFFIX_BYTES = 16


def encode_id(value: str) -> str:
    """Percent-encode every character outside ``A-Z a-z 0-9 - _ ~ .``.

    What remains holds none of the characters that separate the parts of a key or of a lease
    id's cluster tag, so no id can forge one.
    """
    return quote(value, safe="")


def lease_suffix(reference: str) -> str:
    """Name the one lease that ``reference`` can ever make: 26 characters of Crockford base32.

    128 bits of BLAKE2b under the domain ``lease``, so that no other kind of token can be passed
    for a reference. A repeat on any pod, after any loss, names the same lease.
    """
    digest = hashlib.blake2b(reference.encode(), digest_size=_SUFFIX_BYTES, person=b"lease")
    number = int.from_bytes(digest.digest(), "big")
    shifts = range(5 * (_SUFFIX_CHARACTERS - 1), -1, -5)
    return "".join(_CROCKFORD[(number >> shift) & 31] for shift in shifts)


def lease_id(merchant_id: str, reference: str) -> str:
    """Return the lease id on the wire, ``<encoded merchant>.<suffix>``: it alone finds the shard.

    Source: contract 6.2, "Lease ids and booking ids"; at most 900 bytes by the limits on ids.
    """
    return f"{encode_id(merchant_id)}.{lease_suffix(reference)}"
