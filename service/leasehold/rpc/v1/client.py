"""Calls of the operators' API, for the command line: plain values in, the API's JSON out."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

import grpc
from google.protobuf import json_format

from leasehold.generated.leasehold.v1 import feed_service_pb2 as feed_pb
from leasehold.generated.leasehold.v1 import feed_service_pb2_grpc as feed_grpc
from leasehold.generated.leasehold.v1 import lease_service_pb2 as pb
from leasehold.generated.leasehold.v1 import lease_service_pb2_grpc as pb_grpc
from leasehold.model.operators import LeaseState
from leasehold.model.slot import Slot
from leasehold.rpc.v2.client import CallError, Refused

_TIMEOUT_S = 5
# The service is called where it is, whatever proxy the environment names.
_OPTIONS = (("grpc.enable_http_proxy", 0),)

Json = dict[str, Any]
"""A message in its JSON, with the names of the proto and all fields that have a value."""
Times = tuple[datetime | None, datetime | None]
"""A half-open range; None for no limit."""


async def get_lease(address: str, lease_id: str) -> Json:
    """Return a lease. Raises CallError."""
    request = pb.GetLeaseRequest(lease_id=lease_id)
    answer = await _call(address, lambda stub: stub.GetLease(request, timeout=_TIMEOUT_S))
    lease: Json = answer["lease"]
    return lease


async def list_leases(
    address: str,
    merchant_id: str,
    service_id: str,
    states: Sequence[LeaseState],
    starts: Times,
    expires: Times,
) -> list[Json]:
    """Return the leases of all pages, each once. Raises CallError."""
    request = pb.ListLeasesRequest(
        merchant_id=merchant_id,
        service_id=service_id,
        states=[f"LEASE_STATE_{state.name}" for state in states],
    )
    for span, (begin, end) in ((request.starts, starts), (request.expires, expires)):
        if begin:
            span.begin_time.FromDatetime(begin)
        if end:
            span.end_time.FromDatetime(end)
    found: dict[str, Json] = {}
    while True:
        answer = await _call(address, lambda stub: stub.ListLeases(request, timeout=_TIMEOUT_S))
        found |= {lease["lease_id"]: lease for lease in answer.get("leases", ())}
        request.page_token = answer.get("next_page_token", "")
        if not request.page_token:
            return list(found.values())


async def release_lease(address: str, lease_id: str, reason: str) -> Json | Refused:
    """Give back what a lease holds. Raises CallError."""
    request = pb.ReleaseLeaseRequest(lease_id=lease_id, reason=reason)
    return await _change(address, lambda stub: stub.ReleaseLease(request, timeout=_TIMEOUT_S))


async def extend_lease(address: str, lease_id: str, until: datetime, reason: str) -> Json | Refused:
    """Hold a lease longer. Raises CallError."""
    request = pb.ExtendLeaseRequest(lease_id=lease_id, reason=reason)
    request.expire_time.FromDatetime(until)
    return await _change(address, lambda stub: stub.ExtendLease(request, timeout=_TIMEOUT_S))


async def inspect_slot(address: str, slot: Slot) -> Json:
    """Return who has each spot of a slot. Raises CallError."""
    request = pb.InspectSlotRequest(
        slot=pb.Slot(
            merchant_id=slot.merchant_id,
            service_id=slot.service_id,
            staff_id=slot.staff_id,
            room_id=slot.room_id,
            party_size=slot.party_size,
        )
    )
    request.slot.start_time.seconds = slot.start_s
    request.slot.duration.seconds = slot.duration_s
    return await _call(address, lambda stub: stub.InspectSlot(request, timeout=_TIMEOUT_S))


async def list_events(address: str, merchant_id: str, after: str) -> Json | Refused:
    """Return a page of a merchant's events after the one of a token. Raises CallError."""
    request = feed_pb.ListEventsRequest(merchant_id=merchant_id, page_token=after)
    try:
        return await _call(
            address,
            lambda stub: stub.ListEvents(request, timeout=_TIMEOUT_S),
            feed_grpc.FeedServiceStub,
        )
    except CallError as error:
        return _refused(error)


async def _change(address: str, ask: Callable[[Any], Awaitable[Any]]) -> Json | Refused:
    try:
        return await _call(address, ask)
    except CallError as error:
        return _refused(error)


def _refused(error: CallError) -> Refused:
    """Return what a refusal says, or raise what is none."""
    if error.code not in (grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.OUT_OF_RANGE):
        raise error
    return Refused(error.code.name, error.details)


async def _call(
    address: str,
    ask: Callable[[Any], Awaitable[Any]],
    stub: Callable[[grpc.aio.Channel], Any] = pb_grpc.LeaseServiceStub,
) -> Json:
    async with grpc.aio.insecure_channel(address, options=_OPTIONS) as channel:
        try:
            answer = await ask(stub(channel))
        except grpc.aio.AioRpcError as error:
            raise CallError(address, error) from None
    shown: Json = json_format.MessageToDict(answer, preserving_proto_field_name=True)
    return shown
