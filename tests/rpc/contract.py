"""What the tests of the contract's rows share: a call of each method, and stores that fail."""

from typing import Any

import grpc
from tests.calls import Failure, booking_request, failure_of, lease_request
from tests.reference_store import ReferenceStore
from tests.rpc.conftest import FrontEnd

from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as pb

Cause = pb.BookingFailure
INVALID_ARGUMENT = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND
UNKNOWN_SUFFIX = "0000000000000000000000000A"
UNKNOWN_ID = f"salon-1.{UNKNOWN_SUFFIX}"
SLOT_FAULTS = {"slot.merchant_id", "slot.service_id", "slot.start_time"}


def update_request(booking_id: str, *paths: str, **booking: Any) -> pb.UpdateBookingRequest:
    """Return a request that changes a booking; without paths it has no mask."""
    request = pb.UpdateBookingRequest(booking={"booking_id": booking_id, **booking})
    request.update_mask.paths.extend(paths)
    return request


def move_request(booking_id: str, start_s: int) -> pb.UpdateBookingRequest:
    """Return a request that moves a booking to another start."""
    slot = {"start_time": {"seconds": start_s}}
    return update_request(booking_id, "slot.start_time", slot=slot)


def cancel_request(booking_id: str) -> pb.UpdateBookingRequest:
    """Return a request that cancels a booking."""
    return update_request(booking_id, "status", status=pb.CANCELED)


def spoil(slot: pb.Slot) -> None:
    """Make merchant, service and time of a slot bad, each in its own way."""
    slot.merchant_id, slot.service_id, slot.start_time.nanos = "", "hair\ncut", 1


async def lease(front: FrontEnd, now_ms: int, **changes: Any) -> pb.CreateLeaseResponse:
    """Ask for a lease."""
    response: pb.CreateLeaseResponse = await front.v2.CreateLease(lease_request(now_ms, **changes))
    return response


async def lease_id(front: FrontEnd, now_ms: int, **changes: Any) -> str:
    """Hold the slot and return the lease id."""
    response = await lease(front, now_ms, **changes)
    assert response.HasField("lease"), response
    return response.lease.lease_id


async def book(front: FrontEnd, now_ms: int, **changes: Any) -> pb.CreateBookingResponse:
    """Ask for a booking."""
    request = booking_request(now_ms, **changes)
    response: pb.CreateBookingResponse = await front.v2.CreateBooking(request)
    return response


async def booking_id(front: FrontEnd, now_ms: int, **changes: Any) -> str:
    """Book the slot and return the booking id."""
    response = await book(front, now_ms, **changes)
    assert response.booking.status == pb.CONFIRMED, response
    return response.booking.booking_id


async def count(front: FrontEnd, now_ms: int, **slot: Any) -> int:
    """Return the count_available of a slot."""
    request = pb.CheckAvailabilityRequest(slot=lease_request(now_ms, **slot).lease.slot)
    return int((await front.v2.CheckAvailability(request)).count_available)


async def lease_failure(front: FrontEnd, now_ms: int, **changes: Any) -> Failure:
    """Ask for a lease and return the error."""
    return await failure_of(front.v2.CreateLease(lease_request(now_ms, **changes)))


async def book_failure(front: FrontEnd, now_ms: int, **changes: Any) -> Failure:
    """Ask for a booking and return the error."""
    return await failure_of(front.v2.CreateBooking(booking_request(now_ms, **changes)))


async def update_failure(front: FrontEnd, request: pb.UpdateBookingRequest) -> Failure:
    """Change a booking and return the error."""
    return await failure_of(front.v2.UpdateBooking(request))


class FailingStore(ReferenceStore):
    """A store of which every question fails with ``error``."""

    def __init__(self, error: Exception) -> None:
        async def fail(*_: Any) -> Any:
            raise error

        answers: Any = self
        answers.create_lease = answers.create_booking = answers.update_booking = fail
        answers.get_booking = answers.list_bookings = answers.check_availability = fail
