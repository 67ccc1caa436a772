"""Calls of the partner listener, as a partner's client makes them."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self, cast

from google.protobuf.message import Message

from leasehold.client.access import Access
from leasehold.client.connection import Connection, Sending
from leasehold.client.errors import NoAnswerError, RefusedError
from leasehold.client.holding import Hold, Leaving
from leasehold.client.operators import DEFAULT_TIMEOUT_S, Operators
from leasehold.client.values import (
    Booked,
    Held,
    Person,
    Refused,
    in_utc,
    read_booking,
    read_refusal,
    read_status,
    read_time,
    write_slot,
)
from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as pb
from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2_grpc as pb_grpc
from leasehold.model import ids
from leasehold.model.booking import BookingStatus
from leasehold.model.slot import Slot


class Client:
    """The partner listener, inside ``async with``, and with ``operators`` the other one.

    Every method raises CallError or AccessError, and may be called by several tasks at a time. What
    may be repeated is, within ``timeout_s``: everything but ``update_booking``.
    """

    def __init__(
        self,
        address: str,
        *,
        access: Access | None = None,
        operators: Operators | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> None:
        """``timeout_s`` is for each call, with all its tries. Raises AccessError.

        ``operators`` is opened and closed with the client; it gives back what ``hold`` held.
        """
        self.operators = operators
        self._timeout_s = timeout_s
        self._connection = Connection(address, access or Access(), timeout_s)
        self._leaving = Leaving(operators)
        self._opened = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as opened:
            self._connection.open()
            opened.push_async_callback(self._connection.close)
            if self.operators:
                await opened.enter_async_context(self.operators)
            opened.push_async_callback(self._leaving.finish)
            self._opened = opened.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._opened.aclose()

    async def check_availability(self, slot: Slot) -> int:
        """Return how many spots of a slot are free now, and hold none of them."""
        request = pb.CheckAvailabilityRequest()
        write_slot(request.slot, slot)
        response: pb.CheckAvailabilityResponse = await self._ask("CheckAvailability", request)
        return response.count_available

    async def create_lease(
        self, slot: Slot, until: datetime, *, reference: str = ""
    ) -> Held | Refused:
        """Hold a slot until a time by the server's clock, or until what is granted before it.

        The same ``reference`` finds the same lease again; without one a new one is made.
        """
        return await self._create_lease(slot, until, reference or str(uuid.uuid4()), Sending())

    async def _create_lease(
        self, slot: Slot, until: datetime, reference: str, sending: Sending
    ) -> Held | Refused:
        request = pb.CreateLeaseRequest()
        request.lease.user_reference = reference
        request.lease.lease_expiration_time.FromDatetime(in_utc(until))
        write_slot(request.lease.slot, slot)
        response: pb.CreateLeaseResponse = await self._ask(
            "CreateLease", request, reference=reference, sending=sending
        )
        if response.HasField("booking_failure"):
            return read_refusal(response.booking_failure)
        lease = response.lease
        return Held(lease.lease_id, read_time(lease.lease_expiration_time), lease.user_reference)

    async def create_booking(
        self,
        slot: Slot,
        person: Person,
        *,
        lease_id: str = "",
        token: str = "",
        additional_request: str = "",
    ) -> Booked | Refused:
        """Book a slot: what a lease holds, or without one directly.

        The same ``token`` finds the same booking again; without one a new one is made.
        """
        request = pb.CreateBookingRequest(
            idempotency_token=token or str(uuid.uuid4()), additional_request=additional_request
        )
        write_slot(request.slot, slot)
        if lease_id:
            request.lease_ref.lease_id = lease_id
        user = request.user_information
        user.user_id, user.given_name = person.user_id, person.given_name
        user.family_name, user.telephone = person.family_name, person.telephone
        user.email = person.email
        response: pb.CreateBookingResponse = await self._ask(
            "CreateBooking", request, reference=request.idempotency_token
        )
        return _booking_or_refusal(response)

    async def cancel_booking(self, booking_id: str) -> Booked | Refused:
        """Cancel a booking, which frees its slot at once."""
        request = pb.UpdateBookingRequest()
        request.update_mask.paths.append("status")
        request.booking.booking_id, request.booking.status = booking_id, pb.CANCELED
        return _booking_or_refusal(await self._ask("UpdateBooking", request))

    async def update_booking(
        self,
        booking_id: str,
        *,
        start: datetime | None = None,
        duration: timedelta | None = None,
        party_size: int | None = None,
        status: BookingStatus | None = None,
    ) -> Booked | Refused:
        """Change what is given of a booking, and nothing else; it is asked once.

        After NoAnswerError, look first: repeated, it would undo what somebody else has changed in
        between.
        """
        request = pb.UpdateBookingRequest()
        booking, paths = request.booking, request.update_mask.paths
        booking.booking_id = booking_id
        if start is not None:
            booking.slot.start_time.FromDatetime(in_utc(start))
            paths.append("slot.start_time")
        if duration is not None:
            booking.slot.duration.FromTimedelta(duration)
            paths.append("slot.duration")
        if party_size is not None:
            booking.slot.resources.party_size = party_size
            paths.append("slot.resources.party_size")
        if status is not None:
            booking.status = cast("pb.BookingStatus", pb.BookingStatus.Value(status.name))
            paths.append("status")
        return _booking_or_refusal(await self._ask("UpdateBooking", request, repeatable=False))

    async def get_booking_status(self, booking_id: str) -> BookingStatus:
        """Return the state of a booking."""
        request = pb.GetBookingStatusRequest(booking_id=booking_id)
        response: pb.GetBookingStatusResponse = await self._ask("GetBookingStatus", request)
        return read_status(response.booking_status)

    async def list_bookings(self, user_id: str) -> list[Booked]:
        """Return a user's future bookings that are not cancelled, by start: the soonest 1 000."""
        request = pb.ListBookingsRequest(user_id=user_id)
        response: pb.ListBookingsResponse = await self._ask("ListBookings", request)
        return [read_booking(booking) for booking in response.bookings]

    @asynccontextmanager
    async def hold(self, slot: Slot, for_: timedelta) -> AsyncIterator[Hold]:
        """Hold a slot, and give it back on leaving, however that comes about; a booking stays.

        Raises RefusedError where the slot is not to be had. Without ``operators`` what is held
        ends by itself, with its expiry.
        """
        held = await self._hold(slot, datetime.now(UTC) + for_)
        if isinstance(held, Refused):
            raise RefusedError(held)
        hold = Hold(self, slot, held)
        try:
            yield hold
        finally:
            if not hold.booking:
                hold.release_error = await self._leaving.give_back(held.lease_id)

    async def _hold(self, slot: Slot, until: datetime) -> Held | Refused:
        """Create a lease that is not left behind by an error, or when the caller is cancelled."""
        reference, sending = str(uuid.uuid4()), Sending()
        lease_id = ids.wire_id(slot.merchant_id, ids.lease_suffix(reference))
        give_up_at_s = asyncio.get_running_loop().time() + self._timeout_s
        asking = asyncio.create_task(self._create_lease(slot, until, reference, sending))
        try:
            return await asyncio.shield(asking)
        except NoAnswerError as error:
            # It may have been granted all the same, and its id follows from the reference.
            if error.may_have_arrived:
                self._leaving.give_back_later(lease_id)
            raise
        except asyncio.CancelledError:
            if self.operators and sending.may_have_arrived:
                await self._leaving.give_back_granted(asking, lease_id, give_up_at_s)
            else:
                asking.cancel()
                await asyncio.wait((asking,))
            raise

    async def _ask(
        self,
        name: str,
        request: Message,
        *,
        reference: str = "",
        repeatable: bool = True,
        sending: Sending | None = None,
    ) -> Any:
        try:
            return await self._connection.call(
                pb_grpc.BookingServiceStub, name, request, repeatable=repeatable, sending=sending
            )
        except NoAnswerError as error:
            error.reference = reference
            raise


def _booking_or_refusal(
    response: pb.CreateBookingResponse | pb.UpdateBookingResponse,
) -> Booked | Refused:
    if response.HasField("booking_failure"):
        return read_refusal(response.booking_failure)
    return read_booking(response.booking)
