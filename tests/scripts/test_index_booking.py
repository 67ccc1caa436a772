"""index_booking.lua: a booking that may come to be made is named, on whatever clock."""

from typing import Any

import pytest
from tests.backends import TERMS, Backend, FakeClock, soon

from leasehold.model import ids
from leasehold.model.booking import (
    BookingStatus,
    CreateBooking,
    CreateBookingStatus,
    UpdateBooking,
    UpdateBookingStatus,
)
from leasehold.model.slot import Slot
from leasehold.store.link import Link

USER = "user-1"
LONGER_THAN_ANY_CALL_MS = 120_000


async def book(backend: Backend, slot: Slot) -> CreateBooking:
    """Book a slot directly and return the command."""
    command = CreateBooking(slot, "token-1", "v2", USER, b"original")
    outcome = await backend.store().create_booking(command, soon())
    assert outcome.status is CreateBookingStatus.CREATED
    return command


async def move(backend: Backend, made: CreateBooking, start_s: int) -> UpdateBookingStatus:
    """Move a booking to another start."""
    booking = ids.Reference(made.merchant_id, made.suffix)
    command = UpdateBooking(booking, start_s=start_s)
    return (await backend.store().update_booking(command, soon())).status


async def listed(backend: Backend) -> list[Slot]:
    """Return the slots of the user's bookings."""
    records = await backend.store().list_bookings(USER, soon())
    return [record.slot for record in records or ()]


@pytest.fixture
def ticking(fake_clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that lets the clock move on by so much after each script."""
    run = Link.run

    def tick(by_ms: int) -> None:
        async def run_and_tick(link: Link, *arguments: Any, **options: Any) -> Any:
            reply = await run(link, *arguments, **options)
            fake_clock.now_ms += by_ms
            return reply

        monkeypatch.setattr(Link, "run", run_and_tick)

    return tick


@pytest.mark.parametrize("between_ms", [1, LONGER_THAN_ANY_CALL_MS])
async def test_index_booking_names_what_create_booking_accepts_a_moment_later(
    fake: Backend, fake_clock: FakeClock, ticking: Any, between_ms: int
) -> None:
    """A slot still too far ahead for the index' clock is accepted by the next reading, and listed.

    Such a booking was made, and its user never saw it in ListBookings.
    """
    slot = await fake.slot()
    fake_clock.now_ms = slot.start_ms - TERMS.max_advance_ms - between_ms
    ticking(between_ms)

    await book(fake, slot)

    assert await listed(fake) == [slot]


@pytest.mark.parametrize("between_ms", [1, LONGER_THAN_ANY_CALL_MS])
async def test_index_booking_lasts_as_long_as_a_move_that_is_accepted_a_moment_later(
    fake: Backend, fake_clock: FakeClock, ticking: Any, between_ms: int
) -> None:
    """A booking moved to the horizon stays in its user's index until its new end."""
    slot = await fake.slot()
    far_s = (fake_clock.now_ms + TERMS.max_advance_ms) // 1000 + 1000
    made = await book(fake, slot)
    fake_clock.now_ms = far_s * 1000 - TERMS.max_advance_ms - between_ms
    ticking(between_ms)

    assert await move(fake, made, far_s) is UpdateBookingStatus.UPDATED

    fake_clock.now_ms = far_s * 1000 - 1
    booking = await fake.store().get_booking(ids.Reference(fake.merchant, made.suffix), soon())
    assert booking
    assert booking.status is BookingStatus.CONFIRMED
    assert await listed(fake) == [booking.slot]


async def test_index_booking_beyond_the_horizon_and_any_call_is_not_needed(
    fake: Backend, fake_clock: FakeClock
) -> None:
    """What no call can live to see accepted leaves nothing behind."""
    slot = await fake.slot()
    fake_clock.now_ms = slot.start_ms - TERMS.max_advance_ms - LONGER_THAN_ANY_CALL_MS - 1
    command = CreateBooking(slot, "token-1", "v2", USER, b"original")

    outcome = await fake.store().create_booking(command, soon())

    assert outcome.status is CreateBookingStatus.START_TOO_FAR
    assert await fake.redis.dbsize() == 0
