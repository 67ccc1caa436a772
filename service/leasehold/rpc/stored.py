"""Bookings as they are kept, shown in either version of the API, whichever one made them.

The original is kept in the words of the version that made the booking; what can change is laid
over it. Messages of payment have the same numbers in both versions.
"""

from typing import Any

from leasehold.generated.ext.maps.booking.partner.v0 import booking_service_pb2 as v0
from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as v2
from leasehold.model.booking import BookingRecord, BookingStatus

# Never one table for both: CANCELED is 3 in v2 and 4 in v0.
V2_NUMBERS = {
    BookingStatus.CONFIRMED: v2.CONFIRMED,
    BookingStatus.CANCELED: v2.CANCELED,
    BookingStatus.NO_SHOW: v2.NO_SHOW,
    BookingStatus.NO_SHOW_PENALIZED: v2.NO_SHOW_PENALIZED,
}
V0_NUMBERS = {
    BookingStatus.CONFIRMED: v0.CONFIRMED,
    BookingStatus.CANCELED: v0.CANCELED,
    BookingStatus.NO_SHOW: v0.NO_SHOW,
    BookingStatus.NO_SHOW_PENALIZED: v0.NO_SHOW_PENALIZED,
}


def as_v2(record: BookingRecord) -> v2.Booking:
    """Show a booking as it is now in v2."""
    if record.api == "v2":
        booking = v2.CreateBookingResponse.FromString(record.original).booking
    else:
        booking = _v2_from_v0(v0.Booking.FromString(record.original), record)
    slot = record.slot
    booking.status = V2_NUMBERS[record.status]
    booking.slot.start_time.seconds = slot.start_s
    booking.slot.duration.seconds = slot.duration_s
    if booking.slot.resources.party_size != slot.party_size:
        booking.slot.resources.party_size = slot.party_size
    return booking


def as_v0(record: BookingRecord) -> v0.Booking:
    """Show a booking as it is now in v0."""
    if record.api == "v0":
        booking = v0.Booking.FromString(record.original)
    else:
        booking = _v0_from_v2(v2.CreateBookingResponse.FromString(record.original).booking)
    slot = record.slot
    booking.status = V0_NUMBERS[record.status]
    booking.merchant_id, booking.service_id = slot.merchant_id, slot.service_id
    booking.start_time.seconds = slot.start_s
    booking.duration.seconds = slot.duration_s
    return booking


def _v2_from_v0(made: v0.Booking, record: BookingRecord) -> v2.Booking:
    client, slot = made.client_information, record.slot
    booking = v2.Booking(booking_id=made.booking_id)
    booking.slot.merchant_id, booking.slot.service_id = slot.merchant_id, slot.service_id
    if slot.staff_id or slot.room_id:
        booking.slot.resources.staff_id = slot.staff_id
        booking.slot.resources.room_id = slot.room_id
    user = booking.user_information
    user.given_name, user.family_name = client.given_name, client.family_name
    user.telephone, user.email = client.telephone, client.email
    if client.HasField("address"):
        user.address.MergeFromString(client.address.SerializeToString())
    if made.HasField("payment_information"):
        booking.payment_information.MergeFromString(made.payment_information.SerializeToString())
    return booking


def _v0_from_v2(made: v2.Booking) -> v0.Booking:
    user = made.user_information
    booking = v0.Booking(booking_id=made.booking_id)
    client = booking.client_information
    client.given_name, client.family_name = user.given_name, user.family_name
    client.telephone, client.email = user.telephone, user.email
    if user.HasField("address"):
        client.address.MergeFromString(user.address.SerializeToString())
    if made.HasField("payment_information"):
        booking.payment_information.MergeFromString(made.payment_information.SerializeToString())
    return booking


def user_of(api: str, original: bytes) -> str:
    """Return the user who made a booking; empty when it names none, or none any more."""
    if api == "v0":
        return ""
    made = v2.CreateBookingResponse.FromString(original)
    return str(made.booking.user_information.user_id)


def without_person(api: str, original: bytes) -> bytes:
    """Return what stays of a booking's original when its person is to be forgotten.

    Its id, its slot as it was booked and the state of its payment, which GetBookingStatus tells;
    whatever else there is, or will be, is taken for personal.
    """
    if api == "v0":
        legacy = v0.Booking.FromString(original)
        left = v0.Booking(booking_id=legacy.booking_id)
        _keep_payment_state(legacy, left)
        return left.SerializeToString()
    made = v2.CreateBookingResponse.FromString(original).booking
    kept = v2.Booking(booking_id=made.booking_id, slot=made.slot, status=made.status)
    _keep_payment_state(made, kept)
    response = v2.CreateBookingResponse(booking=kept)
    response.DiscardUnknownFields()
    return response.SerializeToString()


def _keep_payment_state(made: v2.Booking | v0.Booking, kept: v2.Booking | v0.Booking) -> None:
    if made.HasField("payment_information"):
        state: Any = made.payment_information.prepayment_status
        kept.payment_information.prepayment_status = state
