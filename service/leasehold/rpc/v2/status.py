"""What each outcome is on the v2 wire: a grant, a refusal in-band, or an error of the request.

Source: contract 5 and 6.2.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import grpc

from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as pb
from leasehold.model.booking import CreateBookingStatus, UpdateBookingStatus
from leasehold.model.errors import NotFoundError
from leasehold.model.inventory import CheckAvailabilityStatus
from leasehold.model.lease import CreateLeaseStatus
from leasehold.rpc.status import Fault


@dataclass(frozen=True, slots=True)
class Unknown:
    """The request names something that is not remembered: NOT_FOUND."""

    kind: str


GRANTED = None
OVERLOADED = grpc.StatusCode.RESOURCE_EXHAUSTED
Table = Mapping[StrEnum, pb.BookingFailure | Fault | Unknown | None]


def _refusal(cause: pb.BookingFailure.Cause, description: str) -> pb.BookingFailure:
    return pb.BookingFailure(cause=cause, description=description)


_TAKEN = _refusal(pb.BookingFailure.SLOT_UNAVAILABLE, "The slot is held or booked.")
_NOT_THERE = _refusal(pb.BookingFailure.SLOT_UNAVAILABLE, "The slot is not in the inventory.")
_BEGUN = _refusal(
    pb.BookingFailure.SLOT_UNAVAILABLE, "The slot has begun, or begins too soon to be held."
)
_HAS_IT = _refusal(
    pb.BookingFailure.SLOT_ALREADY_BOOKED_BY_USER, "The user has a booking of this slot."
)


def _inventory_faults(reads: type[StrEnum], path: str) -> dict[StrEnum, Fault]:
    """Return what is wrong with a slot that no inventory can have."""
    return {
        reads("merchant_unknown"): Fault(
            "MERCHANT_UNKNOWN", f"{path}.merchant_id", "is no merchant of the inventory"
        ),
        reads("service_unknown"): Fault(
            "SERVICE_UNKNOWN", f"{path}.service_id", "is no service of this merchant"
        ),
    }


CHECK_AVAILABILITY: Table = {
    CheckAvailabilityStatus.COUNTED: GRANTED,
    CheckAvailabilityStatus.START_TOO_FAR: Fault(
        "START_TOO_FAR", "slot.start_time", "is further ahead than slots are held"
    ),
    **_inventory_faults(CheckAvailabilityStatus, "slot"),
}

CREATE_LEASE: Table = {
    CreateLeaseStatus.CREATED: GRANTED,
    CreateLeaseStatus.REPLAYED: GRANTED,
    CreateLeaseStatus.CONSUMED: GRANTED,
    CreateLeaseStatus.LEASE_EXPIRED: _refusal(
        pb.BookingFailure.LEASE_EXPIRED,
        "The lease of this user_reference has ended; ask with a new reference.",
    ),
    CreateLeaseStatus.START_TOO_SOON: _BEGUN,
    CreateLeaseStatus.SLOT_UNKNOWN: _NOT_THERE,
    CreateLeaseStatus.SLOT_UNAVAILABLE: _TAKEN,
    CreateLeaseStatus.REFERENCE_REUSED: Fault(
        "REFERENCE_REUSED", "lease.user_reference", "was used for another slot"
    ),
    CreateLeaseStatus.EXPIRY_TOO_SOON: Fault(
        "EXPIRY_TOO_SOON",
        "lease.lease_expiration_time",
        "is in the past or too near to hold anything",
    ),
    CreateLeaseStatus.START_TOO_FAR: Fault(
        "START_TOO_FAR", "lease.slot.start_time", "is further ahead than slots are held"
    ),
    **_inventory_faults(CreateLeaseStatus, "lease.slot"),
}

CREATE_BOOKING: Table = {
    CreateBookingStatus.CREATED: GRANTED,
    CreateBookingStatus.REPLAYED: GRANTED,
    CreateBookingStatus.LEASE_UNKNOWN: Unknown("lease"),
    CreateBookingStatus.LEASE_EXPIRED: _refusal(
        pb.BookingFailure.LEASE_EXPIRED, "The lease has ended; ask for a new one."
    ),
    CreateBookingStatus.LEASE_CONSUMED_BY_USER: _HAS_IT,
    CreateBookingStatus.LEASE_CONSUMED: _TAKEN,
    CreateBookingStatus.ALREADY_BOOKED_BY_USER: _HAS_IT,
    CreateBookingStatus.START_TOO_SOON: _BEGUN,
    CreateBookingStatus.SLOT_UNKNOWN: _NOT_THERE,
    CreateBookingStatus.SLOT_UNAVAILABLE: _TAKEN,
    CreateBookingStatus.TOKEN_REUSED: Fault(
        "TOKEN_REUSED", "idempotency_token", "was used for another slot, lease or user"
    ),
    CreateBookingStatus.LEASE_SLOT_MISMATCH: Fault(
        "LEASE_SLOT_MISMATCH", "slot", "is not the slot of the lease"
    ),
    CreateBookingStatus.START_TOO_FAR: Fault(
        "START_TOO_FAR", "slot.start_time", "is further ahead than slots are booked"
    ),
    **_inventory_faults(CreateBookingStatus, "slot"),
}

UPDATE_BOOKING: Table = {
    UpdateBookingStatus.UPDATED: GRANTED,
    UpdateBookingStatus.UNCHANGED: GRANTED,
    UpdateBookingStatus.BOOKING_UNKNOWN: Unknown("booking"),
    UpdateBookingStatus.SLOT_MISMATCH: Fault(
        "BOOKING_SLOT_MISMATCH",
        "booking.slot",
        "names another service, staff member or room than the booking has",
    ),
    UpdateBookingStatus.ALREADY_CANCELLED: _refusal(
        pb.BookingFailure.BOOKING_ALREADY_CANCELLED, "The booking is cancelled."
    ),
    UpdateBookingStatus.NOT_CANCELLABLE: _refusal(
        pb.BookingFailure.BOOKING_NOT_CANCELLABLE, "The booking is a no-show."
    ),
    UpdateBookingStatus.ALREADY_BOOKED_BY_USER: _HAS_IT,
    UpdateBookingStatus.DURATION_TOO_LONG: Fault(
        "INVALID_REQUEST",
        "booking.slot.duration",
        "is longer than slots may be, and than the booking's slot is",
    ),
    UpdateBookingStatus.START_TOO_SOON: _BEGUN,
    UpdateBookingStatus.SLOT_UNKNOWN: _NOT_THERE,
    UpdateBookingStatus.SLOT_UNAVAILABLE: _TAKEN,
    UpdateBookingStatus.START_TOO_FAR: Fault(
        "START_TOO_FAR", "booking.slot.start_time", "is further ahead than slots are booked"
    ),
}


def refusal(table: Table, status: StrEnum, addition: str = "") -> pb.BookingFailure | None:
    """Return the refusal of an outcome, or None for a grant.

    Raises InvalidRequestError or NotFoundError when the outcome is an error of the request; what
    is ``addition`` ends its description.
    """
    match table[status]:
        case Fault() as fault:
            raise fault.error(addition)
        case Unknown(kind):
            raise NotFoundError(kind)
        case answer:
            return answer
