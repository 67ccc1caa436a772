"""What the front end needs of a store."""

from typing import Protocol

from leasehold.model import ids
from leasehold.model.booking import (
    BookingRecord,
    CreateBooking,
    CreateBookingOutcome,
    UpdateBooking,
    UpdateBookingOutcome,
)
from leasehold.model.deadline import Deadline
from leasehold.model.inventory import CheckAvailabilityOutcome
from leasehold.model.lease import CreateLease, CreateLeaseOutcome
from leasehold.model.slot import Slot


class LeaseStore(Protocol):
    """Decides every command once, atomically, by its own clock.

    Every method raises StoreUnavailableError when the store gives no answer, OverloadedError when
    too much waits for it already, and DeadlinePassedError when the deadline comes first.
    """

    async def create_lease(self, command: CreateLease, deadline: Deadline) -> CreateLeaseOutcome:
        """Hold the slot for the reference; the same reference and slot always name one lease."""
        ...

    async def create_booking(
        self, command: CreateBooking, deadline: Deadline
    ) -> CreateBookingOutcome:
        """Book the slot, by its lease or directly; the same token always names one booking."""
        ...

    async def check_availability(self, slot: Slot, deadline: Deadline) -> CheckAvailabilityOutcome:
        """Count the free spots of a slot."""
        ...

    async def get_booking(
        self, reference: ids.Reference, deadline: Deadline
    ) -> BookingRecord | None:
        """Return a booking as it is now, or None when it is unknown."""
        ...

    async def update_booking(
        self, command: UpdateBooking, deadline: Deadline
    ) -> UpdateBookingOutcome:
        """Change a booking in one step, or leave it exactly as it was."""
        ...

    async def list_bookings(self, user_id: str, deadline: Deadline) -> list[BookingRecord] | None:
        """Return the user's future bookings that stand, by start; None for an unknown user.

        Of more than MOST_LISTED the soonest.
        """
        ...

    async def ping(self, deadline: Deadline) -> None:
        """Return when the store answers."""
        ...
