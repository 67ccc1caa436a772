"""What each outcome is on the v0 wire: a grant, or a gRPC code, since v0 has no booking_failure.

Source: contract 5 and 6.2.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import partial

import grpc

from leasehold.model.booking import CreateBookingStatus, UpdateBookingStatus
from leasehold.model.errors import NotFoundError
from leasehold.model.lease import CreateLeaseStatus
from leasehold.rpc.status import Fault, RefusalError

GRANTED = None
# RESOURCE_EXHAUSTED means a taken slot here.
OVERLOADED = grpc.StatusCode.UNAVAILABLE
Table = Mapping[StrEnum, Fault | Callable[[], Exception] | None]

_gone = partial(RefusalError, grpc.StatusCode.RESOURCE_EXHAUSTED, "SLOT_UNAVAILABLE")
_TAKEN = partial(_gone, "The slot is held or booked.")
_NOT_THERE = partial(_gone, "The slot is not in the inventory.")
_BEGUN = partial(_gone, "The slot has begun, or begins too soon to be held.")
_BOOKED = partial(
    RefusalError,
    grpc.StatusCode.ALREADY_EXISTS,
    "ALREADY_BOOKED",
    "The lease has become a booking.",
)


CREATE_LEASE: Table = {
    CreateLeaseStatus.CREATED: GRANTED,
    CreateLeaseStatus.REPLAYED: GRANTED,
    CreateLeaseStatus.CONSUMED: GRANTED,
    CreateLeaseStatus.LEASE_EXPIRED: partial(
        RefusalError,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "LEASE_EXPIRED",
        "The lease of this client_reference has ended; ask with a new reference.",
    ),
    CreateLeaseStatus.START_TOO_SOON: _BEGUN,
    CreateLeaseStatus.SLOT_UNKNOWN: _NOT_THERE,
    CreateLeaseStatus.SLOT_UNAVAILABLE: _TAKEN,
    CreateLeaseStatus.REFERENCE_REUSED: Fault(
        "REFERENCE_REUSED", "lease.client_reference", "was used for another slot"
    ),
    CreateLeaseStatus.EXPIRY_TOO_SOON: Fault(
        "EXPIRY_TOO_SOON",
        "lease.lease_expiration_time",
        "is in the past or too near to hold anything",
    ),
    CreateLeaseStatus.START_TOO_FAR: Fault(
        "START_TOO_FAR", "lease.start_time", "is further ahead than slots are held"
    ),
    CreateLeaseStatus.MERCHANT_UNKNOWN: Fault(
        "MERCHANT_UNKNOWN", "lease.merchant_id", "is no merchant of the inventory"
    ),
    CreateLeaseStatus.SERVICE_UNKNOWN: Fault(
        "SERVICE_UNKNOWN", "lease.service_id", "is no service of this merchant"
    ),
}

# The slot is the lease's own and the lease id is the token, so some of these cannot arise.
CREATE_BOOKING: Table = {
    CreateBookingStatus.CREATED: GRANTED,
    CreateBookingStatus.REPLAYED: GRANTED,
    CreateBookingStatus.LEASE_UNKNOWN: partial(NotFoundError, "lease"),
    CreateBookingStatus.LEASE_EXPIRED: partial(NotFoundError, "lease"),
    CreateBookingStatus.LEASE_CONSUMED_BY_USER: _BOOKED,
    CreateBookingStatus.LEASE_CONSUMED: _BOOKED,
    CreateBookingStatus.ALREADY_BOOKED_BY_USER: _BOOKED,
    CreateBookingStatus.START_TOO_SOON: _TAKEN,
    CreateBookingStatus.START_TOO_FAR: _TAKEN,
    CreateBookingStatus.MERCHANT_UNKNOWN: _TAKEN,
    CreateBookingStatus.SERVICE_UNKNOWN: _TAKEN,
    CreateBookingStatus.SLOT_UNKNOWN: _TAKEN,
    CreateBookingStatus.SLOT_UNAVAILABLE: _TAKEN,
    CreateBookingStatus.TOKEN_REUSED: _BOOKED,
    CreateBookingStatus.LEASE_SLOT_MISMATCH: _TAKEN,
}

UPDATE_BOOKING: Table = {
    UpdateBookingStatus.UPDATED: GRANTED,
    UpdateBookingStatus.UNCHANGED: GRANTED,
    UpdateBookingStatus.BOOKING_UNKNOWN: partial(NotFoundError, "booking"),
    # Its mask is required, and says what is to be changed.
    UpdateBookingStatus.SLOT_MISMATCH: Fault(
        "BOOKING_SLOT_MISMATCH", "booking", "names another slot than the booking has"
    ),
    UpdateBookingStatus.ALREADY_CANCELLED: Fault(
        "BOOKING_ALREADY_CANCELLED", "booking", "is cancelled"
    ),
    UpdateBookingStatus.NOT_CANCELLABLE: Fault(
        "BOOKING_NOT_CANCELLABLE", "booking.status", "cannot be cancelled: it is a no-show"
    ),
    UpdateBookingStatus.ALREADY_BOOKED_BY_USER: partial(
        RefusalError,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "ALREADY_BOOKED",
        "The user has a booking of this slot.",
    ),
    UpdateBookingStatus.DURATION_TOO_LONG: Fault(
        "INVALID_REQUEST",
        "booking.duration",
        "is longer than slots may be, and than the booking's slot is",
    ),
    UpdateBookingStatus.START_TOO_SOON: _BEGUN,
    UpdateBookingStatus.SLOT_UNKNOWN: _NOT_THERE,
    UpdateBookingStatus.SLOT_UNAVAILABLE: _TAKEN,
    UpdateBookingStatus.START_TOO_FAR: Fault(
        "START_TOO_FAR", "booking.start_time", "is further ahead than slots are booked"
    ),
}


def raise_unless_granted(table: Table, status: StrEnum, addition: str = "") -> None:
    """Raise the error that stands for an outcome, if it is one; ``addition`` ends a description."""
    answer = table[status]
    if isinstance(answer, Fault):
        raise answer.error(addition)
    if answer:
        raise answer()
