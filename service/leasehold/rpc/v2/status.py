"""What each outcome is on the v2 wire: a grant, a refusal in-band, or a fault of the request.

Source: contract 5 and 6.2.
"""

from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as pb
from leasehold.model.errors import InvalidRequestError, Violation
from leasehold.model.lease import CreateLeaseStatus

GRANTS = frozenset({CreateLeaseStatus.CREATED, CreateLeaseStatus.REPLAYED})

REFUSALS = {
    CreateLeaseStatus.LEASE_EXPIRED: pb.BookingFailure(
        cause=pb.BookingFailure.LEASE_EXPIRED,
        description="The lease of this user_reference has ended; ask with a new reference.",
    ),
    CreateLeaseStatus.START_TOO_SOON: pb.BookingFailure(
        cause=pb.BookingFailure.SLOT_UNAVAILABLE,
        description="The slot has begun, or begins too soon to be held.",
    ),
    CreateLeaseStatus.SLOT_UNAVAILABLE: pb.BookingFailure(
        cause=pb.BookingFailure.SLOT_UNAVAILABLE,
        description="The slot is held or booked.",
    ),
}

FAULTS = {
    CreateLeaseStatus.REFERENCE_REUSED: (
        "REFERENCE_REUSED",
        Violation("lease.user_reference", "was used for another slot"),
    ),
    CreateLeaseStatus.EXPIRY_TOO_SOON: (
        "EXPIRY_TOO_SOON",
        Violation("lease.lease_expiration_time", "is in the past or too near to hold anything"),
    ),
    CreateLeaseStatus.START_TOO_FAR: (
        "START_TOO_FAR",
        Violation("lease.slot.start_time", "is further ahead than slots are held"),
    ),
}


def fault(status: CreateLeaseStatus) -> InvalidRequestError:
    """Return the error of an outcome that is the request's own fault."""
    reason, violation = FAULTS[status]
    return InvalidRequestError([violation], reason)
