"""Contract 6.2: our decisions on clocks and spots, row by row."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.backends import TERMS, Backend, real_backend
from tests.calls import booking_request, failure_of, lease_request
from tests.reference_store import ReferenceStore
from tests.rpc.conftest import FrontEnd
from tests.rpc.contract import (
    INVALID_ARGUMENT,
    UNKNOWN_ID,
    Cause,
    book,
    book_failure,
    booking_id,
    cancel_request,
    count,
    lease,
    lease_failure,
    lease_id,
    move_request,
    update_failure,
)
from tests.servers import RedisServer

from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as pb
from leasehold.model.store import LeaseStore

Serve = Callable[[LeaseStore], Any]
DAY_S = 86_400


async def test_order_of_judgement_of_create_lease(front: FrontEnd, store: ReferenceStore) -> None:
    """CreateLease judges shape, replay, reuse, clock, free spot, in this order."""
    now = store.now_ms
    first = await lease(front, now)
    bad = lease_request(now)
    bad.lease.slot.duration.seconds = 0

    assert (await failure_of(front.v2.CreateLease(bad))).reason == "INVALID_REQUEST"
    assert await lease(front, now, for_ms=-1) == first
    assert (await lease_failure(front, now, staff="anna", for_ms=-1)).reason == "REFERENCE_REUSED"
    late = await lease_failure(front, now, reference="reference-2", for_ms=-1)
    assert late.reason == "EXPIRY_TOO_SOON"
    taken = await lease(front, now, reference="reference-2")
    assert taken.booking_failure.cause == Cause.SLOT_UNAVAILABLE


async def test_order_of_judgement_of_create_booking(front: FrontEnd, store: ReferenceStore) -> None:
    """CreateBooking judges shape, replay, reuse, lease, slot, lease state, same user, clock."""
    now = store.now_ms
    held = await lease_id(front, now, for_ms=1000)
    made = await book(front, now, staff="anna")
    bad = booking_request(now, staff="anna", token="token-1")
    bad.user_information.email = ""

    assert (await failure_of(front.v2.CreateBooking(bad))).reason == "INVALID_REQUEST"
    assert (await book_failure(front, now, lease_id=UNKNOWN_ID)).reason == "TOKEN_REUSED"
    unknown = await book_failure(front, now, token="token-2", lease_id=UNKNOWN_ID)
    assert unknown.reason == "LEASE_UNKNOWN"
    store.now_ms = now + 1001
    other = await book_failure(front, now, token="token-2", lease_id=held, staff="anna")
    assert other.reason == "LEASE_SLOT_MISMATCH"
    store.now_ms = now + DAY_S * 1000
    ended = await book(front, now, token="token-2", staff="anna")
    assert ended.booking_failure.cause == Cause.SLOT_ALREADY_BOOKED_BY_USER
    assert await book(front, now, staff="anna") == made


async def test_order_of_judgement_of_update_booking(front: FrontEnd, store: ReferenceStore) -> None:
    """UpdateBooking judges shape, unknown booking, state, no change, clock, in this order."""
    now = store.now_ms
    start_s = now // 1000 + DAY_S
    made = await booking_id(front, now)
    shapeless = move_request(UNKNOWN_ID, 10**12)

    assert (await update_failure(front, shapeless)).reason == "INVALID_REQUEST"
    assert (await update_failure(front, move_request(UNKNOWN_ID, 0))).reason == "BOOKING_UNKNOWN"
    store.now_ms = start_s * 1000
    same = await front.v2.UpdateBooking(move_request(made, start_s))
    assert same.booking.booking_id == made
    past = await front.v2.UpdateBooking(move_request(made, start_s - 60))
    assert past.booking_failure.cause == Cause.SLOT_UNAVAILABLE
    await front.v2.UpdateBooking(cancel_request(made))
    state = await front.v2.UpdateBooking(move_request(made, start_s - 60))
    assert state.booking_failure.cause == Cause.BOOKING_ALREADY_CANCELLED


@pytest.mark.parametrize("wrong_by_s", [-3650 * DAY_S, 3650 * DAY_S])
async def test_clock_of_the_store_decides_whatever_the_pod_believes(
    serve: Serve, valkey: RedisServer, monkeypatch: pytest.MonkeyPatch, wrong_by_s: int
) -> None:
    """A pod whose clock is ten years off grants, refuses and counts by the clock of Redis."""
    async with real_backend(valkey) as backend:
        front = await serve(backend.store())
        now = await backend.now_ms()
        pods_clock = time.time
        monkeypatch.setattr(time, "time", lambda: pods_clock() + wrong_by_s)

        granted = await lease(front, now, merchant=backend.merchant, for_ms=60_000)
        failure = await lease_failure(
            front, now, merchant=backend.merchant, reference="reference-2", for_ms=-60_000
        )

        assert granted.lease.lease_expiration_time.ToMilliseconds() == now + 60_000
        assert failure.reason == "EXPIRY_TOO_SOON"
        assert await count(front, now, merchant=backend.merchant) == 0


async def test_what_held_means_is_said_by_the_slot_key_alone(
    serve: Serve, backend: Backend
) -> None:
    """A lease whose slot key is gone or another's has expired, whatever time its record says."""
    front, now, merchant = await serve(backend.store()), await backend.now_ms(), backend.merchant
    held = await lease_id(front, now, merchant=merchant)
    (spot,) = [key for key in await backend.dump() if key.startswith("slot:")]

    await backend.redis.delete(spot)
    assert await count(front, now, merchant=merchant) == 1
    for _ in ("gone", "another's"):
        booking = await book(front, now, merchant=merchant, lease_id=held)
        assert booking.booking_failure.cause == Cause.LEASE_EXPIRED
        replay = await lease(front, now, merchant=merchant)
        assert replay.booking_failure.cause == Cause.LEASE_EXPIRED
        await lease(front, now, merchant=merchant, reference="reference-2")


@pytest.mark.parametrize("ahead_ms", [-DAY_S * 1000, -1, 0, TERMS.min_lease_ms // 2])
async def test_past_deadline_is_no_grant_that_holds_nothing(
    serve: Serve, backend: Backend, ahead_ms: int
) -> None:
    """A deadline less than the minimum ahead of Redis' clock is refused, and keeps no key."""
    front, now = await serve(backend.store()), await backend.now_ms()

    failure = await lease_failure(front, now, merchant=backend.merchant, for_ms=ahead_ms)

    assert failure.reason == "EXPIRY_TOO_SOON"
    assert await backend.dump() == {}


@pytest.mark.parametrize(
    ("asked_ms", "start_in_s", "granted_ms"),
    [
        (60_007, DAY_S, 60_007),
        (10**9, DAY_S, TERMS.max_lease_ms),
        (600_000, 60, 60_000),
    ],
)
async def test_granted_expiry_is_the_earliest_of_three_as_stored(
    serve: Serve, fake: Backend, asked_ms: int, start_in_s: int, granted_ms: int
) -> None:
    """The response carries min(asked, longest lease, slot start), as Redis keeps it."""
    front, now = await serve(fake.store()), await fake.now_ms()
    start_s = now // 1000 + start_in_s

    response = await lease(front, now, merchant=fake.merchant, for_ms=asked_ms, start_s=start_s)

    assert response.lease.lease_expiration_time.ToMilliseconds() == now + granted_ms
    (remaining_ms,) = [
        it for key, (_, it) in (await fake.dump()).items() if key.startswith("slot:")
    ]
    assert remaining_ms == granted_ms


@pytest.mark.parametrize("asked", [None, (253_402_300_800, 0), (1_800_000_100, -1)])
async def test_asked_expiry_absent_or_unrepresentable_is_a_fault_of_shape(
    front: FrontEnd, store: ReferenceStore, asked: tuple[int, int] | None
) -> None:
    """An expiry that is absent or no timestamp is INVALID_ARGUMENT, named with other faults."""
    request = lease_request(store.now_ms, merchant="")
    expiry = request.lease.lease_expiration_time
    if asked is None:
        request.lease.ClearField("lease_expiration_time")
    else:
        expiry.seconds, expiry.nanos = asked

    failure = await failure_of(front.v2.CreateLease(request))

    assert (failure.code, failure.reason) == (INVALID_ARGUMENT, "INVALID_REQUEST")
    assert set(failure.violations) == {"lease.slot.merchant_id", "lease.lease_expiration_time"}


@pytest.mark.parametrize("ahead_ms", [-DAY_S * 1000, TERMS.min_lease_ms - 1])
async def test_asked_expiry_past_names_the_field_and_writes_nothing(
    front: FrontEnd, store: ReferenceStore, ahead_ms: int
) -> None:
    """An expiry past, or nearer than the shortest lease, is INVALID_ARGUMENT."""
    failure = await lease_failure(front, store.now_ms, for_ms=ahead_ms)

    assert failure.code is INVALID_ARGUMENT
    assert list(failure.violations) == ["lease.lease_expiration_time"]
    assert (store.leases, store.owners) == ({}, {})


@pytest.mark.parametrize("before_start_ms", [TERMS.min_lease_ms - 1, -1, -DAY_S * 1000])
async def test_slot_start_past_is_slot_unavailable_for_all_but_a_held_lease(
    front: FrontEnd, store: ReferenceStore, before_start_ms: int
) -> None:
    """A slot that has begun, or is about to, is no longer held, booked, counted or moved to."""
    now = store.now_ms
    start_s = now // 1000 + DAY_S
    made = await booking_id(front, now, staff="anna", start_s=start_s + 2 * DAY_S)
    store.now_ms = start_s * 1000 - before_start_ms

    held = await lease(front, store.now_ms, start_s=start_s)
    booked = await book(front, store.now_ms, token="token-2", user="eve", start_s=start_s)
    moved = await front.v2.UpdateBooking(move_request(made, start_s))

    for response in (held, booked, moved):
        assert response.booking_failure.cause == Cause.SLOT_UNAVAILABLE
    assert await count(front, store.now_ms, start_s=start_s) == 0


async def test_slot_start_past_does_not_end_a_held_lease(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """A held lease may be booked until it lapses, however near its slot has come."""
    now = store.now_ms
    held = await lease_id(front, now, start_s=now // 1000 + 60, for_ms=600_000)
    store.now_ms = now + 60_000

    assert await booking_id(front, now, start_s=now // 1000 + 60, lease_id=held)


async def test_slot_start_too_far_is_invalid_argument_everywhere(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """No slot beyond LEASEHOLD_MAX_ADVANCE_S is held, booked, counted or moved to."""
    now = store.now_ms
    far_s = (now + TERMS.max_advance_ms) // 1000
    made = await booking_id(front, now, user="eve")
    await lease_id(front, now, start_s=far_s)
    far_s += 1
    check = pb.CheckAvailabilityRequest(slot=lease_request(now, start_s=far_s).lease.slot)

    failures = [
        await lease_failure(front, now, start_s=far_s, reference="reference-2"),
        await book_failure(front, now, start_s=far_s, token="token-2"),
        await failure_of(front.v2.CheckAvailability(check)),
        await update_failure(front, move_request(made, far_s)),
    ]

    for failure, path in zip(failures, ("lease.slot", "slot", "slot", "booking.slot"), strict=True):
        assert (failure.code, failure.reason) == (INVALID_ARGUMENT, "START_TOO_FAR")
        assert list(failure.violations) == [f"{path}.start_time"]


@pytest.mark.parametrize("user", ["ada", "eve"])
async def test_consumed_lease_other_token_says_whose_the_booking_is(
    front: FrontEnd, store: ReferenceStore, user: str
) -> None:
    """The user of a standing booking has it already; anybody else finds the slot taken."""
    now = store.now_ms
    held = await lease_id(front, now)
    made = await booking_id(front, now, lease_id=held)

    async def cause() -> int:
        response = await book(front, now, lease_id=held, token="token-2", user=user)
        return response.booking_failure.cause

    has_it = Cause.SLOT_ALREADY_BOOKED_BY_USER if user == "ada" else Cause.SLOT_UNAVAILABLE
    assert await cause() == has_it
    await front.v2.UpdateBooking(cancel_request(made))
    assert await cause() == Cause.SLOT_UNAVAILABLE


async def test_expired_lease_booking_is_lease_expired_even_if_the_slot_is_free(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """A booking that comes after its lease has ended takes nothing, free or taken again."""
    now = store.now_ms
    held = await lease_id(front, now, for_ms=1000)
    store.now_ms = now + 1001

    for free in (1, 0):
        assert await count(front, now) == free
        response = await book(front, now, lease_id=held)
        assert response.booking_failure.cause == Cause.LEASE_EXPIRED
        await lease(front, now, reference="reference-2")
    assert store.bookings == {}


@pytest.mark.parametrize("other", [{"staff": "anna"}, {"merchant": "salon-2"}])
async def test_lease_slot_mismatch_leaves_the_lease_intact(
    front: FrontEnd, store: ReferenceStore, other: dict[str, str]
) -> None:
    """A slot that is not the leased one, or of another merchant, is INVALID_ARGUMENT."""
    now = store.now_ms
    held = await lease_id(front, now)

    failure = await book_failure(front, now, lease_id=held, **other)

    assert (failure.code, failure.reason) == (INVALID_ARGUMENT, "LEASE_SLOT_MISMATCH")
    assert await count(front, now, **other) == 1
    assert await booking_id(front, now, lease_id=held)


async def test_booking_without_spot_says_whether_it_is_the_users_own(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """Without a lease a held or booked slot is unavailable, and one's own is booked already."""
    now = store.now_ms
    await lease_id(front, now, staff="held")
    await booking_id(front, now, user="ada")

    held = await book(front, now, token="token-2", staff="held")
    own = await book(front, now, token="token-2", user="ada")
    others = await book(front, now, token="token-2", user="eve")

    assert held.booking_failure.cause == Cause.SLOT_UNAVAILABLE
    assert own.booking_failure.cause == Cause.SLOT_ALREADY_BOOKED_BY_USER
    assert others.booking_failure.cause == Cause.SLOT_UNAVAILABLE


@pytest.mark.parametrize("state", ["free", "held", "lapsed", "booked", "cancelled"])
async def test_count_available_agrees_with_create_lease(
    serve: Serve, backend: Backend, state: str
) -> None:
    """The count is the spots less live holds and bookings: what CreateLease would find now."""
    front, now, mine = await serve(backend.store()), await backend.now_ms(), backend.merchant
    if state in ("held", "lapsed"):
        await lease_id(front, now, merchant=mine, for_ms=1000 if state == "lapsed" else 60_000)
    if state in ("booked", "cancelled"):
        made = await booking_id(front, now, merchant=mine)
    if state == "lapsed":
        await backend.wait_until(now + 1001)
    if state == "cancelled":
        await front.v2.UpdateBooking(cancel_request(made))

    counted = await count(front, now, merchant=mine)
    response = await lease(front, now, merchant=mine, reference="reference-2")

    assert counted == int(state not in ("held", "booked"))
    assert response.HasField("lease") == bool(counted)
