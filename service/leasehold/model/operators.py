"""What operators ask of leases and slots: commands, outcomes and records."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from leasehold.model import ids
from leasehold.model.deadline import Deadline
from leasehold.model.slot import Slot


class LeaseState(StrEnum):
    """What has become of a lease."""

    HELD = "held"
    CONSUMED = "consumed"
    RELEASED = "released"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """A lease as it is now; times are epoch milliseconds, None for what has not happened."""

    lease_id: str
    slot: Slot
    spot: int
    state: LeaseState
    remaining_ms: int
    """For how much longer it is held; 0 when it is not."""
    reference: str
    expires_at_ms: int
    """The granted expiry."""
    created_at_ms: int | None
    """None as well for what an older release wrote, as in consumed_at_ms."""
    booking_id: str = ""
    """What it became; empty unless consumed."""
    consumed_at_ms: int | None = None
    released_at_ms: int | None = None
    release_reason: str = ""
    extended_at_ms: int | None = None
    """The last time."""
    extensions: int = 0
    extend_reason: str = ""


@dataclass(frozen=True, slots=True)
class ReleaseLease:
    """Give back what a lease holds; its shape has been checked."""

    lease: ids.Reference
    reason: str


class ReleaseLeaseStatus(StrEnum):
    """Every answer to ReleaseLease, in order of precedence."""

    LEASE_UNKNOWN = "lease_unknown"
    LEASE_CONSUMED = "lease_consumed"
    REPLAYED = "replayed"
    LEASE_EXPIRED = "lease_expired"
    RELEASED = "released"


@dataclass(frozen=True, slots=True)
class ReleaseLeaseOutcome:
    """The answer to one ReleaseLease."""

    status: ReleaseLeaseStatus
    released_at_ms: int = 0
    """When it was released or replayed: the first time."""
    reason: str = ""
    """That of the first time."""


@dataclass(frozen=True, slots=True)
class ExtendLease:
    """Hold a lease until ``asked_expires_ms``; its shape has been checked."""

    lease: ids.Reference
    asked_expires_ms: int
    reason: str


class ExtendLeaseStatus(StrEnum):
    """Every answer to ExtendLease, in order of precedence."""

    LEASE_UNKNOWN = "lease_unknown"
    LEASE_CONSUMED = "lease_consumed"
    LEASE_RELEASED = "lease_released"
    LEASE_EXPIRED = "lease_expired"
    UNCHANGED = "unchanged"
    EXTENDED = "extended"


@dataclass(frozen=True, slots=True)
class ExtendLeaseOutcome:
    """The answer to one ExtendLease; the times are given when extended or unchanged."""

    status: ExtendLeaseStatus
    expires_at_ms: int = 0
    remaining_ms: int = 0
    latest_ms: int = 0
    """The latest expiry that the lease can ever have."""

    @property
    def renew_at_ms(self) -> int | None:
        """Return when a third of the hold is left, or None when it can be held no longer."""
        if self.expires_at_ms >= self.latest_ms:
            return None
        return self.expires_at_ms - self.remaining_ms // 3


class InspectSlotStatus(StrEnum):
    """Every answer to InspectSlot, in order of precedence."""

    MERCHANT_UNKNOWN = "merchant_unknown"
    SERVICE_UNKNOWN = "service_unknown"
    SLOT_UNKNOWN = "slot_unknown"
    INSPECTED = "inspected"


@dataclass(frozen=True, slots=True)
class Spot:
    """One spot of a slot, and who has it; nobody when both ids are empty."""

    number: int
    lease_id: str = ""
    booking_id: str = ""
    ends_at_ms: int = 0


@dataclass(frozen=True, slots=True)
class InspectSlotOutcome:
    """The answer to one InspectSlot."""

    status: InspectSlotStatus
    now_ms: int = 0
    spot_count: int = 0
    spots: tuple[Spot, ...] = ()
    """Every number that the slot ever had."""


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open range of epoch milliseconds."""

    begin_ms: int | None = None
    end_ms: int | None = None

    def __contains__(self, at_ms: int) -> bool:
        """Tell whether a moment lies in it."""
        after = self.begin_ms is None or at_ms >= self.begin_ms
        return after and (self.end_ms is None or at_ms < self.end_ms)


@dataclass(frozen=True, slots=True)
class LeaseFilter:
    """Which leases of a merchant are wanted."""

    merchant_id: str
    service_id: str = ""
    states: Collection[LeaseState] = ()
    """Empty for any."""
    starts: Span = Span()
    expires: Span = Span()

    def takes(self, lease: LeaseRecord) -> bool:
        """Tell whether a lease of the merchant is wanted."""
        return (
            self.service_id in ("", lease.slot.service_id)
            and (not self.states or lease.state in self.states)
            and lease.slot.start_ms in self.starts
            and lease.expires_at_ms in self.expires
        )


@dataclass(frozen=True, slots=True)
class LeasePage:
    """Some leases, and where to go on; None when there are no more."""

    leases: list[LeaseRecord]
    next_cursor: int | None


class OperatorStore(Protocol):
    """What the operators' API needs of a store; every method raises as those of LeaseStore do."""

    async def get_lease(self, lease: ids.Reference, deadline: Deadline) -> LeaseRecord | None:
        """Return a lease as it is now, or None when it is unknown."""
        ...

    async def list_leases(
        self, wanted: LeaseFilter, page_size: int, cursor: int, deadline: Deadline
    ) -> LeasePage:
        """Return some of the leases that are wanted; the first cursor is 0."""
        ...

    async def release_lease(self, command: ReleaseLease, deadline: Deadline) -> ReleaseLeaseOutcome:
        """Give back what a lease holds; a repeat answers the same."""
        ...

    async def extend_lease(self, command: ExtendLease, deadline: Deadline) -> ExtendLeaseOutcome:
        """Hold a lease longer, and never shorter."""
        ...

    async def inspect_slot(self, slot: Slot, deadline: Deadline) -> InspectSlotOutcome:
        """Tell who has each spot of a slot at one instant."""
        ...
