"""Reading a merchant's events to their end, and playing them back."""

from dataclasses import dataclass, field

from tests.backends import Backend, soon

from leasehold.model.events import Event, EventKind, ListEvents, ListEventsStatus
from leasehold.model.slot import Slot


async def read_events(
    backend: Backend, after: str = "", *, most: int = 100, merchant: str | None = None
) -> list[Event]:
    """Return all events after one, page by page, until there are no more."""
    events = backend.events()
    found: list[Event] = []
    while True:
        command = ListEvents(merchant or backend.merchant, after, most)
        outcome = await events.list_events(command, soon())
        assert outcome.status is ListEventsStatus.LISTED
        assert len(outcome.events) <= most
        if not outcome.events:
            return found
        found += outcome.events
        after = found[-1].token


def kinds(events: list[Event]) -> list[str]:
    """Return what has happened, without anything about it."""
    return [str(event.kind) for event in events]


Place = tuple[Slot, int]


@dataclass
class Playback:
    """What somebody believes who knows nothing but the events."""

    held: dict[str, tuple[Place, int]] = field(default_factory=dict)
    """Place and end of each lease that is held."""
    bookings: dict[str, tuple[Place, str]] = field(default_factory=dict)
    """Place and state of each booking."""
    last: str = ""
    """The token of the last event."""

    def take(self, event: Event) -> None:
        """Believe an event, which must fit what came before it."""
        assert token_order(event.token) > token_order(self.last)
        self.last, place = event.token, (event.slot, event.spot)
        match event.kind:
            case EventKind.HELD:
                assert event.lease_id not in self.held
                self._hold(event, place)
            case EventKind.EXTENDED:
                was, ended_ms = self.held[event.lease_id]
                assert was == place
                assert event.expires_at_ms is not None
                assert event.expires_at_ms > ended_ms
                self._hold(event, place)
            case EventKind.RELEASED | EventKind.EXPIRED | EventKind.CONSUMED:
                was, ends_ms = self.held.pop(event.lease_id)
                assert was == place
                if event.kind is EventKind.EXPIRED:
                    assert event.expires_at_ms in (None, ends_ms)
            case EventKind.BOOKING_CREATED:
                self.bookings[event.booking_id] = (place, "confirmed")
            case EventKind.BOOKING_MOVED:
                assert event.old_slot
                was, state = self.bookings[event.booking_id]
                assert was == (event.old_slot, event.old_spot)
                self.bookings[event.booking_id] = (place, state)
            case _:
                was, state = self.bookings[event.booking_id]
                wanted = event.kind.removeprefix("booking_")
                assert was == place
                assert state != wanted
                self.bookings[event.booking_id] = (place, wanted)

    def _hold(self, event: Event, place: Place) -> None:
        assert event.expires_at_ms is not None
        self.held[event.lease_id] = (place, event.expires_at_ms)


def token_order(token: str) -> tuple[int, int]:
    """Return what the order of tokens is by."""
    at_ms, _, number = token.partition("-")
    return (int(at_ms or 0), int(number or 0))
