"""Forgets a person: their bookings stand, and no key or value says any more whose they are."""

import base64
from collections.abc import AsyncIterator, Callable, Collection
from functools import partial

from leasehold.model import ids
from leasehold.model.deadline import Deadline
from leasehold.model.errors import StoreTrouble, StoreUnavailableError
from leasehold.model.forgetting import ForgetUserStatus, Forgotten
from leasehold.model.user_keys import UNKEYED, UserKeys
from leasehold.store import keys, layout, scripts
from leasehold.store.booking_records import NOBODY
from leasehold.store.link import Link
from leasehold.store.user_index import EVERYTHING, UserIndex
from leasehold.store.user_key_mark import UserKeyMark

_KEYS_AT_ONCE = 500
_TOLD_AT_ONCE = 20
_CALL_TIMEOUT_S = 30


class Eraser:
    """Takes people out of the bookings of the store of a link."""

    def __init__(
        self,
        link: Link,
        without_person: Callable[[str, bytes], bytes],
        user_keys: UserKeys = UNKEYED,
    ) -> None:
        """``without_person`` takes an API and the original of a booking made by it."""
        self._link = link
        self._user_keys = user_keys
        self._user_key_mark = UserKeyMark(link, user_keys, writes=False)
        self._without_person = without_person
        self._has_unread = False
        self._forget_user = scripts.load("forget_user")
        # It names nothing, so it need not know how long bookings are kept.
        self._index = UserIndex(link, booking_retention_ms=0)

    async def forget_user(
        self, user_id: str, progress: Callable[[int, int], object], *, is_thorough: bool = False
    ) -> Forgotten:
        """Forget whoever made the bookings of a user; see lua/forget_user.lua.

        Finds what the user's index and intents name, and with ``is_thorough`` looks at every
        booking of the store too, in whichever shard it lies. A booking leaves the index only once
        it tells nothing, so an interrupted run is completed by another one. ``progress`` is told
        how many of how many are done. A booking that only a later release can read is left, and
        StoreUnavailableError raised when all others are done: it may be the user's.
        """
        self._has_unread = False
        await self._user_key_mark.admit(_deadline())
        users = self._user_keys.digests(user_id)
        forgotten = set[str]()
        for user in users:
            forgotten |= await self._forget_named(user, progress)
        if is_thorough:
            forgotten |= await self._look_through(users, progress)
        if self._has_unread:
            raise StoreUnavailableError(StoreTrouble.LAYOUT_UNKNOWN)
        return Forgotten(sorted(forgotten), sum([await self._count(user) for user in users]))

    async def _forget_named(self, user: str, progress: Callable[[int, int], object]) -> set[str]:
        """Forget what index and intents of a digest name, and return what was the user's."""
        forgotten, done = set[str](), 0
        named = await self._count(user)
        async for names in self._to_take_out(user):
            for first in range(0, len(names), _TOLD_AT_ONCE):
                some = names[first : first + _TOLD_AT_ONCE]
                found = await self._link.each(partial(self._take_out, user), some)
                forgotten |= {it for it, was_theirs in zip(some, found, strict=True) if was_theirs}
                done += len(some)
                progress(done, max(done, named))
        return forgotten

    async def forget_whoever_made(self, booking: ids.Reference) -> Forgotten | None:
        """Forget whoever made one booking, also one of v0; None when it is unknown."""
        key = keys.booking_key(booking.merchant_id, booking.suffix)
        words = ("HMGET", key, layout.FIELD, "user")
        v, user = await self._link.read(*words, deadline=_deadline())
        layout.require(v)
        booking_id = ids.wire_id(booking.merchant_id, booking.suffix)
        status, taken_at_ms = await self._forget(booking, user)
        if user is None or status is ForgetUserStatus.BOOKING_UNKNOWN:
            return None
        if user != NOBODY:
            await self._index.unname(user, booking_id, _deadline(), taken_at_ms)
        return Forgotten([booking_id])

    async def _named(self, user: str) -> AsyncIterator[list[str]]:
        async for names in self._index.pieces(user, EVERYTHING, _deadline()):
            yield names
        if intents := await self._index.intents(user, _deadline()):
            yield intents

    async def _to_take_out(self, user: str) -> AsyncIterator[list[str]]:
        """Yield each name once; at last what has moved meanwhile to where was read before."""
        seen = set[str]()
        async for names in self._named(user):
            yield [name for name in names if name not in seen]
            seen |= set(names)
        moved = await self._index.moves(user, _deadline())
        if fresh := [name for name in moved if name not in seen]:
            yield fresh

    async def _count(self, user: str) -> int:
        """Return how many bookings index and intents name."""
        return len({name async for names in self._named(user) for name in names})

    async def _look_through(
        self, users: Collection[str], progress: Callable[[int, int], object]
    ) -> set[str]:
        """Forget every booking of the user's that the store has; a piece of keys at a time."""
        forgotten, done = set[str](), 0
        for node in (await self._link.primaries(_deadline())).values():
            cursor = "0"
            while cursor:
                words = ("SCAN", cursor, "MATCH", "booking:{*", "COUNT", str(_KEYS_AT_ONCE))
                after, names = await self._link.read_on(node, *words, deadline=_deadline())
                bookings = [found for name in names if (found := keys.parse_booking_key(name))]
                theirs = await self._link.each(partial(self._take_out_of, users), bookings)
                forgotten |= {found for found in theirs if found}
                done += len(names)
                progress(done, done)
                cursor = str(after) if int(after) else ""
        return forgotten

    async def _take_out_of(self, users: Collection[str], booking: ids.Reference) -> str:
        """Forget whoever made a booking if that was this user, and return its id; else nothing."""
        key = keys.booking_key(booking.merchant_id, booking.suffix)
        words = ("HMGET", key, layout.FIELD, "user")
        v, user = await self._link.read(*words, deadline=_deadline())
        if not layout.knows(v):
            self._has_unread = True
            return ""
        if user not in users:
            return ""
        booking_id = ids.wire_id(booking.merchant_id, booking.suffix)
        return booking_id if await self._take_out(user, booking_id) else ""

    async def _take_out(self, user: str, booking_id: str) -> bool:
        """Forget whoever made what an index names, and tell whether that was its user."""
        booking = ids.parse_wire_id(booking_id)
        assert booking, f"not a booking id: {booking_id}"
        try:
            status, taken_at_ms = await self._forget(booking, user)
        except StoreUnavailableError as error:
            if error.trouble is not StoreTrouble.LAYOUT_UNKNOWN:
                raise
            self._has_unread = True
            return False
        await self._index.unname(user, booking_id, _deadline(), taken_at_ms)
        return status in (ForgetUserStatus.FORGOTTEN, ForgetUserStatus.REPLAYED)

    async def _forget(
        self, booking: ids.Reference, user: str | None
    ) -> tuple[ForgetUserStatus | None, int | None]:
        """Take the person out of one booking; no status when it is not the user's.

        Beside it since when the booking has its slot, in epoch milliseconds, if there is one.
        """
        key = keys.booking_key(booking.merchant_id, booking.suffix)
        fields = (layout.FIELD, "user", "api", "original", "taken_at_ms")
        while True:
            v, owner, api, original, taken_at_ms = await self._link.read(
                "HMGET", key, *fields, deadline=_deadline()
            )
            layout.require(v)
            if not owner:
                return ForgetUserStatus.BOOKING_UNKNOWN, None
            if owner != user:
                return None, int(taken_at_ms or 0)
            anonymous = self._without_person(api, base64.b64decode(original))
            status, *since = await self._link.run(
                self._forget_user,
                [key],
                [
                    booking.suffix,
                    owner,
                    original,
                    base64.b64encode(anonymous).decode(),
                    keys.slot_prefix(booking.merchant_id),
                    keys.lease_key(booking.merchant_id, ""),
                ],
                _deadline(),
            )
            # What has changed in between was forgotten by somebody else, or made anew.
            if status != ForgetUserStatus.CHANGED:
                return ForgetUserStatus(status), since[0] if since else None


def _deadline() -> Deadline:
    return Deadline.within(_CALL_TIMEOUT_S, None)
