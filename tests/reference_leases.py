"""What operators ask of leases, in plain Python: what the Lua scripts must do."""

from dataclasses import dataclass

from tests.reference_store import Lease, ReferenceStore

from leasehold.model import ids
from leasehold.model.deadline import Deadline
from leasehold.model.operators import (
    ExtendLease,
    ExtendLeaseOutcome,
    ExtendLeaseStatus,
    InspectSlotOutcome,
    InspectSlotStatus,
    LeaseFilter,
    LeasePage,
    LeaseRecord,
    LeaseState,
    ReleaseLease,
    ReleaseLeaseOutcome,
    ReleaseLeaseStatus,
    Spot,
)
from leasehold.model.slot import Slot


@dataclass
class ReferenceLeases:
    """An OperatorStore over the leases of a ReferenceStore, by its clock."""

    store: ReferenceStore

    async def get_lease(self, lease: ids.Reference, _deadline: Deadline) -> LeaseRecord | None:
        """Look it up."""
        found = self._find(lease)
        return self._record(lease, found) if found else None

    async def list_leases(
        self, wanted: LeaseFilter, page_size: int, cursor: int, _deadline: Deadline
    ) -> LeasePage:
        """Look through all of the merchant's, in the order of their names."""
        self.store.forget_what_has_ended()
        names = sorted(name for name in self.store.leases if name[0] == wanted.merchant_id)
        records = [self._record(ids.Reference(*name), self.store.leases[name]) for name in names]
        found = [record for record in records if wanted.takes(record)][cursor:]
        after = cursor + page_size if len(found) > page_size else None
        return LeasePage(found[:page_size], after)

    async def release_lease(
        self, command: ReleaseLease, _deadline: Deadline
    ) -> ReleaseLeaseOutcome:
        """Judge in the order of lua/release_lease.lua."""
        status, lease = ReleaseLeaseStatus, self._find(command.lease)
        if not lease:
            return ReleaseLeaseOutcome(status.LEASE_UNKNOWN)
        if lease.booking:
            return ReleaseLeaseOutcome(status.LEASE_CONSUMED)
        if lease.released_at_ms:
            reason = lease.release_reason
            return ReleaseLeaseOutcome(status.REPLAYED, lease.released_at_ms, reason)
        if not self._is_held(command.lease, lease):
            return ReleaseLeaseOutcome(status.LEASE_EXPIRED)
        del self.store.owners[lease.slot, lease.spot]
        lease.released_at_ms, lease.release_reason = self.store.now_ms, command.reason
        return ReleaseLeaseOutcome(status.RELEASED, lease.released_at_ms, command.reason)

    async def extend_lease(self, command: ExtendLease, _deadline: Deadline) -> ExtendLeaseOutcome:
        """Judge in the order of lua/extend_lease.lua."""
        status, lease = ExtendLeaseStatus, self._find(command.lease)
        now_ms, terms = self.store.now_ms, self.store.terms
        if not lease:
            return ExtendLeaseOutcome(status.LEASE_UNKNOWN)
        if lease.booking:
            return ExtendLeaseOutcome(status.LEASE_CONSUMED)
        if lease.released_at_ms:
            return ExtendLeaseOutcome(status.LEASE_RELEASED)
        if not self._is_held(command.lease, lease):
            return ExtendLeaseOutcome(status.LEASE_EXPIRED)
        latest_ms = min(lease.created_at_ms + terms.max_life_ms, lease.slot.start_ms)
        granted_ms = min(command.asked_expires_ms, now_ms + terms.max_lease_ms, latest_ms)
        outcome = status.UNCHANGED
        if granted_ms > lease.expires_at_ms:
            outcome = status.EXTENDED
            owner, _ = self.store.owners[lease.slot, lease.spot]
            self.store.owners[lease.slot, lease.spot] = (owner, granted_ms)
            lease.expires_at_ms = granted_ms
            lease.ends_at_ms = granted_ms + terms.retention_ms
            lease.extended_at_ms, lease.extend_reason = now_ms, command.reason
            lease.extensions += 1
        expires_at_ms = lease.expires_at_ms
        return ExtendLeaseOutcome(outcome, expires_at_ms, expires_at_ms - now_ms, latest_ms)

    async def inspect_slot(self, slot: Slot, _deadline: Deadline) -> InspectSlotOutcome:
        """Look at each spot."""
        status, store = InspectSlotStatus, self.store
        store.forget_what_has_ended()
        spot_count, highest = store.spots(slot)
        if not highest:
            return InspectSlotOutcome(status(store.unknown(slot) or status.SLOT_UNKNOWN))
        spots = []
        for number in range(1, highest + 1):
            owner, ends_at_ms = store.owners.get((slot, number), ("nobody -", 0))
            kind, suffix, *_ = owner.split()
            name = ids.wire_id(slot.merchant_id, suffix)
            lease, booking = (name if kind == each else "" for each in ("lease", "booking"))
            spots.append(Spot(number, lease, booking, ends_at_ms))
        return InspectSlotOutcome(status.INSPECTED, store.now_ms, spot_count, tuple(spots))

    def _find(self, lease: ids.Reference) -> Lease | None:
        self.store.forget_what_has_ended()
        return self.store.leases.get((lease.merchant_id, lease.suffix))

    def _is_held(self, named: ids.Reference, lease: Lease) -> bool:
        return self.store.owner(lease.slot, lease.spot) == f"lease {named.suffix}"

    def _record(self, named: ids.Reference, lease: Lease) -> LeaseRecord:
        is_held = self._is_held(named, lease)
        state = LeaseState.EXPIRED
        if lease.booking:
            state = LeaseState.CONSUMED
        elif is_held:
            state = LeaseState.HELD
        elif lease.released_at_ms:
            state = LeaseState.RELEASED
        return LeaseRecord(
            lease_id=ids.wire_id(named.merchant_id, named.suffix),
            slot=lease.slot,
            spot=lease.spot,
            state=state,
            remaining_ms=lease.expires_at_ms - self.store.now_ms if is_held else 0,
            reference="" if lease.is_forgotten else lease.reference,
            expires_at_ms=lease.expires_at_ms,
            created_at_ms=lease.created_at_ms,
            booking_id=ids.wire_id(named.merchant_id, lease.booking) if lease.booking else "",
            consumed_at_ms=lease.consumed_at_ms or None,
            released_at_ms=lease.released_at_ms or None,
            release_reason=lease.release_reason,
            extended_at_ms=lease.extended_at_ms or None,
            extensions=lease.extensions,
            extend_reason=lease.extend_reason,
        )
