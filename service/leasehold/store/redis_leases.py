"""What operators ask of leases, on Redis: one script for each operation, and SCAN for lists."""

import time
from collections.abc import Callable
from typing import Any

from leasehold.model import ids
from leasehold.model.deadline import Deadline
from leasehold.model.errors import StoreTrouble, StoreUnavailableError
from leasehold.model.lease import LeaseTerms
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
from leasehold.store import keys, scripts
from leasehold.store.hooks import tell_nobody
from leasehold.store.link import Link
from leasehold.store.marker import Runner
from leasehold.store.presence import refuse_if_missing

# So few keys at a time that nobody who asks for a lease meanwhile waits long behind them.
_KEYS_AT_ONCE = 1000
# A page ends with so much of its time left, so that what it has still reaches the caller.
_LEFT_FOR_THE_ANSWER = 0.5


class RedisLeases:
    """An OperatorStore; none of it takes a free spot, so no quarantine stands in its way."""

    def __init__(
        self,
        link: Link,
        terms: LeaseTerms,
        *,
        is_strict: bool,
        promising: Runner | None = None,
        on_left_out: Callable[[int], object] = tell_nobody,
    ) -> None:
        """``promising`` runs the scripts that promise time, if not the link does.

        ``on_left_out`` is called with the number of leases that a list leaves out because only a
        later release knows the layout of their records.
        """
        self._link = link
        self._promising = promising or link
        self._terms = terms
        self._is_strict = is_strict
        self._on_left_out = on_left_out
        self._get_lease = scripts.load("get_lease")
        self._release_lease = scripts.load("release_lease")
        self._extend_lease = scripts.load("extend_lease")
        self._inspect_slot = scripts.load("inspect_slot")

    async def get_lease(self, lease: ids.Reference, deadline: Deadline) -> LeaseRecord | None:
        """Return a lease as it is now; see lua/get_lease.lua."""
        _, *found = await self._link.run(
            self._get_lease,
            [keys.lease_key(lease.merchant_id, lease.suffix)],
            [lease.suffix, keys.slot_prefix(lease.merchant_id)],
            deadline,
        )
        return _lease_record(lease, *found) if found else None

    async def list_leases(
        self, wanted: LeaseFilter, page_size: int, cursor: int, deadline: Deadline
    ) -> LeasePage:
        """Look through the keys of the merchant's shard, until the page or its time is up."""
        started_with_s = deadline.remaining_s()
        prefix = keys.lease_key(wanted.merchant_id, "")
        found: dict[str, LeaseRecord] = {}
        while True:
            _, node = await self._link.shard_of(prefix, deadline)
            # Ids are encoded, so nothing in the prefix means anything to MATCH.
            words = ("SCAN", str(cursor), "MATCH", f"{prefix}*", "COUNT")
            after, names = await self._link.read_on(
                node, *words, str(_KEYS_AT_ONCE), deadline=deadline
            )
            suffixes = [name.removeprefix(prefix) for name in names]
            leases = await self._look_up(wanted.merchant_id, suffixes, deadline)
            found |= {lease.lease_id: lease for lease in leases if wanted.takes(lease)}
            cursor = int(after)
            if not cursor:
                return LeasePage(list(found.values()), None)
            is_late = deadline.remaining_s() < started_with_s * _LEFT_FOR_THE_ANSWER
            if len(found) >= page_size or is_late:
                return LeasePage(list(found.values()), cursor)

    async def release_lease(self, command: ReleaseLease, deadline: Deadline) -> ReleaseLeaseOutcome:
        """Give back what a lease holds; see lua/release_lease.lua for the answers."""
        lease = command.lease
        status, *released = await self._link.run(
            self._release_lease,
            [keys.lease_key(lease.merchant_id, lease.suffix)],
            [
                lease.suffix,
                keys.slot_prefix(lease.merchant_id),
                self._spots_prefix(lease.merchant_id),
                command.reason,
                keys.events_argument(lease.merchant_id, self._terms),
            ],
            deadline,
        )
        return ReleaseLeaseOutcome(ReleaseLeaseStatus(status), *released)

    async def extend_lease(self, command: ExtendLease, deadline: Deadline) -> ExtendLeaseOutcome:
        """Hold a lease longer; see lua/extend_lease.lua for the answers.

        A hold that ran out before its answer came is none: StoreUnavailableError.
        """
        lease, terms = command.lease, self._terms
        sent_at_s = time.monotonic()
        status, *held = await self._promising.run(
            self._extend_lease,
            [keys.lease_key(lease.merchant_id, lease.suffix)],
            [
                lease.suffix,
                keys.slot_prefix(lease.merchant_id),
                command.asked_expires_ms,
                terms.max_lease_ms,
                terms.max_life_ms,
                terms.retention_ms,
                command.reason,
                keys.events_argument(lease.merchant_id, terms),
            ],
            deadline,
        )
        outcome = ExtendLeaseOutcome(ExtendLeaseStatus(status), *held)
        if held and (time.monotonic() - sent_at_s) * 1000 >= outcome.remaining_ms:
            raise StoreUnavailableError(StoreTrouble.ANSWERED_TOO_LATE)
        return outcome

    async def inspect_slot(self, slot: Slot, deadline: Deadline) -> InspectSlotOutcome:
        """Tell who has each spot; see lua/inspect_slot.lua for the answers."""
        merchant_id = slot.merchant_id
        status, *told = await self._link.run(
            self._inspect_slot,
            [keys.inventory_key(merchant_id)],
            [
                keys.slot_text(slot),
                keys.slot_prefix(merchant_id),
                self._spots_prefix(merchant_id),
            ],
            deadline,
        )
        await refuse_if_missing(self._link, status, merchant_id, deadline)
        outcome = InspectSlotStatus(status)
        if not told:
            return InspectSlotOutcome(outcome)
        now_ms, spot_count, ends_at_ms, owners = told
        spots = (
            _spot(merchant_id, number, ends, owner)
            for number, (ends, owner) in enumerate(zip(ends_at_ms, owners, strict=True), 1)
        )
        return InspectSlotOutcome(outcome, now_ms, spot_count, tuple(spots))

    def _spots_prefix(self, merchant_id: str) -> str:
        """Return what the scripts look for inventory with; empty for open inventory."""
        return keys.spots_prefix(merchant_id) if self._is_strict else ""

    async def _look_up(
        self, merchant_id: str, suffixes: list[str], deadline: Deadline
    ) -> list[LeaseRecord]:
        """Return those that still are remembered, and that this release can read."""
        left_out = 0

        async def look_up(named: ids.Reference) -> LeaseRecord | None:
            nonlocal left_out
            try:
                return await self.get_lease(named, deadline)
            except StoreUnavailableError as error:
                if error.trouble is not StoreTrouble.LAYOUT_UNKNOWN:
                    raise
                left_out += 1
                return None

        named = [ids.Reference(merchant_id, suffix) for suffix in suffixes]
        found = await self._link.each(look_up, named)
        if left_out:
            self._on_left_out(left_out)
        return [lease for lease in found if lease]


def _lease_record(
    lease: ids.Reference, state: str, remaining_ms: int, fields: list[Any]
) -> LeaseRecord:
    slot, spot, reference, expires_at_ms, created_at_ms, booking, *rest = fields
    consumed_at_ms, released_at_ms, release_reason, extended_at_ms, extensions, why = rest
    return LeaseRecord(
        lease_id=ids.wire_id(lease.merchant_id, lease.suffix),
        slot=keys.parse_slot(lease.merchant_id, slot),
        spot=int(spot),
        state=LeaseState(state),
        remaining_ms=remaining_ms,
        reference=reference,
        expires_at_ms=int(expires_at_ms),
        created_at_ms=_number(created_at_ms),
        booking_id=ids.wire_id(lease.merchant_id, booking) if booking else "",
        consumed_at_ms=_number(consumed_at_ms),
        released_at_ms=_number(released_at_ms),
        release_reason=release_reason or "",
        extended_at_ms=_number(extended_at_ms),
        extensions=int(extensions or 0),
        extend_reason=why or "",
    )


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)


def _spot(merchant_id: str, number: int, ends_at_ms: int, owner: str | None) -> Spot:
    if owner is None:
        return Spot(number)
    kind, suffix, *_ = owner.split(" ")
    name = ids.wire_id(merchant_id, suffix)
    if kind == "lease":
        return Spot(number, lease_id=name, ends_at_ms=ends_at_ms)
    return Spot(number, booking_id=name, ends_at_ms=ends_at_ms)
