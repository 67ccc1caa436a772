"""Answers of the partner listener in the JSON of its API."""

from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message

from leasehold.client.values import Booked, Held, write_slot
from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as pb
from leasehold.model.slot import Slot

Json = dict[str, Any]


def count_json(slot: Slot, count: int) -> Json:
    """Return how many spots of a slot are free."""
    message = pb.CheckAvailabilityResponse(count_available=count)
    write_slot(message.slot, slot)
    # A count of 0 is left out of the API's JSON, and is the answer here.
    return {**_json(message), "count_available": count}


def lease_json(held: Held, slot: Slot) -> Json:
    """Return a lease as it was granted."""
    message = pb.Lease(lease_id=held.lease_id, user_reference=held.reference)
    message.lease_expiration_time.FromDatetime(held.expires_at)
    write_slot(message.slot, slot)
    return _json(message)


def booking_json(booked: Booked) -> Json:
    """Return a booking, but for the person."""
    message = pb.Booking(booking_id=booked.booking_id, status=booked.status.name)
    write_slot(message.slot, booked.slot)
    return _json(message)


def _json(message: Message) -> Json:
    shown: Json = json_format.MessageToDict(message, preserving_proto_field_name=True)
    return shown
