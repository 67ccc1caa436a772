"""The store on Redis: one script for each operation."""

import base64
import time
from collections.abc import Awaitable, Callable
from typing import Any

from leasehold.model import ids
from leasehold.model.booking import (
    MOST_LISTED,
    BookingRecord,
    BookingStatus,
    CreateBooking,
    CreateBookingOutcome,
    CreateBookingStatus,
    UpdateBooking,
    UpdateBookingOutcome,
    UpdateBookingStatus,
)
from leasehold.model.deadline import Deadline
from leasehold.model.errors import StoreTrouble, StoreUnavailableError
from leasehold.model.inventory import CheckAvailabilityOutcome, CheckAvailabilityStatus
from leasehold.model.lease import CreateLease, CreateLeaseOutcome, CreateLeaseStatus, LeaseTerms
from leasehold.model.slot import Slot
from leasehold.model.user_keys import UNKEYED, UserKeys
from leasehold.store import keys, layout, scripts
from leasehold.store.booking_records import NOBODY, RECORD_FIELDS, read_record
from leasehold.store.hooks import tell_nobody
from leasehold.store.link import Link
from leasehold.store.listing import list_bookings
from leasehold.store.marker import Runner
from leasehold.store.presence import refuse_if_missing
from leasehold.store.user_index import UserIndex

_MADE = (CreateBookingStatus.CREATED, CreateBookingStatus.REPLAYED)


Admit = Callable[[Deadline], Awaitable[None]]
"""Raises StoreUnavailableError while something may not be asked."""


async def _admit_all(_: Deadline) -> None:
    pass


def _of_nobody(_api: str, _original: bytes) -> str:
    return ""


class RedisStore:
    """A LeaseStore whose every decision is made by a script, atomically, by Redis' clock."""

    def __init__(
        self,
        link: Link,
        terms: LeaseTerms,
        *,
        is_strict: bool = False,
        taking: Runner | None = None,
        on_grant: Callable[[float], object] = tell_nobody,
        on_cut: Callable[[], object] = tell_nobody,
        user_keys: UserKeys = UNKEYED,
        admit_users: Admit = _admit_all,
        user_of: Callable[[str, bytes], str] = _of_nobody,
        on_left_out: Callable[[int], object] = tell_nobody,
    ) -> None:
        """With ``is_strict`` only slots of the inventory exist, each with so many spots; else all.

        ``taking`` runs the scripts that take a free spot or tell of one, if not the link does.
        ``on_grant`` is called with the seconds for which each new lease was granted, ``on_cut`` for
        each list that leaves later bookings out, ``on_left_out`` with the number of records that a
        list leaves out because only a later release can read them. ``user_of`` takes an API and the
        original of a booking made by it, and returns the user, empty for none. ``admit_users``
        raises while the store's users are digested with none of ``user_keys``.
        """
        self._link = link
        self._taking = taking or link
        self._terms = terms
        self._is_strict = is_strict
        self._on_grant = on_grant
        self._on_cut = on_cut
        self._user_keys = user_keys
        self._admit_users = admit_users
        self._user_of = user_of
        self._on_left_out = on_left_out
        self._index = UserIndex(link, terms.booking_retention_ms)
        self._create_lease = scripts.load("create_lease")
        self._create_booking = scripts.load("create_booking")
        self._update_booking = scripts.load("update_booking")
        self._check_availability = scripts.load("check_availability")

    async def create_lease(self, command: CreateLease, deadline: Deadline) -> CreateLeaseOutcome:
        """Hold the slot for the reference; see lua/create_lease.lua for the answers.

        A grant that ran out on its way here is no grant: StoreUnavailableError.
        """
        slot, suffix, terms = command.slot, command.lease_suffix, self._terms
        sent_at_s = time.monotonic()
        status, *granted = await self._taking.run(
            self._create_lease,
            [keys.lease_key(slot.merchant_id, suffix), keys.inventory_key(slot.merchant_id)],
            [
                suffix,
                keys.slot_text(slot),
                keys.slot_prefix(slot.merchant_id),
                self._spots_prefix(slot.merchant_id),
                command.reference,
                command.availability_tag,
                command.asked_expires_ms,
                slot.start_ms,
                slot.duration_s * 1000,
                terms.min_lease_ms,
                terms.max_lease_ms,
                terms.max_advance_ms,
                terms.retention_ms,
                keys.events_argument(slot.merchant_id, terms),
                keys.booking_key(slot.merchant_id, ""),
            ],
            deadline,
        )
        await refuse_if_missing(self._link, status, slot.merchant_id, deadline)
        match granted:
            case [now_ms] if status == CreateLeaseStatus.EXPIRY_TOO_SOON:
                return CreateLeaseOutcome(CreateLeaseStatus(status), store_time_ms=now_ms)
            case [expires_at_ms, remaining_ms]:
                if (time.monotonic() - sent_at_s) * 1000 >= remaining_ms:
                    raise StoreUnavailableError(StoreTrouble.ANSWERED_TOO_LATE)
                if status == CreateLeaseStatus.CREATED:
                    self._on_grant(remaining_ms / 1000)
                return CreateLeaseOutcome(CreateLeaseStatus(status), expires_at_ms)
            case [expires_at_ms]:
                return CreateLeaseOutcome(CreateLeaseStatus(status), expires_at_ms)
        return CreateLeaseOutcome(CreateLeaseStatus(status))

    async def create_booking(
        self, command: CreateBooking, deadline: Deadline
    ) -> CreateBookingOutcome:
        """Book the slot for the user; see lua/create_booking.lua for the answers."""
        slot, lease, terms = command.slot, command.lease, self._terms
        merchant_id = command.merchant_id
        users = await self._digests(command.user_id, deadline) if command.user_id else (NOBODY,)
        lease_suffix = lease.suffix if lease else ""
        if command.user_id:
            await self._index.intend(users[0], command.booking_id, deadline)
        run = self._link.run if lease else self._taking.run
        status, *made = await run(
            self._create_booking,
            [
                keys.booking_key(merchant_id, command.suffix),
                keys.lease_key(merchant_id, lease_suffix),
                keys.inventory_key(merchant_id),
            ],
            [
                command.suffix,
                lease_suffix,
                int(lease is not None and lease.merchant_id != merchant_id),
                keys.slot_text(slot) if slot else "",
                " ".join(users),
                command.api,
                base64.b64encode(command.original).decode(),
                slot.start_ms if slot else "",
                slot.duration_s * 1000 if slot else "",
                terms.min_lease_ms,
                terms.max_advance_ms,
                terms.booking_retention_ms,
                keys.booking_key(merchant_id, ""),
                keys.slot_prefix(merchant_id),
                self._spots_prefix(merchant_id),
                command.additional_request,
                keys.events_argument(merchant_id, terms),
            ],
            deadline,
        )
        await refuse_if_missing(self._link, status, merchant_id, deadline)
        outcome = CreateBookingStatus(status)
        if outcome not in _MADE:
            return CreateBookingOutcome(outcome)
        original, slot, present_slot, taken_at_ms, user = _made(command, made, users[0])
        if command.user_id:
            is_new = outcome is CreateBookingStatus.CREATED
            place = (command.booking_id, present_slot, taken_at_ms)
            await self._index.name(user, *place, deadline, is_new=is_new)
        return CreateBookingOutcome(outcome, original, slot)

    async def check_availability(self, slot: Slot, deadline: Deadline) -> CheckAvailabilityOutcome:
        """Count the free spots; see lua/check_availability.lua for the answers."""
        terms = self._terms
        status, *counted = await self._taking.run(
            self._check_availability,
            [keys.inventory_key(slot.merchant_id)],
            [
                keys.slot_text(slot),
                keys.slot_prefix(slot.merchant_id),
                self._spots_prefix(slot.merchant_id),
                slot.start_ms,
                terms.min_lease_ms,
                terms.max_advance_ms,
            ],
            deadline,
        )
        await refuse_if_missing(self._link, status, slot.merchant_id, deadline)
        return CheckAvailabilityOutcome(CheckAvailabilityStatus(status), *counted)

    async def get_booking(
        self, reference: ids.Reference, deadline: Deadline
    ) -> BookingRecord | None:
        """Return a booking as it is now, or None when it is unknown."""
        key = keys.booking_key(reference.merchant_id, reference.suffix)
        words = ("HMGET", key, layout.FIELD, *RECORD_FIELDS)
        v, *fields = await self._link.read(*words, deadline=deadline)
        layout.require(v)
        return read_record(reference.merchant_id, fields) if fields[0] else None

    async def update_booking(
        self, command: UpdateBooking, deadline: Deadline
    ) -> UpdateBookingOutcome:
        """Change a booking; see lua/update_booking.lua for the answers."""
        merchant_id, suffix = command.booking.merchant_id, command.booking.suffix
        terms = self._terms
        run = self._taking.run if command.moves else self._link.run
        start_s, duration_s, party_size = command.start_s, command.duration_s, command.party_size
        users = await self._users_of(command.booking, deadline) if command.moves else ()
        status, *fields = await run(
            self._update_booking,
            [keys.booking_key(merchant_id, suffix)],
            [
                suffix,
                command.status or "",
                "" if start_s is None else keys.start_text(start_s),
                "" if start_s is None else start_s * 1000,
                "" if duration_s is None else keys.duration_text(duration_s),
                "" if duration_s is None else duration_s * 1000,
                "" if party_size is None else party_size,
                terms.min_lease_ms,
                terms.max_advance_ms,
                terms.booking_retention_ms,
                keys.slot_prefix(merchant_id),
                self._spots_prefix(merchant_id),
                keys.lease_key(merchant_id, ""),
                *map(_named, (command.service_id, command.staff_id, command.room_id)),
                keys.events_argument(merchant_id, terms),
                terms.max_slot_ms,
                " ".join(users),
            ],
            deadline,
        )
        if not fields:
            return UpdateBookingOutcome(UpdateBookingStatus(status))
        *fields, user, taken_at_ms = fields
        record = read_record(merchant_id, fields)
        # Also where nothing has changed: the call that moved it may have ended before this.
        if command.moves and user != NOBODY and record.status is not BookingStatus.CANCELED:
            booking_id = ids.wire_id(merchant_id, suffix)
            await self._index.name(user, booking_id, record.slot, taken_at_ms, deadline)
        return UpdateBookingOutcome(UpdateBookingStatus(status), record)

    async def list_bookings(self, user_id: str, deadline: Deadline) -> list[BookingRecord] | None:
        """Return the user's future bookings that stand, by start; None for an unknown user."""
        users = await self._digests(user_id, deadline)
        listed = await list_bookings(self._link, self._index, users, deadline)
        found = listed.records
        if listed.left_out:
            self._on_left_out(listed.left_out)
        if found and len(found) > MOST_LISTED:
            self._on_cut()
        return found and found[:MOST_LISTED]

    async def _users_of(self, booking: ids.Reference, deadline: Deadline) -> tuple[str, ...]:
        """Return every digest of whoever made a booking; none where its record's is the only one.

        The user of a booking never changes, but may be forgotten, which the script sees.
        """
        if not self._user_keys.are_several:
            return ()
        key = keys.booking_key(booking.merchant_id, booking.suffix)
        words = ("HMGET", key, layout.FIELD, "api", "original")
        v, api, original = await self._link.read(*words, deadline=deadline)
        layout.require(v)
        user_id = self._user_of(api, base64.b64decode(original)) if api else ""
        return await self._digests(user_id, deadline) if user_id else ()

    async def _digests(self, user_id: str, deadline: Deadline) -> tuple[str, ...]:
        """Return all digests of a user; the first is written."""
        await self._admit_users(deadline)
        return self._user_keys.digests(user_id)

    def _spots_prefix(self, merchant_id: str) -> str:
        """Return what the scripts look for inventory with; empty for open inventory."""
        return keys.spots_prefix(merchant_id) if self._is_strict else ""

    async def ping(self, deadline: Deadline) -> None:
        """Return when Redis answers."""
        await self._link.ping(deadline)


def _named(value: str | None) -> str:
    """Write an id that the caller may have said."""
    return "*" if value is None else ids.encode_id(value)


def _made(command: CreateBooking, made: list[Any], user: str) -> tuple[bytes, Slot, Slot, int, str]:
    """Return the original and its slot, the present slot and since when it is, and the digest.

    ``user`` is the digest of a booking that was made now.
    """
    merchant_id = command.merchant_id
    match made:
        case [original, slot_text, present_text, taken_at_ms, user]:
            slots = (keys.parse_slot(merchant_id, text) for text in (slot_text, present_text))
            return base64.b64decode(original), *slots, taken_at_ms, user
    slot_text, taken_at_ms = made
    slot = keys.parse_slot(merchant_id, slot_text)
    return command.original, slot, slot, taken_at_ms, user
