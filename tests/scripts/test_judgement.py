"""The order in which every script judges, and the instants at which its answer turns.

Source: contract 6.2, "Order of judgement", on every store; tests/rpc shows the same on the wire.
Terms that refuse a slot a day ahead stand in for the days until the usual ones would refuse it.
"""

from dataclasses import replace
from typing import Any

import pytest
from tests.backends import DAY_MS, TERMS, Backend, FakeClock, soon

from leasehold.model import ids
from leasehold.model.booking import (
    BookingStatus,
    CreateBooking,
    CreateBookingStatus,
    UpdateBooking,
    UpdateBookingStatus,
)
from leasehold.model.inventory import Availability, CheckAvailabilityStatus, Scope
from leasehold.model.lease import CreateLeaseStatus, LeaseTerms
from leasehold.model.slot import Slot

HOUR_S = 3600
TOO_SOON = replace(TERMS, min_lease_ms=3 * DAY_MS, max_lease_ms=5 * DAY_MS)
TOO_FAR = replace(TERMS, max_advance_ms=DAY_MS // 2)
CANCELED = BookingStatus.CANCELED
COUNTED = {"start_too_soon": "0"}
"""How check_availability says what it does not refuse."""


async def lease(
    backend: Backend, slot: Slot, name: str = "reference-1", **options: Any
) -> CreateLeaseStatus:
    """Ask for a lease."""
    return (await backend.create_lease(slot, name, **options)).status


async def book(
    backend: Backend,
    slot: Slot,
    *,
    by: str | None = None,
    terms: LeaseTerms = TERMS,
    **changes: Any,
) -> CreateBookingStatus:
    """Ask for a booking, by the lease of a reference or directly."""
    held = ids.Reference(backend.merchant, ids.lease_suffix(by)) if by else None
    command = CreateBooking(slot, "token-1", "v2", f"user-{backend.merchant}", b"original", held)
    command = replace(command, **changes)
    return (await backend.store(terms).create_booking(command, soon())).status


async def update(
    backend: Backend, token: str = "token-1", *, terms: LeaseTerms = TERMS, **changes: Any
) -> UpdateBookingStatus:
    """Ask for a change of the booking of a token."""
    booking = ids.Reference(backend.merchant, ids.booking_suffix("v2", token))
    command = UpdateBooking(booking, **changes)
    return (await backend.store(terms).update_booking(command, soon())).status


async def count(backend: Backend, slot: Slot, terms: LeaseTerms = TERMS) -> str:
    """Ask for the free spots; return their number, or why there is none."""
    outcome = await backend.store(terms).check_availability(slot, soon())
    is_counted = outcome.status is CheckAvailabilityStatus.COUNTED
    return str(outcome.count) if is_counted else outcome.status


async def test_order_of_judgement_of_create_lease(backend: Backend) -> None:
    """Replay, reuse of the reference, asked expiry, slot start, free spot."""
    status, slot, other = CreateLeaseStatus, await backend.slot(), await backend.slot(room_id="2")
    far_ms = 4 * DAY_MS
    assert await lease(backend, slot) is status.CREATED

    # The same reference: whatever the clock says by now, it is a repeat, or belongs elsewhere.
    assert await lease(backend, slot, for_ms=-1) is status.REPLAYED
    for terms in (TOO_SOON, TOO_FAR):
        assert await lease(backend, slot, for_ms=far_ms, terms=terms) is status.REPLAYED
        reused = await lease(backend, other, for_ms=far_ms, terms=terms)
        assert reused is status.REFERENCE_REUSED
    assert await lease(backend, other, for_ms=-1) is status.REFERENCE_REUSED

    # Another one, for the slot that is held: the clock, and only then the spot.
    for terms in (TOO_SOON, TOO_FAR):
        late = await lease(backend, slot, "reference-2", for_ms=-1, terms=terms)
        assert late is status.EXPIRY_TOO_SOON
    soon_ = await lease(backend, slot, "reference-2", for_ms=far_ms, terms=TOO_SOON)
    assert soon_ is status.START_TOO_SOON
    assert await lease(backend, slot, "reference-2", terms=TOO_FAR) is status.START_TOO_FAR
    assert await lease(backend, slot, "reference-2") is status.SLOT_UNAVAILABLE


async def test_order_of_judgement_of_create_lease_that_has_ended(backend: Backend) -> None:
    """That a reference held its slot once comes before the clock, and before who has it now."""
    status, slot = CreateLeaseStatus, await backend.slot()
    first = await backend.create_lease(slot, for_ms=200)
    await backend.wait_until(first.expires_at_ms + 1)

    for terms in (TERMS, TOO_SOON, TOO_FAR):
        assert await lease(backend, slot, for_ms=-1, terms=terms) is status.LEASE_EXPIRED
    await lease(backend, slot, "reference-2")
    assert await lease(backend, slot) is status.LEASE_EXPIRED


async def test_order_of_judgement_of_create_booking_by_lease(backend: Backend) -> None:
    """Replay, reuse of the token, unknown lease, its slot, its state; a held one minds no clock."""
    status, slot, other = CreateBookingStatus, await backend.slot(), await backend.slot(room_id="2")
    await lease(backend, slot, "reference-1")
    assert await book(backend, slot, by="reference-1", terms=TOO_SOON) is status.CREATED
    elsewhere = ids.Reference("another", ids.lease_suffix("reference-1"))

    assert await book(backend, slot, by="reference-1", terms=TOO_FAR) is status.REPLAYED
    for wrong in ({"by": "unknown"}, {"lease": elsewhere}, {"terms": TOO_SOON}):
        assert await book(backend, slot, **wrong) is status.TOKEN_REUSED
    assert await book(backend, other, by="reference-1") is status.TOKEN_REUSED

    again: Any = {"token": "token-2", "by": "reference-1"}
    assert await book(backend, other, **{**again, "by": "unknown"}) is status.LEASE_UNKNOWN
    assert await book(backend, other, **again) is status.LEASE_SLOT_MISMATCH
    # The state of the lease comes before the clock, and before who has the slot by now.
    await update(backend, start_s=slot.start_s + HOUR_S)
    assert await book(backend, slot, **again, terms=TOO_SOON) is status.LEASE_CONSUMED_BY_USER
    assert await book(backend, slot, **again, user_id="eve") is status.LEASE_CONSUMED
    await update(backend, status=CANCELED)
    assert await book(backend, slot, **again, terms=TOO_FAR) is status.LEASE_CONSUMED


async def test_order_of_judgement_of_create_booking_by_a_lease_that_has_ended(
    backend: Backend,
) -> None:
    """Another slot is named first; then that the lease has ended, before clock and spot."""
    status, slot = CreateBookingStatus, await backend.slot()
    first = await backend.create_lease(slot, for_ms=200)
    await backend.wait_until(first.expires_at_ms + 1)
    assert await book(backend, slot, token="token-2") is status.CREATED

    mismatch = await book(backend, replace(slot, room_id="2"), by="reference-1")
    assert mismatch is status.LEASE_SLOT_MISMATCH
    for terms in (TERMS, TOO_SOON, TOO_FAR):
        assert await book(backend, slot, by="reference-1", terms=terms) is status.LEASE_EXPIRED


async def test_order_of_judgement_of_create_booking_directly(backend: Backend) -> None:
    """Replay, reuse of the token, same user, slot start, free spot."""
    status, slot = CreateBookingStatus, await backend.slot()
    assert await book(backend, slot) is status.CREATED

    for terms, refused in (
        (TOO_SOON, status.START_TOO_SOON),
        (TOO_FAR, status.START_TOO_FAR),
        (TERMS, status.SLOT_UNAVAILABLE),
    ):
        assert await book(backend, slot, terms=terms) is status.REPLAYED
        assert await book(backend, slot, terms=terms, user_id="eve") is status.TOKEN_REUSED
        mine = await book(backend, slot, terms=terms, token="token-2")
        assert mine is status.ALREADY_BOOKED_BY_USER
        others = await book(backend, slot, terms=terms, token="token-2", user_id="eve")
        assert others is refused


async def test_order_of_judgement_of_update_booking(backend: Backend) -> None:
    """Unknown booking, its state, no change, same user, slot start, free spot."""
    status, slot = UpdateBookingStatus, await backend.slot()
    taken = replace(slot, start_s=slot.start_s + HOUR_S)
    move: Any = {"start_s": taken.start_s}
    own, has_it = replace(slot, start_s=slot.start_s - HOUR_S), status.ALREADY_BOOKED_BY_USER
    await book(backend, slot)
    await book(backend, own, token="token-2")
    await lease(backend, taken)

    for terms, refused in (
        (TOO_SOON, status.START_TOO_SOON),
        (TOO_FAR, status.START_TOO_FAR),
        (TERMS, status.SLOT_UNAVAILABLE),
    ):
        assert await update(backend, "unknown", terms=terms, **move) is status.BOOKING_UNKNOWN
        same = await update(backend, terms=terms, start_s=slot.start_s)
        assert same is status.UNCHANGED
        assert await update(backend, terms=terms, **move) is refused
        assert await update(backend, terms=terms, start_s=own.start_s) is has_it
    await update(backend, status=BookingStatus.NO_SHOW)
    for terms in (TOO_SOON, TOO_FAR, TERMS):
        assert await update(backend, terms=terms, status=CANCELED, **move) is status.NOT_CANCELLABLE
    await update(backend, status=BookingStatus.CONFIRMED)
    await update(backend, status=CANCELED)
    for terms in (TOO_SOON, TOO_FAR, TERMS):
        for change in (move, {"start_s": slot.start_s}, {"status": BookingStatus.CONFIRMED}):
            assert await update(backend, terms=terms, **change) is status.ALREADY_CANCELLED
        assert await update(backend, terms=terms, status=CANCELED, **move) is status.UNCHANGED


async def test_order_of_judgement_of_check_availability(backend: Backend) -> None:
    """A slot too far ahead has no count; one too near has none free, whoever has it."""
    slot = await backend.slot()

    for is_free in (True, False):
        assert await count(backend, slot, TOO_FAR) == "start_too_far"
        assert await count(backend, slot, TOO_SOON) == "0"
        assert await count(backend, slot) == str(int(is_free))
        await lease(backend, slot)


async def test_order_of_judgement_with_an_inventory(backend: Backend) -> None:
    """What the inventory does not know is named after the clock."""
    strict, slot = replace(backend, is_strict=True), await backend.slot()
    staged = await strict.inventory().stage(
        [Scope(strict.merchant), Availability("", slot, 1, 1)], lambda _: None
    )
    await strict.inventory().commit(staged, await strict.now_ms(), lambda *_: None)
    shave = replace(slot, service_id="shave")

    for terms, refused in (
        (TOO_SOON, "start_too_soon"),
        (TOO_FAR, "start_too_far"),
        (TERMS, "service_unknown"),
    ):
        assert await lease(strict, shave, for_ms=4 * DAY_MS, terms=terms) == refused
        assert await book(strict, shave, terms=terms) == refused
        assert await count(strict, shave, terms) == COUNTED.get(refused, refused)
    assert await lease(strict, slot) is CreateLeaseStatus.CREATED


async def ask(backend: Backend, operation: str, slot: Slot) -> str:
    """Hold, book or count a slot, or move the booking of token-2 to it; return the answer."""
    match operation:
        case "lease":
            return await lease(backend, slot)
        case "book":
            return await book(backend, slot)
        case "move":
            return await update(backend, "token-2", start_s=slot.start_s)
        case _:
            return await count(backend, slot)


ACCEPTED = {"lease": "created", "book": "created", "move": "updated", "check": "1"}
NEAREST, FARTHEST = TERMS.min_lease_ms, TERMS.max_advance_ms


@pytest.mark.parametrize("operation", ACCEPTED)
@pytest.mark.parametrize(
    ("ahead_ms", "refusal"),
    [
        (NEAREST - 1, "start_too_soon"),
        (NEAREST, None),
        (NEAREST + 1, None),
        (FARTHEST - 1, None),
        (FARTHEST, None),
        (FARTHEST + 1, "start_too_far"),
    ],
)
async def test_slot_start_is_judged_to_the_millisecond(
    fake: Backend, fake_clock: FakeClock, operation: str, ahead_ms: int, refusal: str | None
) -> None:
    """A slot as near as the shortest lease, or as far as the horizon, is accepted everywhere."""
    made = await fake.slot()
    assert await book(fake, made, token="token-2") is CreateBookingStatus.CREATED
    later_s = FARTHEST // 1000 if ahead_ms > DAY_MS else HOUR_S
    slot = replace(made, start_s=made.start_s + later_s)
    fake_clock.now_ms = slot.start_ms - ahead_ms

    answer = await ask(fake, operation, slot)

    if refusal and operation == "check":
        refusal = COUNTED.get(refusal, refusal)
    assert answer == (refusal or ACCEPTED[operation])
