"""Update masks of v2 that name the slot, or its resources, as a whole."""

import pytest
from tests.calls import booking_request, failure_of
from tests.reference_store import ReferenceStore
from tests.rpc.conftest import FrontEnd

from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as pb


async def made(front: FrontEnd, store: ReferenceStore, **changes: str) -> pb.Booking:
    """Book the slot and return the booking."""
    response = await front.v2.CreateBooking(booking_request(store.now_ms, **changes))
    booking: pb.Booking = response.booking
    return booking


@pytest.mark.parametrize(
    ("parent", "changes"),
    [
        ("slot", {"start_time", "duration", "party_size"}),
        ("slot.resources", {"party_size"}),
    ],
)
@pytest.mark.parametrize("is_whole", [True, False])
async def test_update_booking_with_a_parent_in_the_mask_changes_what_it_carries_of_it(
    front: FrontEnd, store: ReferenceStore, parent: str, changes: set[str], *, is_whole: bool
) -> None:
    """A parent means its children, whether the slot comes whole or only with what differs."""
    booking = await made(front, store, staff="anna")
    changed = pb.Slot(
        start_time={"seconds": booking.slot.start_time.seconds + 3600},
        duration={"seconds": 900},
        resources={"party_size": 4},
    )
    sent = pb.Booking(booking_id=booking.booking_id)
    if is_whole:
        sent.CopyFrom(booking)
    sent.slot.MergeFrom(changed)
    request = pb.UpdateBookingRequest(booking=sent, update_mask={"paths": [parent]})

    response = await front.v2.UpdateBooking(request)

    if "start_time" in changes:
        booking.slot.start_time.CopyFrom(changed.start_time)
        booking.slot.duration.CopyFrom(changed.duration)
    booking.slot.resources.party_size = 4
    assert response == pb.UpdateBookingResponse(booking=booking)


@pytest.mark.parametrize(
    ("parent", "other", "reason"),
    [
        ("slot", "merchant_id", "BOOKING_SLOT_MISMATCH"),
        ("slot", "service_id", "BOOKING_SLOT_MISMATCH"),
        ("slot", "staff_id", "BOOKING_SLOT_MISMATCH"),
        ("slot", "room_id", "BOOKING_SLOT_MISMATCH"),
        ("slot.resources", "merchant_id", ""),
        ("slot.resources", "service_id", ""),
        ("slot.resources", "staff_id", "BOOKING_SLOT_MISMATCH"),
        ("slot.resources", "room_id", "BOOKING_SLOT_MISMATCH"),
    ],
)
async def test_update_booking_with_a_parent_in_the_mask_refuses_what_cannot_be_changed(
    front: FrontEnd, store: ReferenceStore, parent: str, other: str, reason: str
) -> None:
    """What the mask names as a whole must agree with the booking where it cannot be changed."""
    booking = await made(front, store, staff="anna")
    request = pb.UpdateBookingRequest(booking=booking, update_mask={"paths": [parent]})
    slot = request.booking.slot
    slot.resources.party_size = 4
    setattr(slot.resources if other in ("staff_id", "room_id") else slot, other, "other")

    if reason:
        failure = await failure_of(front.v2.UpdateBooking(request))
        assert (failure.code.name, failure.reason) == ("INVALID_ARGUMENT", reason)
    else:
        response = await front.v2.UpdateBooking(request)
        assert response.booking.slot.resources.party_size == 4


@pytest.mark.parametrize("paths", [["slot"], ["slot.resources"]])
async def test_update_booking_with_a_parent_that_carries_nothing_is_refused(
    front: FrontEnd, store: ReferenceStore, paths: list[str]
) -> None:
    """A parent whose children the booking leaves out asks for nothing."""
    booking = await made(front, store)
    request = pb.UpdateBookingRequest(
        booking={"booking_id": booking.booking_id, "status": pb.NO_SHOW},
        update_mask={"paths": paths},
    )

    failure = await failure_of(front.v2.UpdateBooking(request))

    assert failure.violations == {
        "update_mask": "names only parents, and the booking carries nothing to change"
    }
