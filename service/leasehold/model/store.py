"""What the front end needs of a store."""

from typing import Protocol

from leasehold.model.deadline import Deadline
from leasehold.model.lease import CreateLease, CreateLeaseOutcome


class LeaseStore(Protocol):
    """Decides every command once, atomically, by its own clock.

    Every method raises StoreUnavailableError when the store gives no answer, and
    DeadlinePassedError when the deadline comes first.
    """

    async def create_lease(self, command: CreateLease, deadline: Deadline) -> CreateLeaseOutcome:
        """Hold the slot for the reference; the same reference and slot always name one lease."""
        ...

    async def ping(self, deadline: Deadline) -> None:
        """Return when the store answers."""
        ...
