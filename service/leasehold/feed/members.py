"""The names that members of a feed's objects go by.

Protobuf JSON allows two spellings, ``start_sec`` and ``startSec``, and the real-time API has other
names for some: ``startTimeRestrict`` is a restriction as much as ``start_timestamp_restrict`` is.
Source: contract 10.1, and Google's reference of ``inventory.partners.availability.replace``.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}:[0-9]{2})"
    r"(?:\.([0-9]{1,9}))?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_SECONDS = re.compile(r"([0-9]{1,12})(?:\.0{1,9})?s")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Form(NamedTuple):
    """How the real-time API writes a value that a feed writes as a number of seconds."""

    read: Callable[[str], int | None]
    """Returns the number above 0, or None for a text that is not of this form."""
    example: str


@dataclass(frozen=True, slots=True)
class Members:
    """The members that one kind of object is known to have, whether they are read or not."""

    own: frozenset[str]
    """Their names in snake case."""
    meant: dict[str, tuple[str, Form | None]]
    """Every name and spelling: which member it is, and how its value is written."""


def spellings(name: str) -> tuple[str, str]:
    """Return both names that protobuf JSON allows for a field."""
    first, *more = name.split("_")
    return name, first + "".join(word.title() for word in more)


def _members(*own: str, **real_time: tuple[str, Form | None]) -> Members:
    meant: dict[str, tuple[str, Form | None]] = {}
    for name, (member, form) in ({name: (name, None) for name in own} | real_time).items():
        meant |= dict.fromkeys(spellings(name), (member, form))
    return Members(frozenset(own), meant)


def _parse_time(text: str) -> tuple[int, bool] | None:
    """Read RFC 3339 as whole epoch seconds, and tell whether a fraction of one is left over."""
    match = _TIME.fullmatch(text)
    if not match:
        return None
    date, time, fraction, zone = match.groups()
    try:
        found = datetime.fromisoformat(f"{date}T{time}{zone.upper()}")
    except ValueError:
        return None
    return (found - _EPOCH) // timedelta(seconds=1), int(fraction or 0) > 0


def _read_time(text: str) -> int | None:
    at_s, is_broken = _parse_time(text) or (0, False)
    return at_s if at_s > 0 and not is_broken else None


def _read_limit(text: str) -> int | None:
    """Read a limit of starts; these are whole seconds, so it is the first one not before."""
    at_s, is_broken = _parse_time(text) or (0, False)
    return at_s + is_broken if at_s > 0 else None


def _read_seconds(text: str) -> int | None:
    match = _SECONDS.fullmatch(text)
    return int(match[1]) or None if match else None


_AT = Form(_read_time, "a time of whole seconds like 2027-03-01T09:00:00Z")
_LIMIT = Form(_read_limit, "a time like 2027-03-01T09:00:00Z")
_LONG = Form(_read_seconds, "a duration of whole seconds like 1800s")

METADATA = _members(
    "processing_instruction", "shard_number", "total_shards", "generation_timestamp"
)
ENTRY = _members(
    "merchant_id_restrict",
    "service_id_restrict",
    "start_timestamp_restrict",
    "end_timestamp_restrict",
    "duration_restrict_sec",
    "resources_restrict",
    merchant_id=("merchant_id_restrict", None),
    service_id=("service_id_restrict", None),
    start_time_restrict=("start_timestamp_restrict", _LIMIT),
    end_time_restrict=("end_timestamp_restrict", _LIMIT),
    duration_restrict=("duration_restrict_sec", _LONG),
)
AVAILABILITY = _members(
    "merchant_id",
    "service_id",
    "start_sec",
    "duration_sec",
    "spots_total",
    "spots_open",
    "resources",
    "recurrence",
    "schedule_exception",
    "availability_tag",
    "confirmation_mode",
    "scheduling_rule_overrides",
    start_time=("start_sec", _AT),
    duration=("duration_sec", _LONG),
)
# The names and the description are for people, and tell no slots apart.
RESOURCES = _members(
    "staff_id", "staff_name", "room_id", "room_name", "room_description", "party_size"
)
RECURRENCE = _members(
    "repeat_every_sec",
    "repeat_until_sec",
    repeat_every=("repeat_every_sec", _LONG),
    repeat_until=("repeat_until_sec", _AT),
)
EXCEPTION = _members("time_range")
TIME_RANGE = _members(
    "begin_sec", "end_sec", start_time=("begin_sec", _AT), end_time=("end_sec", _AT)
)


def shown(written: Any) -> str:
    """Return a name from a feed for a message: short, and in one line."""
    return str(written)[:60].encode("unicode_escape").decode("ascii")
