"""What tests of the v2 API share: requests as a partner's client makes them, and their errors."""

from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as pb

SERVICE = "ext.maps.booking.partner.v2.BookingService"
CREATE_LEASE = f"/{SERVICE}/CreateLease"


def lease_request(
    now_ms: int,
    *,
    merchant: str = "salon-1",
    reference: str = "reference-1",
    start_s: int | None = None,
    for_ms: int = 300_000,
    staff: str | None = None,
) -> pb.CreateLeaseRequest:
    """Return a request for a slot that starts a day after ``now_ms``."""
    request = pb.CreateLeaseRequest()
    lease = request.lease
    lease.user_reference = reference
    lease.lease_expiration_time.FromMilliseconds(now_ms + for_ms)
    lease.slot.merchant_id = merchant
    lease.slot.service_id = "haircut"
    lease.slot.start_time.seconds = now_ms // 1000 + 86_400 if start_s is None else start_s
    lease.slot.duration.seconds = 1800
    if staff is not None:
        lease.slot.resources.staff_id = staff
    return request


def booking_request(
    now_ms: int,
    *,
    token: str = "token-1",
    user: str = "ada",
    lease_id: str | None = None,
    **slot: Any,
) -> pb.CreateBookingRequest:
    """Return a request for the slot that lease_request would hold."""
    request = pb.CreateBookingRequest(idempotency_token=token)
    request.slot.CopyFrom(lease_request(now_ms, **slot).lease.slot)
    if lease_id is not None:
        request.lease_ref.lease_id = lease_id
    person = request.user_information
    person.user_id, person.given_name, person.family_name = user, "Ada", "Lovelace"
    person.telephone, person.email = "+44 20 7946 0000", "ada@example.com"
    return request


@dataclass(frozen=True)
class Failure:
    """A status other than OK, with its details unpacked."""

    code: grpc.StatusCode
    message: str
    details: tuple[Message, ...]

    def detail(self, kind: type[Message]) -> Any:
        """Return the one detail of a kind."""
        (found,) = [detail for detail in self.details if isinstance(detail, kind)]
        return found

    def has(self, kind: type[Message]) -> bool:
        """Tell whether there is a detail of a kind."""
        return any(isinstance(detail, kind) for detail in self.details)

    @property
    def reason(self) -> str:
        """Return the reason of the ErrorInfo, which every status carries."""
        info = self.detail(error_details_pb2.ErrorInfo)
        assert info.domain == "leasehold"
        return str(info.reason)

    @property
    def violations(self) -> dict[str, str]:
        """Return what is wrong with each field."""
        bad_request = self.detail(error_details_pb2.BadRequest)
        return {v.field: v.description for v in bad_request.field_violations}


async def failure_of(call: Any) -> Failure:
    """Await a call that must fail."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return read_failure(caught.value)


def read_failure(error: Any) -> Failure:
    """Unpack an error that a call raised."""
    status = rpc_status.from_call(error)
    details = status.details if isinstance(status, status_pb2.Status) else ()
    return Failure(error.code(), error.details() or "", tuple(map(_unpack, details)))


def _unpack(packed: Any) -> Message:
    kinds = (
        error_details_pb2.BadRequest,
        error_details_pb2.ErrorInfo,
        error_details_pb2.RequestInfo,
        error_details_pb2.RetryInfo,
    )
    for kind in kinds:
        if packed.Is(kind.DESCRIPTOR):
            message: Message = kind()
            packed.Unpack(message)
            return message
    raise AssertionError(f"an unexpected detail: {packed.type_url}")
