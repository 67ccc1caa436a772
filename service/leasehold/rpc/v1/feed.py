"""FeedService: translate, ask the store, translate back."""

import re
from typing import Any

import grpc

from leasehold.generated.leasehold.v1 import feed_service_pb2 as pb
from leasehold.generated.leasehold.v1 import feed_service_pb2_grpc as pb_grpc
from leasehold.model import checks
from leasehold.model.deadline import Deadline
from leasehold.model.events import Event, EventKind, EventStore, ListEvents
from leasehold.model.slot import Slot
from leasehold.rpc.calls import note_outcome
from leasehold.rpc.faults import Faults
from leasehold.rpc.status import RefusalError
from leasehold.rpc.v1 import status
from leasehold.rpc.v1.translate import set_ms

# The names of the methods are the API's own.
# ruff: noqa: N802

_API = "v1"
# A script that tells a hundred takes a third of a millisecond, in which nobody gets a lease.
_LARGEST_PAGE = 100
# The ids of a Redis stream: milliseconds and a number, each of 64 bits, in one spelling.
_TOKEN = re.compile(r"(0|[1-9]\d{0,18})-(0|[1-9]\d{0,18})", re.ASCII)
KINDS = {
    EventKind.HELD: pb.EVENT_KIND_HELD,
    EventKind.EXTENDED: pb.EVENT_KIND_EXTENDED,
    EventKind.RELEASED: pb.EVENT_KIND_RELEASED,
    EventKind.EXPIRED: pb.EVENT_KIND_EXPIRED,
    EventKind.CONSUMED: pb.EVENT_KIND_CONSUMED,
    EventKind.BOOKING_CREATED: pb.EVENT_KIND_BOOKING_CREATED,
    EventKind.BOOKING_MOVED: pb.EVENT_KIND_BOOKING_MOVED,
    EventKind.BOOKING_CANCELED: pb.EVENT_KIND_BOOKING_CANCELED,
    EventKind.BOOKING_CONFIRMED: pb.EVENT_KIND_BOOKING_CONFIRMED,
    EventKind.BOOKING_NO_SHOW: pb.EVENT_KIND_BOOKING_NO_SHOW,
    EventKind.BOOKING_NO_SHOW_PENALIZED: pb.EVENT_KIND_BOOKING_NO_SHOW_PENALIZED,
    EventKind.UNKNOWN: pb.EVENT_KIND_UNSPECIFIED,
}
"""What each kind is on the wire."""


class FeedServicer(pb_grpc.FeedServiceServicer):
    """Tells what has happened, to whoever asks again and again."""

    def __init__(self, store: EventStore | None, *, call_timeout_s: float) -> None:
        """Without a ``store`` no events are kept, and every call is told so."""
        self._store = store
        self._call_timeout_s = call_timeout_s

    async def ListEvents(
        self, request: pb.ListEventsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.ListEventsResponse:
        """List a page of a merchant's events."""
        command = _command(request)
        if self._store is None:
            message = "No events are kept: LEASEHOLD_FEED_MAX_EVENTS is 0."
            raise RefusalError(grpc.StatusCode.FAILED_PRECONDITION, "FEED_OFF", message)
        deadline = Deadline.within(self._call_timeout_s, context.time_remaining())
        outcome = await self._store.list_events(command, deadline)
        note_outcome(_API, "list_events", outcome.status)
        status.raise_unless_answered(status.LIST_EVENTS, outcome.status)
        events = map(_message, outcome.events)
        return pb.ListEventsResponse(events=events, next_page_token=outcome.token)


def _command(request: pb.ListEventsRequest) -> ListEvents:
    """Read a request, or raise InvalidRequestError."""
    faults = Faults()
    faults.note("merchant_id", checks.id_fault(request.merchant_id))
    if not 0 <= request.page_size <= _LARGEST_PAGE:
        faults.note("page_size", f"must be between 0 and {_LARGEST_PAGE}")
    if request.page_token and not _TOKEN.fullmatch(request.page_token):
        faults.note("page_token", "is none that an answer has given")
    faults.raise_if_any()
    return ListEvents(request.merchant_id, request.page_token, request.page_size or _LARGEST_PAGE)


def _message(event: Event) -> pb.Event:
    message = pb.Event(
        token=event.token,
        kind=KINDS[event.kind],
        lease_id=event.lease_id,
        booking_id=event.booking_id,
        spot=_spot_message(event.slot, event.spot),
        old_spot=_spot_message(event.old_slot, event.old_spot) if event.old_slot else None,
        reason=event.reason,
    )
    set_ms(message, "time", event.at_ms)
    set_ms(message, "expire_time", event.expires_at_ms)
    return message


def _spot_message(slot: Slot, number: int) -> pb.EventSpot:
    message = pb.EventSpot(
        merchant_id=slot.merchant_id,
        service_id=slot.service_id,
        staff_id=slot.staff_id,
        room_id=slot.room_id,
        party_size=slot.party_size,
        number=number,
    )
    message.start_time.seconds, message.duration.seconds = slot.start_s, slot.duration_s
    return message
