"""What a consumed lease still is, the same on every store: as much as its booking on that slot."""

from typing import Any

import pytest
from tests.backends import Backend, soon
from tests.bookings import book

from leasehold.model import ids
from leasehold.model.booking import (
    BookingStatus,
    CreateBookingStatus,
    UpdateBooking,
    UpdateBookingStatus,
)
from leasehold.model.lease import CreateLeaseOutcome, CreateLeaseStatus
from leasehold.model.operators import LeaseState
from leasehold.model.slot import Slot

HOUR_S = 3600
CANCEL: dict[str, Any] = {"status": BookingStatus.CANCELED}
MOVES: list[dict[str, Any]] = [{"start_s": HOUR_S}, {"party_size": 4}]


async def consumed(backend: Backend) -> tuple[Slot, CreateLeaseOutcome]:
    """Hold a slot and book it by the lease; return it and the first answer."""
    slot = await backend.slot()
    first = await backend.create_lease(slot)
    assert (await book(backend, slot, _lease(backend))).status is CreateBookingStatus.CREATED
    return slot, first


def _lease(backend: Backend) -> ids.Reference:
    return ids.Reference(backend.merchant, ids.lease_suffix("reference-1"))


async def change(backend: Backend, slot: Slot, **changes: Any) -> None:
    """Change the booking; a start is so many seconds after that of the slot."""
    if "start_s" in changes:
        changes["start_s"] += slot.start_s
    booking = ids.Reference(backend.merchant, ids.booking_suffix("v2", "token-1"))
    outcome = await backend.store().update_booking(UpdateBooking(booking, **changes), soon())
    assert outcome.status is UpdateBookingStatus.UPDATED


@pytest.mark.parametrize("is_taken", [True, False])
@pytest.mark.parametrize("left", [CANCEL, *MOVES])
async def test_create_lease_repeated_once_its_booking_left_the_slot_is_lease_expired(
    backend: Backend, left: dict[str, Any], is_taken: bool
) -> None:
    """A repeat never tells of a hold where the slot is free, or somebody else's (failure mode 50).

    The spot key decides, so the repeat is told the same whoever is there by now.
    """
    slot, _ = await consumed(backend)
    await change(backend, slot, **left)
    if is_taken:
        assert (await backend.create_lease(slot, "another")).status is CreateLeaseStatus.CREATED
    before = {key: value for key, (value, _) in (await backend.dump()).items()}

    assert (await backend.create_lease(slot)).status is CreateLeaseStatus.LEASE_EXPIRED

    assert {key: value for key, (value, _) in (await backend.dump()).items()} == before
    shown = await backend.leases().get_lease(_lease(backend), soon())
    assert shown
    assert (shown.state, shown.remaining_ms) == (LeaseState.CONSUMED, 0)


@pytest.mark.parametrize("status", [BookingStatus.NO_SHOW, BookingStatus.NO_SHOW_PENALIZED])
async def test_create_lease_repeated_after_a_no_show_gets_the_same_answer(
    backend: Backend, status: BookingStatus
) -> None:
    """A no-show keeps its spot, so its booking stands."""
    slot, first = await consumed(backend)
    await change(backend, slot, status=status)

    repeat = await backend.create_lease(slot)

    assert repeat == CreateLeaseOutcome(CreateLeaseStatus.CONSUMED, first.expires_at_ms)


async def test_create_lease_repeated_once_its_booking_is_back_gets_the_same_answer(
    backend: Backend,
) -> None:
    """On whichever spot the booking stands, on that slot it is the lease's."""
    slot, first = await consumed(backend)
    for start_s in (slot.start_s + HOUR_S, slot.start_s):
        await change(backend, slot, start_s=start_s - slot.start_s)

    repeat = await backend.create_lease(slot)

    assert repeat == CreateLeaseOutcome(CreateLeaseStatus.CONSUMED, first.expires_at_ms)


async def test_create_booking_repeated_once_it_left_the_slot_gets_the_original(
    backend: Backend,
) -> None:
    """The booking's own repeat is the original response, whatever became of it."""
    slot, _ = await consumed(backend)
    for changes in (*MOVES, CANCEL):
        await change(backend, slot, **changes)

        repeat = await book(backend, slot, _lease(backend))

        assert (repeat.status, repeat.original) == (CreateBookingStatus.REPLAYED, b"original")
