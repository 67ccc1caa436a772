"""What goes wrong without being an answer: bad input, trouble with the store, lost time."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Violation:
    """One fault of a request: the path of the field and what is wrong, never the value itself."""

    field: str
    description: str


class InvalidRequestError(Exception):
    """The request cannot be meant; all the violations that could be found are named."""

    def __init__(self, violations: Sequence[Violation], reason: str = "INVALID_REQUEST") -> None:
        super().__init__("; ".join(f"{v.field or 'request'}: {v.description}" for v in violations))
        self.violations = tuple(violations)
        self.reason = reason


class NotFoundError(Exception):
    """The request names a lease, booking or user that is not remembered."""

    def __init__(self, kind: str) -> None:
        super().__init__(f"No such {kind} is remembered.")
        self.reason = f"{kind.upper()}_UNKNOWN"


class StoreTrouble(StrEnum):
    """Why the store could not answer; none of these says anything about a slot.

    Source: contract 6.2, "Store trouble".
    """

    UNREACHABLE = "STORE_UNREACHABLE"
    LOADING = "STORE_LOADING"
    READ_ONLY = "STORE_READ_ONLY"
    NO_REPLICAS = "STORE_NO_REPLICAS"
    NOT_REPLICATED = "STORE_NOT_REPLICATED"
    """Done, but fewer replicas than wanted have it: to ask again is to wait for them again."""
    NOT_PERSISTING = "STORE_NOT_PERSISTING"
    BUSY = "STORE_BUSY"
    CLUSTER_DOWN = "STORE_CLUSTER_DOWN"
    MIGRATING = "STORE_MIGRATING"
    OUT_OF_MEMORY = "STORE_OUT_OF_MEMORY"
    ACCESS_DENIED = "STORE_ACCESS_DENIED"
    ANSWERED_TOO_LATE = "STORE_ANSWERED_TOO_LATE"
    QUARANTINED = "STORE_QUARANTINED"
    """The store has lost data, and what it may have held has not ended yet."""
    CLOCK = "STORE_CLOCK"
    """The store's clock has stepped, and what was held by it may not have ended yet."""
    LAYOUT_UNKNOWN = "STORE_LAYOUT_UNKNOWN"
    """A record has a layout that only a later release knows; nothing was done."""
    USER_KEY = "STORE_USER_KEY"
    """The store's users are digested with a key that this process does not hold."""
    NO_INVENTORY = "NO_INVENTORY"
    """Inventory is strict, and nobody has any: it was never loaded, or was lost."""


class StoreUnavailableError(Exception):
    """The store gave no answer; whether the command was carried out may be unknown."""

    def __init__(self, trouble: StoreTrouble) -> None:
        super().__init__(trouble.value)
        self.trouble = trouble


class QuarantinedError(StoreUnavailableError):
    """The store was not asked, because it has lost data: what it calls free may be held."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(StoreTrouble.QUARANTINED)
        self.retry_after_s = retry_after_s


class ClockSteppedError(StoreUnavailableError):
    """What takes or promises time is not answered: the clock that would tell it has stepped."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(StoreTrouble.CLOCK)
        self.retry_after_s = retry_after_s


class OverloadedError(Exception):
    """Too many commands wait for the store already; this one was not sent."""


class DeadlinePassedError(Exception):
    """The time of the call ran out before the store had answered."""
