"""v0 over whatever store: what is changed, and what happens when the store is in trouble."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from tests.backends import Backend
from tests.calls import failure_of
from tests.reference_store import ReferenceStore
from tests.rpc.conftest import FrontEnd
from tests.rpc.contract import UNKNOWN_ID, FailingStore
from tests.rpc.legacy import (
    booking_request,
    lease_request,
    made,
    move_request,
    status_request,
    update_request,
)

from leasehold.generated.ext.maps.booking.partner.v0 import booking_service_pb2 as pb
from leasehold.model.errors import DeadlinePassedError, StoreTrouble, StoreUnavailableError
from leasehold.model.store import LeaseStore

Code = grpc.StatusCode
Serve = Callable[[LeaseStore], Any]


async def test_update_booking_v0_changes_the_duration(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """Duration and start are changed when the mask names them, alone or together."""
    booking = await made(front, store.now_ms)
    request = update_request(booking.booking_id, "duration", duration={"seconds": 900})
    request.booking.start_time.seconds = booking.start_time.seconds + 3600

    booking.duration.seconds = 900
    assert (await front.v0.UpdateBooking(request)).booking == booking

    request.booking.duration.seconds = booking.duration.seconds = 2700
    request.update_mask.paths.append("start_time")
    booking.start_time.seconds += 3600
    assert (await front.v0.UpdateBooking(request)).booking == booking
    (kept,) = store.bookings.values()
    slot = kept.current_slot
    assert (slot.start_s, slot.duration_s) == (booking.start_time.seconds, 2700)


@pytest.mark.parametrize(("seconds", "nanos"), [(0, 0), (-1, 0), (1, 1), (31 * 86_400 + 1, 0)])
async def test_update_booking_v0_with_a_duration_that_is_none_names_it(
    front: FrontEnd, store: ReferenceStore, seconds: int, nanos: int
) -> None:
    """Durations have the bounds that they have in a lease."""
    booking = await made(front, store.now_ms)
    duration = {"seconds": seconds, "nanos": nanos}
    request = update_request(booking.booking_id, "duration", duration=duration)

    failure = await failure_of(front.v0.UpdateBooking(request))

    assert failure.code is Code.INVALID_ARGUMENT
    assert list(failure.violations) == ["booking.duration"]


async def failures(front: FrontEnd) -> list[Any]:
    """Call every method of v0, and return the errors."""
    return [
        await failure_of(front.v0.CreateLease(lease_request(1_800_000_000_000))),
        await failure_of(front.v0.CreateBooking(booking_request(UNKNOWN_ID))),
        await failure_of(front.v0.UpdateBooking(status_request(UNKNOWN_ID, 4))),
    ]


@pytest.mark.parametrize("trouble", StoreTrouble)
async def test_every_method_v0_is_unavailable_in_trouble(
    serve: Serve, trouble: StoreTrouble
) -> None:
    """Trouble is never the RESOURCE_EXHAUSTED that means a taken slot in v0."""
    front = await serve(FailingStore(StoreUnavailableError(trouble)))

    for failure in await failures(front):
        assert (failure.code, failure.reason) == (Code.UNAVAILABLE, trouble.value)
        assert failure.detail(error_details_pb2.RetryInfo).retry_delay.seconds > 0


async def test_every_method_v0_tells_lost_time_and_hides_bugs(serve: Serve) -> None:
    """A spent deadline is DEADLINE_EXCEEDED; a bug is INTERNAL, without its text."""
    for failure in await failures(await serve(FailingStore(DeadlinePassedError()))):
        assert (failure.code, failure.reason) == (Code.DEADLINE_EXCEEDED, "DEADLINE_PASSED")
        assert failure.has(error_details_pb2.RetryInfo)
    for failure in await failures(await serve(FailingStore(ValueError("inner secret")))):
        assert (failure.code, failure.reason) == (Code.INTERNAL, "INTERNAL")
        assert "secret" not in str(failure)


async def test_create_lease_book_move_and_cancel_v0_on_every_store(
    serve: Serve, backend: Backend
) -> None:
    """The whole way of a v0 client, each call repeated as a client may, on the real scripts."""
    front, now = await serve(backend.store()), await backend.now_ms()

    async def twice(method: Any, request: Any) -> Any:
        first = await method(request)
        assert await method(request) == first
        return first

    wanted = lease_request(now, merchant=backend.merchant, staff_id="anna", room_id="room-2")
    lease = (await twice(front.v0.CreateLease, wanted)).lease
    other = lease_request(now, merchant=backend.merchant, staff_id="anna", room_id="room-2")
    other.lease.client_reference = "reference-2"
    taken = await failure_of(front.v0.CreateLease(other))
    assert (taken.code, taken.reason) == (Code.RESOURCE_EXHAUSTED, "SLOT_UNAVAILABLE")

    request = booking_request(lease.lease_id)
    booking = (await twice(front.v0.CreateBooking, request)).booking
    assert booking == pb.Booking(
        booking_id=booking.booking_id,
        merchant_id=backend.merchant,
        service_id="haircut",
        start_time=wanted.lease.start_time,
        duration=wanted.lease.duration,
        client_information=request.client_information,
        payment_information=request.payment_information,
        status=pb.CONFIRMED,
    )

    booking.start_time.seconds += 3600
    move = move_request(booking.booking_id, booking.start_time.seconds)
    assert (await twice(front.v0.UpdateBooking, move)).booking == booking
    assert (await front.v0.CreateLease(other)).HasField("lease")
    back = move_request(booking.booking_id, wanted.lease.start_time.seconds)
    assert (await failure_of(front.v0.UpdateBooking(back))).code is Code.RESOURCE_EXHAUSTED

    booking.status = pb.CANCELED
    cancel = status_request(booking.booking_id, 4)
    assert (await twice(front.v0.UpdateBooking, cancel)).booking == booking
    failure = await failure_of(front.v0.UpdateBooking(move))
    assert (failure.code, failure.reason) == (Code.INVALID_ARGUMENT, "BOOKING_ALREADY_CANCELLED")
