"""The keys that users' digests are made with: the first writes, all are read."""

import re
from collections.abc import Iterator, Sequence

from leasehold.model import ids

NO_KEY = "none"
"""The line, and the fingerprint, of digests without a key."""
LEAST_KEY_BYTES = 32
MOST_KEYS = 4
"""A list asks the store for each of them."""
_VISIBLE = re.compile(rb"[!-~]+")


class UserKeysError(ValueError):
    """A file of keys that cannot be used: one sentence for each fault, and nothing of the keys."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


class UserKeys:
    """Makes the digests of users by several keys, so that one key can take the place of another."""

    def __init__(self, keys: Sequence[bytes | None]) -> None:
        """``keys``: the first makes what is written; None stands for digests without a key."""
        self._keys = tuple(keys)
        self.fingerprints = tuple([ids.key_fingerprint(key) if key else NO_KEY for key in keys])
        """What each key is called where the key itself must not be; the first writes."""

    @property
    def are_several(self) -> bool:
        """Tell whether a user may be stored by another digest than the one that is written."""
        return len(self._keys) > 1

    @property
    def has_key(self) -> bool:
        """Tell whether what is written is digested with a key."""
        return self._keys[0] is not None

    def digests(self, user_id: str) -> tuple[str, ...]:
        """Return everything that may stand for a user; the first is what is written."""
        return tuple([ids.user_digest(user_id, key) for key in self._keys])


UNKEYED = UserKeys([None])
"""What there is without a file of keys."""


def parse_user_keys(content: bytes) -> UserKeys:
    """Return the keys of a file, one a line; the line is the key. Raises UserKeysError."""
    lines = [line.strip() for line in content.removeprefix(b"\xef\xbb\xbf").splitlines()]
    if faults := list(_faults(lines)):
        raise UserKeysError(faults)
    return UserKeys([None if line == NO_KEY.encode() else line for line in lines if line])


def _faults(lines: Sequence[bytes]) -> Iterator[str]:
    keys = [line for line in lines if line]
    if not keys:
        yield "there is no key in it"
    if len(keys) > MOST_KEYS:
        yield f"there are {len(keys)} keys in it; at most {MOST_KEYS} are read"
    for number, line in enumerate(lines, 1):
        if line == NO_KEY.encode() or not line:
            pass
        elif not _VISIBLE.fullmatch(line):
            yield f"line {number} is not of visible ASCII without blanks"
        elif len(line) < LEAST_KEY_BYTES:
            yield f"line {number} has {len(line)} characters; a key has {LEAST_KEY_BYTES} at least"
        if line and line in lines[: number - 1]:
            yield f"line {number} is the same as line {lines.index(line) + 1}"
