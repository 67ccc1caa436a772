"""One entry of a feed: plain values in, slots and spots out, with everything that is wrong.

The names are the feed's own. Whole numbers may be written as texts. Source: contract 10.1.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from leasehold.model import checks
from leasehold.model.inventory import (
    MAX_REPEAT_S,
    MAX_SPOTS,
    Availability,
    Fault,
    FeedItem,
    Recurrence,
    Scope,
)
from leasehold.model.slot import Slot

RESTRICTIONS = (
    "merchant_id_restrict",
    "service_id_restrict",
    "start_timestamp_restrict",
    "end_timestamp_restrict",
    "duration_restrict_sec",
    "resources_restrict",
)
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,19}")
# The last second of the year 9999, beyond which no calendar goes.
_LAST_SECOND = 253_402_300_799


class Reader:
    """Takes values out of an entry and notes what is wrong with them."""

    def __init__(self, values: Any) -> None:
        self.faults: list[str] = []
        self._values: Mapping[str, Any] = {}
        if isinstance(values, Mapping):
            self._values = values
        elif values is not None:
            self.faults.append("is not an object")

    def text(self, name: str) -> str:
        """Return a text, or an empty one."""
        value = self._values.get(name)
        if value is None or isinstance(value, str):
            return value or ""
        self.faults.append(f"{name} is not a text")
        return ""

    def number(self, name: str, default: int = 0) -> int:
        """Return a whole number."""
        value = self._values.get(name)
        if value is None:
            return default
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value):
            return int(value)
        self.faults.append(f"{name} is not a whole number")
        return default

    def second(self, name: str) -> int:
        """Return a moment in epoch seconds."""
        value = self.number(name)
        if not 0 <= value <= _LAST_SECOND:
            self.faults.append(f"{name} is not a time between 1970 and 9999")
            return 0
        return value

    def has(self, name: str) -> bool:
        """Tell whether there is such a value."""
        return self._values.get(name) is not None

    def part(self, name: str) -> "Reader":
        """Return a reader of an object within, which notes its faults here."""
        part = Reader(self._values.get(name))
        self.faults += [f"{name} {fault}" for fault in part.faults]
        part.faults = self.faults
        return part

    def parts(self, name: str) -> Iterator["Reader"]:
        """Yield a reader of each object in a list."""
        values = self._values.get(name) or []
        if not isinstance(values, list):
            self.faults.append(f"{name} is not a list")
            return
        for value in values:
            part = Reader(value)
            self.faults += [f"{name} {fault}" for fault in part.faults]
            part.faults = self.faults
            yield part

    def note(self, name: str, fault: str | None) -> None:
        """Note a fault, if there is one."""
        if fault:
            self.faults.append(f"{name} {fault}")


def read_entries(entries: list[Mapping[str, Any]], max_slot_s: float) -> Iterator[FeedItem]:
    """Yield what entries are complete for, their slots, and their faults."""
    complete: set[str] = set()
    for number, entry in enumerate(entries):
        restrictions = {name: entry[name] for name in RESTRICTIONS if name in entry}
        slots, place = entry.get("availability", []), f"service_availability[{number}]"
        yield from read_entry(restrictions, slots, place, complete, max_slot_s)


def read_entry(
    restrictions: Mapping[str, Any],
    slots: Iterable[Any],
    place: str,
    complete: set[str],
    max_slot_s: float,
) -> Iterator[FeedItem]:
    """Yield what one entry is complete for, its slots, and its faults.

    Without restrictions that is every merchant in it; ``complete`` remembers those that have been
    named.
    """
    scope = _read_scope(restrictions, place) if restrictions else None
    if scope:
        yield scope
    for number, values in enumerate(slots):
        here = f"{place}.availability[{number}]"
        if isinstance(scope, Fault):
            yield Fault(here, "belongs to an entry that cannot be taken")
            continue
        found = _read_availability(values, here, scope, max_slot_s)
        if not scope and isinstance(found, Availability):
            merchant_id = found.slot.merchant_id
            if merchant_id not in complete:
                complete.add(merchant_id)
                yield Scope(merchant_id)
        yield found


def _read_availability(
    values: Any, place: str, scope: Scope | None, max_slot_s: float
) -> Availability | Fault:
    """Read one availability; ``scope`` is what its entry is restricted to, if it is."""
    entry = Reader(values)
    slot = _read_slot(entry, max_slot_s)
    recurrence = None
    if entry.has("recurrence"):
        recurrence = _read_recurrence(entry, slot)
    elif entry.has("schedule_exception"):
        entry.note("schedule_exception", "needs a recurrence")
    total = entry.number("spots_total", 1 if recurrence else 0)
    spots_open = entry.number("spots_open", 1 if recurrence else 0)
    if recurrence and (total, spots_open) != (1, 1):
        entry.note("spots_total and spots_open", "must be 1 with a recurrence")
    if not 0 <= total <= MAX_SPOTS:
        entry.note("spots_total", f"is not between 0 and {MAX_SPOTS}")
    if not 0 <= spots_open <= total:
        entry.note("spots_open", "is not between 0 and spots_total")
    if entry.faults:
        return Fault(place, "; ".join(entry.faults))
    found = Availability(place, slot, total, spots_open, recurrence)
    if scope and not all(scope.has(slot) for slot, *_ in found.slots()):
        return Fault(place, "lies outside the restrictions of its entry")
    return found


def _read_scope(restrictions: Any, place: str) -> Scope | Fault:
    """Read what an entry is restricted to.

    Without a merchant it would speak of everybody's slots, and is a fault.
    """
    entry = Reader(restrictions)
    resources = entry.part("resources_restrict")
    scope = Scope(
        merchant_id=entry.text("merchant_id_restrict"),
        service_id=entry.text("service_id_restrict") or None,
        from_s=entry.second("start_timestamp_restrict") or None,
        to_s=entry.second("end_timestamp_restrict") or None,
        duration_s=entry.number("duration_restrict_sec") or None,
        staff_id=resources.text("staff_id") or None,
        room_id=resources.text("room_id") or None,
        party_size=resources.number("party_size") or None,
    )
    if not scope.merchant_id:
        entry.note("merchant_id_restrict", "is required beside any other restriction")
    entry.note("merchant_id_restrict", checks.optional_id_fault(scope.merchant_id))
    if scope.from_s is not None and scope.to_s is not None and scope.from_s >= scope.to_s:
        entry.note("end_timestamp_restrict", "is not after start_timestamp_restrict")
    return Fault(place, "; ".join(entry.faults)) if entry.faults else scope


def _read_slot(entry: Reader, max_slot_s: float) -> Slot:
    resources = entry.part("resources")
    slot = Slot(
        merchant_id=entry.text("merchant_id"),
        service_id=entry.text("service_id"),
        start_s=entry.second("start_sec"),
        duration_s=entry.number("duration_sec"),
        staff_id=resources.text("staff_id"),
        room_id=resources.text("room_id"),
        party_size=resources.number("party_size"),
    )
    entry.note("merchant_id", checks.id_fault(slot.merchant_id))
    entry.note("service_id", checks.id_fault(slot.service_id))
    entry.note("duration_sec", checks.duration_fault(slot.duration_s, max_slot_s))
    entry.note("staff_id", checks.optional_id_fault(slot.staff_id))
    entry.note("room_id", checks.optional_id_fault(slot.room_id))
    entry.note("party_size", checks.party_size_fault(slot.party_size))
    if not entry.has("start_sec"):
        entry.note("start_sec", "is required")
    return slot


def _read_recurrence(entry: Reader, slot: Slot) -> Recurrence:
    values = entry.part("recurrence")
    every_s, until_s = values.number("repeat_every_sec"), values.second("repeat_until_sec")
    if every_s <= 0:
        entry.note("repeat_every_sec", "must be longer than zero")
    if not slot.start_s <= until_s <= slot.start_s + MAX_REPEAT_S:
        entry.note("repeat_until_sec", "is not within 24 hours from start_sec")
    closed = []
    for exception in entry.parts("schedule_exception"):
        times = exception.part("time_range")
        begin_s, end_s = times.second("begin_sec"), times.second("end_sec")
        if begin_s >= end_s:
            entry.note("schedule_exception", "ends before it begins")
        closed.append((begin_s, end_s))
    return Recurrence(every_s, until_s, tuple(closed))
