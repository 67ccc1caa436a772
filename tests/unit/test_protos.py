"""Holds the generated messages against a second transcription of the partner API.

The tables were typed from the API's description and not from the .proto files, so that a slip in
either shows as a difference. A field is written `name=number type`, with `repeated`, `optional` or
the name of its oneof before the type and `deprecated` after it; a nested type carries the name of
the message around it. Reserved numbers close the row.
"""

from collections.abc import Iterable, Iterator

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from leasehold.generated.ext.maps.booking.partner.v0 import booking_service_pb2 as v0_pb2
from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as v2_pb2

# Addresses, online sessions and payments have the same numbers in both versions.
SHARED_MESSAGES = {
    "PostalAddress": (
        "address_country=1 string, address_locality=2 string, address_region=3 string, "
        "post_office_box_number=4 string, postal_code=5 string, street_address=6 string"
    ),
    "VirtualSessionInfo": "session_url=1 string, meeting_id=2 string, password=3 string",
    "PaymentProcessingParameters": (
        "processor=1 PaymentProcessingParameters.PaymentProcessor deprecated, "
        "payment_method_token=2 string deprecated, version=3 string, payment_processor=4 string, "
        "unparsed_payment_method_token=5 string"
    ),
    "UserPaymentOption": (
        "user_payment_option_id=1 string, valid_start_time=2 Timestamp, "
        "valid_end_time=3 Timestamp, type=4 PaymentOptionType, original_count=5 int32, "
        "current_count=6 int32, payment_option_id=7 string"
    ),
    "Price": "price_micros=1 int64, currency_code=2 string",
    "NoShowFee": "fee=1 Price, fee_type=3 PriceType",
    "Deposit": "deposit=1 Price, min_advance_cancellation_sec=2 int64, deposit_type=3 PriceType",
    "PaymentInformation": (
        "prepayment_status=1 PrepaymentStatus, payment_transaction_id=2 string, price=3 Price, "
        "tax_amount=4 Price, payment_processed_by=5 PaymentInformation.PaymentProcessedBy, "
        "payment_option_id=6 payment_id string, user_payment_option_id=7 payment_id string, "
        "deposit=8 Deposit, no_show_fee=9 NoShowFee"
    ),
}

V2_MESSAGES = SHARED_MESSAGES | {
    "Slot": (
        "merchant_id=1 string, service_id=2 string, start_time=3 Timestamp, duration=4 Duration, "
        "availability_tag=5 string, resources=6 Resources, reserved 7"
    ),
    "Resources": "staff_id=1 string, room_id=2 string, party_size=3 int32",
    "Lease": (
        "lease_id=1 string, slot=2 Slot, user_reference=3 string, lease_expiration_time=4 Timestamp"
    ),
    "LeaseReference": "lease_id=1 string",
    "CreateLeaseRequest": "lease=1 Lease",
    "CreateLeaseResponse": "lease=1 Lease, booking_failure=2 BookingFailure",
    "CheckAvailabilityRequest": "slot=1 Slot",
    "CheckAvailabilityResponse": (
        "slot=1 Slot, count_available=2 int32, "
        "duration_requirement=3 CheckAvailabilityResponse.DurationRequirement, "
        "availability_update=4 AvailabilityUpdate, last_online_cancellable_sec=5 int64 deprecated"
    ),
    "AvailabilityUpdate": "slot_availability=1 repeated SlotAvailability",
    "SlotAvailability": "slot=1 Slot, count_available=2 int32",
    "CreateBookingRequest": (
        "slot=1 Slot, lease_ref=2 LeaseReference, user_information=3 UserInformation, "
        "payment_information=4 PaymentInformation, "
        "payment_processing_parameters=5 PaymentProcessingParameters, "
        "idempotency_token=6 string, additional_request=7 string"
    ),
    "CreateBookingResponse": (
        "booking=1 Booking, user_payment_option=2 UserPaymentOption, "
        "booking_failure=3 BookingFailure"
    ),
    "UpdateBookingRequest": "update_mask=1 FieldMask, booking=2 Booking",
    "UpdateBookingResponse": (
        "booking=1 Booking, user_payment_option=2 UserPaymentOption, "
        "booking_failure=3 BookingFailure"
    ),
    "GetBookingStatusRequest": "booking_id=1 string",
    "GetBookingStatusResponse": (
        "booking_id=1 string, booking_status=2 BookingStatus, prepayment_status=3 PrepaymentStatus"
    ),
    "ListBookingsRequest": "user_id=1 string",
    "ListBookingsResponse": "bookings=1 repeated Booking",
    "Booking": (
        "booking_id=1 string, slot=2 Slot, user_information=3 UserInformation, "
        "status=4 BookingStatus, payment_information=5 PaymentInformation, "
        "virtual_session_info=6 VirtualSessionInfo"
    ),
    "BookingFailure": (
        "cause=1 BookingFailure.Cause, rejected_card_type=2 CreditCardType, description=3 string, "
        "payment_failure=4 BookingFailure.PaymentFailureInformation"
    ),
    "BookingFailure.PaymentFailureInformation": (
        "threeds1_parameters=5 BookingFailure.PaymentFailureInformation.ThreeDS1Parameters"
    ),
    "BookingFailure.PaymentFailureInformation.ThreeDS1Parameters": (
        "acs_url=1 string, pa_req=2 string, transaction_id=3 string, md_merchant_data=4 string"
    ),
    "UserInformation": (
        "user_id=1 string, given_name=2 string, family_name=3 string, address=4 PostalAddress, "
        "telephone=5 string, email=6 string, language_code=7 string"
    ),
}

V0_MESSAGES = SHARED_MESSAGES | {
    "Lease": (
        "lease_id=1 string, merchant_id=2 string, service_id=3 string, start_time=4 Timestamp, "
        "duration=5 Duration, client_reference=6 string, lease_expiration_time=7 Timestamp, "
        "availability_tag=8 string, resources=9 Resources"
    ),
    "LeaseReference": "lease_id=1 string",
    "Resources": "staff_id=1 string, room_id=2 string",
    "CreateLeaseRequest": "lease=1 Lease",
    "CreateLeaseResponse": "lease=1 Lease",
    "CreateBookingRequest": (
        "lease_ref=1 LeaseReference, client_information=2 ClientInformation, "
        "payment_information=3 PaymentInformation, "
        "payment_processing_parameters=4 PaymentProcessingParameters"
    ),
    "CreateBookingResponse": "booking=1 Booking, user_payment_option=2 UserPaymentOption",
    "UpdateBookingRequest": "update_mask=1 FieldMask, booking=2 Booking",
    "UpdateBookingResponse": "booking=1 Booking, user_payment_option=2 UserPaymentOption",
    "Booking": (
        "booking_id=1 string, merchant_id=2 string, service_id=3 string, start_time=4 Timestamp, "
        "duration=5 Duration, client_information=6 ClientInformation, status=7 BookingStatus, "
        "payment_information=8 PaymentInformation, virtual_session_info=9 VirtualSessionInfo"
    ),
    "ClientInformation": (
        "given_name=1 string, family_name=2 string, address=3 PostalAddress, telephone=4 string, "
        "email=5 string"
    ),
}

SHARED_ENUMS = {
    "PaymentProcessingParameters.PaymentProcessor": (
        "PAYMENT_PROCESSOR_UNSPECIFIED=0, PROCESSOR_STRIPE=1, PROCESSOR_BRAINTREE=2"
    ),
    "PaymentInformation.PaymentProcessedBy": (
        "PAYMENT_PROCESSED_BY_UNSPECIFIED=0, PROCESSED_BY_GOOGLE=1, PROCESSED_BY_PARTNER=2"
    ),
    "PrepaymentStatus": (
        "PREPAYMENT_STATUS_UNSPECIFIED=0, PREPAYMENT_PROVIDED=1, PREPAYMENT_NOT_PROVIDED=2, "
        "PREPAYMENT_REFUNDED=3, PREPAYMENT_CREDITED=4"
    ),
    "PaymentOptionType": (
        "PAYMENT_OPTION_TYPE_UNSPECIFIED=0, PAYMENT_OPTION_SINGLE_USE=1, "
        "PAYMENT_OPTION_MULTI_USE=2, PAYMENT_OPTION_UNLIMITED_USE=3"
    ),
    "PriceType": "FIXED_RATE_DEFAULT=0, PER_PERSON=1",
}

V2_ENUMS = SHARED_ENUMS | {
    "BookingStatus": (
        "BOOKING_STATUS_UNSPECIFIED=0, CONFIRMED=1, CANCELED=3, NO_SHOW=4, NO_SHOW_PENALIZED=5, "
        "reserved 2"
    ),
    "CheckAvailabilityResponse.DurationRequirement": (
        "DURATION_REQUIREMENT_UNSPECIFIED=0, DO_NOT_SHOW_DURATION=1, MUST_SHOW_DURATION=2"
    ),
    "BookingFailure.Cause": (
        "CAUSE_UNSPECIFIED=0, SLOT_UNAVAILABLE=1, SLOT_ALREADY_BOOKED_BY_USER=2, LEASE_EXPIRED=3, "
        "OUTSIDE_CANCELLATION_WINDOW=4, PAYMENT_ERROR_CARD_TYPE_REJECTED=5, "
        "PAYMENT_ERROR_CARD_DECLINED=6, PAYMENT_OPTION_NOT_VALID=7, PAYMENT_ERROR=8, "
        "USER_CANNOT_USE_PAYMENT_OPTION=9, BOOKING_ALREADY_CANCELLED=10, "
        "BOOKING_NOT_CANCELLABLE=11, OVERLAPPING_RESERVATION=12, USER_OVER_BOOKING_LIMIT=13, "
        "DEAL_UNAVAILABLE=14 deprecated, PAYMENT_REQUIRES_3DS1=15"
    ),
    "CreditCardType": (
        "CREDIT_CARD_TYPE_UNSPECIFIED=0, VISA=1, MASTERCARD=2, AMERICAN_EXPRESS=3, "
        "DISCOVER=4, JCB=5"
    ),
}

V0_ENUMS = SHARED_ENUMS | {
    "BookingStatus": (
        "BOOKING_STATUS_UNSPECIFIED=0, CONFIRMED=1, CANCELED=4, NO_SHOW=5, NO_SHOW_PENALIZED=6, "
        "reserved 2, reserved 3, reserved 7"
    ),
}

V2_METHODS = {
    "CheckAvailability": "unary CheckAvailabilityRequest -> unary CheckAvailabilityResponse",
    "CreateLease": "unary CreateLeaseRequest -> unary CreateLeaseResponse",
    "CreateBooking": "unary CreateBookingRequest -> unary CreateBookingResponse",
    "UpdateBooking": "unary UpdateBookingRequest -> unary UpdateBookingResponse",
    "GetBookingStatus": "unary GetBookingStatusRequest -> unary GetBookingStatusResponse",
    "ListBookings": "unary ListBookingsRequest -> unary ListBookingsResponse",
}

V0_METHODS = {
    "CreateLease": "unary CreateLeaseRequest -> unary CreateLeaseResponse",
    "CreateBooking": "unary CreateBookingRequest -> unary CreateBookingResponse",
    "UpdateBooking": "unary UpdateBookingRequest -> unary UpdateBookingResponse",
}


def _proto(file: FileDescriptor) -> FileDescriptorProto:
    proto = FileDescriptorProto()
    file.CopyToProto(proto)
    return proto


def _with_nested(
    messages: Iterable[DescriptorProto], around: str = ""
) -> Iterator[tuple[str, DescriptorProto]]:
    for message in messages:
        yield around + message.name, message
        yield from _with_nested(message.nested_type, f"{around}{message.name}.")


def _type(field: FieldDescriptorProto, package: str) -> str:
    if field.type_name:
        return field.type_name.removeprefix(f".{package}.").removeprefix(".google.protobuf.")
    return FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()


def _label(field: FieldDescriptorProto, message: DescriptorProto) -> str:
    if field.label == FieldDescriptorProto.LABEL_REPEATED:
        return "repeated "
    if field.proto3_optional:
        return "optional "
    if field.HasField("oneof_index"):
        return f"{message.oneof_decl[field.oneof_index].name} "
    return ""


def _message_row(message: DescriptorProto, package: str) -> str:
    fields = [
        f"{field.name}={field.number} {_label(field, message)}{_type(field, package)}"
        f"{' deprecated' if field.options.deprecated else ''}"
        for field in sorted(message.field, key=lambda field: field.number)
    ]
    reserved = [f"reserved {n}" for r in message.reserved_range for n in range(r.start, r.end)]
    return ", ".join(fields + reserved)


def _enum_row(enum: EnumDescriptorProto) -> str:
    values = [
        f"{value.name}={value.number}{' deprecated' if value.options.deprecated else ''}"
        for value in sorted(enum.value, key=lambda value: value.number)
    ]
    # An enum's reserved ranges include their end, a message's do not.
    reserved = [f"reserved {n}" for r in enum.reserved_range for n in range(r.start, r.end + 1)]
    return ", ".join(values + reserved)


def _messages(file: FileDescriptor) -> dict[str, str]:
    proto = _proto(file)
    return {
        name: _message_row(message, proto.package)
        for name, message in _with_nested(proto.message_type)
    }


def _enums(file: FileDescriptor) -> dict[str, str]:
    proto = _proto(file)
    nested = {
        f"{name}.{enum.name}": _enum_row(enum)
        for name, message in _with_nested(proto.message_type)
        for enum in message.enum_type
    }
    return nested | {enum.name: _enum_row(enum) for enum in proto.enum_type}


def _services(file: FileDescriptor) -> dict[str, dict[str, str]]:
    proto = _proto(file)
    kind = {False: "unary", True: "stream"}
    return {
        f"{proto.package}.{service.name}": {
            method.name: (
                f"{kind[method.client_streaming]} {method.input_type} -> "
                f"{kind[method.server_streaming]} {method.output_type}"
            ).replace(f".{proto.package}.", "")
            for method in service.method
        }
        for service in proto.service
    }


def test_v2_messages_match_the_contract() -> None:
    """Version 2 has exactly the messages and fields of the contract."""
    assert _messages(v2_pb2.DESCRIPTOR) == V2_MESSAGES


def test_v0_messages_match_the_contract() -> None:
    """Version 0 has exactly the messages and fields of the contract."""
    assert _messages(v0_pb2.DESCRIPTOR) == V0_MESSAGES


def test_v2_enums_match_the_contract() -> None:
    """Version 2 has exactly the enums and values of the contract."""
    assert _enums(v2_pb2.DESCRIPTOR) == V2_ENUMS


def test_v0_enums_match_the_contract() -> None:
    """Version 0 has exactly the enums and values of the contract."""
    assert _enums(v0_pb2.DESCRIPTOR) == V0_ENUMS


def test_v2_methods_match_the_contract() -> None:
    """Version 2 has one service with exactly the six methods of the contract."""
    service = "ext.maps.booking.partner.v2.BookingService"
    assert _services(v2_pb2.DESCRIPTOR) == {service: V2_METHODS}


def test_v0_methods_match_the_contract() -> None:
    """Version 0 has one service with exactly the three methods of the contract."""
    service = "ext.maps.booking.partner.v0.BookingService"
    assert _services(v0_pb2.DESCRIPTOR) == {service: V0_METHODS}


def test_v2_slot_reserves_the_number_of_confirmation_mode() -> None:
    """Number 7 of a v2 slot is reserved, because v3 uses it for confirmation_mode."""
    slot = DescriptorProto()
    v2_pb2.Slot.DESCRIPTOR.CopyToProto(slot)
    assert [(reserved.start, reserved.end) for reserved in slot.reserved_range] == [(7, 8)]


def test_booking_status_numbers_differ_between_versions() -> None:
    """CANCELED is 3 in v2 and 4 in v0, and v0's CANCELED is the number of v2's NO_SHOW."""
    assert (v2_pb2.CANCELED, v2_pb2.NO_SHOW, v2_pb2.NO_SHOW_PENALIZED) == (3, 4, 5)
    assert (v0_pb2.CANCELED, v0_pb2.NO_SHOW, v0_pb2.NO_SHOW_PENALIZED) == (4, 5, 6)
    assert v2_pb2.BookingStatus.Name(4) == "NO_SHOW"
    assert v0_pb2.BookingStatus.Name(4) == "CANCELED"


def test_v2_create_lease_request_reads_hand_made_bytes() -> None:
    """A v2 CreateLeaseRequest written byte by byte reads as the lease it spells."""
    wire = bytes.fromhex(
        "0a 3b"  # 1 lease, 59 bytes
        "12 26"  # 2 slot, 38 bytes
        "0a 03 6d 2d 31"  # 1 merchant_id, m-1
        "12 03 73 2d 31"  # 2 service_id, s-1
        "1a 06 08 80 a4 a7 da 06"  # 3 start_time, 1 800 000 000 s
        "22 03 08 90 1c"  # 4 duration, 3 600 s
        "2a 01 74"  # 5 availability_tag, t
        "32 0a"  # 6 resources, 10 bytes
        "0a 02 61 31"  # 1 staff_id, a1
        "12 02 62 32"  # 2 room_id, b2
        "18 04"  # 3 party_size, 4
        "1a 03 72 2d 31"  # 3 user_reference, r-1
        "22 0c 08 a8 9f a7 da 06 10 80 ca b5 ee 01"  # 4 lease_expiration_time, 1 799 999 400.5 s
    )
    slot = v2_pb2.Slot(
        merchant_id="m-1",
        service_id="s-1",
        start_time=Timestamp(seconds=1_800_000_000),
        duration=Duration(seconds=3_600),
        availability_tag="t",
        resources=v2_pb2.Resources(staff_id="a1", room_id="b2", party_size=4),
    )
    lease = v2_pb2.Lease(
        slot=slot,
        user_reference="r-1",
        lease_expiration_time=Timestamp(seconds=1_799_999_400, nanos=500_000_000),
    )

    assert v2_pb2.CreateLeaseRequest.FromString(wire) == v2_pb2.CreateLeaseRequest(lease=lease)


def test_v0_create_lease_request_reads_hand_made_bytes() -> None:
    """A v0 CreateLeaseRequest written byte by byte reads as the lease it spells."""
    wire = bytes.fromhex(
        "0a 31"  # 1 lease, 49 bytes
        "12 03 6d 2d 31"  # 2 merchant_id, m-1
        "1a 03 73 2d 31"  # 3 service_id, s-1
        "22 06 08 80 a4 a7 da 06"  # 4 start_time, 1 800 000 000 s
        "2a 03 08 90 1c"  # 5 duration, 3 600 s
        "32 03 72 2d 31"  # 6 client_reference, r-1
        "3a 06 08 a8 9f a7 da 06"  # 7 lease_expiration_time, 1 799 999 400 s
        "42 01 74"  # 8 availability_tag, t
        "4a 08 0a 02 61 31 12 02 62 32"  # 9 resources, a1 and b2
    )
    lease = v0_pb2.Lease(
        merchant_id="m-1",
        service_id="s-1",
        start_time=Timestamp(seconds=1_800_000_000),
        duration=Duration(seconds=3_600),
        client_reference="r-1",
        lease_expiration_time=Timestamp(seconds=1_799_999_400),
        availability_tag="t",
        resources=v0_pb2.Resources(staff_id="a1", room_id="b2"),
    )

    assert v0_pb2.CreateLeaseRequest.FromString(wire) == v0_pb2.CreateLeaseRequest(lease=lease)
