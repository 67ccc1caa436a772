"""The keys that users' digests are made with: the first writes, all are read."""

from collections.abc import Sequence

from leasehold.model import ids


class UserKeys:
    """Makes the digests of users by several keys, so that one key can take the place of another."""

    def __init__(self, keys: Sequence[bytes | None]) -> None:
        """``keys``: the first makes what is written; None stands for digests without a key."""
        self._keys = tuple(keys)

    @property
    def are_several(self) -> bool:
        """Tell whether a user may be stored by another digest than the one that is written."""
        return len(self._keys) > 1

    def digests(self, user_id: str) -> tuple[str, ...]:
        """Return everything that may stand for a user; the first is what is written."""
        return tuple([ids.user_digest(user_id, key) for key in self._keys])


UNKEYED = UserKeys([None])
"""What there is without a file of keys."""
