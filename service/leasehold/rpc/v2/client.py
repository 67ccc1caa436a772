"""Calls of the v2 API, for the command line."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as pb
from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2_grpc as pb_grpc
from leasehold.model.slot import Slot


@dataclass(frozen=True, slots=True)
class Held:
    """A lease as the server granted it."""

    lease_id: str
    expires_at: datetime
    reference: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A business failure: its cause by the API's name."""

    cause: str
    description: str


class CallError(Exception):
    """The call ended with another status than OK; the message is for people."""

    def __init__(self, address: str, error: grpc.aio.AioRpcError) -> None:
        super().__init__(_explain(address, error))
        self.is_callers_fault = error.code() is grpc.StatusCode.INVALID_ARGUMENT


async def create_lease(
    address: str, slot: Slot, reference: str, wanted_until: datetime, timeout_s: float
) -> Held | Refused:
    """Ask for a lease until ``wanted_until``. Raises CallError."""
    request = _create_lease_request(slot, reference, wanted_until)
    async with grpc.aio.insecure_channel(address) as channel:
        stub = pb_grpc.BookingServiceStub(channel)
        try:
            response = await stub.CreateLease(request, timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            raise CallError(address, error) from None
    if response.HasField("booking_failure"):
        failure = response.booking_failure
        return Refused(pb.BookingFailure.Cause.Name(failure.cause), failure.description)
    lease = response.lease
    return Held(lease.lease_id, lease.lease_expiration_time.ToDatetime(UTC), lease.user_reference)


def _create_lease_request(
    slot: Slot, reference: str, wanted_until: datetime
) -> pb.CreateLeaseRequest:
    request = pb.CreateLeaseRequest()
    request.lease.user_reference = reference
    request.lease.lease_expiration_time.FromDatetime(wanted_until)
    request.lease.slot.merchant_id = slot.merchant_id
    request.lease.slot.service_id = slot.service_id
    request.lease.slot.start_time.seconds = slot.start_s
    request.lease.slot.duration.seconds = slot.duration_s
    if slot.staff_id or slot.room_id or slot.party_size:
        request.lease.slot.resources.staff_id = slot.staff_id
        request.lease.slot.resources.room_id = slot.room_id
        request.lease.slot.resources.party_size = slot.party_size
    return request


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
