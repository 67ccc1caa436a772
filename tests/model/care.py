"""What walks do with leases as operators do, and what the records of leases hold."""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from tests.reference_store import Lease

from leasehold.model import ids
from leasehold.model.operators import ExtendLease, ReleaseLease
from leasehold.model.slot import Slot
from leasehold.store import keys

AHEAD_MS = (-1, 0, 99, 1_500, 9_999, 10_001, 14_000, 60_000)


def command(
    draw: Callable[[st.SearchStrategy[Any]], Any], lease: ids.Reference, now_ms: int
) -> tuple[str, Any]:
    """Choose what to ask of a lease."""
    match draw(st.sampled_from(("get", "extend", "extend", "release"))):
        case "get":
            return "get_lease", lease
        case "extend":
            asked_ms = now_ms + draw(st.sampled_from(AHEAD_MS))
            return "extend_lease", ExtendLease(lease, asked_ms, f"until {asked_ms}")
    return "release_lease", ReleaseLease(lease, f"at {now_ms}")


def slot_fields(asked: Slot, current: Slot, spot: int) -> dict[str, str]:
    """Write what the record of a lease or booking holds of its slot."""
    start_ms, duration_ms = str(current.start_ms), str(current.duration_s * 1000)
    slot = {"v": "1", "slot": keys.slot_text(asked), "spot": str(spot)}
    return {**slot, "start_ms": start_ms, "duration_ms": duration_ms}


def lease_fields(lease: Lease) -> dict[str, str]:
    """Write what the record of a lease holds."""
    fields = {
        **slot_fields(lease.slot, lease.slot, lease.spot),
        "reference": "" if lease.is_forgotten else lease.reference,
        "availability_tag": f"at {lease.reference}",
        "expires_at_ms": str(lease.expires_at_ms),
        "created_at_ms": str(lease.created_at_ms),
    }
    if lease.booking:
        fields |= {"booking": lease.booking, "consumed_at_ms": str(lease.consumed_at_ms)}
    if lease.released_at_ms:
        reason = lease.release_reason
        fields |= {"released_at_ms": str(lease.released_at_ms), "release_reason": reason}
    if lease.extensions:
        fields |= {
            "extended_at_ms": str(lease.extended_at_ms),
            "extensions": str(lease.extensions),
            "extend_reason": lease.extend_reason,
        }
    return fields
