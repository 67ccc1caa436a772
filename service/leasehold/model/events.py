"""What happens to a merchant's leases and bookings, told in order."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, Self

from leasehold.model.deadline import Deadline
from leasehold.model.slot import Slot


class EventKind(StrEnum):
    """What has happened, as the scripts call it."""

    HELD = "held"
    EXTENDED = "extended"
    RELEASED = "released"
    EXPIRED = "expired"
    CONSUMED = "consumed"
    BOOKING_CREATED = "booking_created"
    BOOKING_MOVED = "booking_moved"
    BOOKING_CANCELED = "booking_canceled"
    BOOKING_CONFIRMED = "booking_confirmed"
    BOOKING_NO_SHOW = "booking_no_show"
    BOOKING_NO_SHOW_PENALIZED = "booking_no_show_penalized"
    UNKNOWN = "unknown"
    """What only a newer release on the same store knows."""

    @classmethod
    def _missing_(cls, _value: object) -> Self:
        return cls("unknown")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that has happened; ids are those on the wire, empty where they do not apply."""

    token: str
    """Names the event among those of its merchant."""
    at_ms: int
    kind: EventKind
    slot: Slot
    spot: int
    lease_id: str = ""
    booking_id: str = ""
    expires_at_ms: int | None = None
    old_slot: Slot | None = None
    old_spot: int = 0
    reason: str = ""


class ListEventsStatus(StrEnum):
    """Every answer to ListEvents, in order of precedence."""

    EVENTS_MISSED = "events_missed"
    LISTED = "listed"


@dataclass(frozen=True, slots=True)
class ListEvents:
    """Tell what came ``after`` an event, or from the first on if that is empty."""

    merchant_id: str
    after: str
    most: int


@dataclass(frozen=True, slots=True)
class ListEventsOutcome:
    """The answer to one ListEvents."""

    status: ListEventsStatus
    events: tuple[Event, ...] = ()
    """Oldest first."""
    token: str = ""
    """Asks for what comes after these; without any it stands for the moment of the answer."""


class EventStore(Protocol):
    """What FeedService needs of a store; it raises as the methods of LeaseStore do."""

    async def list_events(self, command: ListEvents, deadline: Deadline) -> ListEventsOutcome:
        """Notice holds that have ended by themselves, and return a page of events."""
        ...
