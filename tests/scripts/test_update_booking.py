"""update_booking.lua and the index of a user's bookings, the same on every store."""

from dataclasses import replace
from typing import Any

import pytest
from tests.backends import TERMS, Backend, FakeClock, soon

from leasehold.model import ids
from leasehold.model.booking import (
    BookingRecord,
    BookingStatus,
    CreateBooking,
    CreateBookingStatus,
    UpdateBooking,
    UpdateBookingOutcome,
    UpdateBookingStatus,
)
from leasehold.model.lease import CreateLeaseStatus
from leasehold.model.slot import Slot
from leasehold.store import keys

Status = UpdateBookingStatus
HOUR_S = 3600


async def booked(
    backend: Backend, slot: Slot, token: str = "token-1", user: str = "user-1"
) -> ids.Reference:
    """Book a slot directly and return the reference of the booking."""
    command = CreateBooking(slot, token, "v2", f"{user}-{backend.merchant}", b"original")
    outcome = await backend.store().create_booking(command, soon())
    assert outcome.status is CreateBookingStatus.CREATED
    return ids.Reference(slot.merchant_id, command.suffix)


async def update(backend: Backend, booking: ids.Reference, **changes: Any) -> UpdateBookingOutcome:
    """Change a booking."""
    return await backend.store().update_booking(UpdateBooking(booking, **changes), soon())


async def listed(backend: Backend, user: str = "user-1") -> list[Slot] | None:
    """Return the slots of a user's bookings."""
    records = await backend.store().list_bookings(f"{user}-{backend.merchant}", soon())
    return None if records is None else [record.slot for record in records]


def record(slot: Slot, status: BookingStatus = BookingStatus.CONFIRMED) -> BookingRecord:
    """Return what a booking of `booked` looks like now."""
    return BookingRecord("v2", b"original", status, slot)


@pytest.mark.parametrize(
    "change",
    [{"start_s": 1}, {"duration_s": 900}, {"party_size": 4}, {"start_s": 1, "duration_s": 60}],
)
async def test_update_booking_moves_in_one_step(backend: Backend, change: dict[str, int]) -> None:
    """The new spot is taken, the old one free, and the original response stays what it was."""
    slot = await backend.slot(staff_id="anna", room_id="2", party_size=2)
    booking = await booked(backend, slot)
    owner = await backend.owner(slot)
    if "start_s" in change:
        change = {**change, "start_s": slot.start_s + HOUR_S}
    moved = replace(slot, **change)  # type: ignore[arg-type]

    outcome = await update(backend, booking, **change)

    assert outcome == UpdateBookingOutcome(Status.UPDATED, record(moved))
    assert await backend.owner(slot) is None
    assert await backend.owner(moved) == owner
    assert await backend.store().get_booking(booking, soon()) == record(moved)


async def test_update_booking_longer_than_slots_may_be_keeps_its_duration_and_moves(
    backend: Backend,
) -> None:
    """A limit that was lowered bounds new durations; a booking keeps its own, or a shorter one."""
    two_days_s, longest_s = 2 * 86_400, TERMS.max_slot_ms // 1000
    slot = await backend.slot(duration_s=two_days_s)
    booking, moved_s = await booked(backend, slot), slot.start_s + HOUR_S

    refused = await update(backend, booking, duration_s=two_days_s + 1)
    assert refused.status is Status.DURATION_TOO_LONG
    assert await backend.store().get_booking(booking, soon()) == record(slot)
    for change in ({}, {"duration_s": two_days_s}, {"duration_s": two_days_s - 1}):
        moved_s += HOUR_S
        outcome = await update(backend, booking, start_s=moved_s, **change)
        assert outcome.status is Status.UPDATED
    assert (await update(backend, booking, status=BookingStatus.CANCELED)).record

    short = await booked(backend, await backend.slot(party_size=4), "token-2")
    assert (await update(backend, short, duration_s=longest_s)).status is Status.UPDATED
    outcome = await update(backend, short, duration_s=longest_s + 1)
    assert outcome.status is Status.DURATION_TOO_LONG


async def test_update_booking_onto_a_taken_slot_leaves_it_exactly_as_it_was(
    backend: Backend,
) -> None:
    """All or nothing: a refused move changes no key (failure mode 18)."""
    slot = await backend.slot()
    taken = await backend.slot(party_size=4)
    booking = await booked(backend, slot)
    await backend.create_lease(taken)
    before = {key: value for key, (value, _) in (await backend.dump()).items()}

    outcome = await update(backend, booking, party_size=4)

    assert outcome == UpdateBookingOutcome(Status.SLOT_UNAVAILABLE)
    assert {key: value for key, (value, _) in (await backend.dump()).items()} == before


async def test_update_booking_onto_its_own_slot_is_unchanged(backend: Backend) -> None:
    """One's own booking is in nobody's way (failure mode 21)."""
    slot = await backend.slot()
    booking = await booked(backend, slot)

    outcome = await update(backend, booking, start_s=slot.start_s, party_size=0)

    assert outcome == UpdateBookingOutcome(Status.UNCHANGED, record(slot))


async def test_update_booking_moves_the_end_of_all_its_keys(backend: Backend) -> None:
    """Spot, booking and consumed lease end one retention after the new slot."""
    slot = await backend.slot()
    await backend.create_lease(slot)
    lease = ids.Reference(backend.merchant, ids.lease_suffix("reference-1"))
    command = CreateBooking(slot, "token-1", "v2", "user-1", b"original", lease)
    await backend.store().create_booking(command, soon())

    await update(
        backend, ids.Reference(backend.merchant, command.suffix), start_s=slot.start_s + HOUR_S
    )

    now_ms = await backend.now_ms()
    ends_at_s = slot.start_s + HOUR_S + slot.duration_s
    ends_in_ms = ends_at_s * 1000 + TERMS.booking_retention_ms - now_ms
    found = await backend.dump()
    assert len(found) == 3
    assert all(abs(remaining_ms - ends_in_ms) < 1000 for _, remaining_ms in found.values())


async def test_update_booking_cancel_frees_the_spot_at_once(backend: Backend) -> None:
    """A cancelled booking holds nothing; cancelling again answers it again."""
    slot = await backend.slot()
    booking = await booked(backend, slot)
    cancelled = record(slot, BookingStatus.CANCELED)

    first = await update(backend, booking, status=BookingStatus.CANCELED)
    assert first == UpdateBookingOutcome(Status.UPDATED, cancelled)
    assert (await backend.create_lease(slot)).status is CreateLeaseStatus.CREATED

    again = await update(backend, booking, status=BookingStatus.CANCELED)
    assert again == UpdateBookingOutcome(Status.UNCHANGED, cancelled)
    assert await backend.owner(slot) == f"lease {ids.lease_suffix('reference-1')}"


@pytest.mark.parametrize("change", [{"status": BookingStatus.CANCELED}, {"duration_s": 900}])
async def test_update_booking_that_has_lost_its_spot_leaves_the_next_owner_untouched(
    backend: Backend, change: dict[str, Any]
) -> None:
    """After a loss of data another caller may have the spot: neither cancel nor move frees it."""
    slot = await backend.slot()
    booking = await booked(backend, slot)
    await backend.redis.delete(keys.spot_key(slot, 1))
    await backend.create_lease(slot, "next")
    owner = await backend.owner(slot)

    assert (await update(backend, booking, **change)).status is Status.UPDATED
    assert await backend.owner(slot) == owner == f"lease {ids.lease_suffix('next')}"


@pytest.mark.parametrize("party_size", [2, 4])
async def test_update_booking_cancel_takes_no_slot_that_comes_with_it(
    backend: Backend, party_size: int
) -> None:
    """Whatever else is asked for with a cancel, nothing is held afterwards, taken or free."""
    slot = await backend.slot()
    booking = await booked(backend, slot)
    await backend.create_lease(replace(slot, party_size=4))

    outcome = await update(backend, booking, status=BookingStatus.CANCELED, party_size=party_size)

    assert outcome == UpdateBookingOutcome(Status.UPDATED, record(slot, BookingStatus.CANCELED))
    assert await backend.owner(slot) is None
    assert await backend.owner(replace(slot, party_size=2)) is None


@pytest.mark.parametrize(
    "change",
    [{"status": BookingStatus.CONFIRMED}, {"status": BookingStatus.NO_SHOW}, {"party_size": 4}],
)
async def test_update_booking_of_a_cancelled_one_is_already_cancelled(
    backend: Backend, change: dict[str, Any]
) -> None:
    """A cancelled booking stays cancelled."""
    booking = await booked(backend, await backend.slot())
    await update(backend, booking, status=BookingStatus.CANCELED)

    assert (await update(backend, booking, **change)).status is Status.ALREADY_CANCELLED


async def test_update_booking_of_a_no_show_cannot_cancel_it(backend: Backend) -> None:
    """A no-show happened; its spot stays its own, and it may become a penalized one."""
    slot = await backend.slot()
    booking = await booked(backend, slot)
    owner = await backend.owner(slot)

    for status in (BookingStatus.NO_SHOW, BookingStatus.NO_SHOW_PENALIZED):
        outcome = await update(backend, booking, status=status)
        assert outcome == UpdateBookingOutcome(Status.UPDATED, record(slot, status))
        refused = await update(backend, booking, status=BookingStatus.CANCELED)
        assert refused.status is Status.NOT_CANCELLABLE
    assert await backend.owner(slot) == owner


async def test_update_booking_into_the_past_or_too_far_is_refused(backend: Backend) -> None:
    """The clock judges the new slot as it judges every other."""
    slot = await backend.slot()
    booking = await booked(backend, slot)
    far_s = slot.start_s + TERMS.max_advance_ms // 1000

    assert (await update(backend, booking, start_s=0)).status is Status.START_TOO_SOON
    assert (await update(backend, booking, start_s=far_s)).status is Status.START_TOO_FAR
    assert await backend.store().get_booking(booking, soon()) == record(slot)


async def test_update_booking_of_nothing_is_booking_unknown(backend: Backend) -> None:
    """What is not remembered cannot be changed."""
    nothing = ids.Reference(backend.merchant, ids.booking_suffix("v2", "nothing"))

    for change in ({"status": BookingStatus.CANCELED}, {"start_s": 1}):
        assert (await update(backend, nothing, **change)).status is Status.BOOKING_UNKNOWN
    assert await backend.dump() == {}


async def test_create_booking_repeated_after_a_move_gets_the_original(backend: Backend) -> None:
    """A repeat is recognised by the slot that was asked for, not by the one that it became."""
    slot = await backend.slot()
    booking = await booked(backend, slot)
    await update(backend, booking, party_size=4)
    command = CreateBooking(slot, "token-1", "v2", f"user-1-{backend.merchant}", b"another")

    outcome = await backend.store().create_booking(command, soon())

    assert (outcome.status, outcome.original) == (CreateBookingStatus.REPLAYED, b"original")


async def test_list_bookings_shows_future_standing_ones_by_start(backend: Backend) -> None:
    """Of all merchants; moved ones where they are now, cancelled ones not, others' never."""
    slot = await backend.slot()
    late = replace(slot, start_s=slot.start_s + 5 * HOUR_S)
    early = replace(slot, merchant_id=f"{backend.merchant}-2", start_s=slot.start_s + HOUR_S)
    moves = replace(slot, room_id="2")
    for number, each in enumerate((late, early)):
        await booked(backend, each, f"token-{number}")
    await booked(backend, slot, "token-3", user="user-2")
    await update(
        backend, await booked(backend, moves, "token-4"), start_s=slot.start_s + 3 * HOUR_S
    )
    cancelled = await booked(backend, replace(slot, room_id="3"), "token-5")
    await update(backend, cancelled, status=BookingStatus.CANCELED)

    moved = replace(moves, start_s=slot.start_s + 3 * HOUR_S)
    assert await listed(backend) == [early, moved, late]
    assert await listed(backend, "user-2") == [slot]
    assert await listed(backend, "user-3") is None


async def test_list_bookings_of_a_user_with_only_cancelled_ones_is_empty(backend: Backend) -> None:
    """Such a user is known, and has nothing ahead."""
    await update(
        backend, await booked(backend, await backend.slot()), status=BookingStatus.CANCELED
    )

    assert await listed(backend) == []


async def test_list_bookings_leaves_out_what_has_begun(
    fake: Backend, fake_clock: FakeClock
) -> None:
    """At its start a booking is no longer ahead."""
    slot = await fake.slot()
    await booked(fake, slot)
    fake_clock.now_ms = slot.start_ms - 1
    assert await listed(fake) == [slot]
    fake_clock.now_ms = slot.start_ms
    assert await listed(fake) == []


async def test_list_bookings_forgets_what_was_never_made(
    fake: Backend, fake_clock: FakeClock
) -> None:
    """A refused booking leaves an intent, for as long as it could still be made."""
    slot = await fake.slot()
    await fake.create_lease(slot)
    user = f"user-1-{fake.merchant}"
    refused = CreateBooking(slot, "token-1", "v2", user, b"original")
    await fake.store().create_booking(refused, soon())
    index, intents = keys.index_key(ids.user_digest(user)), keys.intents_key(ids.user_digest(user))

    assert await listed(fake) is None
    assert await fake.redis.zrange(intents, 0, -1) == [refused.booking_id]

    fake_clock.now_ms += 120_001
    assert await listed(fake) is None
    assert await fake.redis.exists(index, intents) == 0


async def test_index_lasts_as_long_as_the_last_booking_that_it_names(backend: Backend) -> None:
    """A nearer booking does not shorten the index, a farther one and a move lengthen it."""
    slot = await backend.slot()
    index = keys.index_key(ids.user_digest(f"user-1-{backend.merchant}"))

    async def lasts_until(start_s: int) -> bool:
        ends_at_ms = (start_s + slot.duration_s) * 1000 + TERMS.booking_retention_ms
        remaining_ms = await backend.redis.pttl(index)
        return bool(abs(ends_at_ms - await backend.now_ms() - remaining_ms) < 1000)

    booking = await booked(backend, slot, "token-1")
    assert await lasts_until(slot.start_s)
    await booked(backend, replace(slot, start_s=slot.start_s - HOUR_S), "token-2")
    assert await lasts_until(slot.start_s)
    await update(backend, booking, start_s=slot.start_s + HOUR_S)
    assert await lasts_until(slot.start_s + HOUR_S)


async def test_update_booking_of_nobody_indexes_nothing(backend: Backend) -> None:
    """A booking of v0 names no user, and a move gives it none; a random walk found an index."""
    slot = await backend.slot()
    await backend.create_lease(slot)
    lease = ids.Reference(backend.merchant, ids.lease_suffix("reference-1"))
    command = CreateBooking(None, "token-1", "v0", None, b"original", lease)
    await backend.store().create_booking(command, soon())
    booking = ids.Reference(backend.merchant, command.suffix)

    outcome = await update(backend, booking, start_s=slot.start_s + HOUR_S)

    assert outcome.status is Status.UPDATED
    assert await backend.redis.exists(keys.index_key("nobody")) == 0
