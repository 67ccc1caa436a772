"""What a caller learns whose expiry is too soon for a lease: the caller's clock may be wrong."""

from datetime import UTC, datetime, timedelta

from leasehold.model.lease import CreateLease, CreateLeaseOutcome, CreateLeaseStatus

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def distance(command: CreateLease, outcome: CreateLeaseOutcome) -> str:
    """Say how far from the store's time the expiry is; nothing where it is not too soon."""
    if outcome.status is not CreateLeaseStatus.EXPIRY_TOO_SOON:
        return ""
    now = _EPOCH + timedelta(milliseconds=outcome.store_time_ms)
    text = now.replace(tzinfo=None).isoformat(timespec="milliseconds")
    ahead_s = (command.asked_expires_ms - outcome.store_time_ms) / 1000
    direction = "after" if ahead_s >= 0 else "before"
    return f": it is {abs(ahead_s):.3f} s {direction} the store's time, {text}Z"
