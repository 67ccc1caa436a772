"""The store in plain Python: what the Lua scripts must do, readable, on a clock of its own."""

from dataclasses import dataclass, field, replace

from tests.reference_inventory import ReferenceInventory

from leasehold.model import ids
from leasehold.model.booking import (
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
from leasehold.model.inventory import CheckAvailabilityOutcome, CheckAvailabilityStatus
from leasehold.model.lease import CreateLease, CreateLeaseOutcome, CreateLeaseStatus, LeaseTerms
from leasehold.model.slot import Slot
from leasehold.model.user_keys import UNKEYED, UserKeys

Name = tuple[str, str]
"""A merchant, and a lease or booking of theirs."""


@dataclass
class Lease:
    """What is remembered of a lease."""

    slot: Slot
    expires_at_ms: int
    ends_at_ms: int
    """When the record itself ends."""
    spot: int
    created_at_ms: int
    reference: str
    booking: str | None = None
    consumed_at_ms: int = 0
    released_at_ms: int = 0
    release_reason: str = ""
    extended_at_ms: int = 0
    extensions: int = 0
    extend_reason: str = ""
    is_forgotten: bool = False
    """Whether its booking is nobody's any more."""


@dataclass
class Booking:
    """What is remembered of a booking."""

    command: CreateBooking
    first_slot: Slot
    current_slot: Slot
    status: BookingStatus
    ends_at_ms: int
    spot: int
    taken_at_ms: int
    """Since when it has its present spot."""
    user: str
    """The digest by which it was made, or "nobody"."""

    def record(self) -> BookingRecord:
        """Return it as it is now."""
        command = self.command
        return BookingRecord(command.api, command.original, self.status, self.current_slot)


Spot = tuple[Slot, int]
"""A slot, and the number of one of its spots, from 1."""


@dataclass
class ReferenceStore:
    """A LeaseStore in memory; tests move ``now_ms``.

    All that it has is of this release; what scripts answer of a later one is the same for every
    call, and in tests/scripts/test_layout.py.
    """

    terms: LeaseTerms
    now_ms: int
    leases: dict[Name, Lease] = field(default_factory=dict)
    bookings: dict[Name, Booking] = field(default_factory=dict)
    owners: dict[Spot, tuple[str, int]] = field(default_factory=dict)
    """Who has a spot, in the words of its key, and until when."""
    inventory: ReferenceInventory | None = None
    """Which slots there are; None for open inventory, in which every slot exists once."""
    user_keys: UserKeys = UNKEYED
    """The first makes the digests that stand in the words of keys; all are known."""

    async def create_lease(self, command: CreateLease, _deadline: Deadline) -> CreateLeaseOutcome:
        """Judge in the order of contract 6.2."""
        status, terms, slot = CreateLeaseStatus, self.terms, command.slot
        self.forget_what_has_ended()
        name = (slot.merchant_id, command.lease_suffix)
        lease = self.leases.get(name)
        if lease and lease.slot != slot:
            return CreateLeaseOutcome(status.REFERENCE_REUSED)
        if lease and lease.booking and self._stands_on(slot, lease.booking):
            return CreateLeaseOutcome(status.CONSUMED, lease.expires_at_ms)
        if lease and self.owner(slot, lease.spot) == f"lease {command.lease_suffix}":
            return CreateLeaseOutcome(status.REPLAYED, lease.expires_at_ms)
        if lease:
            return CreateLeaseOutcome(status.LEASE_EXPIRED)
        if command.asked_expires_ms < self.now_ms + terms.min_lease_ms:
            return CreateLeaseOutcome(status.EXPIRY_TOO_SOON, store_time_ms=self.now_ms)
        if self._starts_too_soon(slot):
            return CreateLeaseOutcome(status.START_TOO_SOON)
        if self._starts_too_far(slot):
            return CreateLeaseOutcome(status.START_TOO_FAR)
        unknown = self.unknown(slot)
        if unknown:
            return CreateLeaseOutcome(status(unknown))
        if not self._has(slot):
            return CreateLeaseOutcome(status.SLOT_UNKNOWN)
        spot = self._free_spot(slot, command.lease_suffix)
        if not spot:
            return CreateLeaseOutcome(status.SLOT_UNAVAILABLE)
        expires_at_ms = min(
            command.asked_expires_ms, self.now_ms + terms.max_lease_ms, slot.start_ms
        )
        self.owners[slot, spot] = (f"lease {command.lease_suffix}", expires_at_ms)
        ends_at_ms = expires_at_ms + terms.retention_ms
        self.leases[name] = Lease(
            slot, expires_at_ms, ends_at_ms, spot, self.now_ms, command.reference
        )
        return CreateLeaseOutcome(status.CREATED, expires_at_ms)

    async def create_booking(
        self, command: CreateBooking, _deadline: Deadline
    ) -> CreateBookingOutcome:
        """Judge in the order of contract 6.2."""
        status = CreateBookingStatus
        self.forget_what_has_ended()
        name = (command.merchant_id, command.suffix)
        made = self.bookings.get(name)
        if made and _asks_the_same(made.command, command):
            return CreateBookingOutcome(status.REPLAYED, made.command.original, made.first_slot)
        if made:
            return CreateBookingOutcome(status.TOKEN_REUSED)
        leased = self._lease(command)
        slot = command.slot or (leased.slot if leased else None)
        refusal = self._judge_lease(command) if command.lease else self._judge_directly(command)
        if refusal:
            return CreateBookingOutcome(refusal)
        assert slot
        spot = leased.spot if leased else self._lowest_free_spot(slot)
        assert spot
        ends_at_ms, user = self._end_of(slot), self._users(command)[0]
        self.owners[slot, spot] = (f"booking {command.suffix} {user}", ends_at_ms)
        self.bookings[name] = Booking(
            command, slot, slot, BookingStatus.CONFIRMED, ends_at_ms, spot, self.now_ms, user
        )
        if leased:
            leased.booking, leased.ends_at_ms = command.suffix, ends_at_ms
            leased.consumed_at_ms = self.now_ms
        return CreateBookingOutcome(status.CREATED, command.original, slot)

    async def check_availability(self, slot: Slot, _deadline: Deadline) -> CheckAvailabilityOutcome:
        """Count as create_lease would find it."""
        status = CheckAvailabilityStatus
        self.forget_what_has_ended()
        if self._starts_too_far(slot):
            return CheckAvailabilityOutcome(status.START_TOO_FAR)
        if self._starts_too_soon(slot):
            return CheckAvailabilityOutcome(status.COUNTED, 0)
        unknown = self.unknown(slot)
        if unknown:
            return CheckAvailabilityOutcome(status(unknown))
        spots, _ = self.spots(slot)
        free = max(0, spots - len(self._occupied(slot)))
        return CheckAvailabilityOutcome(status.COUNTED, free)

    async def get_booking(
        self, reference: ids.Reference, _deadline: Deadline
    ) -> BookingRecord | None:
        """Look it up."""
        self.forget_what_has_ended()
        made = self.bookings.get((reference.merchant_id, reference.suffix))
        if not made:
            return None
        return made.record()

    async def update_booking(
        self, command: UpdateBooking, _deadline: Deadline
    ) -> UpdateBookingOutcome:
        """Judge in the order of contract 6.2."""
        status, canceled = UpdateBookingStatus, BookingStatus.CANCELED
        self.forget_what_has_ended()
        made = self.bookings.get((command.booking.merchant_id, command.booking.suffix))
        if not made:
            return UpdateBookingOutcome(status.BOOKING_UNKNOWN)
        refusal = _judge_update(made, command)
        if refusal:
            return UpdateBookingOutcome(refusal)
        if made.status is canceled:
            return UpdateBookingOutcome(status.UNCHANGED, made.record())
        new_slot, new_status = _changed_slot(made.current_slot, command), command.status
        if new_slot == made.current_slot and new_status in (None, made.status):
            return UpdateBookingOutcome(status.UNCHANGED, made.record())
        if new_slot != made.current_slot:
            refusal = self._judge_move(made, new_slot)
            if refusal:
                return UpdateBookingOutcome(refusal)
            new_spot = self._free_spot(new_slot, command.booking.suffix)
            if not new_spot:
                return UpdateBookingOutcome(status.SLOT_UNAVAILABLE)
            self._move(made, new_slot, new_spot)
        if new_status:
            made.status = new_status
        if new_status is canceled:
            del self.owners[made.current_slot, made.spot]
        return UpdateBookingOutcome(status.UPDATED, made.record())

    async def list_bookings(self, user_id: str, _deadline: Deadline) -> list[BookingRecord] | None:
        """Look through all bookings."""
        self.forget_what_has_ended()
        mine = [made for made in self.bookings.values() if made.command.user_id == user_id]
        if not mine:
            return None
        standing = [
            made.record()
            for made in mine
            if made.status is not BookingStatus.CANCELED
            and made.current_slot.start_s > self.now_ms // 1000
        ]
        return sorted(standing, key=lambda record: record.slot.start_s)

    def forget_user(self, user_id: str, anonymous: bytes) -> list[str]:
        """Let nothing tell who made the user's bookings, and return their ids."""
        self.forget_what_has_ended()
        mine = [it for it in self.bookings.items() if it[1].command.user_id == user_id]
        for (merchant, suffix), made in mine:
            command, spot = made.command, (made.current_slot, made.spot)
            if self.owner(*spot) == f"booking {suffix} {made.user}":
                self.owners[spot] = (f"booking {suffix} nobody", self.owners[spot][1])
            if command.lease:
                self.leases[merchant, command.lease.suffix].is_forgotten = True
            made.command = replace(command, user_id=None, original=anonymous, additional_request="")
            made.user = "nobody"
        return sorted(made.command.booking_id for _, made in mine)

    async def ping(self, _deadline: Deadline) -> None:
        """Answer."""

    def _lease(self, command: CreateBooking) -> Lease | None:
        wanted = command.lease
        return self.leases.get((wanted.merchant_id, wanted.suffix)) if wanted else None

    def _judge_lease(self, command: CreateBooking) -> CreateBookingStatus | None:
        status, wanted = CreateBookingStatus, command.lease
        assert wanted
        if wanted.merchant_id != command.merchant_id:
            return status.LEASE_SLOT_MISMATCH
        lease = self.leases.get((wanted.merchant_id, wanted.suffix))
        if not lease:
            return status.LEASE_UNKNOWN
        if command.slot and lease.slot != command.slot:
            return status.LEASE_SLOT_MISMATCH
        if lease.booking:
            made = self.bookings[wanted.merchant_id, lease.booking]
            same_user = made.user in self._users(command)
            stands = made.status is not BookingStatus.CANCELED
            return status.LEASE_CONSUMED_BY_USER if same_user and stands else status.LEASE_CONSUMED
        if self.owner(lease.slot, lease.spot) != f"lease {wanted.suffix}":
            return status.LEASE_EXPIRED
        if self._has_booked(command, lease.slot):
            return status.ALREADY_BOOKED_BY_USER
        return None

    def _stands_on(self, slot: Slot, booking: str) -> bool:
        made = self.bookings[slot.merchant_id, booking]
        return made.status is not BookingStatus.CANCELED and made.current_slot == slot

    def _judge_directly(self, command: CreateBooking) -> CreateBookingStatus | None:
        status, slot = CreateBookingStatus, command.slot
        assert slot
        if self._has_booked(command, slot):
            return status.ALREADY_BOOKED_BY_USER
        if self._starts_too_soon(slot):
            return status.START_TOO_SOON
        if self._starts_too_far(slot):
            return status.START_TOO_FAR
        unknown = self.unknown(slot)
        if unknown:
            return status(unknown)
        if not self._has(slot):
            return status.SLOT_UNKNOWN
        return None if self._lowest_free_spot(slot) else status.SLOT_UNAVAILABLE

    def _judge_move(self, made: Booking, new: Slot) -> UpdateBookingStatus | None:
        status = UpdateBookingStatus
        if self._has_booked(made.command, new):
            return status.ALREADY_BOOKED_BY_USER
        if new.duration_s > max(made.current_slot.duration_s, self.terms.max_slot_ms // 1000):
            return status.DURATION_TOO_LONG
        if self._starts_too_soon(new):
            return status.START_TOO_SOON
        if self._starts_too_far(new):
            return status.START_TOO_FAR
        return None if self._has(new) else status.SLOT_UNKNOWN

    def _move(self, made: Booking, new_slot: Slot, new_spot: int) -> None:
        owner, _ = self.owners.pop((made.current_slot, made.spot))
        made.current_slot, made.spot = new_slot, new_spot
        made.ends_at_ms = self._end_of(new_slot)
        made.taken_at_ms = max(self.now_ms, made.taken_at_ms + 1)
        self.owners[new_slot, new_spot] = (owner, made.ends_at_ms)
        if made.command.lease:
            lease = self.leases[new_slot.merchant_id, made.command.lease.suffix]
            lease.ends_at_ms = made.ends_at_ms

    def _end_of(self, slot: Slot) -> int:
        return slot.start_ms + slot.duration_s * 1000 + self.terms.booking_retention_ms

    def owner(self, slot: Slot, spot: int) -> str | None:
        """Return who has a spot, in the words of its key."""
        return self.owners.get((slot, spot), (None, 0))[0]

    def spots(self, slot: Slot) -> tuple[int, int]:
        """Return how many spots a slot has, and the highest number that it ever had."""
        return self.inventory.spots(slot) if self.inventory else (1, 1)

    def _has(self, slot: Slot) -> bool:
        return not self.inventory or slot in self.inventory.found

    def unknown(self, slot: Slot) -> str | None:
        """Return the status for a slot that no inventory can have."""
        return self.inventory.unknown(slot) if self.inventory else None

    def _occupied(self, slot: Slot) -> list[int]:
        _, highest = self.spots(slot)
        return [spot for spot in range(1, highest + 1) if self.owner(slot, spot)]

    def _lowest_free_spot(self, slot: Slot) -> int | None:
        spots, highest = self.spots(slot)
        occupied = self._occupied(slot)
        free = [spot for spot in range(1, highest + 1) if spot not in occupied]
        return free[0] if len(occupied) < spots else None

    def _free_spot(self, slot: Slot, suffix: str) -> int | None:
        """Of many spots take the first free one that the suffix picks, else the lowest."""
        spots, highest = self.spots(slot)
        if spots > 16 and highest == spots:
            for first in range(0, 25, 5):
                spot = 1 + int(suffix[first : first + 5], 36) % spots
                if not self.owner(slot, spot):
                    return spot
        return self._lowest_free_spot(slot)

    def _has_booked(self, command: CreateBooking, slot: Slot) -> bool:
        owners = (self.owner(slot, spot) or "" for spot in self._occupied(slot))
        mine = tuple(f" {user}" for user in self._users(command))
        return bool(command.user_id) and any(
            owner.startswith("booking ") and owner.endswith(mine) for owner in owners
        )

    def _users(self, command: CreateBooking) -> tuple[str, ...]:
        """Return every digest of whoever asks; the first is written."""
        return self.user_keys.digests(command.user_id) if command.user_id else ("nobody",)

    def _starts_too_soon(self, slot: Slot) -> bool:
        return slot.start_ms < self.now_ms + self.terms.min_lease_ms

    def _starts_too_far(self, slot: Slot) -> bool:
        return slot.start_ms > self.now_ms + self.terms.max_advance_ms

    def forget_what_has_ended(self) -> None:
        """Drop what Redis would have dropped: a key lives through its last millisecond."""
        self.owners = {s: owner for s, owner in self.owners.items() if self.now_ms <= owner[1]}
        self.leases = {n: it for n, it in self.leases.items() if self.now_ms <= it.ends_at_ms}
        self.bookings = {n: it for n, it in self.bookings.items() if self.now_ms <= it.ends_at_ms}
        if self.inventory:
            self.inventory.forget(self.now_ms)


def _asks_the_same(one: CreateBooking, other: CreateBooking) -> bool:
    return (one.slot, one.lease, one.user_id) == (other.slot, other.lease, other.user_id)


def _judge_update(made: Booking, command: UpdateBooking) -> UpdateBookingStatus | None:
    status, wanted, canceled = UpdateBookingStatus, command.status, BookingStatus.CANCELED
    if not _is_meant(made.current_slot, command):
        return status.SLOT_MISMATCH
    if made.status is canceled:
        return None if wanted is canceled else status.ALREADY_CANCELLED
    if wanted is canceled and made.status is not BookingStatus.CONFIRMED:
        return status.NOT_CANCELLABLE
    return None


def _is_meant(slot: Slot, command: UpdateBooking) -> bool:
    named = (command.service_id, command.staff_id, command.room_id)
    found = (slot.service_id, slot.staff_id, slot.room_id)
    return all(value in (None, there) for value, there in zip(named, found, strict=True))


def _changed_slot(slot: Slot, command: UpdateBooking) -> Slot:
    if command.status is BookingStatus.CANCELED:
        return slot
    return replace(
        slot,
        start_s=slot.start_s if command.start_s is None else command.start_s,
        duration_s=slot.duration_s if command.duration_s is None else command.duration_s,
        party_size=slot.party_size if command.party_size is None else command.party_size,
    )
