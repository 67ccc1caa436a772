"""BookingService v2: translate, ask the store once, translate back."""

import asyncio
from typing import Any

import grpc

from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as pb
from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2_grpc as pb_grpc
from leasehold.model.deadline import Deadline
from leasehold.model.errors import NotFoundError
from leasehold.model.store import LeaseStore
from leasehold.rpc import expiry
from leasehold.rpc.calls import note_outcome, tell
from leasehold.rpc.stored import as_v2
from leasehold.rpc.v2 import status, translate

_SHOWN_AT_ONCE = 100

# The names of the methods are the API's own.
# ruff: noqa: N802


class BookingServicer(pb_grpc.BookingServiceServicer):
    """Every RPC of v2.

    Business refusals travel in the response with status OK. Source: contract 5, 6.
    """

    def __init__(self, store: LeaseStore, *, max_slot_s: float, call_timeout_s: float) -> None:
        self._store = store
        self._max_slot_s = max_slot_s
        self._call_timeout_s = call_timeout_s

    async def CheckAvailability(
        self, request: pb.CheckAvailabilityRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.CheckAvailabilityResponse:
        """Count the free spots of a slot, as CreateLease would find them now."""
        slot = translate.checked_slot(request, self._max_slot_s)
        outcome = await self._store.check_availability(slot, self._deadline(context))
        note_outcome(translate.API, "check_availability", outcome.status)
        status.refusal(status.CHECK_AVAILABILITY, outcome.status)
        return translate.counted(request, outcome.count)

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
        failure = status.refusal(status.CREATE_LEASE, outcome.status, addition)
        if failure:
            return pb.CreateLeaseResponse(booking_failure=failure)
        return translate.granted(request, lease_id, outcome.expires_at_ms)

    async def CreateBooking(
        self, request: pb.CreateBookingRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.CreateBookingResponse:
        """Book the slot of the request, and consume the lease that it names."""
        deadline = self._deadline(context)
        command = translate.create_booking_command(request, self._max_slot_s)
        tell(booking_id=command.booking_id, lease_id=request.lease_ref.lease_id or None)
        outcome = await self._store.create_booking(command, deadline)
        note_outcome(translate.API, "create_booking", outcome.status)
        failure = status.refusal(status.CREATE_BOOKING, outcome.status)
        if failure:
            return pb.CreateBookingResponse(booking_failure=failure)
        return translate.booked(outcome.original)

    async def UpdateBooking(
        self, request: pb.UpdateBookingRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.UpdateBookingResponse:
        """Move or cancel a booking, or change its party size or its state."""
        deadline = self._deadline(context)
        command = translate.update_booking_command(request)
        tell(booking_id=request.booking.booking_id)
        outcome = await self._store.update_booking(command, deadline)
        note_outcome(translate.API, "update_booking", outcome.status)
        failure = status.refusal(status.UPDATE_BOOKING, outcome.status)
        if failure:
            return pb.UpdateBookingResponse(booking_failure=failure)
        assert outcome.record
        return pb.UpdateBookingResponse(booking=as_v2(outcome.record))

    async def ListBookings(
        self, request: pb.ListBookingsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.ListBookingsResponse:
        """List a user's future bookings that stand, by start."""
        user_id = translate.user_id(request)
        records = await self._store.list_bookings(user_id, self._deadline(context))
        if records is None:
            raise NotFoundError("user")
        response = pb.ListBookingsResponse()
        for first in range(0, len(records), _SHOWN_AT_ONCE):
            response.bookings.extend(map(as_v2, records[first : first + _SHOWN_AT_ONCE]))
            # A thousand take some 20 ms, in which other calls had to wait.
            await asyncio.sleep(0)
        return response

    async def GetBookingStatus(
        self, request: pb.GetBookingStatusRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.GetBookingStatusResponse:
        """Tell the state of a booking and of its payment."""
        reference = translate.booking_reference(request.booking_id)
        record = await self._store.get_booking(reference, self._deadline(context))
        if not record:
            raise NotFoundError("booking")
        return translate.booking_status(request.booking_id, record)

    def _deadline(self, context: grpc.aio.ServicerContext[Any, Any]) -> Deadline:
        return Deadline.within(self._call_timeout_s, context.time_remaining())
