"""What the tests of v0 share: requests as its clients make them."""

from typing import Any

from tests.rpc.conftest import FrontEnd

from leasehold.generated.ext.maps.booking.partner.v0 import booking_service_pb2 as pb

DAY_S = 86_400


def lease_request(
    now_ms: int,
    *,
    merchant: str = "salon-1",
    reference: str = "reference-1",
    for_ms: int = 60_000,
    **resources: str,
) -> pb.CreateLeaseRequest:
    """Return a request for the slot that the v2 tests hold, too."""
    request = pb.CreateLeaseRequest()
    lease = request.lease
    lease.merchant_id, lease.service_id, lease.client_reference = merchant, "haircut", reference
    lease.start_time.seconds = now_ms // 1000 + DAY_S
    lease.duration.seconds = 1800
    lease.lease_expiration_time.FromMilliseconds(now_ms + for_ms)
    if resources:
        lease.resources.MergeFrom(pb.Resources(**resources))
    return request


def booking_request(lease_id: str) -> pb.CreateBookingRequest:
    """Return a request to book by a lease."""
    request = pb.CreateBookingRequest(lease_ref={"lease_id": lease_id})
    client = request.client_information
    client.given_name, client.family_name = "Ada", "Lovelace"
    client.telephone, client.email = "+44 20 7946 0000", "ada@example.com"
    request.payment_information.prepayment_status = pb.PREPAYMENT_PROVIDED
    return request


def update_request(booking_id: str, *paths: str, **booking: Any) -> pb.UpdateBookingRequest:
    """Return a request that changes a booking."""
    request = pb.UpdateBookingRequest(booking={"booking_id": booking_id, **booking})
    request.update_mask.paths.extend(paths)
    return request


def move_request(booking_id: str, start_s: int) -> pb.UpdateBookingRequest:
    """Return a request that moves a booking to another start."""
    return update_request(booking_id, "start_time", start_time={"seconds": start_s})


def status_request(booking_id: str, number: int) -> pb.UpdateBookingRequest:
    """Return a request that sets the state of a booking by its number in v0."""
    return update_request(booking_id, "status", status=number)


async def held(front: FrontEnd, now_ms: int, **changes: Any) -> str:
    """Hold the slot and return the lease id."""
    response = await front.v0.CreateLease(lease_request(now_ms, **changes))
    return str(response.lease.lease_id)


async def made(front: FrontEnd, now_ms: int, **changes: Any) -> pb.Booking:
    """Hold and book the slot, and return the booking."""
    response = await front.v0.CreateBooking(booking_request(await held(front, now_ms, **changes)))
    booking: pb.Booking = response.booking
    return booking
