"""The store on Redis: one script for each operation."""

import base64
import time
from typing import Any

from leasehold.model import ids
from leasehold.model.booking import (
    BookingRecord,
    BookingStatus,
    CreateBooking,
    CreateBookingOutcome,
    CreateBookingStatus,
)
from leasehold.model.deadline import Deadline
from leasehold.model.errors import StoreTrouble, StoreUnavailableError
from leasehold.model.lease import CreateLease, CreateLeaseOutcome, CreateLeaseStatus, LeaseTerms
from leasehold.model.slot import Slot
from leasehold.store import keys, scripts
from leasehold.store.link import Link

_ONLY_SPOT = 1
_BOOKING_FIELDS = ("api", "original", "status", "current_slot")


class RedisStore:
    """A LeaseStore whose every decision is made by a script, atomically, by Redis' clock."""

    def __init__(self, link: Link, terms: LeaseTerms) -> None:
        self._link = link
        self._terms = terms
        self._create_lease = scripts.load("create_lease")
        self._create_booking = scripts.load("create_booking")
        self._check_availability = scripts.load("check_availability")

    async def create_lease(self, command: CreateLease, deadline: Deadline) -> CreateLeaseOutcome:
        """Hold the slot for the reference; see lua/create_lease.lua for the answers.

        A grant that ran out on its way here is no grant: StoreUnavailableError.
        """
        slot, suffix, terms = command.slot, command.lease_suffix, self._terms
        sent_at_s = time.monotonic()
        status, *granted = await self._link.run(
            self._create_lease,
            [keys.lease_key(slot.merchant_id, suffix), keys.spot_key(slot, _ONLY_SPOT)],
            [
                suffix,
                keys.slot_text(slot),
                _ONLY_SPOT,
                command.reference,
                command.availability_tag,
                command.asked_expires_ms,
                slot.start_ms,
                terms.min_lease_ms,
                terms.max_lease_ms,
                terms.max_advance_ms,
                terms.retention_ms,
            ],
            deadline,
        )
        match granted:
            case [expires_at_ms, remaining_ms]:
                if (time.monotonic() - sent_at_s) * 1000 >= remaining_ms:
                    raise StoreUnavailableError(StoreTrouble.ANSWERED_TOO_LATE)
                return CreateLeaseOutcome(CreateLeaseStatus(status), expires_at_ms)
            case [expires_at_ms]:
                return CreateLeaseOutcome(CreateLeaseStatus(status), expires_at_ms)
        return CreateLeaseOutcome(CreateLeaseStatus(status))

    async def create_booking(
        self, command: CreateBooking, deadline: Deadline
    ) -> CreateBookingOutcome:
        """Book the slot for the user; see lua/create_booking.lua for the answers."""
        slot, lease, terms = command.slot, command.lease, self._terms
        lease_suffix = lease.suffix if lease else ""
        status, *kept = await self._link.run(
            self._create_booking,
            [
                keys.booking_key(slot.merchant_id, command.suffix),
                keys.lease_key(slot.merchant_id, lease_suffix),
                keys.spot_key(slot, _ONLY_SPOT),
            ],
            [
                command.suffix,
                lease_suffix,
                int(lease is not None and lease.merchant_id != slot.merchant_id),
                keys.slot_text(slot),
                _ONLY_SPOT,
                ids.user_digest(command.user_id),
                command.api,
                base64.b64encode(command.original).decode(),
                slot.start_ms,
                slot.duration_s * 1000,
                terms.min_lease_ms,
                terms.max_advance_ms,
                terms.booking_retention_ms,
                keys.booking_key(slot.merchant_id, ""),
            ],
            deadline,
        )
        original = base64.b64decode(kept[0]) if kept else command.original
        return CreateBookingOutcome(CreateBookingStatus(status), original)

    async def check_availability(self, slot: Slot, deadline: Deadline) -> int | None:
        """Return how many spots of the slot are free, or None when it lies too far ahead."""
        status, *counted = await self._link.run(
            self._check_availability,
            [keys.spot_key(slot, _ONLY_SPOT)],
            [slot.start_ms, self._terms.min_lease_ms, self._terms.max_advance_ms],
            deadline,
        )
        return counted[0] if status == "counted" else None

    async def get_booking(
        self, reference: ids.Reference, deadline: Deadline
    ) -> BookingRecord | None:
        """Return a booking as it is now, or None when it is unknown."""
        key = keys.booking_key(reference.merchant_id, reference.suffix)
        fields = await self._link.read("HMGET", key, *_BOOKING_FIELDS, deadline=deadline)
        return _booking_record(reference.merchant_id, fields) if fields[0] else None

    async def ping(self, deadline: Deadline) -> None:
        """Return when Redis answers."""
        await self._link.ping(deadline)


def _booking_record(merchant_id: str, fields: list[Any]) -> BookingRecord:
    api, original, status, current_slot = fields
    return BookingRecord(
        api=api,
        original=base64.b64decode(original),
        status=BookingStatus(status),
        slot=keys.parse_slot(merchant_id, current_slot),
    )
