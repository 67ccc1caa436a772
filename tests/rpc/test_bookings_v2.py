from typing import Any

import grpc
import pytest
from tests.calls import booking_request, failure_of, lease_request
from tests.reference_store import ReferenceStore
from tests.rpc.conftest import FrontEnd

from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as pb
from leasehold.model import ids
from leasehold.model.booking import BookingStatus

Failure = pb.BookingFailure
INVALID_ARGUMENT = grpc.StatusCode.INVALID_ARGUMENT


async def held(front: FrontEnd, store: ReferenceStore, *, for_ms: int = 60_000) -> str:
    """Hold the slot and return the lease id."""
    response = await front.v2.CreateLease(lease_request(store.now_ms, for_ms=for_ms))
    return str(response.lease.lease_id)


async def test_create_booking_answers_with_the_confirmed_booking(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """The booking carries the slot, the user and the payment of the request, and an id of ours."""
    request = booking_request(store.now_ms, lease_id=await held(front, store))
    request.payment_information.prepayment_status = pb.PREPAYMENT_PROVIDED
    request.payment_information.price.price_micros = 12_000_000

    response = await front.v2.CreateBooking(request)

    expected = pb.CreateBookingResponse()
    expected.booking.booking_id = ids.wire_id("salon-1", ids.booking_suffix("v2", "token-1"))
    expected.booking.slot.CopyFrom(request.slot)
    expected.booking.user_information.CopyFrom(request.user_information)
    expected.booking.payment_information.CopyFrom(request.payment_information)
    expected.booking.status = pb.CONFIRMED
    assert response == expected


async def test_create_booking_repeated_gets_the_same_response(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """A repeat makes no second booking, even once the lease would have run out."""
    request = booking_request(store.now_ms, lease_id=await held(front, store))
    first = await front.v2.CreateBooking(request)
    store.now_ms += 120_000

    assert await front.v2.CreateBooking(request) == first
    assert len(store.bookings) == 1


async def test_create_booking_without_a_lease_books_a_free_slot(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """A lease is optional."""
    response = await front.v2.CreateBooking(booking_request(store.now_ms))

    assert response.booking.status == pb.CONFIRMED


async def test_create_booking_of_nothing_names_every_missing_field(front: FrontEnd) -> None:
    """An empty request is told everything it lacks; inside user_information once it is there."""
    failure = await failure_of(front.v2.CreateBooking(pb.CreateBookingRequest()))
    assert failure.code is INVALID_ARGUMENT
    assert failure.violations == dict.fromkeys(
        [
            "slot",
            "slot.merchant_id",
            "slot.service_id",
            "slot.start_time",
            "slot.duration",
            "idempotency_token",
            "user_information",
        ],
        "is required",
    )

    request = pb.CreateBookingRequest(user_information={}, lease_ref={})
    violations = (await failure_of(front.v2.CreateBooking(request))).violations
    users = ("user_id", "given_name", "family_name", "telephone", "email")
    assert {f"user_information.{name}" for name in users} < set(violations)
    assert violations["lease_ref.lease_id"] == "is required"


async def test_create_booking_checks_names_and_text_without_repeating_them(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """Names have at most 40 characters, free text 4096 bytes; no value comes back."""
    request = booking_request(store.now_ms)
    request.user_information.given_name = "Ä" * 41
    request.user_information.family_name = "Ä" * 40
    request.additional_request = "secret" * 700
    address = request.user_information.address
    address.address_country, address.address_locality, address.address_region = "GB", "Q", "Z"
    address.postal_code, address.street_address = "QX7", "secret" * 700

    failure = await failure_of(front.v2.CreateBooking(request))

    assert failure.violations == {
        "user_information.given_name": "is longer than 40 characters",
        "additional_request": "is longer than 4096 bytes of UTF-8",
        "user_information.address.street_address": "is longer than 4096 bytes of UTF-8",
    }
    assert "secret" not in failure.message


@pytest.mark.parametrize(
    "lease_id",
    [
        "salon-1.0000000000000000000000000A",
        "salon-1.0000000000000000000000000a",
        "salon-1.8000000000000000000000000A",
        "salon-1",
        ".0000000000000000000000000A",
        "salon%2D1.0000000000000000000000000A",
        "%ff.0000000000000000000000000A",
        "x" * 2000,
    ],
)
async def test_create_booking_with_an_unknown_lease_is_not_found(
    front: FrontEnd, store: ReferenceStore, lease_id: str
) -> None:
    """A lease id that we never gave out, well spelled or not, is NOT_FOUND."""
    failure = await failure_of(
        front.v2.CreateBooking(booking_request(store.now_ms, lease_id=lease_id))
    )

    assert failure.code is grpc.StatusCode.NOT_FOUND
    assert failure.reason == "LEASE_UNKNOWN"
    assert store.bookings == {}


async def test_create_booking_with_an_expired_lease_is_refused_in_band(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """A lease that has run out is told in the response, even though the slot is free."""
    request = booking_request(store.now_ms, lease_id=await held(front, store, for_ms=1000))
    store.now_ms += 1001

    response = await front.v2.CreateBooking(request)

    assert response.booking_failure.cause == Failure.LEASE_EXPIRED
    assert not response.HasField("booking")


async def test_create_booking_of_another_slot_leaves_the_lease_intact(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """The slot is verified against the lease."""
    lease_id = await held(front, store)
    request = booking_request(store.now_ms, lease_id=lease_id)
    request.slot.resources.room_id = "2"
    failure = await failure_of(front.v2.CreateBooking(request))
    assert (failure.code, failure.reason) == (INVALID_ARGUMENT, "LEASE_SLOT_MISMATCH")

    response = await front.v2.CreateBooking(booking_request(store.now_ms, lease_id=lease_id))
    assert response.booking.status == pb.CONFIRMED


@pytest.mark.parametrize(
    ("user", "cause"),
    [("ada", Failure.SLOT_ALREADY_BOOKED_BY_USER), ("eve", Failure.SLOT_UNAVAILABLE)],
)
@pytest.mark.parametrize("by_lease", [True, False])
async def test_create_booking_of_a_booked_slot_says_whose_it_is(
    front: FrontEnd, store: ReferenceStore, user: str, cause: int, by_lease: bool
) -> None:
    """Under a new token: the same user has it already, anybody else comes too late."""
    lease_id = await held(front, store) if by_lease else None
    await front.v2.CreateBooking(booking_request(store.now_ms, lease_id=lease_id))
    request = booking_request(store.now_ms, lease_id=lease_id, token="token-2")
    request.user_information.user_id = user

    response = await front.v2.CreateBooking(request)

    assert response.booking_failure.cause == cause


async def test_create_booking_with_a_used_token_is_token_reused(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """A token belongs to one intent."""
    await front.v2.CreateBooking(booking_request(store.now_ms))
    request = booking_request(store.now_ms)
    request.user_information.user_id = "eve"

    failure = await failure_of(front.v2.CreateBooking(request))

    assert (failure.code, failure.reason) == (INVALID_ARGUMENT, "TOKEN_REUSED")


async def test_check_availability_echoes_the_slot_with_its_free_spots(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """Free slots count 1, held ones 0, and the slot comes back as it was sent."""
    request = pb.CheckAvailabilityRequest(slot=lease_request(store.now_ms).lease.slot)
    request.slot.availability_tag = "tag"

    free = await front.v2.CheckAvailability(request)
    await held(front, store)
    taken = await front.v2.CheckAvailability(request)

    assert free == pb.CheckAvailabilityResponse(slot=request.slot, count_available=1)
    assert taken == pb.CheckAvailabilityResponse(slot=request.slot, count_available=0)


async def test_check_availability_of_a_bad_slot_is_invalid_argument(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """Faults of shape are named at once; a slot too far ahead is a fault of the clock."""
    failure = await failure_of(front.v2.CheckAvailability(pb.CheckAvailabilityRequest()))
    assert failure.code is INVALID_ARGUMENT
    assert "slot.merchant_id" in failure.violations

    request = pb.CheckAvailabilityRequest(slot=lease_request(store.now_ms).lease.slot)
    request.slot.start_time.seconds += 100 * 366 * 86_400
    assert (await failure_of(front.v2.CheckAvailability(request))).reason == "START_TOO_FAR"


@pytest.mark.parametrize(
    ("status", "number"),
    [
        (BookingStatus.CONFIRMED, 1),
        (BookingStatus.CANCELED, 3),
        (BookingStatus.NO_SHOW, 4),
        (BookingStatus.NO_SHOW_PENALIZED, 5),
    ],
)
async def test_get_booking_status_tells_state_and_payment_in_v2_numbers(
    front: FrontEnd, store: ReferenceStore, status: BookingStatus, number: pb.BookingStatus
) -> None:
    """The state has v2's numbers, the payment state is that of the request."""
    request = booking_request(store.now_ms)
    request.payment_information.prepayment_status = pb.PREPAYMENT_PROVIDED
    booking_id = (await front.v2.CreateBooking(request)).booking.booking_id
    (booking,) = store.bookings.values()
    booking.status = status

    response = await front.v2.GetBookingStatus(pb.GetBookingStatusRequest(booking_id=booking_id))

    assert response == pb.GetBookingStatusResponse(
        booking_id=booking_id,
        booking_status=number,
        prepayment_status=pb.PREPAYMENT_PROVIDED,
    )


async def test_get_booking_status_of_an_unknown_id_is_not_found(front: FrontEnd) -> None:
    """No id at all is a fault; any other that we never gave out is NOT_FOUND."""
    failure = await failure_of(front.v2.GetBookingStatus(pb.GetBookingStatusRequest()))
    assert list(failure.violations) == ["booking_id"]

    for booking_id in ("salon-1.0000000000000000000000000A", "?"):
        request = pb.GetBookingStatusRequest(booking_id=booking_id)
        failure = await failure_of(front.v2.GetBookingStatus(request))
        assert (failure.code, failure.reason) == (grpc.StatusCode.NOT_FOUND, "BOOKING_UNKNOWN")


async def made(front: FrontEnd, store: ReferenceStore, **changes: str) -> pb.Booking:
    """Book the slot and return the booking."""
    response = await front.v2.CreateBooking(booking_request(store.now_ms, **changes))
    booking: pb.Booking = response.booking
    return booking


async def test_update_booking_moves_start_duration_and_party_size(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """What the mask names is changed, all at once; the rest of the booking stays."""
    booking = await made(front, store)
    request = pb.UpdateBookingRequest(booking={"booking_id": booking.booking_id})
    request.update_mask.paths.extend(
        ["slot.start_time", "slot.duration", "slot.resources.party_size"]
    )
    request.booking.slot.start_time.seconds = booking.slot.start_time.seconds + 3600
    request.booking.slot.duration.seconds = 900
    request.booking.slot.resources.party_size = 4

    response = await front.v2.UpdateBooking(request)

    booking.slot.start_time.seconds += 3600
    booking.slot.duration.seconds = 900
    booking.slot.resources.party_size = 4
    assert response == pb.UpdateBookingResponse(booking=booking)


async def test_update_booking_takes_from_the_mask_only_what_it_names(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """What the request carries beside the mask is not looked at."""
    booking = await made(front, store)
    request = pb.UpdateBookingRequest(booking={"booking_id": booking.booking_id})
    request.update_mask.paths.append("status")
    request.booking.status = pb.NO_SHOW
    request.booking.slot.start_time.seconds = 1

    response = await front.v2.UpdateBooking(request)

    booking.status = pb.NO_SHOW
    assert response.booking == booking


async def test_update_booking_without_a_mask_changes_what_it_carries(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """The whole booking may come back, cancelled; twice answers the cancelled one again."""
    booking = await made(front, store)
    request = pb.UpdateBookingRequest(booking=booking)
    request.booking.status = pb.CANCELED

    first = await front.v2.UpdateBooking(request)
    again = await front.v2.UpdateBooking(request)

    assert first.booking.status == pb.CANCELED
    assert again == first
    assert store.owners == {}


@pytest.mark.parametrize("slot", [{"duration": {"seconds": 900}}, {"resources": {"party_size": 4}}])
async def test_update_booking_without_a_mask_changes_one_field_alone(
    front: FrontEnd, store: ReferenceStore, slot: dict[str, Any]
) -> None:
    """A duration, or a party size, that comes alone is what is to be changed."""
    booking = await made(front, store)

    response = await front.v2.UpdateBooking(
        pb.UpdateBookingRequest(booking={"booking_id": booking.booking_id, "slot": slot})
    )

    booking.slot.MergeFrom(pb.Slot(**slot))
    assert response == pb.UpdateBookingResponse(booking=booking)


@pytest.mark.parametrize("other", ["merchant_id", "service_id", "staff_id", "room_id"])
async def test_update_booking_without_a_mask_names_the_slot_of_the_booking(
    front: FrontEnd, store: ReferenceStore, other: str
) -> None:
    """What cannot be changed must agree: to leave it silently would look like success."""
    booking = await made(front, store)
    request = pb.UpdateBookingRequest(booking={"booking_id": booking.booking_id})
    slot = request.booking.slot
    slot.start_time.seconds = booking.slot.start_time.seconds + 3600
    setattr(slot.resources if other in ("staff_id", "room_id") else slot, other, "other")

    failure = await failure_of(front.v2.UpdateBooking(request))

    assert (failure.code.name, failure.reason) == ("INVALID_ARGUMENT", "BOOKING_SLOT_MISMATCH")


async def test_update_booking_of_a_cancelled_or_no_show_one_is_refused_in_band(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """A cancelled booking stays so, and a no-show cannot be cancelled."""
    booking = await made(front, store)

    async def cause_of(status: pb.BookingStatus) -> int:
        request = pb.UpdateBookingRequest(
            booking={"booking_id": booking.booking_id, "status": status}
        )
        response = await front.v2.UpdateBooking(request)
        return int(response.booking_failure.cause)

    assert await cause_of(pb.NO_SHOW) == Failure.CAUSE_UNSPECIFIED
    assert await cause_of(pb.CANCELED) == Failure.BOOKING_NOT_CANCELLABLE
    assert await cause_of(pb.CONFIRMED) == Failure.CAUSE_UNSPECIFIED
    assert await cause_of(pb.CANCELED) == Failure.CAUSE_UNSPECIFIED
    assert await cause_of(pb.CONFIRMED) == Failure.BOOKING_ALREADY_CANCELLED


async def test_update_booking_onto_a_taken_slot_is_refused_in_band(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """The refused move carries no booking, and the booking is as it was."""
    booking = await made(front, store)
    other = lease_request(store.now_ms, start_s=booking.slot.start_time.seconds + 3600)
    await front.v2.CreateLease(other)
    request = pb.UpdateBookingRequest(booking={"booking_id": booking.booking_id})
    request.booking.slot.start_time.CopyFrom(other.lease.slot.start_time)

    response = await front.v2.UpdateBooking(request)

    assert response.booking_failure.cause == Failure.SLOT_UNAVAILABLE
    assert not response.HasField("booking")


async def test_update_booking_names_every_faulty_field(front: FrontEnd) -> None:
    """A mask with other fields, a state that is none, a slot that is none: all named at once."""
    request = pb.UpdateBookingRequest()
    assert set((await failure_of(front.v2.UpdateBooking(request))).violations) == {
        "update_mask",
        "booking.booking_id",
    }

    request.update_mask.paths.extend(
        ["status", "slot.service_id", "slot.start_time", "slot.duration"]
    )
    request.booking.slot.duration.nanos = 1
    violations = (await failure_of(front.v2.UpdateBooking(request))).violations
    assert violations["update_mask"].startswith("may name only: ")
    assert violations["booking.status"] == "is not a state of a booking"
    assert violations["booking.slot.start_time"] == "is required"
    assert "booking.slot.duration" in violations


async def test_update_booking_of_an_unknown_id_is_not_found(front: FrontEnd) -> None:
    """An id that we never gave out is NOT_FOUND."""
    for booking_id in ("salon-1.0000000000000000000000000A", "?"):
        request = pb.UpdateBookingRequest(booking={"booking_id": booking_id, "status": pb.CANCELED})
        failure = await failure_of(front.v2.UpdateBooking(request))
        assert (failure.code, failure.reason) == (grpc.StatusCode.NOT_FOUND, "BOOKING_UNKNOWN")


async def test_list_bookings_shows_what_stands_by_start(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """Bookings come as they are now, without the cancelled ones."""
    late = await made(front, store)
    request = booking_request(store.now_ms, token="token-2")
    request.slot.start_time.seconds -= 3600
    early = (await front.v2.CreateBooking(request)).booking

    listed = await front.v2.ListBookings(pb.ListBookingsRequest(user_id="ada"))
    assert list(listed.bookings) == [early, late]

    cancel = pb.UpdateBookingRequest(booking={"booking_id": early.booking_id, "status": 3})
    await front.v2.UpdateBooking(cancel)
    listed = await front.v2.ListBookings(pb.ListBookingsRequest(user_id="ada"))
    assert list(listed.bookings) == [late]


async def test_list_bookings_of_an_unknown_user_is_not_found(front: FrontEnd) -> None:
    """No user at all is a fault; one without bookings is NOT_FOUND."""
    failure = await failure_of(front.v2.ListBookings(pb.ListBookingsRequest()))
    assert list(failure.violations) == ["user_id"]

    for fits in ("eve", "é" * 127 + "e"):
        failure = await failure_of(front.v2.ListBookings(pb.ListBookingsRequest(user_id=fits)))
        assert (failure.code, failure.reason) == (grpc.StatusCode.NOT_FOUND, "USER_UNKNOWN")

    for wrong in ("é" * 128, "e\nve", "e\x7fve"):
        failure = await failure_of(front.v2.ListBookings(pb.ListBookingsRequest(user_id=wrong)))
        assert failure.code is INVALID_ARGUMENT
        assert list(failure.violations) == ["user_id"]
