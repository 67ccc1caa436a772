"""What the answers of two stores must have in common."""

from typing import Any

from leasehold.model.booking import CreateBookingStatus, UpdateBookingStatus
from leasehold.model.inventory import CheckAvailabilityOutcome, CheckAvailabilityStatus
from leasehold.model.lease import CreateLeaseStatus

INVENTORY_ANSWERS = {
    "create_lease: merchant_unknown",
    "create_booking: merchant_unknown",
    "check_availability: merchant_unknown",
    "create_lease: slot_unknown",
    "create_booking: slot_unknown",
    "update_booking: slot_unknown",
}
OPEN_ANSWERS = {
    *(f"create_lease: {status}" for status in CreateLeaseStatus),
    *(f"create_booking: {status}" for status in CreateBookingStatus),
    *(f"update_booking: {status}" for status in UpdateBookingStatus),
} - {
    f"{step}: {it}_unknown"
    for step in ("create_lease", "create_booking", "update_booking")
    for it in ("merchant", "service", "slot")
}
"""What long walks meet, without an inventory and beside that with one."""


def agreeing(count: CheckAvailabilityOutcome) -> set[str]:
    """Return what CreateLease may answer to one who has counted the free spots."""
    if count.status is not CheckAvailabilityStatus.COUNTED:
        return {str(count.status)}
    return {"created"} if count.count else {"start_too_soon", "slot_unknown", "slot_unavailable"}


def in_any_order(answer: Any) -> Any:
    """Bookings that start together are listed in no order that anybody promises."""
    return sorted(map(repr, answer)) if isinstance(answer, list) else answer
