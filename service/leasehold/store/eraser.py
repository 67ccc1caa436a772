"""Forgets a person: their bookings stand, and no key or value says any more whose they are."""

import asyncio
import base64
from collections.abc import Callable

from leasehold.model import ids
from leasehold.model.deadline import Deadline
from leasehold.model.forgetting import ForgetUserStatus, Forgotten
from leasehold.store import keys, scripts
from leasehold.store.link import Link
from leasehold.store.redis_store import NOBODY, OLDER_THAN_ANY_CALL_MS

_AT_ONCE = 20
_CALL_TIMEOUT_S = 30


class Eraser:
    """Takes people out of the bookings of the store of a link."""

    def __init__(self, link: Link, without_person: Callable[[str, bytes], bytes]) -> None:
        """``without_person`` takes an API and the original of a booking made by it."""
        self._link = link
        self._without_person = without_person
        self._forget_user = scripts.load("forget_user")
        self._forget_booking = scripts.load("forget_booking")

    async def forget_user(self, user_id: str, progress: Callable[[int, int], object]) -> Forgotten:
        """Forget whoever made the bookings of a user; see lua/forget_user.lua.

        A booking leaves the user's index only once it tells nothing, so an interrupted run is
        completed by another one. ``progress`` is told how many of how many are done.
        """
        user = ids.user_digest(user_id)
        index_key = keys.index_key(user)
        named, forgotten = await self._named(index_key), list[str]()
        for first in range(0, len(named), _AT_ONCE):
            some = named[first : first + _AT_ONCE]
            found = await asyncio.gather(*(self._take_out(it, user, index_key) for it in some))
            forgotten += [it for it, was_theirs in zip(some, found, strict=True) if was_theirs]
            progress(first + len(some), len(named))
        return Forgotten(sorted(forgotten), len(await self._named(index_key)))

    async def forget_whoever_made(self, booking: ids.Reference) -> Forgotten | None:
        """Forget whoever made one booking, also one of v0; None when it is unknown."""
        key = keys.booking_key(booking.merchant_id, booking.suffix)
        user = await self._link.read("HGET", key, "user", deadline=_deadline())
        booking_id = ids.wire_id(booking.merchant_id, booking.suffix)
        if user is None or await self._forget(booking, user) is ForgetUserStatus.BOOKING_UNKNOWN:
            return None
        if user != NOBODY:
            await self._unname(booking_id, keys.index_key(user), 0)
        return Forgotten([booking_id])

    async def _take_out(self, booking_id: str, user: str, index_key: str) -> bool:
        """Forget whoever made what an index names, and tell whether that was its user."""
        booking = ids.parse_wire_id(booking_id)
        assert booking, f"not a booking id: {booking_id}"
        status = await self._forget(booking, user)
        # Where there is a record nobody can be making one; where there is none somebody may.
        is_missing = status is ForgetUserStatus.BOOKING_UNKNOWN
        await self._unname(booking_id, index_key, OLDER_THAN_ANY_CALL_MS if is_missing else 0)
        return status in (ForgetUserStatus.FORGOTTEN, ForgetUserStatus.REPLAYED)

    async def _forget(self, booking: ids.Reference, user: str) -> ForgetUserStatus | None:
        """Take the person out of one booking; None when it is not the user's."""
        key = keys.booking_key(booking.merchant_id, booking.suffix)
        fields = ("user", "api", "original")
        while True:
            owner, api, original = await self._link.read(
                "HMGET", key, *fields, deadline=_deadline()
            )
            if owner != user:
                return None if owner else ForgetUserStatus.BOOKING_UNKNOWN
            anonymous = self._without_person(api, base64.b64decode(original))
            status, *_ = await self._link.run(
                self._forget_user,
                [key],
                [
                    booking.suffix,
                    user,
                    original,
                    base64.b64encode(anonymous).decode(),
                    keys.slot_prefix(booking.merchant_id),
                    keys.lease_key(booking.merchant_id, ""),
                ],
                _deadline(),
            )
            # What has changed in between was forgotten by somebody else, or made anew.
            if status != ForgetUserStatus.CHANGED:
                return ForgetUserStatus(status)

    async def _unname(self, booking_id: str, index_key: str, min_age_ms: int) -> None:
        await self._link.run(
            self._forget_booking, [index_key], [booking_id, min_age_ms], _deadline()
        )

    async def _named(self, index_key: str) -> list[str]:
        found: list[str] = await self._link.read(
            "ZRANGE", index_key, "0", "-1", deadline=_deadline()
        )
        return found


def _deadline() -> Deadline:
    return Deadline.within(_CALL_TIMEOUT_S, None)
