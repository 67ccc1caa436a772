"""CreateLease: the command, the terms it is judged by, and its outcomes."""

from dataclasses import dataclass, field
from enum import StrEnum

from leasehold.model import ids
from leasehold.model.slot import Slot


@dataclass(frozen=True, slots=True)
class LeaseTerms:
    """What may be held: the operator's limits, all in milliseconds."""

    min_lease_ms: int
    max_lease_ms: int
    max_advance_ms: int
    retention_ms: int
    """How long the record of a lease outlives the hold."""
    booking_retention_ms: int
    """How long a booking is remembered after its slot has ended."""
    max_life_ms: int
    """How long a lease may be held in all, extensions included."""
    max_slot_ms: int
    """The longest slot that a booking may be moved to, unless it is as long already."""
    max_events: int = 0
    """How many events are kept for each merchant; with 0 none are noted."""
    event_retention_ms: int = 0
    """How long a merchant's events are kept after the last one was noted or read."""


@dataclass(frozen=True, slots=True)
class CreateLease:
    """Hold ``slot`` for ``reference`` until ``asked_expires_ms``; its shape has been checked."""

    slot: Slot
    reference: str
    asked_expires_ms: int
    """Epoch milliseconds."""
    availability_tag: str = ""

    lease_suffix: str = field(init=False)
    """The name of the lease among those of its merchant."""

    def __post_init__(self) -> None:
        """Name the lease, once for all who ask."""
        object.__setattr__(self, "lease_suffix", ids.lease_suffix(self.reference))

    @property
    def lease_id(self) -> str:
        """Return the name of the lease on the wire."""
        return ids.wire_id(self.slot.merchant_id, self.lease_suffix)


class CreateLeaseStatus(StrEnum):
    """Every answer to CreateLease, in order of precedence.

    Source: contract 6.2, "Order of judgement".
    """

    CONSUMED = "consumed"
    REPLAYED = "replayed"
    LEASE_EXPIRED = "lease_expired"
    REFERENCE_REUSED = "reference_reused"
    EXPIRY_TOO_SOON = "expiry_too_soon"
    START_TOO_SOON = "start_too_soon"
    START_TOO_FAR = "start_too_far"
    MERCHANT_UNKNOWN = "merchant_unknown"
    SERVICE_UNKNOWN = "service_unknown"
    SLOT_UNKNOWN = "slot_unknown"
    SLOT_UNAVAILABLE = "slot_unavailable"
    CREATED = "created"


@dataclass(frozen=True, slots=True)
class CreateLeaseOutcome:
    """The answer to one CreateLease."""

    status: CreateLeaseStatus
    expires_at_ms: int = 0
    """The granted expiry in epoch milliseconds, when created, replayed or consumed."""
    store_time_ms: int = field(default=0, compare=False)
    """The store's time, when the expiry asked for is too soon."""
