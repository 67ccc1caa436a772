"""What goes into the calls of the partners' API and comes back, as plain values."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp

from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as pb
from leasehold.model.booking import BookingStatus
from leasehold.model.slot import Slot


# Not shown as text, so that no log and no traceback names anybody.
@dataclass(frozen=True, slots=True, repr=False)
class Person:
    """Who books."""

    user_id: str
    given_name: str
    family_name: str
    telephone: str
    email: str


@dataclass(frozen=True, slots=True)
class Held:
    """A lease as the server granted it."""

    lease_id: str
    expires_at: datetime
    """The end of the hold by the server's clock: as asked for, or earlier."""
    reference: str
    """Asked again with it, CreateLease answers with this lease."""


@dataclass(frozen=True, slots=True)
class Booked:
    """A booking as the server shows it."""

    booking_id: str
    slot: Slot
    status: BookingStatus


@dataclass(frozen=True, slots=True)
class Refused:
    """A refusal of business. Asked again, the request is judged afresh."""

    cause: str
    """By the API's name, like SLOT_UNAVAILABLE."""
    description: str


def slot_at(
    merchant_id: str,
    service_id: str,
    start: datetime,
    duration: timedelta,
    *,
    staff_id: str = "",
    room_id: str = "",
    party_size: int = 0,
) -> Slot:
    """Return a slot by its time; ValueError for a start without a time zone, or a fraction of a s.

    Empty resources, and a party size of 0, are none.
    """
    start = in_utc(start)
    if start.microsecond or duration.microseconds:
        raise ValueError("a slot starts, and lasts, whole seconds")
    return Slot(
        merchant_id=merchant_id,
        service_id=service_id,
        start_s=int(start.timestamp()),
        duration_s=round(duration.total_seconds()),
        staff_id=staff_id,
        room_id=room_id,
        party_size=party_size,
    )


def in_utc(time: datetime) -> datetime:
    """Return the same moment in UTC; ValueError for a time without a zone, which is no moment."""
    if time.tzinfo is None:
        raise ValueError("a time needs its zone, as in datetime.now(UTC)")
    return time.astimezone(UTC)


def read_time(timestamp: Timestamp) -> datetime:
    """Return a moment in UTC."""
    return timestamp.ToDatetime(UTC)


def write_slot(message: pb.Slot, slot: Slot) -> None:
    """Write a slot; absent resources stay absent."""
    message.merchant_id, message.service_id = slot.merchant_id, slot.service_id
    message.start_time.seconds, message.duration.seconds = slot.start_s, slot.duration_s
    if slot.staff_id or slot.room_id or slot.party_size:
        message.resources.staff_id = slot.staff_id
        message.resources.room_id = slot.room_id
        message.resources.party_size = slot.party_size


def read_booking(booking: pb.Booking) -> Booked:
    """Read a booking, but for the person: who asked knows that."""
    slot, resources = booking.slot, booking.slot.resources
    return Booked(
        booking_id=booking.booking_id,
        slot=Slot(
            merchant_id=slot.merchant_id,
            service_id=slot.service_id,
            start_s=slot.start_time.seconds,
            duration_s=slot.duration.seconds,
            staff_id=resources.staff_id,
            room_id=resources.room_id,
            party_size=resources.party_size,
        ),
        status=read_status(booking.status),
    )


def read_status(number: pb.BookingStatus) -> BookingStatus:
    """Return the state of a booking."""
    return BookingStatus[pb.BookingStatus.Name(number)]


def read_refusal(failure: pb.BookingFailure) -> Refused:
    """Read a refusal of business."""
    return Refused(pb.BookingFailure.Cause.Name(failure.cause), failure.description)
