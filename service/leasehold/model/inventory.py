"""The inventory: which slots there are, and how many spots each has."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol

from leasehold.model.slot import Slot

MAX_SPOTS = 1000
MIN_REPEAT_S = 60
"""Shorter ones would make tens of thousands of slots of one entry."""
MAX_REPEAT_S = 90_000
"""A recurrence goes on for at most so long: the day on which clocks are set back has 25 hours.

Source: contract 10, "Recurrence".
"""


@dataclass(frozen=True, slots=True)
class Recurrence:
    """Repeats a slot of one spot every so often, up to and including ``until_s``."""

    every_s: int
    until_s: int
    """Epoch seconds: the last start there can be."""
    closed: tuple[tuple[int, int], ...] = ()
    """Half-open ranges of epoch seconds in which nobody can be served."""


@dataclass(frozen=True, slots=True)
class Availability:
    """A slot and its spots, or a row of slots; its shape has been checked."""

    place: str
    """Where the feed has it, for reports."""
    slot: Slot
    spots_total: int
    spots_open: int
    recurrence: Recurrence | None = None
    is_ceiling: bool = False
    """Whether the numbers only bound the slot: the commit leaves min(stored, these) spots.

    Such a slot is neither removed, nor added, nor raised.
    """

    def slots(self) -> Iterator[tuple[Slot, int, int]]:
        """Yield each slot with its spots in total and those that are open.

        Source: contract 10, "Recurrence" and "ScheduleException".
        """
        row = self.recurrence
        if not row:
            yield self.slot, self.spots_total, self.spots_open
            return
        for start_s in range(self.slot.start_s, row.until_s + 1, row.every_s):
            end_s = start_s + self.slot.duration_s
            is_closed = any(start_s < to_s and from_s < end_s for from_s, to_s in row.closed)
            spots_open = 0 if is_closed else min(1, self.spots_open)
            yield replace(self.slot, start_s=start_s), 1, spots_open


@dataclass(frozen=True, slots=True)
class Scope:
    """What a snapshot is complete for, at one merchant; None for any. Source: contract 10.1."""

    merchant_id: str
    service_id: str | None = None
    from_s: int | None = None
    """Starts are in ``[from_s, to_s)``, epoch seconds."""
    to_s: int | None = None
    duration_s: int | None = None
    staff_id: str | None = None
    room_id: str | None = None
    party_size: int | None = None

    def has(self, slot: Slot) -> bool:
        """Tell whether a slot is one of those that it speaks of."""
        agree = (
            (self.merchant_id, slot.merchant_id),
            (self.service_id, slot.service_id),
            (self.duration_s, slot.duration_s),
            (self.staff_id, slot.staff_id),
            (self.room_id, slot.room_id),
            (self.party_size, slot.party_size),
        )
        return all(wanted in (None, found) for wanted, found in agree) and self.meets(
            slot.start_s, slot.start_s + 1
        )

    def meets(self, from_s: int, to_s: int) -> bool:
        """Tell whether any start in ``[from_s, to_s)`` is one that it speaks of."""
        return (self.from_s is None or self.from_s < to_s) and (
            self.to_s is None or from_s < self.to_s
        )


@dataclass(frozen=True, slots=True)
class Fault:
    """An entry that cannot be taken."""

    place: str
    reason: str


@dataclass(frozen=True, slots=True)
class Doubt:
    """Something of a merchant could not be read, so its slots are only lowered."""

    merchant_id: str
    """Empty when not even the merchant could be read."""


@dataclass(frozen=True, slots=True)
class Remark:
    """What the operator should know of a feed that is no fault."""

    place: str
    text: str


class CheckAvailabilityStatus(StrEnum):
    """Every answer to CheckAvailability, in order of precedence.

    Source: contract 6.2, "Order of judgement".
    """

    START_TOO_FAR = "start_too_far"
    MERCHANT_UNKNOWN = "merchant_unknown"
    SERVICE_UNKNOWN = "service_unknown"
    COUNTED = "counted"


@dataclass(frozen=True, slots=True)
class CheckAvailabilityOutcome:
    """The answer to one CheckAvailability."""

    status: CheckAvailabilityStatus
    count: int = 0
    """The spots that are free, when counted."""


FeedItem = Availability | Scope | Fault | Doubt | Remark


class FeedError(Exception):
    """A feed that cannot be taken as a whole; nothing of it has been. The message is for people."""


class ManyLeftOutError(FeedError):
    """A feed lists so few merchants that it may be truncated; nothing of it has been taken."""


class CommitStatus(StrEnum):
    """Every answer to a step of the commit of one merchant's day, in order of precedence."""

    DAY_OVER = "day_over"
    OLDER_FEED = "older_feed"
    DROPPED = "dropped"
    STAGE_INCOMPLETE = "stage_incomplete"
    COMMITTED = "committed"


@dataclass(slots=True)
class Staged:
    """What has been read of a feed and waits in the store, where nobody who asks sees it."""

    import_id: str
    report: Callable[[Fault], None] | None = None
    """Is called with every fault, when it is found."""
    slots: int = 0
    slots_by_day: dict[tuple[str, str], int] = field(default_factory=dict)
    """How many slots wait, by merchant and UTC day."""
    scopes: dict[str, list[Scope]] = field(default_factory=dict)
    """What the feed is complete for, by merchant."""
    has_unreadable_merchant: bool = False
    """Whether an entry could not be read so far that its merchant is known."""
    remarks: list[Remark] = field(default_factory=list)
    only_lower: set[str] = field(default_factory=set)
    """Merchants of whose slots the commit removes, adds and raises none; lower numbers apply."""
    left_out: set[str] = field(default_factory=set)
    """Merchants that a complete feed does not list: closed by the commit, and known from then on.

    They are known as long as the listed ones, and no feed that was made earlier adds to them.
    """
    faults: list[Fault] = field(default_factory=list)
    """The first of the entries that were not taken."""
    fault_count: int = 0

    @property
    def keeps_unlisted(self) -> bool:
        """Tell whether merchants that the feed does not list are none of its business."""
        return self.has_unreadable_merchant or any(
            scope != Scope(name) for name, scopes in self.scopes.items() for scope in scopes
        )


@dataclass(slots=True)
class Committed:
    """What became of a feed."""

    left_out: set[str] = field(default_factory=set)
    """Merchants that the feed closes, because it is complete and does not list them."""
    days: int = 0
    """Merchants' days that are now as the feed says."""
    removed: int = 0
    """Slots that were there and are not any more."""
    over: int = 0
    """Merchants' days that have passed."""
    closed: set[str] = field(default_factory=set)
    """Merchants whose slots are gone because a complete feed does not list them."""
    newer: list[str] = field(default_factory=list)
    """Merchants' days that stay as they are, because a later feed said so."""
    newer_in_part: list[str] = field(default_factory=list)
    """Merchants' days of which some slots stay as they are, because a later feed said so."""

    def note(
        self, merchant_id: str, day: str, status: CommitStatus, removed: int, in_part: bool
    ) -> None:
        """Count what became of a merchant's day; raises FeedError when no more can be done."""
        match status:
            case CommitStatus.COMMITTED:
                self.days += 1
                self.removed += removed
                if removed and merchant_id in self.left_out:
                    self.closed.add(merchant_id)
                if in_part:
                    self.newer_in_part.append(f"{merchant_id} {day}")
            case CommitStatus.DAY_OVER:
                self.over += 1
            case CommitStatus.OLDER_FEED:
                self.newer.append(f"{merchant_id} {day}")
            case CommitStatus.DROPPED:
                raise FeedError("The inventory was dropped meanwhile; load the feed again.")
            case CommitStatus.STAGE_INCOMPLETE:
                raise FeedError("What was staged of the feed has ended; load it again.")


@dataclass(frozen=True, slots=True)
class MerchantInventory:
    """What is known of one merchant's inventory."""

    merchant_id: str
    services: list[str]
    generated_at_ms: dict[str, int]
    """When the feed was made that a UTC day is known from, by day."""


@dataclass(frozen=True, slots=True)
class SlotInventory:
    """What is known of one slot."""

    slot: Slot
    spots: int
    held: int
    booked: int


class InventoryStore(Protocol):
    """Takes feeds in two steps; both raise StoreUnavailableError when the store gives no answer."""

    async def stage(
        self,
        items: Iterable[FeedItem],
        progress: Callable[[int], None],
        report: Callable[[Fault], None] | None = None,
    ) -> Staged:
        """Read a feed into the store; nobody who asks for a lease notices.

        ``progress`` is told now and then how many entries are done, ``report`` every fault.
        """
        ...

    async def leave_out(
        self,
        staged: Staged,
        generated_at_ms: int | None,
        most_share: float,
        progress: Callable[[int, int], None],
    ) -> None:
        """Have the commit close every merchant that is known and not staged.

        None is closed where a merchant cannot be read, or where an entry speaks of a part of its
        merchant only. Raises ManyLeftOutError when at least two, and more than a share of
        the merchants with an open slot ahead, would close; 1 allows all. ``progress`` is told how
        many merchants are looked at, of how many.
        """
        ...

    async def commit(
        self, staged: Staged, generated_at_ms: int | None, progress: Callable[[int, int], None]
    ) -> Committed:
        """Make the inventory what has been staged, each slot in one step; what closes comes first.

        Without ``generated_at_ms`` that is true now, by the store's clock. ``progress`` is told
        how many days are done, of how many. Raises FeedError when nothing of it can be taken.
        """
        ...
