"""What stays of a booking's original when its person is to be forgotten."""

from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.message import Message

from leasehold.generated.ext.maps.booking.partner.v0 import booking_service_pb2 as v0
from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as v2
from leasehold.model.booking import BookingRecord, BookingStatus
from leasehold.model.slot import Slot
from leasehold.rpc.stored import as_v0, as_v2, user_of, without_person

SLOT = Slot("salon-1", "haircut", 1_800_000_000, 1800, "anna")
PAID = "payment_information.prepayment_status"
KEPT = {
    "v2": {
        "booking.booking_id",
        "booking.status",
        "booking.slot.merchant_id",
        "booking.slot.service_id",
        "booking.slot.start_time.seconds",
        "booking.slot.start_time.nanos",
        "booking.slot.duration.seconds",
        "booking.slot.duration.nanos",
        "booking.slot.availability_tag",
        "booking.slot.resources.staff_id",
        "booking.slot.resources.room_id",
        "booking.slot.resources.party_size",
        f"booking.{PAID}",
    },
    "v0": {"booking_id", PAID},
}
KINDS: dict[str, type[Message]] = {"v2": v2.CreateBookingResponse, "v0": v0.Booking}
# Field 1000 with the text "mine", which no version knows.
UNKNOWN = b"\xc2\x3e\x04mine"


def fill(message: Any) -> None:
    """Give every field a value, at every depth."""
    for field in message.DESCRIPTOR.fields:
        if field.is_repeated:
            continue
        if field.message_type:
            getattr(message, field.name).SetInParent()
            fill(getattr(message, field.name))
        elif field.enum_type:
            setattr(message, field.name, field.enum_type.values[1].number)
        elif field.cpp_type == field.CPPTYPE_STRING:
            setattr(message, field.name, "mine")
        else:
            setattr(message, field.name, 1)
    message.MergeFromString(UNKNOWN)


def paths(message: Message, prefix: str = "") -> Iterator[str]:
    """Yield every field that has a value."""
    for field, value in message.ListFields():
        path = f"{prefix}{field.name}"
        if field.message_type:
            yield from paths(value, f"{path}.")
        else:
            yield path


@pytest.mark.parametrize("api", KINDS)
def test_without_person_keeps_what_is_listed_and_nothing_else(api: str) -> None:
    """Of an original in which every field has a value, known or not, only these are left."""
    made = KINDS[api]()
    fill(made)
    assert set(paths(made)) > KEPT[api]
    assert b"mine" in without_person(api, made.SerializeToString())  # Ids are strings, too.

    kept = KINDS[api].FromString(without_person(api, made.SerializeToString()))

    assert set(paths(kept)) == KEPT[api]
    assert UNKNOWN not in kept.SerializeToString()


@pytest.mark.parametrize("api", KINDS)
def test_without_person_of_what_has_none_is_the_same(api: str) -> None:
    """It may be repeated, so that a second run finds the work of the first."""
    made = KINDS[api]()
    fill(made)

    once = without_person(api, made.SerializeToString())

    assert without_person(api, once) == once


def test_without_person_leaves_a_booking_that_both_versions_show() -> None:
    """Id, slot, state and payment's state are shown as before; the person is empty."""
    made = v2.CreateBookingResponse()
    made.booking.booking_id = "salon-1.X"
    made.booking.slot.merchant_id, made.booking.slot.service_id = "salon-1", "haircut"
    made.booking.slot.availability_tag = "tag"
    made.booking.user_information.given_name = "Ada"
    made.booking.payment_information.prepayment_status = v2.PREPAYMENT_PROVIDED
    made.booking.payment_information.payment_transaction_id = "txn"
    original = without_person("v2", made.SerializeToString())
    record = BookingRecord("v2", original, BookingStatus.CANCELED, SLOT)

    shown, shown_v0 = as_v2(record), as_v0(record)

    assert (shown.booking_id, shown.slot.availability_tag) == ("salon-1.X", "tag")
    assert shown.status == v2.CANCELED
    assert shown.payment_information.prepayment_status == v2.PREPAYMENT_PROVIDED
    assert not shown.HasField("user_information")
    assert (shown_v0.booking_id, shown_v0.status) == ("salon-1.X", v0.CANCELED)
    assert b"Ada" not in shown_v0.SerializeToString()
    assert b"txn" not in shown_v0.SerializeToString()


def test_user_of_an_original_is_who_made_it_and_of_nobody_once_forgotten() -> None:
    """The user stands in what v2 has answered; v0 names none, and nor does what is forgotten (85).

    So a move sees what the same user has booked by any key.
    """
    response = v2.CreateBookingResponse()
    response.booking.user_information.user_id = "ada"
    made = response.SerializeToString()
    assert user_of("v2", made) == "ada"
    assert user_of("v2", without_person("v2", made)) == ""
    assert user_of("v0", v0.Booking(booking_id="salon-1.X").SerializeToString()) == ""
