"""Calls the service as partners' clients do, and writes down every call with its answer."""

import hashlib
import random
import time
from collections import Counter
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import grpc
from tests.calls import booking_request, lease_request, read_failure
from tests.torture.history import Call, Operation, Outcome

from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as pb
from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2_grpc as pb_grpc

_CHANNEL = (
    # What the service answers is to be seen, not what a library makes of it.
    ("grpc.enable_retries", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 400),
)
_REFUSALS = (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND)
_DAY_S = 86_400
_MOST_CLOCK_DRIFT_MS = 100


def now_ms() -> float:
    """Return the clock that the stores of this machine share, in epoch milliseconds."""
    return time.time_ns() / 1_000_000


@dataclass
class Recorder:
    """The history while it grows."""

    history: list[Operation] = field(default_factory=list)
    troubles: Counter[str] = field(default_factory=Counter)
    """How often calls had which reason for having no answer that decides."""
    _began: tuple[float, float] = field(default_factory=lambda: (now_ms(), time.monotonic()))

    def note(self, operation: Operation) -> Operation:
        """Write a call down."""
        self.history.append(operation)
        if operation.outcome is Outcome.UNKNOWN:
            self.troubles[operation.cause] += 1
        return operation

    def check_clock(self) -> None:
        """Fail if somebody has set the machine's clock meanwhile: nothing could be judged."""
        wall_ms, monotonic_s = now_ms() - self._began[0], time.monotonic() - self._began[1]
        assert abs(wall_ms - monotonic_s * 1000) < _MOST_CLOCK_DRIFT_MS, "the clock was set"


class Clients:
    """Asks any of several server processes; slots are named ``merchant/number``."""

    def __init__(self, addresses: Sequence[str], recorder: Recorder, chance: random.Random) -> None:
        self.recorder = recorder
        self._chance = chance
        self._channels = [grpc.aio.insecure_channel(it, options=_CHANNEL) for it in addresses]
        self._stubs: list[Any] = [pb_grpc.BookingServiceStub(it) for it in self._channels]
        self._base_s = int(time.time()) // _DAY_S * _DAY_S + 30 * _DAY_S

    async def close(self) -> None:
        """Close the channels."""
        for channel in self._channels:
            await channel.close()

    async def create_lease(
        self, slot: str, reference: str, for_ms: int, timeout_s: float, *, is_final: bool = False
    ) -> Operation:
        """Ask for a lease."""
        merchant, start_s = self._place(slot)
        asked_at_ms = int(now_ms())
        request = lease_request(
            asked_at_ms, merchant=merchant, reference=reference, start_s=start_s, for_ms=for_ms
        )
        wanted = self._asked(
            Call.CREATE_LEASE,
            slot=slot,
            reference=reference,
            asked_expires_ms=asked_at_ms + for_ms,
            is_final=is_final,
        )
        answered, response = await self._call(
            wanted, self._stub.CreateLease(request, timeout=timeout_s)
        )
        if response is None:
            return answered
        if response.HasField("booking_failure"):
            return self._refused(answered, response.booking_failure)
        expires_ms = response.lease.lease_expiration_time.ToMilliseconds()
        lease_id = response.lease.lease_id
        return self._note(answered, lease_id=lease_id, expires_ms=expires_ms)

    async def create_booking(
        self, slot: str, token: str, lease_id: str, timeout_s: float
    ) -> Operation:
        """Book a slot, by a lease unless that is empty."""
        merchant, start_s = self._place(slot)
        request = booking_request(
            int(now_ms()),
            token=token,
            user=_user_of(token),
            lease_id=lease_id or None,
            merchant=merchant,
            start_s=start_s,
        )
        wanted = self._asked(Call.CREATE_BOOKING, slot=slot, token=token, lease_id=lease_id)
        answered, response = await self._call(
            wanted, self._stub.CreateBooking(request, timeout=timeout_s)
        )
        if response is None:
            return answered
        if response.HasField("booking_failure"):
            return self._refused(answered, response.booking_failure)
        digest = hashlib.blake2b(response.SerializeToString(deterministic=True), digest_size=8)
        made = {"booking_id": response.booking.booking_id, "answer": digest.hexdigest()}
        return self._note(answered, **made)

    async def cancel(self, booking_id: str, timeout_s: float) -> Operation:
        """Cancel a booking."""
        request = pb.UpdateBookingRequest()
        request.update_mask.paths.append("status")
        request.booking.booking_id, request.booking.status = booking_id, pb.CANCELED
        wanted = self._asked(Call.CANCEL, booking_id=booking_id)
        return await self._update(wanted, request, timeout_s)

    async def move(self, booking_id: str, slot: str, timeout_s: float) -> Operation:
        """Move a booking to another slot of its merchant."""
        request = pb.UpdateBookingRequest()
        request.update_mask.paths.append("slot.start_time")
        request.booking.booking_id = booking_id
        request.booking.slot.start_time.seconds = self._place(slot)[1]
        wanted = self._asked(Call.MOVE, booking_id=booking_id, slot=slot)
        return await self._update(wanted, request, timeout_s)

    async def _update(
        self, wanted: Operation, request: pb.UpdateBookingRequest, timeout_s: float
    ) -> Operation:
        answered, response = await self._call(
            wanted, self._stub.UpdateBooking(request, timeout=timeout_s)
        )
        if response is None:
            return answered
        if response.HasField("booking_failure"):
            return self._refused(answered, response.booking_failure)
        shown = _slot_name(response.booking.slot, self._base_s) if wanted.slot else ""
        return self._note(answered, answer=shown)

    async def check_availability(self, slot: str, timeout_s: float) -> Operation:
        """Ask how many spots a slot has left."""
        merchant, start_s = self._place(slot)
        leased = lease_request(0, merchant=merchant, start_s=start_s)
        request = pb.CheckAvailabilityRequest(slot=leased.lease.slot)
        wanted = self._asked(Call.CHECK_AVAILABILITY, slot=slot)
        asking = self._stub.CheckAvailability(request, timeout=timeout_s)
        answered, response = await self._call(wanted, asking)
        return self._note(answered, count=response.count_available) if response else answered

    async def get_booking_status(
        self, booking_id: str, timeout_s: float, *, is_final: bool = False
    ) -> Operation:
        """Ask for the state of a booking."""
        request = pb.GetBookingStatusRequest(booking_id=booking_id)
        wanted = self._asked(Call.GET_BOOKING_STATUS, booking_id=booking_id, is_final=is_final)
        asking = self._stub.GetBookingStatus(request, timeout=timeout_s)
        answered, response = await self._call(wanted, asking)
        if response is None:
            return answered
        return self._note(answered, answer=pb.BookingStatus.Name(response.booking_status))

    async def list_bookings(
        self, booking_id: str, token: str, timeout_s: float, *, is_final: bool = False
    ) -> Operation:
        """Ask for the bookings of the user whose token made a booking."""
        request = pb.ListBookingsRequest(user_id=_user_of(token))
        wanted = self._asked(Call.LIST_BOOKINGS, booking_id=booking_id, is_final=is_final)
        asking = self._stub.ListBookings(request, timeout=timeout_s)
        answered, response = await self._call(wanted, asking)
        if response is None:
            return answered
        found = [each for each in response.bookings if each.booking_id == booking_id]
        shown = _slot_name(found[0].slot, self._base_s) if found else ""
        return self._note(answered, slot=shown)

    @property
    def _stub(self) -> Any:
        return self._chance.choice(self._stubs)

    def _place(self, slot: str) -> tuple[str, int]:
        """Return the merchant of a slot, and its start."""
        merchant, number = slot.split("/")
        return merchant, self._base_s + int(number) * 3600

    def _asked(self, call: Call, **told: Any) -> Operation:
        return Operation(call, now_ms(), 0, Outcome.UNKNOWN, **told)

    async def _call(self, wanted: Operation, asking: Awaitable[Any]) -> tuple[Operation, Any]:
        """Return what is known now, and the response; without one it has been written down."""
        try:
            response = await asking
        except grpc.aio.AioRpcError as error:
            answered = replace(wanted, answered_ms=now_ms())
            code, reason = error.code(), _reason(error)
            outcome = Outcome.REFUSED if code in _REFUSALS else Outcome.UNKNOWN
            failed = replace(answered, outcome=outcome, cause=reason or code.name)
            return self.recorder.note(failed), None
        return replace(wanted, answered_ms=now_ms()), response

    def _refused(self, answered: Operation, failure: pb.BookingFailure) -> Operation:
        cause = pb.BookingFailure.Cause.Name(failure.cause)
        return self.recorder.note(replace(answered, outcome=Outcome.REFUSED, cause=cause))

    def _note(self, answered: Operation, **told: Any) -> Operation:
        return self.recorder.note(replace(answered, outcome=Outcome.OK, **told))


def _user_of(token: str) -> str:
    """Return the user whose only booking a token makes."""
    return f"user of {token}"


def _slot_name(slot: Any, base_s: int) -> str:
    """Name a slot of an answer as it is named in the history, if there is one that starts then."""
    return f"{slot.merchant_id}/{(slot.start_time.seconds - base_s) / 3600:g}"


def _reason(error: grpc.aio.AioRpcError) -> str:
    """Return our own reason for a failure; empty when it is not ours."""
    failure = read_failure(error)
    return failure.reason if failure.details else ""
