"""InventoryService: translate, ask the store, translate back."""

from typing import Any

import grpc
from google.protobuf import json_format

from leasehold.feed.entries import read_entries
from leasehold.generated.leasehold.v1 import inventory_service_pb2 as pb
from leasehold.generated.leasehold.v1 import inventory_service_pb2_grpc as pb_grpc
from leasehold.model.errors import InvalidRequestError, Violation
from leasehold.model.inventory import Fault, FeedError, InventoryStore

# The names of the methods are the API's own.
# ruff: noqa: N802


class InventoryServicer(pb_grpc.InventoryServiceServicer):
    """Changes the inventory while calls are served."""

    def __init__(self, store: InventoryStore, *, max_slot_s: float) -> None:
        self._store = store
        self._max_slot_s = max_slot_s

    async def ReplaceAvailability(
        self,
        request: pb.ReplaceAvailabilityRequest,
        context: grpc.aio.ServicerContext[Any, Any],  # noqa: ARG002 - gRPC passes it
    ) -> pb.ReplaceAvailabilityResponse:
        """Make the inventory what the request says, or name everything that is wrong with it."""
        # The request is a feed, so it is read as one: in the words of its JSON.
        feed = json_format.MessageToDict(request, preserving_proto_field_name=True)
        entries = feed.get("service_availability", [])
        items = list(read_entries(entries, self._max_slot_s))
        _refuse([item for item in items if isinstance(item, Fault)])
        generated_at_s = request.metadata.generation_timestamp
        try:
            staged = await self._store.stage(items, lambda _: None)
            _refuse(staged.faults)
            committed = await self._store.commit(
                staged, generated_at_s * 1000 or None, lambda *_: None
            )
        except FeedError as error:
            raise InvalidRequestError([Violation("", str(error))], "FEED_REFUSED") from None
        return pb.ReplaceAvailabilityResponse(
            slots=staged.slots,
            removed=committed.removed,
            days=committed.days,
            days_over=committed.over,
            days_newer=committed.newer,
        )


def _refuse(faults: list[Fault]) -> None:
    if faults:
        raise InvalidRequestError([Violation(fault.place, fault.reason) for fault in faults])
