"""What the answers of two stores must have in common."""

from typing import Any

from leasehold.model.inventory import CheckAvailabilityOutcome, CheckAvailabilityStatus


def agreeing(count: CheckAvailabilityOutcome) -> set[str]:
    """Return what CreateLease may answer to one who has counted the free spots."""
    if count.status is not CheckAvailabilityStatus.COUNTED:
        return {str(count.status)}
    return {"created"} if count.count else {"start_too_soon", "slot_unavailable"}


def in_any_order(answer: Any) -> Any:
    """Bookings that start together are listed in no order that anybody promises."""
    return sorted(map(repr, answer)) if isinstance(answer, list) else answer
