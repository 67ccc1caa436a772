"""Contract 6.1, and the decisions of 6.2 on references and repeated leases, row by row."""

from typing import Any, cast

import grpc
import pytest
from google.protobuf.message import Message
from tests.backends import TERMS
from tests.calls import SERVICE, booking_request, failure_of, lease_request
from tests.reference_store import ReferenceStore
from tests.rpc.conftest import FrontEnd
from tests.rpc.contract import (
    INVALID_ARGUMENT,
    NOT_FOUND,
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
)

from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as pb


async def test_l1_a_free_slot_is_held_until_the_expiry_and_then_free_by_itself(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """CreateLease holds a valid and free slot until its expiration time, when it lapses."""
    now = store.now_ms
    assert (await lease_failure(front, now, merchant="")).code is INVALID_ARGUMENT
    assert await count(front, now) == 1
    response = await lease(front, now, for_ms=60_000)
    assert response.lease.lease_expiration_time.ToMilliseconds() == now + 60_000

    store.now_ms = now + 60_000
    assert await count(front, now) == 0
    store.now_ms += 1
    assert await count(front, now) == 1
    await lease_id(front, now, reference="reference-2", for_ms=120_000)


async def test_l2_the_lease_id_is_the_partners_own(front: FrontEnd, store: ReferenceStore) -> None:
    """A lease_id in the request is ignored: the partner makes one and returns it."""
    request = lease_request(store.now_ms)
    request.lease.lease_id = "chosen-by-the-client"

    response = await front.v2.CreateLease(request)

    assert response.lease.lease_id not in ("", "chosen-by-the-client")
    assert response.lease.lease_id == await lease_id(front, store.now_ms)
    await booking_id(front, store.now_ms, lease_id=response.lease.lease_id)


@pytest.mark.parametrize(
    ("asked_ms", "granted_ms"), [(60_000, 60_000), (10**9, TERMS.max_lease_ms)]
)
async def test_l3_the_expiry_is_in_the_response_and_may_be_another_than_asked(
    front: FrontEnd, store: ReferenceStore, asked_ms: int, granted_ms: int
) -> None:
    """The response carries lease_expiration_time, cut where too long a time was asked for."""
    response = await lease(front, store.now_ms, for_ms=asked_ms)

    assert response.lease.lease_expiration_time.ToMilliseconds() == store.now_ms + granted_ms


@pytest.mark.parametrize("staff", [None, "", "anna"])
async def test_l4_the_lease_echoes_every_field_and_the_presence_of_resources(
    front: FrontEnd, store: ReferenceStore, staff: str | None
) -> None:
    """Slot, times, tag and reference come back equal; resources are there just when sent."""
    request = lease_request(store.now_ms, staff=staff)
    request.lease.slot.availability_tag = "tag"

    response = await front.v2.CreateLease(request)

    assert response.lease.slot.HasField("resources") == (staff is not None)
    assert response.lease.lease_id
    response.lease.ClearField("lease_id")
    assert response == pb.CreateLeaseResponse(lease=request.lease)


async def test_l5_the_user_reference_is_the_idempotency_key(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """A repeat with the same user_reference gets the same lease, and makes no second one."""
    first = await lease(front, store.now_ms)

    assert await lease(front, store.now_ms) == first
    assert len(store.leases) == len(store.owners) == 1
    other = await lease(front, store.now_ms, reference="reference-2")
    assert other.booking_failure.cause == Cause.SLOT_UNAVAILABLE


async def test_l6_a_refusal_carries_booking_failure_and_no_lease(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """On a business failure the response has booking_failure set and lease unset."""
    granted = await lease(front, store.now_ms)
    refused = await lease(front, store.now_ms, reference="reference-2")

    assert (granted.HasField("lease"), granted.HasField("booking_failure")) == (True, False)
    assert (refused.HasField("lease"), refused.HasField("booking_failure")) == (False, True)
    assert refused.booking_failure.cause != Cause.CAUSE_UNSPECIFIED


@pytest.mark.parametrize("user", ["ada", "eve"])
async def test_l7_a_booking_consumes_its_lease(
    front: FrontEnd, store: ReferenceStore, user: str
) -> None:
    """A lease that became a booking serves no further one, whoever asks."""
    held = await lease_id(front, store.now_ms)
    await booking_id(front, store.now_ms, lease_id=held)

    again = await book(front, store.now_ms, lease_id=held, token="token-2", user=user)

    assert again.HasField("booking_failure")
    assert len(store.bookings) == 1


@pytest.mark.parametrize("change", ["start", "duration", "service", "staff", "absent"])
async def test_l8_the_slot_of_the_booking_must_equal_the_leased_slot(
    front: FrontEnd, store: ReferenceStore, change: str
) -> None:
    """With a lease CreateBooking carries the slot too, and the partner verifies it."""
    request = booking_request(store.now_ms, lease_id=await lease_id(front, store.now_ms))
    match change:
        case "start":
            request.slot.start_time.seconds += 60
        case "duration":
            request.slot.duration.seconds += 60
        case "service":
            request.slot.service_id = "shave"
        case "staff":
            request.slot.resources.staff_id = "anna"
        case _:
            request.ClearField("slot")

    failure = await failure_of(front.v2.CreateBooking(request))

    assert failure.code is INVALID_ARGUMENT
    assert "slot" in failure.violations
    assert store.bookings == {}


async def test_l9_an_unknown_lease_id_is_not_found(front: FrontEnd, store: ReferenceStore) -> None:
    """A lease id that was never given out is NOT_FOUND, also beside a lease that is held."""
    held = await lease_id(front, store.now_ms)

    failure = await book_failure(front, store.now_ms, lease_id=UNKNOWN_ID)

    assert failure.code is NOT_FOUND
    assert (await book(front, store.now_ms, lease_id=held)).HasField("booking")


@pytest.mark.parametrize(("late_ms", "refused"), [(0, False), (1, True)])
async def test_l10_an_expired_lease_is_lease_expired(
    front: FrontEnd, store: ReferenceStore, late_ms: int, refused: bool
) -> None:
    """From its expiry on a lease is answered with LEASE_EXPIRED in booking_failure."""
    now = store.now_ms
    held = await lease_id(front, now, for_ms=1000)
    store.now_ms = now + 1000 + late_ms

    response = await book(front, now, lease_id=held)

    assert response.HasField("booking") is not refused
    assert response.booking_failure.cause == (Cause.LEASE_EXPIRED if refused else 0)


async def test_l11_a_lease_blocks_other_users(front: FrontEnd, store: ReferenceStore) -> None:
    """While the user types, nobody else can hold or book the slot, and it shows no free spot."""
    now = store.now_ms
    held = await lease_id(front, now)

    other_lease = await lease(front, now, reference="reference-2")
    other_booking = await book(front, now, token="token-2", user="eve")

    assert other_lease.booking_failure.cause == Cause.SLOT_UNAVAILABLE
    assert other_booking.booking_failure.cause == Cause.SLOT_UNAVAILABLE
    assert await count(front, now) == 0
    assert (await book(front, now, lease_id=held)).HasField("booking")


@pytest.mark.parametrize(
    "method", [it.name for it in pb.DESCRIPTOR.services_by_name["BookingService"].methods]
)
async def test_l12_the_whole_v2_set_is_there(front: FrontEnd, method: str) -> None:
    """Beside the lease every method of the recommended v2 set judges its request."""
    failure = await failure_of(front.raw(f"/{SERVICE}/{method}")(b""))

    assert failure.code is grpc.StatusCode.INVALID_ARGUMENT


async def test_l13_user_data_arrive_only_at_create_booking(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """A lease is granted without a user, and CreateLease has no field for one."""
    assert "UserInformation" not in _messages(pb.CreateLeaseRequest)
    assert "UserInformation" in _messages(pb.CreateBookingRequest)

    request = booking_request(store.now_ms, lease_id=await lease_id(front, store.now_ms))
    request.ClearField("user_information")
    failure = await failure_of(front.v2.CreateBooking(request))
    assert list(failure.violations) == ["user_information"]


def _messages(kind: type[Message]) -> set[str]:
    """Return the names of a message and of all that it can hold."""
    found, waiting = set(), [cast("Any", kind.DESCRIPTOR)]
    while waiting:
        descriptor = waiting.pop()
        found.add(str(descriptor.name))
        waiting += [field.message_type for field in descriptor.fields if field.message_type]
    return found


@pytest.mark.parametrize(
    ("field", "value", "is_another"),
    [
        ("merchant_id", "salon-2", True),
        ("service_id", "shave", True),
        ("start_time", {"seconds": 1_800_086_460}, True),
        ("duration", {"seconds": 1860}, True),
        ("resources", {"staff_id": "anna"}, True),
        ("resources", {"room_id": "1"}, True),
        ("resources", {"party_size": 2}, True),
        ("resources", {}, False),
        ("availability_tag", "tag", False),
    ],
)
async def test_slot_identity_is_made_of_seven_fields(
    front: FrontEnd, store: ReferenceStore, field: str, value: Any, is_another: bool
) -> None:
    """Every field of a slot but its tag makes another slot; absent resources are empty ones."""
    await lease_id(front, store.now_ms)
    request = lease_request(store.now_ms, reference="reference-2")
    request.lease.slot.MergeFrom(pb.Slot(**{field: value}))

    response = await front.v2.CreateLease(request)

    assert response.HasField("lease") == is_another
    assert response.booking_failure.cause == (0 if is_another else Cause.SLOT_UNAVAILABLE)


async def test_scope_of_references_and_tokens_is_the_merchant_and_the_domain(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """One text serves as reference and token of two merchants, and no id passes for another."""
    now, lease_ids, booking_ids = store.now_ms, set(), set()
    for merchant in ("salon-1", "salon-2"):
        lease_ids.add(await lease_id(front, now, merchant=merchant, reference="one"))
        slot = {"merchant": merchant, "staff": "anna"}
        booking_ids.add(await booking_id(front, now, token="one", **slot))

    assert len(lease_ids | booking_ids) == 4
    for it in booking_ids:
        failure = await book_failure(front, now, lease_id=it, token="two")
        assert failure.reason in ("LEASE_UNKNOWN", "LEASE_SLOT_MISMATCH")
    for it in lease_ids:
        status = pb.GetBookingStatusRequest(booking_id=it)
        assert (await failure_of(front.v2.GetBookingStatus(status))).code is NOT_FOUND


@pytest.mark.parametrize("asks_ms", [-1, 1000, 10**9])
async def test_lease_replay_held_echoes_the_repeat_with_the_stored_expiry(
    front: FrontEnd, store: ReferenceStore, asks_ms: int
) -> None:
    """A repeat gets its own echo with the stored lease_id and expiry, whatever it asks for."""
    first = await lease(front, store.now_ms, for_ms=60_000)
    repeat = lease_request(store.now_ms, for_ms=asks_ms)
    repeat.lease.slot.availability_tag = "of the repeat"

    response = await front.v2.CreateLease(repeat)

    first.lease.slot.availability_tag = "of the repeat"
    assert response == first
    assert len(store.leases) == 1


async def test_lease_replay_consumed_gets_the_lost_answer_again(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """A repeat after the booking is answered as before, past its expiry too, while that stands."""
    now = store.now_ms
    first = await lease(front, now, for_ms=1000)
    made = await booking_id(front, now, lease_id=first.lease.lease_id)
    assert await lease(front, now, for_ms=1000) == first

    store.now_ms = now + 1001
    assert await lease(front, now, for_ms=1000) == first
    await front.v2.UpdateBooking(cancel_request(made))
    refused = (await lease(front, now, for_ms=1000)).booking_failure
    assert refused.cause == Cause.LEASE_EXPIRED
    assert await count(front, now) == 1


async def test_lease_replay_ended_is_lease_expired_while_it_is_remembered(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """A reference makes at most one lease; once forgotten it is treated as new."""
    now = store.now_ms
    await lease_id(front, now, for_ms=1000)

    for late_ms in (1, TERMS.retention_ms):
        store.now_ms = now + 1000 + late_ms
        response = await lease(front, now, for_ms=1000)
        assert response.booking_failure.cause == Cause.LEASE_EXPIRED
        assert await count(front, now) == 1
    store.now_ms += 1
    assert await lease_id(front, now, for_ms=2 * TERMS.retention_ms)


async def test_reference_reused_for_another_slot_makes_no_second_hold(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """The same reference on another slot is INVALID_ARGUMENT, and its first lease untouched."""
    first = await lease(front, store.now_ms)

    failure = await lease_failure(front, store.now_ms, staff="anna")

    assert (failure.code, failure.reason) == (INVALID_ARGUMENT, "REFERENCE_REUSED")
    assert await count(front, store.now_ms, staff="anna") == 1
    assert await lease(front, store.now_ms) == first


async def test_refused_lease_repeated_is_judged_afresh(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """A refusal is not remembered: the same request is granted once the slot is free."""
    now = store.now_ms
    await lease_id(front, now, for_ms=1000)
    refused = await lease(front, now, reference="reference-2")
    store.now_ms = now + 1001
    granted = await lease(front, now, reference="reference-2")

    assert refused.HasField("booking_failure")
    assert granted.HasField("lease")


async def test_expired_versus_unknown_are_told_apart_for_one_retention(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """The record of a lease outlives its hold by the retention, and then it is unknown."""
    now = store.now_ms
    held = await lease_id(front, now, for_ms=1000)

    store.now_ms = now + 1000 + TERMS.retention_ms
    expired = await book(front, now, lease_id=held)
    store.now_ms += 1
    unknown = await book_failure(front, now, lease_id=held)

    assert expired.booking_failure.cause == Cause.LEASE_EXPIRED
    assert unknown.code is NOT_FOUND


async def test_expired_versus_unknown_a_consumed_lease_is_kept_with_its_booking(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """A reused reference never meets an older booking: both records end together."""
    now = store.now_ms
    first = await lease(front, now, for_ms=1000)
    made = await booking_id(front, now, lease_id=first.lease.lease_id)
    status = pb.GetBookingStatusRequest(booking_id=made)
    ends_at_ms = now // 1000 * 1000 + 86_400_000 + 1_800_000 + TERMS.booking_retention_ms

    store.now_ms = ends_at_ms
    assert await lease(front, now, for_ms=1000) == first
    assert (await front.v2.GetBookingStatus(status)).booking_status == pb.CONFIRMED
    store.now_ms += 1
    assert (await lease_failure(front, now, for_ms=1000)).reason == "EXPIRY_TOO_SOON"
    assert (await failure_of(front.v2.GetBookingStatus(status))).code is NOT_FOUND
