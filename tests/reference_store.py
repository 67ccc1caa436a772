"""The store in plain Python: what the Lua scripts must do, readable, on a clock of its own."""

from dataclasses import dataclass, field

from leasehold.model.deadline import Deadline
from leasehold.model.lease import CreateLease, CreateLeaseOutcome, CreateLeaseStatus, LeaseTerms
from leasehold.model.slot import Slot

Status = CreateLeaseStatus


@dataclass
class Record:
    """What is remembered of a lease."""

    slot: Slot
    expires_at_ms: int


@dataclass
class ReferenceStore:
    """A LeaseStore in memory; tests move ``now_ms``."""

    terms: LeaseTerms
    now_ms: int
    records: dict[tuple[str, str], Record] = field(default_factory=dict)
    """Lease records by merchant and lease."""
    owners: dict[Slot, tuple[str, int]] = field(default_factory=dict)
    """Who has a slot, and until when."""

    async def create_lease(self, command: CreateLease, _deadline: Deadline) -> CreateLeaseOutcome:
        """Judge in the order of contract 6.2."""
        self._forget_what_has_ended()
        slot, lease, terms = command.slot, command.lease_suffix, self.terms
        record = self.records.get((slot.merchant_id, lease))
        owner, _ = self.owners.get(slot, (None, 0))
        if record and record.slot == slot and owner == lease:
            return CreateLeaseOutcome(Status.REPLAYED, record.expires_at_ms)
        if record and record.slot == slot:
            return CreateLeaseOutcome(Status.LEASE_EXPIRED)
        if record:
            return CreateLeaseOutcome(Status.REFERENCE_REUSED)
        if command.asked_expires_ms < self.now_ms + terms.min_lease_ms:
            return CreateLeaseOutcome(Status.EXPIRY_TOO_SOON)
        if slot.start_ms < self.now_ms + terms.min_lease_ms:
            return CreateLeaseOutcome(Status.START_TOO_SOON)
        if slot.start_ms > self.now_ms + terms.max_advance_ms:
            return CreateLeaseOutcome(Status.START_TOO_FAR)
        if owner:
            return CreateLeaseOutcome(Status.SLOT_UNAVAILABLE)
        expires_at_ms = min(
            command.asked_expires_ms, self.now_ms + terms.max_lease_ms, slot.start_ms
        )
        self.owners[slot] = (lease, expires_at_ms)
        self.records[slot.merchant_id, lease] = Record(slot, expires_at_ms)
        return CreateLeaseOutcome(Status.CREATED, expires_at_ms)

    async def ping(self, _deadline: Deadline) -> None:
        """Answer."""

    def _forget_what_has_ended(self) -> None:
        """Drop what Redis would have dropped: a key lives through its last millisecond."""
        self.owners = {
            slot: (lease, end) for slot, (lease, end) in self.owners.items() if self.now_ms <= end
        }
        self.records = {
            key: record
            for key, record in self.records.items()
            if self.now_ms <= record.expires_at_ms + self.terms.retention_ms
        }
