"""Contract 6.2, "Bookings across versions": one booking, whole in either version."""

import pytest
from google.protobuf.message import Message
from tests.calls import booking_request, failure_of
from tests.reference_store import ReferenceStore
from tests.rpc import contract, legacy
from tests.rpc.conftest import FrontEnd

from leasehold.generated.ext.maps.booking.partner.v0 import booking_service_pb2 as v0
from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as v2
from leasehold.model.booking import BookingStatus

ADDRESS = {
    "address_country": "GB",
    "address_locality": "London",
    "address_region": "Greater London",
    "post_office_box_number": "12",
    "postal_code": "SW1Y 4JH",
    "street_address": "12 St James's Square",
}
PAYMENT = {
    "prepayment_status": 1,
    "payment_transaction_id": "txn-1",
    "price": {"price_micros": 12_000_000, "currency_code": "GBP"},
    "tax_amount": {"price_micros": 2_000_000, "currency_code": "GBP"},
    "payment_processed_by": 1,
    "payment_option_id": "option-1",
    "deposit": {"deposit": {"price_micros": 1, "currency_code": "GBP"}},
    "no_show_fee": {"fee": {"price_micros": 2, "currency_code": "GBP"}},
}
PERSON = {
    "given_name": "Ada",
    "family_name": "Lovelace",
    "address": ADDRESS,
    "telephone": "+44 20 7946 0000",
    "email": "ada@example.com",
}


async def made_by_v2(front: FrontEnd, store: ReferenceStore) -> v2.Booking:
    """Make a booking of v2 that has all that a booking can have."""
    request = booking_request(store.now_ms, staff="anna")
    request.slot.resources.room_id, request.slot.resources.party_size = "room-2", 2
    request.slot.availability_tag = "tag"
    request.user_information.Clear()
    user = v2.UserInformation(user_id="ada", language_code="en", **PERSON)  # type: ignore[arg-type]
    request.user_information.CopyFrom(user)
    request.payment_information.CopyFrom(v2.PaymentInformation(**PAYMENT))  # type: ignore[arg-type]
    booking: v2.Booking = (await front.v2.CreateBooking(request)).booking
    return booking


async def made_by_v0(front: FrontEnd, store: ReferenceStore) -> v0.Booking:
    """Make a booking of v0 that has all that a booking can have."""
    held = await legacy.held(front, store.now_ms, staff_id="anna", room_id="room-2")
    request = legacy.booking_request(held)
    request.client_information.CopyFrom(v0.ClientInformation(**PERSON))  # type: ignore[arg-type]
    request.payment_information.CopyFrom(v0.PaymentInformation(**PAYMENT))  # type: ignore[arg-type]
    booking: v0.Booking = (await front.v0.CreateBooking(request)).booking
    return booking


def has_all(message: Message, *but: str) -> bool:
    """Tell whether every field of a message is set, so that a comparison means something."""
    names = {field.name for field, _ in message.ListFields()}
    return names | set(but) == {field.name for field in message.DESCRIPTOR.fields}


async def test_bookings_across_versions_made_by_v2_are_whole_in_v0(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """Person, address, payment and times; what v0 has no field for stays with the booking."""
    made = await made_by_v2(front, store)
    later_s = made.slot.start_time.seconds + 3600

    moved = await front.v0.UpdateBooking(legacy.move_request(made.booking_id, later_s))
    no_show = await front.v0.UpdateBooking(legacy.status_request(made.booking_id, v0.NO_SHOW))

    expected = v0.Booking(
        booking_id=made.booking_id,
        merchant_id="salon-1",
        service_id="haircut",
        start_time={"seconds": later_s},
        duration={"seconds": 1800},
        client_information=PERSON,
        status=v0.CONFIRMED,
        payment_information=PAYMENT,
    )
    assert has_all(expected, "virtual_session_info")
    assert moved.booking == expected
    expected.status = v0.NO_SHOW
    assert no_show.booking == expected

    made.slot.start_time.seconds, made.status = later_s, v2.NO_SHOW
    listed = await front.v2.ListBookings(v2.ListBookingsRequest(user_id="ada"))
    assert list(listed.bookings) == [made]
    assert has_all(made, "virtual_session_info")
    assert has_all(made.slot)


async def test_bookings_across_versions_made_by_v0_are_whole_in_v2(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """Person, address, payment, staff, room and times; v0 named no user and no party."""
    made = await made_by_v0(front, store)
    later_s = made.start_time.seconds + 3600

    moved = await front.v2.UpdateBooking(contract.move_request(made.booking_id, later_s))
    no_show = await front.v2.UpdateBooking(
        contract.update_request(made.booking_id, "status", status=v2.NO_SHOW)
    )

    expected = v2.Booking(
        booking_id=made.booking_id,
        slot={
            "merchant_id": "salon-1",
            "service_id": "haircut",
            "start_time": {"seconds": later_s},
            "duration": {"seconds": 1800},
            "resources": {"staff_id": "anna", "room_id": "room-2"},
        },
        user_information=PERSON,
        status=v2.CONFIRMED,
        payment_information=PAYMENT,
    )
    assert has_all(expected, "virtual_session_info")
    assert has_all(expected.user_information, "user_id", "language_code")
    assert moved.booking == expected
    expected.status = v2.NO_SHOW
    assert no_show.booking == expected

    made.start_time.seconds, made.status = later_s, v0.NO_SHOW
    seen = await front.v0.UpdateBooking(legacy.status_request(made.booking_id, v0.NO_SHOW))
    assert seen.booking == made
    assert has_all(made, "virtual_session_info")


async def test_bookings_across_versions_without_resources_have_none(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """A slot of v0 without staff and room shows no resources in v2, and no payment if none."""
    request = legacy.booking_request(await legacy.held(front, store.now_ms))
    request.ClearField("payment_information")
    made = (await front.v0.CreateBooking(request)).booking

    seen = (await front.v2.UpdateBooking(contract.cancel_request(made.booking_id))).booking

    assert not seen.slot.HasField("resources")
    assert not seen.HasField("payment_information")
    assert not seen.user_information.HasField("address")
    assert seen.user_information.family_name == "Lovelace"


@pytest.mark.parametrize(
    ("number", "status", "v2_number"),
    [
        (1, BookingStatus.CONFIRMED, 1),
        (4, BookingStatus.CANCELED, 3),
        (5, BookingStatus.NO_SHOW, 4),
        (6, BookingStatus.NO_SHOW_PENALIZED, 5),
    ],
)
async def test_bookings_across_versions_have_the_states_numbers_of_each(
    front: FrontEnd, store: ReferenceStore, number: int, status: BookingStatus, v2_number: int
) -> None:
    """A state set by v0's number is read back by it, and by v2's own number in v2."""
    made = (await legacy.made(front, store.now_ms)).booking_id
    if status is BookingStatus.CONFIRMED:
        (kept,) = store.bookings.values()
        kept.status = BookingStatus.NO_SHOW
    request = legacy.status_request(made, number)

    for _ in ("set", "read"):
        assert (await front.v0.UpdateBooking(request)).booking.status == number
    assert [kept.status for kept in store.bookings.values()] == [status]
    state = await front.v2.GetBookingStatus(v2.GetBookingStatusRequest(booking_id=made))
    assert state.booking_status == v2_number


@pytest.mark.parametrize("number", [0, 2, 3, 7])
async def test_bookings_across_versions_know_no_other_numbers_of_v0(
    front: FrontEnd, store: ReferenceStore, number: int
) -> None:
    """CANCELED of v2 is no state of v0, nor is what the documents leave out."""
    made = (await legacy.made(front, store.now_ms)).booking_id

    failure = await failure_of(front.v0.UpdateBooking(legacy.status_request(made, number)))

    assert failure.violations == {"booking.status": "is not a state of a booking"}
