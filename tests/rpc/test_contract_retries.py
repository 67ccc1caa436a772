"""Contract 7, and the decisions of 6.2 on repeats and changes of bookings, row by row."""

from typing import Any

import pytest
from tests.calls import booking_request, failure_of
from tests.reference_store import ReferenceStore
from tests.rpc.conftest import FrontEnd
from tests.rpc.contract import (
    INVALID_ARGUMENT,
    Cause,
    book,
    book_failure,
    booking_id,
    cancel_request,
    count,
    lease,
    lease_id,
    move_request,
    update_failure,
    update_request,
)

from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as pb

DAY_S = 86_400


@pytest.mark.parametrize("call", ["book", "move", "cancel"])
async def test_t1_a_call_that_changes_state_may_be_sent_again(
    front: FrontEnd, store: ReferenceStore, call: str
) -> None:
    """CreateBooking and UpdateBooking repeated answer the same, and leave the same state."""
    now = store.now_ms
    made = await booking_id(front, now, staff="anna") if call != "book" else ""
    method, request = {
        "book": (front.v2.CreateBooking, booking_request(now)),
        "move": (front.v2.UpdateBooking, move_request(made, now // 1000 + 2 * DAY_S)),
        "cancel": (front.v2.UpdateBooking, cancel_request(made)),
    }[call]

    first = await method(request)
    after_one = repr((store.bookings, store.owners))
    second = await method(request)

    assert first.HasField("booking")
    assert second == first
    assert repr((store.bookings, store.owners)) == after_one


async def test_t2_a_successful_booking_repeated_gets_the_same_response(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """The same request and token get the same response, and make no second booking."""
    now = store.now_ms
    first = await book(front, now)
    store.now_ms += 3_600_000

    assert await book(front, now) == first
    assert len(store.bookings) == 1


@pytest.mark.parametrize("by_lease", [False, True])
async def test_t3_a_booking_that_failed_is_tried_afresh(
    front: FrontEnd, store: ReferenceStore, by_lease: bool
) -> None:
    """A refusal is not sticky: the same request succeeds once nothing is in its way."""
    now, held = store.now_ms, None
    if by_lease:
        held = await lease_id(front, now, for_ms=1000)
        wrong = await book_failure(front, now, lease_id=held, staff="anna")
        assert wrong.reason == "LEASE_SLOT_MISMATCH"
    else:
        await lease_id(front, now, for_ms=1000)
        assert (await book(front, now)).booking_failure.cause == Cause.SLOT_UNAVAILABLE
        store.now_ms = now + 1001

    assert (await book(front, now, lease_id=held)).booking.status == pb.CONFIRMED


async def test_t4_a_new_token_is_never_answered_with_an_older_booking(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """A new token is a new intent: a duplicate is refused, after a cancellation it books anew."""
    now = store.now_ms
    first = await booking_id(front, now)

    duplicate = await book(front, now, token="token-2")
    assert duplicate.booking_failure.cause == Cause.SLOT_ALREADY_BOOKED_BY_USER
    await front.v2.UpdateBooking(cancel_request(first))
    second = await booking_id(front, now, token="token-2")

    assert second != first
    status = await front.v2.GetBookingStatus(pb.GetBookingStatusRequest(booking_id=first))
    assert status.booking_status == pb.CANCELED


async def test_t5_an_update_is_known_by_its_booking_id_and_target_state(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """UpdateBooking has no token: the same target, asked for in other words, changes nothing."""
    now = store.now_ms
    made, other = await booking_id(front, now), await booking_id(front, now, staff="b", token="b")
    start_s = now // 1000 + 2 * DAY_S
    assert {it.name for it in pb.UpdateBookingRequest.DESCRIPTOR.fields} == {
        "update_mask",
        "booking",
    }

    moved = await front.v2.UpdateBooking(move_request(made, start_s))
    unmasked = update_request(made, slot={"start_time": {"seconds": start_s}})

    assert await front.v2.UpdateBooking(unmasked) == moved
    listed = await front.v2.ListBookings(pb.ListBookingsRequest(user_id="ada"))
    assert {it.booking_id: it.slot.start_time.seconds for it in listed.bookings} == {
        made: start_s,
        other: now // 1000 + DAY_S,
    }


async def test_t6_create_lease_is_keyed_by_the_user_reference(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """The reference alone tells a repeat from another user's request for the same slot."""
    first = await lease(front, store.now_ms, reference="one")

    assert await lease(front, store.now_ms, reference="one") == first
    other = await lease(front, store.now_ms, reference="two")
    assert other.booking_failure.cause == Cause.SLOT_UNAVAILABLE


@pytest.mark.parametrize(
    ("path", "booking", "changes"),
    [
        ("status", {"status": pb.NO_SHOW}, True),
        ("slot.start_time", {"slot": {"start_time": {"seconds": 1_800_172_800}}}, True),
        ("slot.duration", {"slot": {"duration": {"seconds": 900}}}, True),
        ("slot.resources.party_size", {"slot": {"resources": {"party_size": 4}}}, True),
        ("slot.merchant_id", {"slot": {"merchant_id": "salon-2"}}, False),
        ("slot.service_id", {"slot": {"service_id": "shave"}}, False),
        ("slot.resources.staff_id", {"slot": {"resources": {"staff_id": "eve"}}}, False),
        ("user_information", {"user_information": {"email": "eve@example.com"}}, False),
        ("payment_information", {"payment_information": {"prepayment_status": 3}}, False),
    ],
)
async def test_t9_an_update_changes_start_duration_status_or_party_size(
    front: FrontEnd, store: ReferenceStore, path: str, booking: dict[str, Any], changes: bool
) -> None:
    """Any other change is a cancellation and another booking: INVALID_ARGUMENT."""
    made = (await book(front, store.now_ms, staff="anna")).booking
    request = update_request(made.booking_id, path, **booking)

    if changes:
        updated = (await front.v2.UpdateBooking(request)).booking
        made.MergeFrom(pb.Booking(**booking))
        assert updated == made
    else:
        failure = await update_failure(front, request)
        assert (failure.code, list(failure.violations)) == (INVALID_ARGUMENT, ["update_mask"])


async def test_t10_the_acceptance_tests_of_the_documents_pass(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """A slot is filled up, refuses visibly, and its booking is moved and cancelled."""
    now = store.now_ms
    later_s = now // 1000 + 2 * DAY_S
    assert await count(front, now) == 1
    made = await booking_id(front, now)
    assert await count(front, now) == 0
    full = await book(front, now, token="token-2", user="eve")
    assert full.booking_failure.cause == Cause.SLOT_UNAVAILABLE
    assert full.booking_failure.description

    moved = await front.v2.UpdateBooking(move_request(made, later_s))
    assert moved.booking.slot.start_time.seconds == later_s
    assert (await count(front, now), await count(front, now, start_s=later_s)) == (1, 0)

    cancelled = await front.v2.UpdateBooking(cancel_request(made))
    assert cancelled.booking.status == pb.CANCELED
    assert await count(front, now, start_s=later_s) == 1


async def test_booking_replay_is_the_original_response_whatever_became_of_it(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """A repeat is answered before its lease is looked for, moved and cancelled bookings too."""
    now = store.now_ms
    held = await lease_id(front, now)
    first = await book(front, now, lease_id=held)
    made = first.booking.booking_id

    await front.v2.UpdateBooking(move_request(made, now // 1000 + 2 * DAY_S))
    assert await book(front, now, lease_id=held) == first
    await front.v2.UpdateBooking(cancel_request(made))
    assert await book(front, now, lease_id=held) == first
    store.leases.clear()
    assert await book(front, now, lease_id=held) == first


@pytest.mark.parametrize("other", ["slot", "lease", "user"])
async def test_booking_replay_with_another_intent_is_token_reused(
    front: FrontEnd, store: ReferenceStore, other: str
) -> None:
    """The same token with another slot, lease or user is INVALID_ARGUMENT."""
    now = store.now_ms
    request = booking_request(now, lease_id=await lease_id(front, now))
    await front.v2.CreateBooking(request)
    match other:
        case "slot":
            request.slot.resources.room_id = "2"
        case "lease":
            request.lease_ref.lease_id = await lease_id(front, now, reference="r-2", staff="b")
        case _:
            request.user_information.user_id = "eve"

    failure = await failure_of(front.v2.CreateBooking(request))

    assert (failure.code, failure.reason) == (INVALID_ARGUMENT, "TOKEN_REUSED")
    assert len(store.bookings) == 1


async def test_update_cancel_frees_the_spot_at_once_and_may_be_repeated(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """A repeat answers the cancelled booking, and does not touch who has the spot by then."""
    now = store.now_ms
    made = await booking_id(front, now)

    first = await front.v2.UpdateBooking(cancel_request(made))
    assert await count(front, now) == 1
    next_one = await booking_id(front, now, token="token-2", user="eve")

    assert await front.v2.UpdateBooking(cancel_request(made)) == first
    assert first.booking.status == pb.CANCELED
    status = await front.v2.GetBookingStatus(pb.GetBookingStatusRequest(booking_id=next_one))
    assert (status.booking_status, await count(front, now)) == (pb.CONFIRMED, 0)


@pytest.mark.parametrize("change", ["status", "start"])
async def test_update_cancel_is_final(front: FrontEnd, store: ReferenceStore, change: str) -> None:
    """Any other change of a cancelled booking is BOOKING_ALREADY_CANCELLED."""
    made = await booking_id(front, store.now_ms)
    await front.v2.UpdateBooking(cancel_request(made))
    request = (
        update_request(made, "status", status=pb.CONFIRMED)
        if change == "status"
        else move_request(made, store.now_ms // 1000 + 2 * DAY_S)
    )

    response = await front.v2.UpdateBooking(request)

    assert response.booking_failure.cause == Cause.BOOKING_ALREADY_CANCELLED
    assert not response.HasField("booking")


async def test_update_move_takes_the_new_spot_and_frees_the_old_one(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """A move is one step, and one onto the booking's own slot succeeds without a change."""
    now = store.now_ms
    here_s, there_s = now // 1000 + DAY_S, now // 1000 + 2 * DAY_S
    made = await booking_id(front, now)

    own = await front.v2.UpdateBooking(move_request(made, here_s))
    assert own.booking.slot.start_time.seconds == here_s
    assert (await count(front, now), await count(front, now, start_s=there_s)) == (0, 1)
    moved = await front.v2.UpdateBooking(move_request(made, there_s))
    assert moved.booking.slot.start_time.seconds == there_s
    assert (await count(front, now), await count(front, now, start_s=there_s)) == (1, 0)


async def test_update_move_that_is_refused_leaves_the_booking_as_it_was(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """A move onto a taken slot is SLOT_UNAVAILABLE, and changes nothing."""
    now = store.now_ms
    there_s = now // 1000 + 2 * DAY_S
    made = (await book(front, now)).booking
    await lease_id(front, now, start_s=there_s)
    before = repr((store.bookings, store.owners))

    response = await front.v2.UpdateBooking(move_request(made.booking_id, there_s))

    assert response.booking_failure.cause == Cause.SLOT_UNAVAILABLE
    assert repr((store.bookings, store.owners)) == before
    listed = await front.v2.ListBookings(pb.ListBookingsRequest(user_id="ada"))
    assert list(listed.bookings) == [made]
