"""What the operators' API answers, as plain values; each can be shown in the API's JSON, too."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message

from leasehold.client.values import read_time
from leasehold.generated.leasehold.v1 import lease_service_pb2 as pb
from leasehold.model.operators import LeaseState
from leasehold.model.slot import Slot

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """An answer that can be shown as the API has it."""

    message: Message = field(repr=False, compare=False)

    def json(self) -> Json:
        """Return the message's JSON: the names of the proto, and all fields that have a value."""
        shown: Json = json_format.MessageToDict(self.message, preserving_proto_field_name=True)
        return shown


@dataclass(frozen=True, slots=True)
class LeaseEvent:
    """Something that has happened to a lease."""

    kind: str
    """Like ``extended``."""
    at: datetime | None
    """None where an older release did not write it down."""
    reason: str
    count: int
    """How often by then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownLease(Shown):
    """A lease as it is now, by the store's clock."""

    lease_id: str
    slot: Slot
    spot: int
    """Which one of the slot's, from 1."""
    state: LeaseState
    reference: str
    expires_at: datetime
    """The granted expiry."""
    remaining: timedelta
    """For how much longer it is held; nothing when it is not."""
    booking_id: str
    """What it became; empty unless consumed."""
    history: tuple[LeaseEvent, ...]
    """Oldest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Released(Shown):
    """The spot is free: since when, and why; the first time, when it is repeated."""

    released_at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Extended(Shown):
    """The lease is held."""

    expires_at: datetime
    """The granted expiry, no earlier than it was."""
    remaining: timedelta
    renew_at: datetime | None
    """When to ask again; None when it cannot be lengthened further."""
    latest_expires_at: datetime
    """The latest expiry that it can ever have."""


@dataclass(frozen=True, slots=True)
class Spot:
    """One spot of a slot; free when both ids are empty."""

    number: int
    lease_id: str
    booking_id: str
    ends_at: datetime | None
    """Until when it is held, or its booking remembered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected(Shown):
    """A slot, and who has each spot that it ever had."""

    read_at: datetime
    spot_count: int
    """How many it has now."""
    spots: tuple[Spot, ...]


def write_slot(message: pb.Slot, slot: Slot) -> None:
    """Write a slot."""
    message.merchant_id, message.service_id = slot.merchant_id, slot.service_id
    message.start_time.seconds, message.duration.seconds = slot.start_s, slot.duration_s
    message.staff_id, message.room_id = slot.staff_id, slot.room_id
    message.party_size = slot.party_size


def read_lease(lease: pb.Lease) -> ShownLease:
    """Read a lease with its history."""
    slot = lease.slot
    return ShownLease(
        message=lease,
        lease_id=lease.lease_id,
        slot=Slot(
            merchant_id=slot.merchant_id,
            service_id=slot.service_id,
            start_s=slot.start_time.seconds,
            duration_s=slot.duration.seconds,
            staff_id=slot.staff_id,
            room_id=slot.room_id,
            party_size=slot.party_size,
        ),
        spot=lease.spot,
        state=LeaseState[pb.LeaseState.Name(lease.state).removeprefix("LEASE_STATE_")],
        reference=lease.user_reference,
        expires_at=read_time(lease.expire_time),
        remaining=lease.remaining.ToTimedelta(),
        booking_id=lease.booking_id,
        history=tuple(map(_event, lease.history)),
    )


def _event(event: pb.LeaseEvent) -> LeaseEvent:
    kind = pb.LeaseEventKind.Name(event.kind).removeprefix("LEASE_EVENT_KIND_").lower()
    at = read_time(event.time) if event.HasField("time") else None
    return LeaseEvent(kind, at, event.reason, event.count)


def read_release(response: pb.ReleaseLeaseResponse) -> Released:
    """Read since when a spot is free."""
    return Released(
        message=response, released_at=read_time(response.release_time), reason=response.reason
    )


def read_extension(response: pb.ExtendLeaseResponse) -> Extended:
    """Read how long a lease is held."""
    renews = response.HasField("renew_time")
    return Extended(
        message=response,
        expires_at=read_time(response.expire_time),
        remaining=response.remaining.ToTimedelta(),
        renew_at=read_time(response.renew_time) if renews else None,
        latest_expires_at=read_time(response.latest_expire_time),
    )


def read_inspection(response: pb.InspectSlotResponse) -> Inspected:
    """Read who is on a slot."""
    spots = (
        Spot(
            number=spot.number,
            lease_id=spot.lease_id,
            booking_id=spot.booking_id,
            ends_at=read_time(spot.end_time) if spot.HasField("end_time") else None,
        )
        for spot in response.spots
    )
    return Inspected(
        message=response,
        read_at=read_time(response.read_time),
        spot_count=response.spot_count,
        spots=tuple(spots),
    )
