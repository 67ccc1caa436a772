from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from tests.backends import TERMS
from tests.calls import failure_of
from tests.calls import lease_request as v2_lease_request
from tests.reference_store import ReferenceStore
from tests.rpc.conftest import FrontEnd
from tests.rpc.contract import UNKNOWN_ID, FailingStore
from tests.rpc.legacy import (
    DAY_S,
    booking_request,
    held,
    lease_request,
    made,
    move_request,
    status_request,
)

from leasehold.generated.ext.maps.booking.partner.v0 import booking_service_pb2 as pb
from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as v2
from leasehold.model import ids
from leasehold.model.booking import (
    BookingStatus,
    CreateBooking,
    CreateBookingOutcome,
    CreateBookingStatus,
)
from leasehold.model.deadline import Deadline
from leasehold.model.errors import OverloadedError
from leasehold.model.store import LeaseStore

Code = grpc.StatusCode


async def test_l4_v0_lease_comes_back_as_it_was_sent(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """Resources come back present when they were sent, and absent when not."""
    request = lease_request(store.now_ms, for_ms=TERMS.max_lease_ms + 5)
    plain = await front.v0.CreateLease(request)
    assert not plain.lease.HasField("resources")

    request.lease.resources.room_id = "2"
    request.lease.client_reference = "reference-2"
    request.lease.lease_id = "ignored"
    request.lease.availability_tag = "tag"
    response = await front.v0.CreateLease(request)

    expected = pb.CreateLeaseResponse(lease=request.lease)
    expected.lease.lease_id = ids.wire_id("salon-1", ids.lease_suffix("reference-2"))
    expected.lease.lease_expiration_time.FromMilliseconds(store.now_ms + TERMS.max_lease_ms)
    assert response == expected


async def test_store_trouble_of_our_own_full_queue_has_a_code_of_its_own_in_each_version(
    serve: Callable[[LeaseStore], Any], store: ReferenceStore
) -> None:
    """RESOURCE_EXHAUSTED in v2; UNAVAILABLE in v0, where that code means a taken slot."""
    front = await serve(FailingStore(OverloadedError()))

    v2_failure = await failure_of(front.v2.CreateLease(v2_lease_request(store.now_ms)))
    v0_failure = await failure_of(front.v0.CreateLease(lease_request(store.now_ms)))

    assert (v2_failure.code, v0_failure.code) == (Code.RESOURCE_EXHAUSTED, Code.UNAVAILABLE)
    for failure in (v2_failure, v0_failure):
        assert failure.reason == "OVERLOADED"
        assert failure.detail(error_details_pb2.RetryInfo).retry_delay.seconds > 0


async def test_one_key_space_for_clients_of_both_versions(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """A slot held through one version is taken for the other."""
    await held(front, store.now_ms)
    response = await front.v2.CreateLease(v2_lease_request(store.now_ms, reference="r-2"))
    assert response.booking_failure.cause == v2.BookingFailure.SLOT_UNAVAILABLE

    store.now_ms += 60_001
    await front.v2.CreateLease(v2_lease_request(store.now_ms, reference="r-3"))
    failure = await failure_of(front.v0.CreateLease(lease_request(store.now_ms, reference="r-4")))
    assert (failure.code, failure.reason) == (Code.RESOURCE_EXHAUSTED, "SLOT_UNAVAILABLE")


@pytest.mark.parametrize("moves", [True, False])
async def test_v0_create_lease_resource_exhausted_once_its_booking_left_the_slot(
    front: FrontEnd, store: ReferenceStore, moves: bool
) -> None:
    """A repeat is the same lease only while its booking stands on the slot (failure mode 50)."""
    now = store.now_ms
    first = await front.v0.CreateLease(lease_request(now))
    booked = await front.v0.CreateBooking(booking_request(first.lease.lease_id))
    assert await front.v0.CreateLease(lease_request(now)) == first

    booking_id, later_s = booked.booking.booking_id, now // 1000 + 2 * DAY_S
    cancel = status_request(booking_id, pb.CANCELED)
    await front.v0.UpdateBooking(move_request(booking_id, later_s) if moves else cancel)

    failure = await failure_of(front.v0.CreateLease(lease_request(now)))
    assert (failure.code, failure.reason) == (Code.RESOURCE_EXHAUSTED, "LEASE_EXPIRED")


async def test_v0_create_lease_resource_exhausted_when_the_slot_is_gone(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """Gone slots are RESOURCE_EXHAUSTED, the caller's mistakes INVALID_ARGUMENT."""
    request = lease_request(store.now_ms, for_ms=1000)
    await front.v0.CreateLease(request)
    other = lease_request(store.now_ms)
    other.lease.service_id = "shave"
    failure = await failure_of(front.v0.CreateLease(other))
    assert (failure.code, failure.reason) == (Code.INVALID_ARGUMENT, "REFERENCE_REUSED")

    failure = await failure_of(
        front.v0.CreateLease(lease_request(store.now_ms, reference="2", for_ms=-1))
    )
    assert (failure.code, failure.reason) == (Code.INVALID_ARGUMENT, "EXPIRY_TOO_SOON")

    store.now_ms += 1001
    failure = await failure_of(front.v0.CreateLease(request))
    assert (failure.code, failure.reason) == (Code.RESOURCE_EXHAUSTED, "LEASE_EXPIRED")


async def test_v0_create_lease_invalid_argument_names_every_missing_field(front: FrontEnd) -> None:
    """Faults bear the paths of v0."""
    failure = await failure_of(front.v0.CreateLease(pb.CreateLeaseRequest()))

    names = (
        "merchant_id",
        "service_id",
        "start_time",
        "duration",
        "client_reference",
        "lease_expiration_time",
    )
    assert failure.violations == dict.fromkeys(
        ["lease", *(f"lease.{name}" for name in names)], "is required"
    )


async def test_l7_v0_booking_takes_the_slot_of_the_lease(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """The booking has the lease's slot, the client's data and v0's number for CONFIRMED."""
    lease_id = await held(front, store.now_ms)
    request = booking_request(lease_id)

    response = await front.v0.CreateBooking(request)

    expected = pb.CreateBookingResponse()
    booking = expected.booking
    booking.booking_id = ids.wire_id("salon-1", ids.booking_suffix("v0", lease_id))
    booking.merchant_id, booking.service_id = "salon-1", "haircut"
    booking.start_time.seconds = store.now_ms // 1000 + DAY_S
    booking.duration.seconds = 1800
    booking.client_information.CopyFrom(request.client_information)
    booking.payment_information.CopyFrom(request.payment_information)
    booking.status = pb.CONFIRMED
    assert response == expected


async def test_v0_create_booking_key_is_the_lease_id_even_after_a_move(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """The lease id is the token of v0: a repeat answers the booking as it was made."""
    request = booking_request(await held(front, store.now_ms))
    first = await front.v0.CreateBooking(request)
    later_s = first.booking.start_time.seconds + 3600
    await front.v0.UpdateBooking(move_request(first.booking.booking_id, later_s))

    assert await front.v0.CreateBooking(request) == first
    assert len(store.bookings) == 1


@pytest.mark.parametrize("lease_id", [UNKNOWN_ID, "?"])
async def test_v0_create_booking_not_found_for_an_unknown_lease(
    front: FrontEnd, lease_id: str
) -> None:
    """A lease id that we never gave out is NOT_FOUND."""
    failure = await failure_of(front.v0.CreateBooking(booking_request(lease_id)))

    assert failure.code is Code.NOT_FOUND


async def test_l10_v0_expired_lease_is_not_found(front: FrontEnd, store: ReferenceStore) -> None:
    """v0 has no word for an expired lease."""
    request = booking_request(await held(front, store.now_ms, for_ms=1000))
    store.now_ms += 1001

    assert (await failure_of(front.v0.CreateBooking(request))).code is Code.NOT_FOUND


async def test_v0_create_booking_already_exists_when_v2_booked_the_lease(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """Versions share their leases: one that became a v2 booking is spent for v0."""
    lease_id = await held(front, store.now_ms)
    request = v2.CreateBookingRequest(idempotency_token="t", lease_ref={"lease_id": lease_id})
    request.slot.CopyFrom(v2_lease_request(store.now_ms).lease.slot)
    user = request.user_information
    user.user_id, user.given_name, user.family_name = "ada", "Ada", "Lovelace"
    user.telephone, user.email = "+44", "ada@example.com"
    await front.v2.CreateBooking(request)

    failure = await failure_of(front.v0.CreateBooking(booking_request(lease_id)))

    assert (failure.code, failure.reason) == (Code.ALREADY_EXISTS, "ALREADY_BOOKED")


async def test_v0_create_booking_invalid_argument_names_every_missing_field(
    front: FrontEnd,
) -> None:
    """A lease, and a telephone number, are required."""
    failure = await failure_of(front.v0.CreateBooking(pb.CreateBookingRequest()))

    assert failure.violations == dict.fromkeys(
        ["lease_ref.lease_id", "client_information", "client_information.telephone"], "is required"
    )


async def test_update_cancel_has_v0_numbers_and_may_be_repeated(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """CANCELED is 4 in v0; cancelling twice answers the cancelled booking again."""
    booking = await made(front, store.now_ms)
    request = status_request(booking.booking_id, 4)

    first = await front.v0.UpdateBooking(request)
    again = await front.v0.UpdateBooking(request)

    booking.status = pb.CANCELED
    assert first.booking == again.booking == booking
    assert {made.status for made in store.bookings.values()} == {BookingStatus.CANCELED}


async def test_v0_update_booking_not_found_or_resource_exhausted_when_it_cannot_be_moved(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """A taken slot is RESOURCE_EXHAUSTED, what the rules forbid INVALID_ARGUMENT."""
    booking = await made(front, store.now_ms)
    later_s = booking.start_time.seconds + 3600
    await front.v2.CreateLease(v2_lease_request(store.now_ms, reference="r-2", start_s=later_s))
    move = move_request(booking.booking_id, later_s)
    failure = await failure_of(front.v0.UpdateBooking(move))
    assert (failure.code, failure.reason) == (Code.RESOURCE_EXHAUSTED, "SLOT_UNAVAILABLE")

    await front.v0.UpdateBooking(status_request(booking.booking_id, 4))
    failure = await failure_of(front.v0.UpdateBooking(move))
    assert (failure.code, failure.reason) == (Code.INVALID_ARGUMENT, "BOOKING_ALREADY_CANCELLED")


@pytest.mark.parametrize("booking_id", [UNKNOWN_ID, UNKNOWN_ID.lower(), "salon-1", "?"])
async def test_v0_update_booking_not_found_or_resource_exhausted_for_an_unknown_booking(
    front: FrontEnd, booking_id: str
) -> None:
    """A booking id that we never gave out, well spelled or not, is NOT_FOUND."""
    for request in (status_request(booking_id, 4), move_request(booking_id, 1)):
        failure = await failure_of(front.v0.UpdateBooking(request))
        assert (failure.code, failure.reason) == (Code.NOT_FOUND, "BOOKING_UNKNOWN")


async def test_v0_update_booking_invalid_argument_without_a_mask_of_v0(front: FrontEnd) -> None:
    """In v0 the mask is required, and has v0's paths."""
    request = pb.UpdateBookingRequest(booking={"status": 3})
    request.update_mask.paths.extend(["slot.start_time", "status"])
    failure = await failure_of(front.v0.UpdateBooking(request))
    assert set(failure.violations) == {"update_mask", "booking.status", "booking.booking_id"}

    failure = await failure_of(front.v0.UpdateBooking(pb.UpdateBookingRequest()))
    assert set(failure.violations) == {"update_mask", "booking.booking_id"}


async def test_v0_create_lease_already_exists_never_arises(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """v0 names a client by its reference only: the same one on the same slot is a repeat."""
    first = await front.v0.CreateLease(lease_request(store.now_ms))

    assert await front.v0.CreateLease(lease_request(store.now_ms)) == first


async def test_v0_create_booking_resource_exhausted_stands_for_a_lost_slot(
    serve: Callable[[LeaseStore], Any], store: ReferenceStore
) -> None:
    """A held lease keeps its spot, so only a store that says otherwise can show this code."""

    class LosingStore(ReferenceStore):
        async def create_booking(
            self, _command: CreateBooking, _deadline: Deadline
        ) -> CreateBookingOutcome:
            return CreateBookingOutcome(CreateBookingStatus.SLOT_UNAVAILABLE)

    front = await serve(LosingStore(store.terms, store.now_ms))
    request = booking_request(UNKNOWN_ID)

    failure = await failure_of(front.v0.CreateBooking(request))

    assert (failure.code, failure.reason) == (Code.RESOURCE_EXHAUSTED, "SLOT_UNAVAILABLE")
