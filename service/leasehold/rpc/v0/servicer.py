"""BookingService v0: translate, ask the store once, translate back."""

from typing import Any

import grpc

from leasehold.generated.ext.maps.booking.partner.v0 import booking_service_pb2 as pb
from leasehold.generated.ext.maps.booking.partner.v0 import booking_service_pb2_grpc as pb_grpc
from leasehold.model.deadline import Deadline
from leasehold.model.store import LeaseStore
from leasehold.rpc import expiry
from leasehold.rpc.calls import note_outcome, tell
from leasehold.rpc.stored import as_v0
from leasehold.rpc.v0 import status, translate

# The names of the methods are the API's own.
# ruff: noqa: N802


class BookingServicer(pb_grpc.BookingServiceServicer):
    """Every RPC of v0. Business refusals are gRPC codes. Source: contract 5, 6."""

    def __init__(self, store: LeaseStore, *, max_slot_s: float, call_timeout_s: float) -> None:
        self._store = store
        self._max_slot_s = max_slot_s
        self._call_timeout_s = call_timeout_s

    async def CreateLease(
        self, request: pb.CreateLeaseRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.CreateLeaseResponse:
        """Hold the slot of the request until the granted expiry."""
        deadline = self._deadline(context)
        command = translate.create_lease_command(request, self._max_slot_s)
        lease_id = command.lease_id
        tell(lease_id=lease_id)
        outcome = await self._store.create_lease(command, deadline)
        note_outcome(translate.API, "create_lease", outcome.status)
        addition = expiry.distance(command, outcome)
        status.raise_unless_granted(status.CREATE_LEASE, outcome.status, addition)
        return translate.granted(request, lease_id, outcome.expires_at_ms)

    async def CreateBooking(
        self, request: pb.CreateBookingRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.CreateBookingResponse:
        """Book the slot of the lease, and consume the lease."""
        deadline = self._deadline(context)
        command = translate.create_booking_command(request)
        tell(booking_id=command.booking_id, lease_id=command.token)
        outcome = await self._store.create_booking(command, deadline)
        note_outcome(translate.API, "create_booking", outcome.status)
        status.raise_unless_granted(status.CREATE_BOOKING, outcome.status)
        assert outcome.slot
        return translate.booked(outcome.original, outcome.slot)

    async def UpdateBooking(
        self, request: pb.UpdateBookingRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.UpdateBookingResponse:
        """Move or cancel a booking, or change its state."""
        deadline = self._deadline(context)
        command = translate.update_booking_command(request)
        tell(booking_id=request.booking.booking_id)
        outcome = await self._store.update_booking(command, deadline)
        note_outcome(translate.API, "update_booking", outcome.status)
        status.raise_unless_granted(status.UPDATE_BOOKING, outcome.status)
        assert outcome.record
        return pb.UpdateBookingResponse(booking=as_v0(outcome.record))

    def _deadline(self, context: grpc.aio.ServicerContext[Any, Any]) -> Deadline:
        return Deadline.within(self._call_timeout_s, context.time_remaining())
