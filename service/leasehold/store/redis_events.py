"""What has happened with a merchant, on Redis: a stream, which the scripts write in passing."""

from leasehold.model import ids
from leasehold.model.deadline import Deadline
from leasehold.model.events import (
    Event,
    EventKind,
    ListEvents,
    ListEventsOutcome,
    ListEventsStatus,
)
from leasehold.model.lease import LeaseTerms
from leasehold.model.slot import Slot
from leasehold.store import keys, scripts
from leasehold.store.link import Link


class RedisEvents:
    """An EventStore; its terms must keep events."""

    def __init__(self, link: Link, terms: LeaseTerms) -> None:
        self._link = link
        self._terms = terms
        self._list_events = scripts.load("list_events")

    async def list_events(self, command: ListEvents, deadline: Deadline) -> ListEventsOutcome:
        """Return a page of events; see lua/list_events.lua for the answers."""
        merchant_id = command.merchant_id
        status, *found = await self._link.run(
            self._list_events,
            [keys.events_key(merchant_id)],
            [
                command.after,
                command.most,
                keys.events_argument(merchant_id, self._terms),
                keys.slot_prefix(merchant_id),
                keys.lease_key(merchant_id, ""),
            ],
            deadline,
        )
        if not found:
            return ListEventsOutcome(ListEventsStatus(status))
        token, page = found
        events = tuple(_event(merchant_id, *each) for each in page)
        return ListEventsOutcome(ListEventsStatus(status), events, token)


def _event(merchant_id: str, token: str, words: list[str]) -> Event:
    fields = dict(zip(words[::2], words[1::2], strict=True))
    slot, spot = _spot(merchant_id, fields["spot"])
    old = _spot(merchant_id, fields["old_spot"]) if "old_spot" in fields else (None, 0)
    lease, booking, until = (fields.get(name, "") for name in ("lease", "booking", "until"))
    return Event(
        token=token,
        at_ms=int(token.partition("-")[0]),
        kind=EventKind(fields["kind"]),
        slot=slot,
        spot=spot,
        lease_id=ids.wire_id(merchant_id, lease) if lease else "",
        booking_id=ids.wire_id(merchant_id, booking) if booking else "",
        expires_at_ms=int(until) if until else None,
        old_slot=old[0],
        old_spot=old[1],
        reason=fields.get("reason", ""),
    )


def _spot(merchant_id: str, text: str) -> tuple[Slot, int]:
    slot, _, number = text.rpartition("#")
    return keys.parse_slot(merchant_id, slot), int(number)
