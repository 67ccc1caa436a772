"""What has happened with a merchant's slots, as plain values."""

from dataclasses import dataclass
from datetime import datetime

from leasehold.client.leases import Shown
from leasehold.client.values import read_time
from leasehold.generated.leasehold.v1 import feed_service_pb2 as pb
from leasehold.model.events import EventKind
from leasehold.model.slot import Slot

_KINDS: dict[int, str] = {
    number: name.removeprefix("EVENT_KIND_").lower() for name, number in pb.EventKind.items()
}


@dataclass(frozen=True, slots=True)
class EventSpot:
    """One spot of a slot."""

    slot: Slot
    number: int
    """From 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(Shown):
    """Something that has happened. It names no person."""

    token: str
    """Asks for what came after it."""
    at: datetime
    """By the store's clock; of an expiry, when it was noticed."""
    kind: EventKind
    """UNKNOWN for what only a newer release knows."""
    lease_id: str
    booking_id: str
    spot: EventSpot
    """What the lease or booking has, or had until then."""
    expires_at: datetime | None
    """Held and extended: the granted expiry. Expired: when the hold ended, where that is known."""
    old_spot: EventSpot | None
    """Of a moved booking: where it was before."""
    reason: str
    """Extended and released: why."""


@dataclass(frozen=True, slots=True)
class EventPage:
    """Some events, oldest first; none when there are no more by now."""

    events: tuple[Event, ...]
    token: str
    """Where to go on, now or later; a page without events stands for the moment of the answer."""


def read_page(response: pb.ListEventsResponse) -> EventPage:
    """Read a page of events."""
    return EventPage(tuple(map(_event, response.events)), response.next_page_token)


def _event(event: pb.Event) -> Event:
    return Event(
        message=event,
        token=event.token,
        at=read_time(event.time),
        kind=EventKind(_KINDS.get(event.kind, "unknown")),
        lease_id=event.lease_id,
        booking_id=event.booking_id,
        spot=_spot(event.spot),
        expires_at=read_time(event.expire_time) if event.HasField("expire_time") else None,
        old_spot=_spot(event.old_spot) if event.HasField("old_spot") else None,
        reason=event.reason,
    )


def _spot(spot: pb.EventSpot) -> EventSpot:
    slot = Slot(
        merchant_id=spot.merchant_id,
        service_id=spot.service_id,
        start_s=spot.start_time.seconds,
        duration_s=spot.duration.seconds,
        staff_id=spot.staff_id,
        room_id=spot.room_id,
        party_size=spot.party_size,
    )
    return EventSpot(slot, spot.number)
