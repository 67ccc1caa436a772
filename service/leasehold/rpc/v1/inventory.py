"""InventoryService: translate, ask the store, translate back."""

import asyncio
from typing import Any

import grpc
from google.protobuf import json_format
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from leasehold.feed.entries import Entries
from leasehold.generated.leasehold.v1 import inventory_service_pb2 as pb
from leasehold.generated.leasehold.v1 import inventory_service_pb2_grpc as pb_grpc
from leasehold.model.errors import InvalidRequestError, Violation
from leasehold.model.inventory import Fault, FeedError, FeedItem, InventoryStore, ManyLeftOutError
from leasehold.rpc.status import RefusalError

# The names of the methods are the API's own.
# ruff: noqa: N802

# gRPC drops an answer whose status takes more than 8 KiB, in which every fault stands twice.
_MOST_FAULT_CHARACTERS = 2000
_GENERATED_AT = "metadata.generation_timestamp"
_INSTRUCTION = "metadata.processing_instruction"
_COMPLETE = "PROCESS_AS_COMPLETE"
# A request may list 100 000 slots. Whoever wants a lease meanwhile waits for so many of them.
_ITEMS_AT_ONCE = 100


class InventoryServicer(pb_grpc.InventoryServiceServicer):
    """Changes the inventory while calls are served."""

    def __init__(
        self, store: InventoryStore, *, max_slot_s: float, max_closed_share: float
    ) -> None:
        self._store = store
        self._max_slot_s = max_slot_s
        self._max_closed_share = max_closed_share

    async def ReplaceAvailability(
        self,
        request: pb.ReplaceAvailabilityRequest,
        context: grpc.aio.ServicerContext[Any, Any],  # noqa: ARG002 - gRPC passes it
    ) -> pb.ReplaceAvailabilityResponse:
        """Make the inventory what the request says, or name everything that is wrong with it."""
        generated_at_s = request.metadata.generation_timestamp
        if generated_at_s < 0:
            raise InvalidRequestError([Violation(_GENERATED_AT, "must not be negative")])
        instruction = request.metadata.processing_instruction
        if instruction not in ("", _COMPLETE):
            raise InvalidRequestError([Violation(_INSTRUCTION, f"is not {_COMPLETE}")])
        generated_at_ms = generated_at_s * 1000 or None
        items = await _read(request, self._max_slot_s)
        try:
            staged = await self._store.stage(items, lambda _: None)
            _refuse(staged.faults, staged.fault_count)
            if instruction:
                share = 1 if request.confirm_closing else self._max_closed_share
                await self._store.leave_out(staged, generated_at_ms, share, lambda *_: None)
            committed = await self._store.commit(staged, generated_at_ms, lambda *_: None)
        except ManyLeftOutError as error:
            told = f"{error} Nothing was taken; confirm_closing closes them."
            raise RefusalError(grpc.StatusCode.FAILED_PRECONDITION, "MANY_LEFT_OUT", told) from None
        except FeedError as error:
            raise InvalidRequestError([Violation("", str(error))], "FEED_REFUSED") from None
        return pb.ReplaceAvailabilityResponse(
            slots=staged.slots,
            removed=committed.removed,
            days=committed.days,
            days_over=committed.over,
            days_newer=sorted(committed.newer + committed.newer_in_part),
            closed_merchants=sorted(committed.closed),
        )


async def _read(request: pb.ReplaceAvailabilityRequest, max_slot_s: float) -> list[FeedItem]:
    """Read a request as the feed that it is: in the words of its JSON."""
    entries = (
        {**_restrictions(entry), "availability": map(_availability, entry.availability)}
        for entry in request.service_availability
    )
    items, faults = [], []
    for number, item in enumerate(Entries(max_slot_s).read_all(entries)):
        if isinstance(item, Fault):
            faults.append(item)
        items.append(item)
        if number % _ITEMS_AT_ONCE == 0:
            await asyncio.sleep(0)
    _refuse(faults, len(faults))
    return items


def _restrictions(entry: pb.ServiceAvailability) -> dict[str, Any]:
    """Write an entry without its slots; a field of a later release may be meant to restrict it."""
    fields = {field.name: value for field, value in entry.ListFields()}
    fields.pop("availability", None)
    found = _in_json(pb.ServiceAvailability(**fields)) | _unknown(entry)
    if entry.HasField("resources_restrict"):
        found["resources_restrict"] |= _unknown(entry.resources_restrict)
    return found


def _availability(message: pb.Availability) -> dict[str, Any]:
    """Write an availability; unlike a file, a message says 0 where it says nothing."""
    spots = {} if message.HasField("recurrence") else {"spots_total": 0, "spots_open": 0}
    return spots | _in_json(message)


def _unknown(message: Message) -> dict[str, None]:
    fields = UnknownFieldSet(message)
    return {f"field {fields[at].field_number}": None for at in range(len(fields))}


def _in_json(message: Message) -> dict[str, Any]:
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


def _refuse(faults: list[Fault], count: int) -> None:
    """Name every fault, or as many as an answer can carry, and how many more there are."""
    if not count:
        return
    named: list[Violation] = []
    characters = 0
    for fault in faults:
        characters += len(fault.place) + len(fault.reason)
        if named and characters > _MOST_FAULT_CHARACTERS:
            break
        named.append(Violation(fault.place, fault.reason))
    if count > len(named):
        named.append(Violation("", f"and {count - len(named)} more entries are at fault"))
    raise InvalidRequestError(named)
