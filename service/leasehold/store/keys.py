"""Every key name. All keys of a merchant share the cluster tag ``{merchant}``.

Source: lua/README.md, "Keys".
"""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from leasehold.model.ids import Reference, decode_id, encode_id, parse_wire_id
from leasehold.model.lease import LeaseTerms
from leasehold.model.slot import Slot

FEED_KEY = "feed"
"""The feed that was imported last; it lies where its own name takes it."""

USER_KEY_KEY = "marker:{users}"
"""Names the key that users are digested with, by its fingerprint; it lies beside the marker."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SLOT_TEXT = re.compile(
    r"(?P<service>[^:]*):(?P<start>[^/]*)"
    r"/PT(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?"
    r":(?P<staff>[^:]*):(?P<room>[^:]*):(?P<party_size>\d+)"
)


def marker_key(tag: str) -> str:
    """Name what tells one data set from another, and from an older state of itself.

    Of a cluster each shard has one, with a tag of its own; a single server has no tag.
    """
    return f"marker:{{{tag}}}" if tag else "marker"


def probe_key(tag: str) -> str:
    """Name where permissions are tried out; no slot is called so."""
    return f"slot:{{{tag}}}:probe"


def lease_key(merchant_id: str, lease_suffix: str) -> str:
    """Name the record of a lease."""
    return f"lease:{{{encode_id(merchant_id)}}}:{lease_suffix}"


def parse_booking_key(key: str) -> Reference | None:
    """Undo booking_key; None for a key that it cannot have made."""
    tagged = key.removeprefix("booking:{")
    return parse_wire_id(tagged.replace("}:", ".", 1)) if tagged != key else None


def booking_key(merchant_id: str, booking_suffix: str) -> str:
    """Name the record of a booking."""
    return f"booking:{{{encode_id(merchant_id)}}}:{booking_suffix}"


def index_key(user_digest: str) -> str:
    """Name the index of a user's bookings, which lie with many merchants."""
    return f"bookings-of:{{{user_digest}}}"


def intents_key(user_digest: str) -> str:
    """Name what says which bookings of a user may be in the making."""
    return f"{index_key(user_digest)}:intents"


def moves_key(user_digest: str) -> str:
    """Name what says which bookings of a user were moved of late."""
    return f"{index_key(user_digest)}:moves"


def acknowledgement_key(key: str) -> str:
    """Name what is written beside a key before replicas are asked whether they have that."""
    return f"ack:{key[key.index('{') : key.index('}') + 1]}"


def inventory_key(merchant_id: str) -> str:
    """Name what is known of a merchant's inventory."""
    return f"inventory:{{{encode_id(merchant_id)}}}"


def spots_prefix(merchant_id: str) -> str:
    """Return what precedes the day in every spots key of a merchant."""
    return f"spots:{{{encode_id(merchant_id)}}}:"


def stage_key(merchant_id: str, import_id: str, day: str) -> str:
    """Name what an import has read of a merchant's day."""
    return f"stage:{{{encode_id(merchant_id)}}}:{import_id}:{day}"


def events_key(merchant_id: str) -> str:
    """Name the stream of what has happened with a merchant."""
    return f"events:{{{encode_id(merchant_id)}}}"


def expiring_key(merchant_id: str) -> str:
    """Name the set of a merchant's holds whose end is to be an event."""
    return f"expiring:{{{encode_id(merchant_id)}}}"


def events_argument(merchant_id: str, terms: LeaseTerms) -> str:
    """Say where scripts note events, how many are kept and for how long; empty for nowhere."""
    if not terms.max_events:
        return ""
    kept = f"{terms.max_events} {terms.event_retention_ms}"
    return f"{events_key(merchant_id)} {expiring_key(merchant_id)} {kept}"


def slot_prefix(merchant_id: str) -> str:
    """Return what precedes the slot in every slot key of a merchant."""
    return f"slot:{{{encode_id(merchant_id)}}}:"


def spot_key(slot: Slot, spot: int) -> str:
    """Name the key that says who has one spot of a slot; spots count from 1."""
    return f"{slot_prefix(slot.merchant_id)}{slot_text(slot)}#{spot}"


def slot_text(slot: Slot) -> str:
    """Write a slot, its merchant apart, so that different slots read differently.

    ``haircut:2026-12-01T10:00:00Z/PT30M:anna::0``: service, start and duration, staff, room,
    party size.
    """
    return (
        f"{encode_id(slot.service_id)}:{start_text(slot.start_s)}/{duration_text(slot.duration_s)}"
        f":{encode_id(slot.staff_id)}:{encode_id(slot.room_id)}:{slot.party_size}"
    )


def parse_slot(merchant_id: str, text: str) -> Slot:
    """Undo slot_text."""
    slot = read_slot(merchant_id, text)
    assert slot, f"not a slot: {text}"
    return slot


def read_slot(merchant_id: str, text: str) -> Slot | None:
    """Undo slot_text; None for a text that it has not written."""
    match = _SLOT_TEXT.fullmatch(text)
    if not match:
        return None
    start = datetime.fromisoformat(match["start"])
    hours, minutes, seconds = (int(match[unit] or 0) for unit in ("hours", "minutes", "seconds"))
    return Slot(
        merchant_id=merchant_id,
        service_id=decode_id(match["service"]),
        start_s=(start - _EPOCH) // timedelta(seconds=1),
        duration_s=hours * 3600 + minutes * 60 + seconds,
        staff_id=decode_id(match["staff"]),
        room_id=decode_id(match["room"]),
        party_size=int(match["party_size"]),
    )


@lru_cache(maxsize=10_000)
def start_text(start_s: int) -> str:
    """Write epoch seconds as ISO 8601 in UTC."""
    return (_EPOCH + timedelta(seconds=start_s)).replace(tzinfo=None).isoformat() + "Z"


@lru_cache(maxsize=1_000)
def duration_text(duration_s: int) -> str:
    """Write whole seconds above zero as ISO 8601 hours, minutes and seconds."""
    minutes, seconds = divmod(duration_s, 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "H"), (minutes, "M"), (seconds, "S"))
    return "PT" + "".join(f"{count}{unit}" for count, unit in parts if count)
