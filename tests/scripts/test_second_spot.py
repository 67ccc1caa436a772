"""A user has one spot of a slot at most: what a move answers where there would be two."""

from dataclasses import replace

import pytest
from tests.backends import Backend, soon
from tests.scripts.test_inventory import book, load, take

from leasehold.model import ids
from leasehold.model.booking import (
    BookingStatus,
    CreateBookingStatus,
    UpdateBooking,
    UpdateBookingStatus,
)


@pytest.fixture
async def strict(backend: Backend) -> Backend:
    """A store on which only the inventory's slots exist."""
    backend.is_strict = True
    return backend


@pytest.mark.parametrize("spots", [2, 20])
async def test_update_booking_gives_one_user_one_spot_of_a_slot(
    strict: Backend, spots: int
) -> None:
    """A move onto a slot that the user has a spot of is refused, and changes nothing (70).

    Also when that slot is full. Another user's move is judged by its own bookings.
    """
    slot = await strict.slot()
    later = replace(slot, start_s=slot.start_s + 3600)
    await load(strict, {slot: spots, later: spots})
    assert await book(strict, later, "t-1", "ada") is CreateBookingStatus.CREATED
    for token, user in (("t-2", "ada"), ("t-3", "bob")):
        assert await book(strict, slot, token, user) is CreateBookingStatus.CREATED
    before = await strict.dump()

    async def move(token: str) -> UpdateBookingStatus:
        booking = ids.Reference(strict.merchant, ids.booking_suffix("v2", token))
        command = UpdateBooking(booking, start_s=later.start_s, status=BookingStatus.NO_SHOW)
        return (await strict.store().update_booking(command, soon())).status

    assert await move("t-2") is UpdateBookingStatus.ALREADY_BOOKED_BY_USER
    after = await strict.dump()
    assert {key: value for key, (value, _) in after.items()} == {
        key: value for key, (value, _) in before.items()
    }
    await take(strict, later, spots - 1)
    assert await move("t-2") is UpdateBookingStatus.ALREADY_BOOKED_BY_USER
    assert await move("t-3") is UpdateBookingStatus.SLOT_UNAVAILABLE


async def test_update_booking_onto_a_spot_that_its_user_has_left_is_updated(
    strict: Backend,
) -> None:
    """A cancelled booking, one that moved away and one that names no user are in no move's way."""
    slot = await strict.slot()
    later = replace(slot, start_s=slot.start_s + 3600)
    await load(strict, {slot: 3, later: 3})
    assert await book(strict, later, "t-1", "ada") is CreateBookingStatus.CREATED
    assert await book(strict, slot, "t-2", "ada") is CreateBookingStatus.CREATED
    first, second = (
        ids.Reference(strict.merchant, ids.booking_suffix("v2", token)) for token in ("t-1", "t-2")
    )

    async def ask(command: UpdateBooking) -> UpdateBookingStatus:
        return (await strict.store().update_booking(command, soon())).status

    assert await ask(UpdateBooking(first, BookingStatus.CANCELED)) is UpdateBookingStatus.UPDATED
    assert await ask(UpdateBooking(second, start_s=later.start_s)) is UpdateBookingStatus.UPDATED
    assert await ask(UpdateBooking(second, start_s=slot.start_s)) is UpdateBookingStatus.UPDATED
    assert await ask(UpdateBooking(second, start_s=later.start_s)) is UpdateBookingStatus.UPDATED
