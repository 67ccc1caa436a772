"""ListBookings on Redis: a user's index and the records that it names, piece by piece."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from leasehold.model import ids
from leasehold.model.booking import MOST_LISTED, BookingRecord, BookingStatus
from leasehold.model.deadline import Deadline
from leasehold.model.errors import StoreUnavailableError
from leasehold.store import keys, layout
from leasehold.store.booking_records import RECORD_FIELDS, read_record
from leasehold.store.link import Link
from leasehold.store.user_index import OLD, UserIndex, ahead_of, behind


class Listed(NamedTuple):
    """What a user has ahead."""

    records: list[BookingRecord] | None
    """By start: the soonest, a few more than MOST_LISTED if there are more; None if unknown."""
    left_out: int
    """So many that the index names are not read, because only a later release can."""


async def list_bookings(
    link: Link, index: UserIndex, users: Sequence[str], deadline: Deadline
) -> Listed:
    """Return the future bookings that stand of a user.

    ``users`` are all digests of the user. Each has an index of its own, on a shard of its own.
    """
    answers, left_out = [], 0
    for user in users:
        listing = _Listing(link, index, user, deadline)
        await listing.read()
        answers.append(listing.answer())
        left_out += len(listing.left_out)
    if all(answer is None for answer in answers):
        return Listed(None, left_out)
    records = sorted((it for answer in answers for it in answer or ()), key=_start_s)
    return Listed(records, left_out)


@dataclass(slots=True)
class _Listing:
    """One reading of what a user has; a name counts only with a record of this user."""

    link: Link
    index: UserIndex
    user: str
    deadline: Deadline
    now_s: int = 0
    found: dict[str, BookingRecord] = field(default_factory=dict)
    taken_at_ms: dict[str, int] = field(default_factory=dict)
    left_out: set[str] = field(default_factory=set)
    """Whose they are, and when, is not known; they stay named."""

    async def read(self) -> None:
        """Read what is ahead until there is enough, and what has begun until something is known."""
        self.now_s = await self.index.now_s(self.user, self.deadline)
        async for names in self.index.pieces(self.user, OLD, self.deadline):
            await self.link.each(self._name, await self._look_up(names))
        async for names in self.index.pieces(self.user, ahead_of(self.now_s), self.deadline):
            await self._look_up(names)
            if len(self._standing()) > MOST_LISTED:
                break
        # Last, so that a booking is seen that moved meanwhile to where was read before.
        latest = await self.index.latest(self.user, self.deadline)
        unread = list({it for it in latest if it not in self.found})
        await self.link.each(self._name, await self._look_up(unread, are_indexed=False))
        # At least a piece, so that what has ended leaves the index of a user who goes on booking.
        async for names in self.index.pieces(self.user, behind(self.now_s), self.deadline):
            await self._look_up(names)
            if self.found:
                break

    def answer(self) -> list[BookingRecord] | None:
        """Return what is ahead and stands; None when nothing of this user is known."""
        return self._standing() if self.found or self.left_out else None

    def _standing(self) -> list[BookingRecord]:
        return [
            record
            for record in self.found.values()
            if record.status is not BookingStatus.CANCELED and record.slot.start_s > self.now_s
        ]

    async def _look_up(self, names: list[str], *, are_indexed: bool = True) -> list[str]:
        """Keep the bookings that are the user's, and return their names.

        What the index names for nothing leaves it; intents end by themselves.
        """
        await self.link.each(self._look_at, names)
        if are_indexed:
            gone = [it for it in names if it not in self.found and it not in self.left_out]
            await self.link.each(self._unname, gone)
        return [it for it in names if it in self.found]

    async def _look_at(self, booking_id: str) -> None:
        reference = ids.parse_wire_id(booking_id)
        assert reference, f"not a booking id: {booking_id}"
        key = keys.booking_key(reference.merchant_id, reference.suffix)
        fields = (layout.FIELD, "user", "taken_at_ms", *RECORD_FIELDS)
        v, owner, taken_at_ms, *record = await self.link.read(
            "HMGET", key, *fields, deadline=self.deadline
        )
        if not layout.knows(v):
            self.left_out.add(booking_id)
        elif owner == self.user:
            self.found[booking_id] = read_record(reference.merchant_id, record)
            self.taken_at_ms[booking_id] = int(taken_at_ms or 0)

    async def _unname(self, booking_id: str) -> None:
        await self.index.unname(self.user, booking_id, self.deadline)

    async def _name(self, booking_id: str) -> None:
        """Name a booking by its start, which the index does not yet."""
        place = (self.found[booking_id].slot, self.taken_at_ms[booking_id])
        # A full store still lists what there is.
        with suppress(StoreUnavailableError):
            await self.index.name(self.user, booking_id, *place, self.deadline)


def _start_s(record: BookingRecord) -> int:
    return record.slot.start_s
