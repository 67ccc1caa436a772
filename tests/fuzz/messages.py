"""Requests as somebody might mean them: filled in at random, by the names of their fields."""

import random
import time
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from leasehold.model import ids
from leasehold.model.inventory import Availability, FeedItem, Scope
from leasehold.model.slot import Slot

_MERCHANTS = ("m-1", "m-2", "salon {3}")
_TOPICS = 12
_DURATION_S = 1800
_STRAYS = 0.03
_NONSENSE = 0.1
_PATHS = {
    "v2": ("status", "slot.start_time", "slot.duration", "slot.resources.party_size"),
    "v0": ("status", "start_time", "duration"),
}
_NO_PATHS = ("", "slot", "booking_id", "nonsense.path")
_HOSTILE_TEXTS = (
    "",
    " ",
    "a\x00b",
    "a\nb",
    "\x7f",
    "\u0085",
    "{}:#%/*?[]\\'\"",
    "..",
    "m-1.",
    ".0123456789ABCDEFGHJKMNPQRS",
    "%ff.0123456789ABCDEFGHJKMNPQRS",
    "x" * 255,
    "x" * 256,
    "é" * 128,
    "\U0001f388" * 64,
    "\u202e\ufeff\ufffe\U0010ffff",
    "x" * 4096,
    "x" * 4097,
    "9" * 400,
    "-1",
    "nan",
)
_HOSTILE_NUMBERS = (
    0,
    -1,
    1,
    2**31 - 1,
    -(2**31),
    2**31,
    2**53,
    2**53 + 1,
    2**63 - 1,
    -(2**63),
    253_402_300_799,
    253_402_300_800,
    -62_135_596_800,
    -62_135_596_801,
    10**15,
)
_TEXT, _MESSAGE, _ENUM = (
    FieldDescriptor.TYPE_STRING,
    FieldDescriptor.TYPE_MESSAGE,
    FieldDescriptor.TYPE_ENUM,
)
_SMALL = {
    FieldDescriptor.TYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_UINT64: (0, 2**64 - 1),
}


def text(name: str, topic: int, api: str) -> str:
    """Return what a field is filled with by its name; what has one topic belongs together."""
    merchant, token = _MERCHANTS[topic % len(_MERCHANTS)], f"name-{topic}"
    lease_id = ids.wire_id(merchant, ids.lease_suffix(token))
    # In v0 the lease is what makes a repeat a repeat.
    booking = ids.booking_suffix(api, lease_id if api == "v0" else token)
    texts = {
        "merchant_id": merchant,
        "service_id": ("haircut", "yoga")[topic % 2],
        "staff_id": ("", "anna")[topic // 6],
        "room_id": "",
        "lease_id": lease_id,
        "booking_id": ids.wire_id(merchant, booking),
    }
    return texts.get(name.removesuffix("_restrict"), token)


def feed() -> list[FeedItem]:
    """Return the slots of every topic, and every merchant."""
    items: list[FeedItem] = [Scope(merchant) for merchant in _MERCHANTS]
    for topic in range(_TOPICS):
        merchant, service = (text(name, topic, "v2") for name in ("merchant_id", "service_id"))
        staff_id = text("staff_id", topic, "v2")
        slot = Slot(merchant, service, start_s(topic), _DURATION_S, staff_id, party_size=topic % 3)
        items.append(Availability("", slot, topic % 2 + 1, topic % 2 + 1))
    return items


def start_s(topic: int) -> int:
    """Return when the slot of a topic starts: some hours from now."""
    return int(time.time()) // 3600 * 3600 + 3600 * (2 + topic % 4)


class Filler:
    """Fills messages in, mostly with what fits."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._hour_s = int(time.time()) // 3600 * 3600
        self._skips = 0.0
        self._spoils = 0.0
        self._topic = 0
        self._api = ""

    def request(self, kind: type[Message], *, is_whole: bool = False) -> bytes:
        """Return a request in its wire format; a whole one lacks nothing and means something."""
        self._topic = self._chance.randrange(_TOPICS)
        self._skips = 0 if is_whole else self._chance.choice((0, 0, 0.02, 0.3))
        self._spoils = 0 if is_whole else self._chance.choice((0, 0, 0.03, 0.2))
        self._api = kind.DESCRIPTOR.full_name.split(".")[-2]
        message = kind()
        self._fill(message, 0)
        return message.SerializeToString()

    def _fill(self, message: Message, depth: int) -> None:
        if self._fill_time(message):
            return
        for field in message.DESCRIPTOR.fields:
            if self._chance.random() < self._skips or depth > 8:
                continue
            if field.is_repeated:
                self._fill_many(message, field, depth)
            elif field.type == _MESSAGE:
                part = getattr(message, field.name)
                part.SetInParent()
                self._fill(part, depth + 1)
            else:
                setattr(message, field.name, self._value(field))

    def _fill_many(self, message: Message, field: Any, depth: int) -> None:
        values: Any = getattr(message, field.name)
        for _ in range(self._chance.choice((0, 1, 1, 2, 4))):
            if field.type == _MESSAGE:
                self._fill(values.add(), depth + 1)
            else:
                values.append(self._value(field))

    def _fill_time(self, message: Any) -> bool:
        """Fill in a time or a duration as slots have them."""
        chance, kind = self._chance, message.DESCRIPTOR.full_name
        if kind == "google.protobuf.Timestamp":
            message.seconds = self._number(self._soon_s())
        elif kind == "google.protobuf.Duration":
            message.seconds = self._number(_DURATION_S)
        else:
            return False
        if chance.random() < self._spoils:
            message.nanos = chance.choice((1, -1, 999_999_999, 2**31 - 1, -(2**31)))
        return True

    def _soon_s(self) -> int:
        return start_s(self._about())

    def _about(self) -> int:
        """Return the topic, or now and then another one."""
        strays = self._chance.random() < _STRAYS
        return self._chance.randrange(_TOPICS) if strays else self._topic

    def _value(self, field: Any) -> Any:
        chance = self._chance
        if field.type == _TEXT:
            return self._text(field.name)
        if field.type == _ENUM:
            # Names that a later version may know arrive as numbers.
            known = [value.number for value in field.enum_type.values]
            return chance.choice([*known, 99]) if chance.random() < 0.1 else chance.choice(known)
        if field.type in _SMALL:
            low, high = _SMALL[field.type]
            return min(high, max(low, self._number(self._usual_number(field.name))))
        if field.type == FieldDescriptor.TYPE_BOOL:
            return chance.random() < 0.5
        if field.type == FieldDescriptor.TYPE_BYTES:
            return chance.randbytes(8)
        return chance.choice((0.0, 1.5, -1.0, float("inf"), float("nan")))

    def _text(self, name: str) -> str:
        chance = self._chance
        if chance.random() < self._spoils:
            return chance.choice(_HOSTILE_TEXTS)
        if name == "paths":
            is_nonsense = chance.random() < _NONSENSE
            return chance.choice(_NO_PATHS if is_nonsense else _PATHS.get(self._api, _NO_PATHS))
        return text(name, self._about(), self._api)

    def _usual_number(self, name: str) -> int:
        if name in ("start_sec", "begin_sec"):
            return self._soon_s()
        if name in ("end_sec", "repeat_until_sec"):
            return self._soon_s() + 7200
        if name in ("start_timestamp_restrict", "end_timestamp_restrict"):
            return self._hour_s - 86_400 if name.startswith("start") else self._hour_s + 86_400
        if name in ("duration_sec", "duration_restrict_sec", "repeat_every_sec"):
            return _DURATION_S
        if name in ("spots_total", "spots_open"):
            return self._chance.choice((1, 1, 2, 20))
        if name == "generation_timestamp":
            return self._chance.choice((0, self._hour_s))
        if name == "party_size":
            return self._about() % 3
        return self._chance.choice((0, 1, 2, 5))

    def _number(self, usual: int) -> int:
        is_spoilt = self._chance.random() < self._spoils
        return self._chance.choice(_HOSTILE_NUMBERS) if is_spoilt else usual
