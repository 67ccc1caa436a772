"""Bookings for tests of something else."""

from tests.backends import Backend, soon

from leasehold.model import ids
from leasehold.model.booking import CreateBooking, CreateBookingOutcome
from leasehold.model.slot import Slot


async def book(
    backend: Backend,
    slot: Slot,
    lease: ids.Reference | None = None,
    token: str = "token-1",
    user: str = "user-1",
) -> CreateBookingOutcome:
    """Book a slot, by a lease or directly."""
    command = CreateBooking(slot, token, "v2", user, b"original", lease)
    return await backend.store().create_booking(command, soon())
