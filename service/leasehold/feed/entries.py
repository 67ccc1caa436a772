"""One entry of a feed: plain values in, slots and spots out, with everything that is wrong.

Source: contract 10.1.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from leasehold.feed.members import (
    AVAILABILITY,
    ENTRY,
    EXCEPTION,
    RECURRENCE,
    RESOURCES,
    TIME_RANGE,
)
from leasehold.feed.reader import LAST_SECOND, Reader
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

# Nobody can ask for more: the API's own number ends here.
_LARGEST_PARTY = 2**31 - 1


def read_entries(entries: Iterable[Mapping[str, Any]], max_slot_s: float) -> Iterator[FeedItem]:
    """Yield what entries are complete for, their slots, and their faults."""
    complete: set[str] = set()
    for number, entry in enumerate(entries):
        restrictions = {name: value for name, value in entry.items() if name != "availability"}
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
    entry = Reader(values, AVAILABILITY)
    slot = _read_slot(entry, scope, max_slot_s)
    recurrence = None
    if entry.has("recurrence"):
        recurrence = _read_recurrence(entry, slot)
    elif entry.parts("schedule_exception", EXCEPTION):
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
    entry = Reader(restrictions, ENTRY)
    resources = entry.part("resources_restrict", RESOURCES)
    entry.refuse_unknown()
    resources.refuse_unknown()
    scope = Scope(
        merchant_id=entry.text("merchant_id_restrict"),
        service_id=_read_wanted_id(entry, "service_id_restrict"),
        from_s=_read_limit(entry, "start_timestamp_restrict", LAST_SECOND),
        to_s=_read_limit(entry, "end_timestamp_restrict", LAST_SECOND),
        duration_s=_read_limit(entry, "duration_restrict_sec", LAST_SECOND),
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


def _read_slot(entry: Reader, scope: Scope | None, max_slot_s: float) -> Slot:
    """Read a slot; merchant and service may be those of its entry, as the real-time API has it."""
    resources = entry.part("resources", RESOURCES)
    slot = Slot(
        merchant_id=entry.text("merchant_id") or (scope.merchant_id if scope else ""),
        service_id=entry.text("service_id") or ((scope and scope.service_id) or ""),
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
    values = entry.part("recurrence", RECURRENCE)
    every_s, until_s = values.number("repeat_every_sec"), values.second("repeat_until_sec")
    if every_s < MIN_REPEAT_S:
        values.note("repeat_every_sec", f"must be at least {MIN_REPEAT_S}")
    if not slot.start_s <= until_s <= slot.start_s + MAX_REPEAT_S:
        values.note("repeat_until_sec", "is not within 24 hours from start_sec")
    closed = []
    for exception in entry.parts("schedule_exception", EXCEPTION):
        times = exception.part("time_range", TIME_RANGE)
        begin_s, end_s = times.second("begin_sec"), times.second("end_sec")
        if begin_s >= end_s:
            times.note("end_sec", "is not after begin_sec")
        closed.append((begin_s, end_s))
    return Recurrence(every_s, until_s, tuple(closed))
