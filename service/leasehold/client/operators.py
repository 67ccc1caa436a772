"""Calls of the operators' listener."""

from collections.abc import AsyncIterator, Callable, Iterable
from datetime import datetime
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

from google.protobuf.message import Message

from leasehold.client.access import Access
from leasehold.client.connection import Connection, OpenStub
from leasehold.client.errors import CallError
from leasehold.client.events import EventPage, read_page
from leasehold.client.leases import (
    Extended,
    Inspected,
    Released,
    ShownLease,
    read_extension,
    read_inspection,
    read_lease,
    read_release,
    write_slot,
)
from leasehold.client.values import Refused, in_utc
from leasehold.generated.leasehold.v1 import feed_service_pb2 as feed_pb
from leasehold.generated.leasehold.v1 import feed_service_pb2_grpc as feed_grpc
from leasehold.generated.leasehold.v1 import lease_service_pb2 as pb
from leasehold.generated.leasehold.v1 import lease_service_pb2_grpc as pb_grpc
from leasehold.model.operators import LeaseState
from leasehold.model.slot import Slot

DEFAULT_TIMEOUT_S = 5.0
# How this API refuses; it has no field for that.
_REFUSALS = ("FAILED_PRECONDITION", "OUT_OF_RANGE")

Done = TypeVar("Done")


class Span(NamedTuple):
    """A half-open range of times; None for no limit."""

    begin: datetime | None = None
    end: datetime | None = None


ALWAYS = Span()


class Operators:
    """The operators' listener, inside ``async with``.

    Every method raises CallError or AccessError, and may be called by several tasks at a time. All
    of them may be repeated, so each is, within ``timeout_s``.
    """

    def __init__(
        self, address: str, *, access: Access | None = None, timeout_s: float = DEFAULT_TIMEOUT_S
    ) -> None:
        """``timeout_s`` is for each call, with all its tries. Raises AccessError."""
        self._connection = Connection(address, access or Access(), timeout_s)

    async def __aenter__(self) -> Self:
        self._connection.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._connection.close()

    async def get_lease(self, lease_id: str) -> ShownLease:
        """Return a lease, what has become of it, and its history."""
        response: pb.GetLeaseResponse = await self._ask(
            "GetLease", pb.GetLeaseRequest(lease_id=lease_id)
        )
        return read_lease(response.lease)

    async def list_leases(
        self,
        merchant_id: str,
        *,
        service_id: str = "",
        states: Iterable[LeaseState] = (),
        starts: Span = ALWAYS,
        expires: Span = ALWAYS,
    ) -> AsyncIterator[ShownLease]:
        """Yield a merchant's leases that are remembered, each once, in no order.

        Page by page, each with a deadline of its own. No ``states`` are all of them.
        """
        request = pb.ListLeasesRequest(
            merchant_id=merchant_id,
            service_id=service_id,
            states=[f"LEASE_STATE_{state.name}" for state in states],
        )
        for message, span in ((request.starts, starts), (request.expires, expires)):
            if span.begin:
                message.begin_time.FromDatetime(in_utc(span.begin))
            if span.end:
                message.end_time.FromDatetime(in_utc(span.end))
        seen: set[str] = set()
        while True:
            page: pb.ListLeasesResponse = await self._ask("ListLeases", request)
            for lease in page.leases:
                if lease.lease_id not in seen:
                    seen.add(lease.lease_id)
                    yield read_lease(lease)
            request.page_token = page.next_page_token
            if not request.page_token:
                return

    async def release_lease(self, lease_id: str, reason: str) -> Released | Refused:
        """Give back what a lease holds. Whoever has the spot of another lease keeps it.

        ``reason`` goes into the log and the lease's history: a ticket, nothing about a person.
        """
        request = pb.ReleaseLeaseRequest(lease_id=lease_id, reason=reason)
        return await self._judged("ReleaseLease", request, read_release)

    async def extend_lease(self, lease_id: str, until: datetime, reason: str) -> Extended | Refused:
        """Hold a lease until a later time, as far as that is granted, and never shorter."""
        request = pb.ExtendLeaseRequest(lease_id=lease_id, reason=reason)
        request.expire_time.FromDatetime(in_utc(until))
        return await self._judged("ExtendLease", request, read_extension)

    async def inspect_slot(self, slot: Slot) -> Inspected:
        """Return who has each spot of a slot, at one instant."""
        request = pb.InspectSlotRequest()
        write_slot(request.slot, slot)
        return read_inspection(await self._ask("InspectSlot", request))

    async def list_events(self, merchant_id: str, after: str = "") -> EventPage | Refused:
        """Return some of a merchant's events after the one of a token, or the oldest kept.

        Asked again and again with the page's token, it follows them. Refused, events may have been
        missed (EVENTS_MISSED), or none are kept (FEED_OFF).
        """
        request = feed_pb.ListEventsRequest(merchant_id=merchant_id, page_token=after)
        return await self._judged("ListEvents", request, read_page, feed_grpc.FeedServiceStub)

    async def _judged(
        self,
        name: str,
        request: Message,
        read: Callable[[Any], Done],
        stub: OpenStub = pb_grpc.LeaseServiceStub,
    ) -> Done | Refused:
        try:
            return read(await self._connection.call(stub, name, request))
        except CallError as error:
            if error.code not in _REFUSALS:
                raise
            return Refused(error.reason, error.details)

    async def _ask(self, name: str, request: Message) -> Any:
        return await self._connection.call(pb_grpc.LeaseServiceStub, name, request)
