"""Slots that were held or booked when they could be longer than they may be now."""

from typing import Any

import pytest
from tests.calls import booking_request, failure_of, lease_request
from tests.feeds import DAY_S
from tests.reference_store import ReferenceStore
from tests.rpc.conftest import FrontEnd

from leasehold.generated.ext.maps.booking.partner.v0 import booking_service_pb2 as v0
from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as v2
from leasehold.generated.leasehold.v1 import lease_service_pb2 as v1
from leasehold.model import ids
from leasehold.model.booking import CreateBooking
from leasehold.model.deadline import Deadline
from leasehold.model.lease import CreateLease
from leasehold.model.slot import Slot

LONG_S = 40 * DAY_S


@pytest.fixture
def slot(store: ReferenceStore) -> Slot:
    """A slot that is longer than those that the listeners take."""
    return Slot("salon-1", "haircut", store.now_ms // 1000 + DAY_S, LONG_S)


def soon() -> Deadline:
    """Return a deadline that no step of these tests comes near."""
    return Deadline.within(60, None)


async def booked(store: ReferenceStore, slot: Slot) -> v2.Booking:
    """Book as a process with another limit would have; return what the caller has of it."""
    request = booking_request(store.now_ms)
    request.slot.duration.seconds = slot.duration_s
    booking = v2.Booking(slot=request.slot, status=v2.CONFIRMED)
    booking.user_information.CopyFrom(request.user_information)
    booking.booking_id = ids.wire_id(slot.merchant_id, ids.booking_suffix("v2", "token-1"))
    original = v2.CreateBookingResponse(booking=booking).SerializeToString()
    await store.create_booking(CreateBooking(slot, "token-1", "v2", "ada", original), soon())
    return booking


@pytest.mark.parametrize("paths", [[], ["slot"], ["slot.start_time", "slot.duration"]])
async def test_update_booking_of_a_longer_slot_moves_and_cancels(
    front: FrontEnd, store: ReferenceStore, slot: Slot, paths: list[str]
) -> None:
    """The whole booking comes back with another start, then cancelled, as partners send it."""
    booking = await booked(store, slot)
    request = v2.UpdateBookingRequest(booking=booking, update_mask={"paths": paths})
    request.booking.slot.start_time.seconds += 3600

    moved = (await front.v2.UpdateBooking(request)).booking
    assert (moved.slot.start_time.seconds, moved.slot.duration.seconds) == (
        slot.start_s + 3600,
        LONG_S,
    )
    request.booking.slot.duration.seconds = LONG_S + 1
    request.booking.slot.start_time.seconds += 3600
    failure = await failure_of(front.v2.UpdateBooking(request))
    assert list(failure.violations) == ["booking.slot.duration"]
    request = v2.UpdateBookingRequest(booking=moved)
    request.booking.status = v2.CANCELED
    assert (await front.v2.UpdateBooking(request)).booking.status == v2.CANCELED


async def test_update_booking_v0_of_a_longer_slot_moves_and_cancels(
    front: FrontEnd, store: ReferenceStore, slot: Slot
) -> None:
    """The legacy version judges durations as v2 does."""
    booking_id = (await booked(store, slot)).booking_id

    async def change(*paths: str, **booking: Any) -> v0.Booking:
        request = v0.UpdateBookingRequest(booking={"booking_id": booking_id, **booking})
        request.update_mask.paths.extend(paths)
        response: v0.UpdateBookingResponse = await front.v0.UpdateBooking(request)
        return response.booking

    start, long = {"seconds": slot.start_s + 3600}, {"seconds": LONG_S}
    moved = await change("start_time", "duration", start_time=start, duration=long)
    assert moved.start_time.seconds == slot.start_s + 3600
    failure = await failure_of(change("duration", duration={"seconds": LONG_S + 1}))
    assert list(failure.violations) == ["booking.duration"]
    assert (await change("status", status=v0.CANCELED)).status == v0.CANCELED


async def test_create_booking_by_the_lease_of_a_longer_slot_books(
    front: FrontEnd, store: ReferenceStore, slot: Slot
) -> None:
    """A lease that is held may be booked; without one such a slot is a fault of shape."""
    lease = CreateLease(slot, "reference-1", store.now_ms + 60_000)
    await store.create_lease(lease, soon())
    request = booking_request(store.now_ms)
    request.slot.duration.seconds = slot.duration_s

    failure = await failure_of(front.v2.CreateBooking(request))
    assert list(failure.violations) == ["slot.duration"]
    request.lease_ref.lease_id = lease.lease_id
    response = await front.v2.CreateBooking(request)
    assert response.booking.status == v2.CONFIRMED


async def test_create_lease_and_check_of_a_longer_slot_are_faults_of_shape(
    front: FrontEnd, store: ReferenceStore, slot: Slot
) -> None:
    """Nothing longer is held, and no such slot is free."""
    request = lease_request(store.now_ms)
    request.lease.slot.duration.seconds = slot.duration_s
    check = v2.CheckAvailabilityRequest(slot=request.lease.slot)

    for call, path in (
        (front.v2.CreateLease(request), "lease.slot.duration"),
        (front.v2.CheckAvailability(check), "slot.duration"),
    ):
        assert list((await failure_of(call)).violations) == [path]


async def test_inspect_slot_shows_a_longer_slot(
    serve_operators: Any, store: ReferenceStore, slot: Slot
) -> None:
    """What is stored can be looked at, whatever may be held now."""
    front = await serve_operators(store.inventory)
    request = v1.InspectSlotRequest()
    request.slot.merchant_id, request.slot.service_id = slot.merchant_id, slot.service_id
    request.slot.start_time.seconds, request.slot.duration.seconds = slot.start_s, slot.duration_s
    response = await front.leases.InspectSlot(request)
    assert len(response.spots) == 1
