"""Calls of the v2 API, for the command line: plain values in and out."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as pb
from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2_grpc as pb_grpc
from leasehold.model.slot import Slot

_TIMEOUT_S = 5
# The service is called where it is, whatever proxy the environment names.
_OPTIONS = (("grpc.enable_http_proxy", 0),)

Response = TypeVar("Response")


@dataclass(frozen=True, slots=True)
class Held:
    """A lease as the server granted it."""

    lease_id: str
    expires_at: datetime
    reference: str


@dataclass(frozen=True, slots=True)
class Booked:
    """A booking as the server shows it."""

    booking_id: str
    slot: Slot
    status: str
    """The API's name of the state."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A business failure: its cause by the API's name."""

    cause: str
    description: str


@dataclass(frozen=True, slots=True)
class Person:
    """Who books."""

    user_id: str
    given_name: str
    family_name: str
    telephone: str
    email: str


class CallError(Exception):
    """The call ended with another status than OK; the message is for people."""

    def __init__(self, address: str, error: grpc.aio.AioRpcError) -> None:
        super().__init__(_explain(address, error))
        self.code = error.code()
        self.details = error.details() or ""
        self.is_callers_fault = error.code() in (
            grpc.StatusCode.INVALID_ARGUMENT,
            grpc.StatusCode.NOT_FOUND,
        )
        self.may_pass = error.code() in (
            grpc.StatusCode.UNAVAILABLE,
            grpc.StatusCode.DEADLINE_EXCEEDED,
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            grpc.StatusCode.CANCELLED,
        )


async def check_availability(address: str, slot: Slot) -> int:
    """Return how many spots of a slot are free. Raises CallError."""
    request = pb.CheckAvailabilityRequest()
    _write_slot(request.slot, slot)
    response: pb.CheckAvailabilityResponse = await _call(
        address, lambda stub: stub.CheckAvailability(request, timeout=_TIMEOUT_S)
    )
    return response.count_available


async def create_lease(
    address: str, slot: Slot, reference: str, wanted_until: datetime
) -> Held | Refused:
    """Ask for a lease until ``wanted_until``. Raises CallError."""
    request = pb.CreateLeaseRequest()
    request.lease.user_reference = reference
    request.lease.lease_expiration_time.FromDatetime(wanted_until)
    _write_slot(request.lease.slot, slot)
    response: pb.CreateLeaseResponse = await _call(
        address, lambda stub: stub.CreateLease(request, timeout=_TIMEOUT_S)
    )
    if response.HasField("booking_failure"):
        return _refused(response.booking_failure)
    lease = response.lease
    return Held(lease.lease_id, lease.lease_expiration_time.ToDatetime(UTC), lease.user_reference)


async def create_booking(
    address: str, slot: Slot, lease_id: str, token: str, person: Person
) -> Booked | Refused:
    """Book a slot, by a lease unless ``lease_id`` is empty. Raises CallError."""
    request = pb.CreateBookingRequest(idempotency_token=token)
    _write_slot(request.slot, slot)
    if lease_id:
        request.lease_ref.lease_id = lease_id
    user = request.user_information
    user.user_id, user.given_name = person.user_id, person.given_name
    user.family_name, user.telephone = person.family_name, person.telephone
    user.email = person.email
    response: pb.CreateBookingResponse = await _call(
        address, lambda stub: stub.CreateBooking(request, timeout=_TIMEOUT_S)
    )
    if response.HasField("booking_failure"):
        return _refused(response.booking_failure)
    return _booked(response.booking)


async def cancel_booking(address: str, booking_id: str) -> Booked | Refused:
    """Cancel a booking. Raises CallError."""
    request = pb.UpdateBookingRequest()
    request.update_mask.paths.append("status")
    request.booking.booking_id = booking_id
    request.booking.status = pb.CANCELED
    response: pb.UpdateBookingResponse = await _call(
        address, lambda stub: stub.UpdateBooking(request, timeout=_TIMEOUT_S)
    )
    if response.HasField("booking_failure"):
        return _refused(response.booking_failure)
    return _booked(response.booking)


async def list_bookings(address: str, user_id: str) -> list[Booked]:
    """Return a user's future bookings that stand. Raises CallError."""
    request = pb.ListBookingsRequest(user_id=user_id)
    response: pb.ListBookingsResponse = await _call(
        address, lambda stub: stub.ListBookings(request, timeout=_TIMEOUT_S)
    )
    return [_booked(booking) for booking in response.bookings]


async def _call(address: str, ask: Callable[[Any], Awaitable[Response]]) -> Response:
    async with grpc.aio.insecure_channel(address, options=_OPTIONS) as channel:
        try:
            return await ask(pb_grpc.BookingServiceStub(channel))
        except grpc.aio.AioRpcError as error:
            raise CallError(address, error) from None


def _write_slot(message: pb.Slot, slot: Slot) -> None:
    message.merchant_id, message.service_id = slot.merchant_id, slot.service_id
    message.start_time.seconds, message.duration.seconds = slot.start_s, slot.duration_s
    if slot.staff_id or slot.room_id or slot.party_size:
        message.resources.staff_id = slot.staff_id
        message.resources.room_id = slot.room_id
        message.resources.party_size = slot.party_size


def _booked(booking: pb.Booking) -> Booked:
    slot, resources = booking.slot, booking.slot.resources
    return Booked(
        booking_id=booking.booking_id,
        slot=Slot(
            merchant_id=slot.merchant_id,
            service_id=slot.service_id,
            start_s=slot.start_time.seconds,
            duration_s=slot.duration.seconds,
            staff_id=resources.staff_id,
            room_id=resources.room_id,
            party_size=resources.party_size,
        ),
        status=pb.BookingStatus.Name(booking.status),
    )


def _refused(failure: pb.BookingFailure) -> Refused:
    return Refused(pb.BookingFailure.Cause.Name(failure.cause), failure.description)


def _explain(address: str, error: grpc.aio.AioRpcError) -> str:
    """Name the status and, where the server tells them, every field at fault."""
    lines = [f"{address} answered {error.code().name}: {error.details()}"]
    status = rpc_status.from_call(cast("grpc.Call", error))
    for detail in status.details if status else ():
        bad_request = error_details_pb2.BadRequest()
        if detail.Unpack(bad_request):
            lines = [f"{address} answered {error.code().name}:"]
            lines += [
                f"  {v.field or 'request'} {v.description}" for v in bad_request.field_violations
            ]
    return "\n".join(lines)
