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
    MIN_REPEAT_S,
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
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_INT64 = range(-(2**63), 2**63)
# The last second of the year 9999, beyond which no calendar goes.
_LAST_SECOND = 253_402_300_799
# Nobody can ask for more: the API's own number ends here.
_LARGEST_PARTY = 2**31 - 1


class Reader:
    """Takes values out of an object and notes what is wrong with them."""

    def __init__(self, values: Any, path: str = "", faults: dict[str, str] | None = None) -> None:
        self._faults: dict[str, str] = {} if faults is None else faults
        """What is wrong, by path; of faults that follow from one another the first."""
        self._path = path
        self._values: Mapping[str, Any] = {}
        if isinstance(values, Mapping):
            self._values = values
        elif values is not None:
            self._faults[path] = "is not an object"

    @property
    def faults(self) -> str:
        """Return everything that is wrong in one line, empty when nothing is."""
        return "; ".join(f"{path} {fault}" for path, fault in self._faults.items())

    def text(self, name: str) -> str:
        """Return a text, or an empty one."""
        value = self._values.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            self.note(name, "is not a text")
        elif _SURROGATE.search(value):
            self.note(name, "is not Unicode")
        else:
            return value
        return ""

    def number(self, name: str, default: int = 0) -> int:
        """Return a whole number of 64 bits."""
        value = self._values.get(name)
        if value is None:
            return default
        if isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            self.note(name, "is not a whole number")
        elif value not in _INT64:
            self.note(name, "has more than 64 bits")
        else:
            return value
        return default

    def second(self, name: str) -> int:
        """Return a moment in epoch seconds."""
        value = self.number(name)
        if not 0 <= value <= _LAST_SECOND:
            self.note(name, "is not a time between 1970 and 9999")
            return 0
        return value

    def has(self, name: str) -> bool:
        """Tell whether there is such a value."""
        return self._values.get(name) is not None

    def is_empty(self, name: str) -> bool:
        """Tell whether a value is a text without characters."""
        return bool(self._values.get(name) == "")

    def part(self, name: str) -> "Reader":
        """Return a reader of an object within, which notes its faults here."""
        return Reader(self._values.get(name), self._path_of(name), self._faults)

    def parts(self, name: str) -> list["Reader"]:
        """Return a reader of each object in a list."""
        values = self._values.get(name)
        if values is None:
            return []
        if not isinstance(values, list):
            self.note(name, "is not a list")
            return []
        path = self._path_of(name)
        return [Reader(value, f"{path}[{at}]", self._faults) for at, value in enumerate(values)]

    def note(self, name: str, fault: str | None) -> None:
        """Note a fault, if there is one."""
        path = self._path_of(name)
        if fault and not any(
            path == noted or path.startswith((f"{noted}.", f"{noted}[")) for noted in self._faults
        ):
            self._faults[path] = fault

    def _path_of(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else name


def read_entries(entries: Iterable[Mapping[str, Any]], max_slot_s: float) -> Iterator[FeedItem]:
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
    scope = _read_scope(restrictions, place)
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
    if not isinstance(values, Mapping):
        return Fault(place, "is not an object")
    entry = Reader(values)
    slot = _read_slot(entry, max_slot_s)
    recurrence = None
    if entry.has("recurrence"):
        recurrence = _read_recurrence(entry, slot)
    elif entry.parts("schedule_exception"):
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
        return Fault(place, entry.faults)
    found = Availability(place, slot, total, spots_open, recurrence)
    if scope and not all(scope.has(slot) for slot, *_ in found.slots()):
        return Fault(place, "lies outside the restrictions of its entry")
    return found


def _read_scope(restrictions: Mapping[str, Any], place: str) -> Scope | Fault | None:
    """Read what an entry is restricted to, if it is.

    Without a merchant it would speak of everybody's slots, and is a fault.
    """
    entry = Reader(restrictions)
    resources = entry.part("resources_restrict")
    scope = Scope(
        merchant_id=entry.text("merchant_id_restrict"),
        service_id=_read_wanted_id(entry, "service_id_restrict"),
        from_s=_read_limit(entry, "start_timestamp_restrict", _LAST_SECOND),
        to_s=_read_limit(entry, "end_timestamp_restrict", _LAST_SECOND),
        duration_s=_read_limit(entry, "duration_restrict_sec", _LAST_SECOND),
        staff_id=_read_wanted_id(resources, "staff_id"),
        room_id=_read_wanted_id(resources, "room_id"),
        party_size=_read_limit(resources, "party_size", _LARGEST_PARTY),
    )
    if scope == Scope("") and not entry.faults:
        return None
    entry.note("merchant_id_restrict", checks.optional_id_fault(scope.merchant_id))
    if not scope.merchant_id:
        entry.note("merchant_id_restrict", "is required beside any other restriction")
    if scope.from_s is not None and scope.to_s is not None and scope.from_s >= scope.to_s:
        entry.note("end_timestamp_restrict", "is not after start_timestamp_restrict")
    return Fault(place, entry.faults) if entry.faults else scope


def _read_wanted_id(entry: Reader, name: str) -> str | None:
    """Read an id that an entry is restricted to; producers write an empty one for none."""
    value = entry.text(name)
    entry.note(name, checks.optional_id_fault(value))
    return value or None


def _read_limit(entry: Reader, name: str, most: int) -> int | None:
    """Read a number that an entry is restricted to; producers write 0 or nothing for none."""
    value = 0 if entry.is_empty(name) else entry.number(name)
    if not 0 <= value <= most:
        entry.note(name, f"is not between 0 and {most}")
    return value or None


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
    if not entry.has("start_sec"):
        entry.note("start_sec", "is required")
    entry.note("duration_sec", checks.duration_fault(slot.duration_s, max_slot_s))
    resources.note("staff_id", checks.optional_id_fault(slot.staff_id))
    resources.note("room_id", checks.optional_id_fault(slot.room_id))
    resources.note("party_size", checks.party_size_fault(slot.party_size))
    if slot.party_size > _LARGEST_PARTY:
        resources.note("party_size", f"is above {_LARGEST_PARTY}")
    return slot


def _read_recurrence(entry: Reader, slot: Slot) -> Recurrence:
    values = entry.part("recurrence")
    every_s, until_s = values.number("repeat_every_sec"), values.second("repeat_until_sec")
    if every_s < MIN_REPEAT_S:
        values.note("repeat_every_sec", f"must be at least {MIN_REPEAT_S}")
    if not slot.start_s <= until_s <= slot.start_s + MAX_REPEAT_S:
        values.note("repeat_until_sec", "is not within 24 hours from start_sec")
    closed = []
    for exception in entry.parts("schedule_exception"):
        times = exception.part("time_range")
        begin_s, end_s = times.second("begin_sec"), times.second("end_sec")
        if begin_s >= end_s:
            times.note("end_sec", "is not after begin_sec")
        closed.append((begin_s, end_s))
    return Recurrence(every_s, until_s, tuple(closed))
