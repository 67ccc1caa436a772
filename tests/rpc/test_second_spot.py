"""A move onto a slot that the user of the booking has a spot of, in both versions."""

import grpc
from tests.calls import failure_of
from tests.reference_store import ReferenceStore
from tests.rpc import legacy
from tests.rpc.conftest import FrontEnd
from tests.rpc.contract import Cause, booking_id, move_request

from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as pb

DAY_S = 86_400


async def test_update_booking_onto_a_slot_that_its_user_has_is_already_booked(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """A move is refused as a second booking of the slot would be, and changes nothing."""
    now, everything = store.now_ms, pb.ListBookingsRequest(user_id="ada")
    later_s = now // 1000 + 2 * DAY_S
    moving = await booking_id(front, now)
    await booking_id(front, now, token="token-2", start_s=later_s)
    before = await front.v2.ListBookings(everything)

    response = await front.v2.UpdateBooking(move_request(moving, later_s))

    assert response.booking_failure.cause == Cause.SLOT_ALREADY_BOOKED_BY_USER
    assert not response.HasField("booking")
    assert await front.v2.ListBookings(everything) == before


async def test_update_booking_v0_onto_a_slot_that_its_user_has_is_already_booked(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """A booking of v2 has a user, who has one spot of a slot, whichever version moves it."""
    now = store.now_ms
    later_s = now // 1000 + 2 * DAY_S
    moving = await booking_id(front, now)
    await booking_id(front, now, token="token-2", start_s=later_s)

    failure = await failure_of(front.v0.UpdateBooking(legacy.move_request(moving, later_s)))

    assert failure.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert failure.reason == "ALREADY_BOOKED"
    starts = {made.current_slot.start_s for made in store.bookings.values()}
    assert starts == {later_s - DAY_S, later_s}
