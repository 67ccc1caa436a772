"""The store on Redis: one script for each operation."""

import time

from leasehold.model.deadline import Deadline
from leasehold.model.errors import StoreTrouble, StoreUnavailableError
from leasehold.model.lease import CreateLease, CreateLeaseOutcome, CreateLeaseStatus, LeaseTerms
from leasehold.store import keys, scripts
from leasehold.store.link import Link

_ONLY_SPOT = 1


class RedisStore:
    """A LeaseStore whose every decision is made by a script, atomically, by Redis' clock."""

    def __init__(self, link: Link, terms: LeaseTerms) -> None:
        self._link = link
        self._terms = terms
        self._create_lease = scripts.load("create_lease")

    async def create_lease(self, command: CreateLease, deadline: Deadline) -> CreateLeaseOutcome:
        """Hold the slot for the reference; see lua/create_lease.lua for the answers.

        A grant that ran out on its way here is no grant: StoreUnavailableError.
        """
        slot, suffix, terms = command.slot, command.lease_suffix, self._terms
        sent_at_s = time.monotonic()
        status, *granted = await self._link.run(
            self._create_lease,
            [keys.lease_key(slot.merchant_id, suffix), keys.spot_key(slot, _ONLY_SPOT)],
            [
                suffix,
                keys.slot_text(slot),
                _ONLY_SPOT,
                command.reference,
                command.availability_tag,
                command.asked_expires_ms,
                slot.start_ms,
                terms.min_lease_ms,
                terms.max_lease_ms,
                terms.max_advance_ms,
                terms.retention_ms,
            ],
            deadline,
        )
        if not granted:
            return CreateLeaseOutcome(CreateLeaseStatus(status))
        expires_at_ms, remaining_ms = granted
        if (time.monotonic() - sent_at_s) * 1000 >= remaining_ms:
            raise StoreUnavailableError(StoreTrouble.ANSWERED_TOO_LATE)
        return CreateLeaseOutcome(CreateLeaseStatus(status), expires_at_ms)

    async def ping(self, deadline: Deadline) -> None:
        """Return when Redis answers."""
        await self._link.ping(deadline)
