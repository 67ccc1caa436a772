"""create_booking.lua, the same on every store."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from tests.backends import TERMS, Backend, FakeClock, soon

from leasehold.model import ids
from leasehold.model.booking import (
    BookingRecord,
    BookingStatus,
    CreateBooking,
    CreateBookingOutcome,
    CreateBookingStatus,
)
from leasehold.model.inventory import CheckAvailabilityOutcome, CheckAvailabilityStatus
from leasehold.model.lease import CreateLeaseOutcome, CreateLeaseStatus
from leasehold.model.slot import Slot
from leasehold.store import keys

Status = CreateBookingStatus


async def book(
    backend: Backend, slot: Slot | None, *, by: str | None = "reference-1", **changes: Any
) -> CreateBookingOutcome:
    """Book a slot by the lease of a reference, or directly when ``by`` is None."""
    lease = ids.Reference(backend.merchant, ids.lease_suffix(by)) if by else None
    command = CreateBooking(slot, "token-1", "v2", "user-1", b"original \xff", lease)
    return await backend.store().create_booking(replace(command, **changes), soon())


def reference(token: str = "token-1", merchant: str = "") -> ids.Reference:
    """Name the booking of a token."""
    return ids.Reference(merchant, ids.booking_suffix("v2", token))


def owner_of(token: str = "token-1", user: str = "user-1") -> str:
    """Write what the slot key of a booking says."""
    return f"booking {ids.booking_suffix('v2', token)} {ids.user_digest(user)}"


async def test_create_booking_consumes_the_lease(backend: Backend) -> None:
    """A held lease becomes a booking: the spot changes its owner, and both records say so."""
    slot = await backend.slot(staff_id="anna")
    await backend.create_lease(slot)

    outcome = await book(backend, slot, additional_request="no onions")

    assert outcome == CreateBookingOutcome(Status.CREATED, b"original \xff", slot)
    assert await backend.owner(slot) == owner_of()
    found = await backend.dump()
    lease, _ = found[keys.lease_key(backend.merchant, ids.lease_suffix("reference-1"))]
    assert lease["booking"] == ids.booking_suffix("v2", "token-1")
    booking, _ = found[keys.booking_key(backend.merchant, ids.booking_suffix("v2", "token-1"))]
    assert booking["additional_request"] == "no onions"
    record = await backend.store().get_booking(reference(merchant=backend.merchant), soon())
    assert record == BookingRecord("v2", b"original \xff", BookingStatus.CONFIRMED, slot)


async def test_create_booking_keeps_all_three_keys_until_the_same_moment(backend: Backend) -> None:
    """Spot, booking and consumed lease end together, one retention after the slot."""
    slot = await backend.slot()
    await backend.create_lease(slot)
    await book(backend, slot)

    now_ms = await backend.now_ms()
    ends_in_ms = slot.start_ms + slot.duration_s * 1000 + TERMS.booking_retention_ms - now_ms
    found = await backend.dump()
    assert len(found) == 3
    assert all(abs(remaining_ms - ends_in_ms) < 1000 for _, remaining_ms in found.values())


async def test_create_booking_without_a_lease_takes_a_free_slot(backend: Backend) -> None:
    """A free slot can be booked directly."""
    slot = await backend.slot()

    assert (await book(backend, slot, by=None)).status is Status.CREATED
    assert await backend.owner(slot) == owner_of()


async def test_create_booking_repeated_is_replayed_with_the_original(backend: Backend) -> None:
    """The same token, slot, lease and user get the first response, whatever the repeat carries."""
    slot = await backend.slot()
    await backend.create_lease(slot)
    await book(backend, slot)

    outcome = await book(backend, slot, original=b"another")

    assert outcome == CreateBookingOutcome(Status.REPLAYED, b"original \xff", slot)
    assert len(await backend.dump()) == 3


async def test_create_booking_repeated_with_the_lease_of_another_merchant_is_token_reused(
    backend: Backend,
) -> None:
    """The same reference at another merchant names another lease, though its suffix is the same."""
    slot = await backend.slot()
    await backend.create_lease(slot)
    await book(backend, slot)

    elsewhere = ids.Reference("another", ids.lease_suffix("reference-1"))
    assert (await book(backend, slot, lease=elsewhere)).status is Status.TOKEN_REUSED


@pytest.mark.parametrize("change", ["slot", "lease", "user"])
async def test_create_booking_with_a_used_token_is_token_reused(
    backend: Backend, change: str
) -> None:
    """A token belongs to its slot, lease and user; the booking stays as it is."""
    slot = await backend.slot()
    await backend.create_lease(slot)
    await book(backend, slot)
    before = (await backend.dump()).keys()

    other = await backend.slot(room_id="2") if change == "slot" else slot
    outcome = await book(
        backend,
        other,
        by=None if change == "lease" else "reference-1",
        user_id="user-2" if change == "user" else "user-1",
    )

    assert outcome.status is Status.TOKEN_REUSED
    assert (await backend.dump()).keys() == before


async def test_create_booking_with_an_unknown_lease_is_lease_unknown(backend: Backend) -> None:
    """A lease that nobody remembers is unknown, even when the slot is free."""
    slot = await backend.slot()

    assert (await book(backend, slot)).status is Status.LEASE_UNKNOWN
    assert await backend.dump() == {}


async def test_create_booking_of_another_slot_is_lease_slot_mismatch(backend: Backend) -> None:
    """The slot must be the leased one; the lease stays intact (failure mode 22)."""
    slot = await backend.slot()
    await backend.create_lease(slot)

    assert (await book(backend, await backend.slot(room_id="2"))).status is (
        Status.LEASE_SLOT_MISMATCH
    )
    assert (await book(backend, slot)).status is Status.CREATED


async def test_create_booking_with_a_lease_of_another_merchant_is_lease_slot_mismatch(
    backend: Backend,
) -> None:
    """A lease of another merchant is for another slot, wherever its record lies."""
    slot = await backend.slot()
    elsewhere = ids.Reference("another", ids.lease_suffix("reference-1"))

    outcome = await book(backend, slot, lease=elsewhere)

    assert outcome.status is Status.LEASE_SLOT_MISMATCH


async def test_create_booking_names_the_mismatch_before_the_state_of_the_lease(
    backend: Backend,
) -> None:
    """A wrong slot is named as such even when the lease has expired too."""
    slot = await backend.slot()
    lease = await backend.create_lease(slot, for_ms=200)
    await backend.wait_until(lease.expires_at_ms + 1)

    outcome = await book(backend, await backend.slot(room_id="2"))

    assert outcome.status is Status.LEASE_SLOT_MISMATCH


async def test_create_booking_after_expiry_is_lease_expired_even_if_the_slot_is_free(
    backend: Backend,
) -> None:
    """An expired lease books nothing, though nobody has the slot (failure mode 9)."""
    slot = await backend.slot()
    lease = await backend.create_lease(slot, for_ms=200)
    await backend.wait_until(lease.expires_at_ms + 1)

    assert (await book(backend, slot)).status is Status.LEASE_EXPIRED
    assert await backend.owner(slot) is None


async def test_create_booking_after_expiry_leaves_the_next_holder_untouched(
    backend: Backend,
) -> None:
    """Too late a payment leaves the next holder's hold alone (failure mode 8)."""
    slot = await backend.slot()
    lease = await backend.create_lease(slot, for_ms=200)
    await backend.wait_until(lease.expires_at_ms + 1)
    await backend.create_lease(slot, "reference-2")
    before = await backend.owner(slot)

    assert (await book(backend, slot)).status is Status.LEASE_EXPIRED
    assert await backend.owner(slot) == before == f"lease {ids.lease_suffix('reference-2')}"


@pytest.mark.parametrize(
    ("user", "status"),
    [("user-1", Status.LEASE_CONSUMED_BY_USER), ("user-2", Status.LEASE_CONSUMED)],
)
async def test_create_booking_with_a_consumed_lease_is_refused(
    backend: Backend, user: str, status: CreateBookingStatus
) -> None:
    """A lease becomes one booking; the same user is told that the booking is theirs."""
    slot = await backend.slot()
    await backend.create_lease(slot)
    await book(backend, slot)

    outcome = await book(backend, slot, token="token-2", user_id=user)

    assert outcome.status is status
    assert await backend.owner(slot) == owner_of()


@pytest.mark.parametrize(
    ("user", "status"),
    [("user-1", Status.ALREADY_BOOKED_BY_USER), ("user-2", Status.SLOT_UNAVAILABLE)],
)
async def test_create_booking_directly_of_a_booked_slot_is_refused(
    backend: Backend, user: str, status: CreateBookingStatus
) -> None:
    """A booked slot is refused; the same user is told that they have it already."""
    slot = await backend.slot()
    await book(backend, slot, by=None)

    outcome = await book(backend, slot, by=None, token="token-2", user_id=user)

    assert outcome.status is status


async def test_create_booking_directly_of_a_held_slot_is_slot_unavailable(
    backend: Backend,
) -> None:
    """A lease really blocks others, those who book directly included."""
    slot = await backend.slot()
    await backend.create_lease(slot)

    assert (await book(backend, slot, by=None)).status is Status.SLOT_UNAVAILABLE
    assert (await book(backend, slot)).status is Status.CREATED


async def test_create_booking_directly_of_a_past_slot_is_start_too_soon(backend: Backend) -> None:
    """What has begun cannot be booked without a lease."""
    slot = await backend.slot(start_s=0)

    assert (await book(backend, slot, by=None)).status is Status.START_TOO_SOON
    assert await backend.dump() == {}


async def test_create_booking_directly_of_a_slot_too_far_ahead_is_start_too_far(
    backend: Backend,
) -> None:
    """Every record must have an end."""
    slot = await backend.slot()
    far = replace(slot, start_s=slot.start_s + TERMS.max_advance_ms // 1000)

    assert (await book(backend, far, by=None)).status is Status.START_TOO_FAR


async def test_create_lease_repeated_after_its_booking_gets_the_same_answer(
    backend: Backend,
) -> None:
    """The answer that was lost comes again, even once the granted expiry has passed."""
    slot = await backend.slot()
    first = await backend.create_lease(slot, for_ms=300)
    await book(backend, slot)
    await backend.wait_until(first.expires_at_ms + 1)

    repeat = await backend.create_lease(slot)

    assert repeat == CreateLeaseOutcome(CreateLeaseStatus.CONSUMED, first.expires_at_ms)


async def test_create_lease_of_a_booked_slot_is_slot_unavailable(backend: Backend) -> None:
    """A booked slot stays booked after the hold would have ended."""
    slot = await backend.slot()
    first = await backend.create_lease(slot, for_ms=300)
    await book(backend, slot)
    await backend.wait_until(first.expires_at_ms + 1)

    other = await backend.create_lease(slot, "reference-2")

    assert other.status is CreateLeaseStatus.SLOT_UNAVAILABLE


def counted(count: int) -> CheckAvailabilityOutcome:
    """Return the outcome of a count."""
    return CheckAvailabilityOutcome(CheckAvailabilityStatus.COUNTED, count)


async def test_check_availability_counts_what_create_lease_would_find(backend: Backend) -> None:
    """What looks free can be held, and what does not cannot (failure mode 24)."""
    store, slot = backend.store(), await backend.slot()
    assert await store.check_availability(slot, soon()) == counted(1)

    lease = await backend.create_lease(slot, for_ms=200)
    assert await store.check_availability(slot, soon()) == counted(0)
    await backend.wait_until(lease.expires_at_ms + 1)
    assert await store.check_availability(slot, soon()) == counted(1)

    await book(backend, slot, by=None)
    assert await store.check_availability(slot, soon()) == counted(0)
    assert await store.check_availability(replace(slot, start_s=0), soon()) == counted(0)
    far_s = slot.start_s + TERMS.max_advance_ms // 1000
    outcome = await store.check_availability(replace(slot, start_s=far_s), soon())
    assert outcome.status is CheckAvailabilityStatus.START_TOO_FAR


async def test_get_booking_of_nothing_is_none(backend: Backend) -> None:
    """A booking that nobody remembers is unknown."""
    assert await backend.store().get_booking(reference(merchant=backend.merchant), soon()) is None


@pytest.mark.parametrize(
    ("past_expiry_ms", "status"),
    [(-1, Status.CREATED), (0, Status.CREATED), (1, Status.LEASE_EXPIRED)],
)
async def test_create_booking_around_the_expiry(
    fake: Backend, fake_clock: FakeClock, past_expiry_ms: int, status: CreateBookingStatus
) -> None:
    """A hold is booked through its last millisecond, not in the next (failure mode 23)."""
    slot = await fake.slot()
    lease = await fake.create_lease(slot, for_ms=60_000)
    fake_clock.now_ms = lease.expires_at_ms + past_expiry_ms

    assert (await book(fake, slot)).status is status


async def test_create_booking_of_whatever_the_lease_holds(backend: Backend) -> None:
    """Without a slot of its own the booking takes that of the lease, for nobody in particular."""
    slot = await backend.slot(staff_id="anna", duration_s=5400)
    await backend.create_lease(slot)
    wanted: dict[str, Any] = {"api": "v0", "user_id": None}

    first = await book(backend, None, **wanted)
    again = await book(backend, None, **wanted)
    other = await book(backend, None, token="token-2", **wanted)

    assert first == CreateBookingOutcome(Status.CREATED, b"original \xff", slot)
    assert again == replace(first, status=Status.REPLAYED)
    assert other.status is Status.LEASE_CONSUMED_BY_USER
    assert await backend.owner(slot) == f"booking {ids.booking_suffix('v0', 'token-1')} nobody"
    assert await backend.redis.exists(keys.index_key("nobody")) == 0
    ends_at_ms = slot.start_ms + 5_400_000 + TERMS.booking_retention_ms
    remaining_ms = await backend.redis.pttl(keys.spot_key(slot, 1))
    assert abs(ends_at_ms - await backend.now_ms() - remaining_ms) < 1000


@pytest.mark.parametrize("with_leases", [False, True])
async def test_create_booking_raced_for_the_last_spot_makes_one_booking(
    backend: Backend, with_leases: bool
) -> None:
    """Of 200 callers, by leases or directly, one gets a booking (failure mode 19)."""
    slot = await backend.slot()
    if with_leases:
        await backend.create_lease(slot, "r-7")

    outcomes = await asyncio.gather(
        *(
            book(
                backend,
                slot,
                by=f"r-{n}" if with_leases and n == 7 else None,
                token=f"token-{n}",
                user_id=f"user-{n}",
            )
            for n in range(200)
        )
    )

    statuses = [outcome.status for outcome in outcomes]
    assert statuses.count(Status.CREATED) == 1
    winner = statuses.index(Status.CREATED)
    assert winner == 7 or not with_leases
    assert await backend.owner(slot) == owner_of(f"token-{winner}", f"user-{winner}")
