"""Which bookings a user has: an index on the user's own shard, beside the bookings' merchants.

A booking and its index lie on different shards, so they change one after the other: an intent of
two minutes, then the booking, then the index, and only then the answer. Source: lua/README.md,
"The index of a user's bookings".
"""

from collections.abc import AsyncIterator
from typing import NamedTuple

from leasehold.model.deadline import Deadline
from leasehold.model.errors import OverloadedError, StoreTrouble, StoreUnavailableError
from leasehold.model.slot import Slot
from leasehold.store import keys, scripts
from leasehold.store.link import Link

OLDER_THAN_ANY_CALL_MS = 120_000
"""An intent lives so long; by then its call has ended, however it did."""
PIECE = 100
"""So many names are read at a time."""
_MOST_INTENTS = 1000
_CLOCKS_DIFFER_MS = 1000
# The score of a booking is its start in seconds; in 0.1.0 it was a time in milliseconds.
_OLD_SCORES_FROM = 10**12


class Range(NamedTuple):
    """Part of an index, by score, in the words of ZRANGE."""

    low: str
    high: str


EVERYTHING = Range("-inf", "+inf")
OLD = Range(str(_OLD_SCORES_FROM), "+inf")
"""What 0.1.0 named, in no order of start."""


def ahead_of(now_s: int) -> Range:
    """Return what starts later than now, soonest first."""
    return Range(f"({now_s}", f"({_OLD_SCORES_FROM}")


def behind(now_s: int) -> Range:
    """Return what has begun, oldest first."""
    return Range("-inf", str(now_s))


class UserIndex:
    """Names the bookings of users on the store of a link; ``user`` is a digest everywhere.

    Every method raises as Link.run does.
    """

    def __init__(self, link: Link, booking_retention_ms: int) -> None:
        self._link = link
        self._booking_retention_ms = booking_retention_ms
        self._intend_booking = scripts.load("intend_booking")
        self._index_booking = scripts.load("index_booking")
        self._forget_booking = scripts.load("forget_booking")

    async def intend(self, user: str, booking_id: str, deadline: Deadline) -> None:
        """Name a booking for two minutes, before it is made or refused."""
        arguments: list[str | int] = [booking_id, OLDER_THAN_ANY_CALL_MS, _MOST_INTENTS]
        await self._link.run(self._intend_booking, [keys.intents_key(user)], arguments, deadline)

    async def name(
        self,
        user: str,
        booking_id: str,
        slot: Slot,
        taken_at_ms: int,
        deadline: Deadline,
        *,
        is_new: bool = False,
    ) -> None:
        """Name a booking that is there by its slot, before its caller is told of it.

        ``taken_at_ms`` is since when it has that slot, ``is_new`` says that it was just made. A
        booking that was forgotten since then is not named. A full queue is StoreUnavailableError
        here: the booking is made, and "not sent" would say that it is not.
        """
        keep_ms = 0 if is_new else OLDER_THAN_ANY_CALL_MS
        ends_at_ms = slot.start_ms + slot.duration_s * 1000 + self._booking_retention_ms
        try:
            await self._link.run(
                self._index_booking,
                [keys.index_key(user), keys.moves_key(user)],
                [booking_id, slot.start_s, ends_at_ms, taken_at_ms, keep_ms],
                deadline,
            )
        except OverloadedError as error:
            raise StoreUnavailableError(StoreTrouble.BUSY) from error

    async def unname(
        self, user: str, booking_id: str, deadline: Deadline, taken_at_ms: int | None = None
    ) -> None:
        """Name a booking no longer, unless there is no record and a call may be making it.

        ``taken_at_ms`` is since when a booking that is not the user's any more has its slot: then
        calls that were answered before do not name it either. None where there is no record.
        """
        names = [keys.index_key(user), keys.intents_key(user), keys.moves_key(user)]
        left_at_ms = "" if taken_at_ms is None else taken_at_ms
        arguments: list[str | int] = [booking_id, OLDER_THAN_ANY_CALL_MS, left_at_ms]
        await self._link.run(self._forget_booking, names, arguments, deadline)

    async def has(
        self, user: str, booking_id: str, start_s: int, remaining_ms: int, deadline: Deadline
    ) -> bool:
        """Tell whether the index names a booking by that start, and lasts so long."""
        key = keys.index_key(user)
        score = await self._link.read("ZSCORE", key, booking_id, deadline=deadline)
        lasts_ms = await self._link.read("PTTL", key, deadline=deadline)
        is_named = score is not None and (int(score) == start_s or int(score) >= _OLD_SCORES_FROM)
        return is_named and lasts_ms + _CLOCKS_DIFFER_MS >= remaining_ms

    async def now_s(self, user: str, deadline: Deadline) -> int:
        """Return the clock of the user's shard in epoch seconds."""
        seconds, _ = await self._link.read("TIME", deadline=deadline, key=keys.index_key(user))
        return int(seconds)

    async def pieces(self, user: str, part: Range, deadline: Deadline) -> AsyncIterator[list[str]]:
        """Read part of an index piece by piece, each name once.

        A piece begins where the last one ended, by score and not by rank, so that a name which
        leaves the index meanwhile hides no other.
        """
        low, seen = part.low, set[str]()
        while True:
            words = ("ZRANGE", keys.index_key(user), low, part.high, "BYSCORE")
            # Those of the same start as the last one come once more.
            limit = ("LIMIT", "0", str(PIECE + len(seen)), "WITHSCORES")
            found = await self._link.read(*words, *limit, deadline=deadline)
            scores = dict(zip(found[::2], found[1::2], strict=True))
            if fresh := [name for name in scores if name not in seen]:
                yield fresh
            if len(scores) < PIECE + len(seen) or not fresh:
                return
            low = found[-1]
            seen = {name for name, score in scores.items() if score == low}

    async def intents(self, user: str, deadline: Deadline) -> list[str]:
        """Return what may be in the making, and what was made within two minutes."""
        return await self._whole(keys.intents_key(user), deadline)

    async def moves(self, user: str, deadline: Deadline) -> list[str]:
        """Return what was moved, or forgotten, within two minutes."""
        return await self._whole(keys.moves_key(user), deadline)

    async def latest(self, user: str, deadline: Deadline) -> list[str]:
        """Return the latest intents and moves, of each a piece."""
        found: list[str] = []
        for key in (keys.intents_key(user), keys.moves_key(user)):
            found += await self._link.read(
                "ZRANGE", key, "0", str(PIECE - 1), "REV", deadline=deadline
            )
        return found

    async def _whole(self, key: str, deadline: Deadline) -> list[str]:
        found: list[str] = await self._link.read("ZRANGE", key, "0", "-1", deadline=deadline)
        return found
