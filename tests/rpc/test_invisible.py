"""What shows nothing is no name, and what turns text around is part of no new id."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.backends import soon
from tests.calls import booking_request, failure_of, lease_request
from tests.feeds import DAY_S, entry, fault_of
from tests.reference_store import ReferenceStore
from tests.rpc import contract, legacy
from tests.rpc.conftest import FrontEnd

from leasehold.generated.ext.maps.booking.partner.v0 import booking_service_pb2 as v0
from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as v2
from leasehold.generated.leasehold.v1 import lease_service_pb2 as v1
from leasehold.model import ids
from leasehold.model.booking import CreateBooking
from leasehold.model.lease import CreateLease
from leasehold.model.slot import Slot

TURNED = "\u202e1-nolas"
"""Shown as ``salon-1``."""
REFUSED = "contains characters that change the direction of text"
ADDRESS = (
    "address_country",
    "address_locality",
    "address_region",
    "postal_code",
    "street_address",
)


@pytest.mark.parametrize("nothing", ["\u200b", "\u3164", "\u2800", "\ufeff\u00ad\u2028"])
async def test_create_booking_with_invisible_texts_names_what_is_required(
    front: FrontEnd, store: ReferenceStore, nothing: str
) -> None:
    """Invisible is blank, in either version, for the person and for the address."""
    request = booking_request(store.now_ms)
    required = ("given_name", "family_name", "telephone", "email")
    address = dict.fromkeys(ADDRESS, nothing)
    for name in required:
        setattr(request.user_information, name, nothing)
    request.user_information.address.MergeFrom(v2.PostalAddress(**address))
    paths = [*required, *(f"address.{name}" for name in ADDRESS)]
    failure = await failure_of(front.v2.CreateBooking(request))
    expected = {f"user_information.{path}": "is blank" for path in paths}
    assert failure.violations == expected

    old = v0.CreateBookingRequest(lease_ref={"lease_id": contract.UNKNOWN_ID})
    old.client_information.MergeFrom(v0.ClientInformation(telephone=nothing, address=address))
    failure = await failure_of(front.v0.CreateBooking(old))
    paths = ["telephone", *(f"address.{name}" for name in ADDRESS)]
    assert failure.violations == {f"client_information.{path}": "is blank" for path in paths}


async def test_ids_that_turn_text_around_are_not_made(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """Every id, reference and token that a lease, a booking or a feed brings is judged."""
    lease = lease_request(store.now_ms, merchant=TURNED, reference=TURNED, staff=TURNED)
    booking = booking_request(store.now_ms, merchant=TURNED, staff=TURNED, token=TURNED)
    booking.user_information.user_id = TURNED
    old = legacy.lease_request(store.now_ms, merchant=TURNED, reference=TURNED, staff_id=TURNED)
    for request in (lease.lease, booking):
        request.slot.service_id = request.slot.resources.room_id = TURNED
    old.lease.service_id = old.lease.resources.room_id = TURNED

    def all_of(path: str) -> set[str]:
        resources = ("resources.staff_id", "resources.room_id")
        return {f"{path}{name}" for name in ("merchant_id", "service_id", *resources)}

    paths = {"lease.user_reference"} | all_of("lease.slot.")
    failure = await failure_of(front.v2.CreateLease(lease))
    assert failure.violations == dict.fromkeys(paths, REFUSED)
    paths = {"idempotency_token", "user_information.user_id"} | all_of("slot.")
    failure = await failure_of(front.v2.CreateBooking(booking))
    assert failure.violations == dict.fromkeys(paths, REFUSED)
    paths = {"lease.client_reference"} | all_of("lease.")
    failure = await failure_of(front.v0.CreateLease(old))
    assert failure.violations == dict.fromkeys(paths, REFUSED)
    for name in ("merchant_id", "service_id"):
        assert fault_of(entry(**{name: TURNED})) == f"{name} {REFUSED}"
    for name in ("staff_id", "room_id"):
        assert f"{name} {REFUSED}" in fault_of(entry(resources={name: TURNED}))


@pytest.fixture
def slot(store: ReferenceStore) -> Slot:
    """A slot as an older release took it."""
    return Slot(TURNED, TURNED, store.now_ms // 1000 + DAY_S, 1800, TURNED, TURNED)


async def held(store: ReferenceStore, slot: Slot) -> str:
    """Hold a slot as an older release would have; return the lease id."""
    command = CreateLease(slot, TURNED, store.now_ms + 60_000)
    assert (await store.create_lease(command, soon())).status == "created"
    return command.lease_id


async def booked(store: ReferenceStore, slot: Slot) -> str:
    """Book a slot as an older release would have; return the booking id."""
    booking = v2.Booking(status=v2.CONFIRMED, user_information={"user_id": TURNED})
    booking.booking_id = ids.wire_id(slot.merchant_id, ids.booking_suffix("v2", TURNED))
    original = v2.CreateBookingResponse(booking=booking).SerializeToString()
    await store.create_booking(CreateBooking(slot, TURNED, "v2", TURNED, original), soon())
    return booking.booking_id


async def test_booking_whose_ids_turn_text_around_is_read_moved_and_cancelled(
    front: FrontEnd, store: ReferenceStore, slot: Slot
) -> None:
    """What is stored stays in reach, by its id and by its user's."""
    booking_id = await booked(store, slot)

    found = await front.v2.GetBookingStatus(v2.GetBookingStatusRequest(booking_id=booking_id))
    assert found.booking_status == v2.CONFIRMED
    listed = await front.v2.ListBookings(v2.ListBookingsRequest(user_id=TURNED))
    assert [each.booking_id for each in listed.bookings] == [booking_id]
    move = contract.move_request(booking_id, slot.start_s + 3600)
    move.booking.slot.merchant_id = move.booking.slot.service_id = TURNED
    moved = await front.v2.UpdateBooking(move)
    assert moved.booking.slot.start_time.seconds == slot.start_s + 3600
    cancelled = await front.v2.UpdateBooking(contract.cancel_request(booking_id))
    assert cancelled.booking.status == v2.CANCELED


async def test_lease_whose_ids_turn_text_around_is_booked(
    front: FrontEnd, store: ReferenceStore, slot: Slot
) -> None:
    """The slot has to be that of the lease, so nothing new is made of it."""
    lease_id = await held(store, slot)
    request = booking_request(store.now_ms, merchant=TURNED, staff=TURNED, lease_id=lease_id)
    request.slot.service_id = request.slot.resources.room_id = TURNED

    assert (await front.v2.CreateBooking(request)).booking.status == v2.CONFIRMED


async def test_lease_whose_ids_turn_text_around_is_shown_extended_and_released(
    serve_operators: Callable[..., Any], store: ReferenceStore, slot: Slot
) -> None:
    """Operators reach what is stored by every call that names it."""
    front = await serve_operators(store.inventory)
    lease_id = await held(store, slot)

    listed = await front.leases.ListLeases(v1.ListLeasesRequest(merchant_id=TURNED))
    assert [each.lease_id for each in listed.leases] == [lease_id]
    inspect = v1.InspectSlotRequest(slot={"merchant_id": TURNED, "service_id": TURNED})
    inspect.slot.start_time.seconds, inspect.slot.duration.seconds = slot.start_s, 1800
    inspect.slot.staff_id = inspect.slot.room_id = TURNED
    assert len((await front.leases.InspectSlot(inspect)).spots) == 1
    extend = v1.ExtendLeaseRequest(lease_id=lease_id, reason="INC-1")
    extend.expire_time.FromMilliseconds(store.now_ms + 90_000)
    await front.leases.ExtendLease(extend)
    await front.leases.ReleaseLease(v1.ReleaseLeaseRequest(lease_id=lease_id, reason="INC-1"))
    lease = (await front.leases.GetLease(v1.GetLeaseRequest(lease_id=lease_id))).lease
    assert lease.state == v1.LEASE_STATE_RELEASED
