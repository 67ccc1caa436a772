"""One entry of a feed: plain values in, slots and spots out, with everything that is wrong.

Source: contract 10.1.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from leasehold.feed.members import (
    AVAILABILITY,
    ENTRY,
    EXCEPTION,
    RECURRENCE,
    RESOURCES,
    TIME_RANGE,
    spellings,
)
from leasehold.feed.reader import LAST_SECOND, Reader
from leasehold.model import checks
from leasehold.model.inventory import (
    MAX_REPEAT_S,
    MAX_SPOTS,
    MIN_REPEAT_S,
    Availability,
    Doubt,
    Fault,
    FeedItem,
    Recurrence,
    Remark,
    Scope,
)
from leasehold.model.slot import Slot

# Nobody can ask for more: the API's own number ends here.
_LARGEST_PARTY = 2**31 - 1
_DAY_S = 86_400
_SPOTS_OPEN = spellings("spots_open")


class Entries:
    """Reads the entries of one feed, in their order."""

    def __init__(self, max_slot_s: float) -> None:
        self._max_slot_s = max_slot_s
        self._complete: set[str] = set()
        """The merchants that are named already as complete."""
        self._has_remarked = False

    def read_all(self, entries: Iterable[Mapping[str, Any]]) -> Iterator[FeedItem]:
        """Yield the items of each entry."""
        for number, entry in enumerate(entries):
            members = {name: value for name, value in entry.items() if name != "availability"}
            slots, place = entry.get("availability", []), f"service_availability[{number}]"
            yield from self.read(members, slots, place)

    def read(
        self, members: Mapping[str, Any], slots: Iterable[Any], place: str
    ) -> Iterator[FeedItem]:
        """Yield what one entry is complete for, its slots, and its faults and doubts.

        ``members`` are all that stand beside its slots. Without restrictions an entry is complete
        for every merchant in it.
        """
        scope, fault = _read_scope(members)
        if fault:
            yield Fault(place, fault)
            yield Doubt(scope.merchant_id)
        elif scope.merchant_id:
            yield scope
        for number, values in enumerate(slots):
            here = f"{place}.availability[{number}]"
            found = _read_availability(values, here, scope, self._max_slot_s)
            if fault:
                found = _only_lowering(found, here, "belongs to an entry that cannot be taken")
            elif not scope.merchant_id:
                yield from self._complete_for(found)
            yield from found
            yield from self._remark_on(values, here)

    def _complete_for(self, found: list[FeedItem]) -> Iterator[Scope]:
        for item in found:
            if isinstance(item, Availability) and item.slot.merchant_id not in self._complete:
                self._complete.add(item.slot.merchant_id)
                yield Scope(item.slot.merchant_id)

    def _remark_on(self, values: Any, place: str) -> Iterator[Remark]:
        is_known = self._has_remarked or not isinstance(values, Mapping)
        if is_known or any(values.get(name) is not None for name in _SPOTS_OPEN):
            return
        entry = Reader(values, AVAILABILITY)
        if entry.has("spots_total") and not entry.has("recurrence"):
            self._has_remarked = True
            yield Remark(place, "has spots_total without spots_open, which counts as 0 everywhere")


def _read_availability(values: Any, place: str, scope: Scope, max_slot_s: float) -> list[FeedItem]:
    """Read one availability; ``scope`` is what its entry is restricted to, if it is.

    A slot that can be read, of numbers that are impossible, is bounded by them. What cannot be read
    as a slot is a doubt about its merchant.
    """
    if not isinstance(values, Mapping):
        return [Fault(place, "is not an object"), Doubt(scope.merchant_id)]
    entry = Reader(values, AVAILABILITY)
    slot = _read_slot(entry, scope, max_slot_s)
    recurrence = _read_recurrence(entry, slot)
    is_readable = entry.is_good
    total, spots_open = _read_spots(entry, is_row=recurrence is not None)
    found = Availability(place, slot, total, spots_open, recurrence, not entry.is_good)
    items: list[FeedItem] = [] if entry.is_good else [Fault(place, entry.faults)]
    if not is_readable:
        merchant_id = "" if checks.id_fault(slot.merchant_id) else slot.merchant_id
        return [*items, Doubt(merchant_id or scope.merchant_id)]
    items.append(found)
    if scope.merchant_id and not all(scope.has(slot) for slot, *_ in found.slots()):
        # Whether the slot or the restriction is the mistake cannot be said.
        items.append(Doubt(scope.merchant_id))
        return _only_lowering(items, place, "lies outside the restrictions of its entry")
    return items


def _only_lowering(found: list[FeedItem], place: str, reason: str) -> list[FeedItem]:
    """Add a fault to what is read of an availability: its slots are only bounds then."""
    reasons = [reason, *(item.reason for item in found if isinstance(item, Fault))]
    items: list[FeedItem] = [Fault(place, "; ".join(reasons))]
    for item in found:
        if isinstance(item, Availability):
            items += [Doubt(item.slot.merchant_id), *_days_of(item)]
            items.append(replace(item, is_ceiling=True))
        elif isinstance(item, Doubt):
            items.append(item)
    return items


def _days_of(found: Availability) -> Iterator[Scope]:
    """Yield the UTC days of an availability, so that they are looked at."""
    for day in sorted({slot.start_s // _DAY_S for slot, *_ in found.slots()}):
        yield Scope(found.slot.merchant_id, from_s=day * _DAY_S, to_s=(day + 1) * _DAY_S)


def _read_spots(entry: Reader, *, is_row: bool) -> tuple[int, int]:
    """Read spots in total and open. Of what is impossible the possible part remains, as a bound."""
    most = 1 if is_row else MAX_SPOTS
    total, spots_open = entry.number("spots_total", most), entry.number("spots_open", most)
    if is_row:
        if (total, spots_open) != (1, 1):
            entry.note("spots_total and spots_open", "must be 1 with a recurrence")
    elif not entry.has("spots_open"):
        if entry.has("spots_total"):
            spots_open = 0
        else:
            entry.note("spots_total and spots_open", "are missing")
    elif not entry.has("spots_total"):
        if spots_open == 0:
            total = 0
        else:
            entry.note("spots_total", "is missing beside spots_open")
    if not 0 <= total <= MAX_SPOTS:
        entry.note("spots_total", f"is not between 0 and {MAX_SPOTS}")
    if not 0 <= spots_open <= total:
        entry.note("spots_open", "is not between 0 and spots_total")
    total = max(0, min(total, most))
    return total, max(0, min(spots_open, total))


def _read_scope(members: Mapping[str, Any]) -> tuple[Scope, str]:
    """Read what an entry is restricted to, and what is wrong with that.

    Without restrictions the scope names no merchant. With others than a merchant, and without one,
    it would speak of everybody's slots, and is a fault. Of a scope at fault only the merchant
    counts, which is empty when it cannot be read.
    """
    entry = Reader(members, ENTRY)
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
        return scope, ""
    merchant_fault = checks.optional_id_fault(scope.merchant_id)
    entry.note("merchant_id_restrict", merchant_fault)
    if not scope.merchant_id:
        entry.note("merchant_id_restrict", "is required beside any other restriction")
    if scope.from_s is not None and scope.to_s is not None and scope.from_s >= scope.to_s:
        entry.note("end_timestamp_restrict", "is not after start_timestamp_restrict")
    if not entry.faults:
        return scope, ""
    return Scope("" if merchant_fault else scope.merchant_id), entry.faults


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


def _read_slot(entry: Reader, scope: Scope, max_slot_s: float) -> Slot:
    """Read a slot; merchant and service may be those of its entry, as the real-time API has it."""
    resources = entry.part("resources", RESOURCES)
    slot = Slot(
        merchant_id=entry.text("merchant_id") or scope.merchant_id,
        service_id=entry.text("service_id") or scope.service_id or "",
        start_s=entry.second("start_sec"),
        duration_s=entry.number("duration_sec"),
        staff_id=resources.text("staff_id"),
        room_id=resources.text("room_id"),
        party_size=resources.number("party_size"),
    )
    entry.note("merchant_id", checks.new_id_fault(slot.merchant_id))
    entry.note("service_id", checks.new_id_fault(slot.service_id))
    if not entry.has("start_sec"):
        entry.note("start_sec", "is required")
    entry.note("duration_sec", checks.duration_fault(slot.duration_s, max_slot_s))
    resources.note("staff_id", checks.new_optional_id_fault(slot.staff_id))
    resources.note("room_id", checks.new_optional_id_fault(slot.room_id))
    resources.note("party_size", checks.party_size_fault(slot.party_size))
    if slot.party_size > _LARGEST_PARTY:
        resources.note("party_size", f"is above {_LARGEST_PARTY}")
    return slot


def _read_recurrence(entry: Reader, slot: Slot) -> Recurrence | None:
    if not entry.has("recurrence"):
        if entry.parts("schedule_exception", EXCEPTION):
            entry.note("schedule_exception", "needs a recurrence")
        return None
    values = entry.part("recurrence", RECURRENCE)
    every_s, until_s = values.number("repeat_every_sec"), values.second("repeat_until_sec")
    if every_s < MIN_REPEAT_S:
        values.note("repeat_every_sec", f"must be at least {MIN_REPEAT_S}")
    if not slot.start_s <= until_s <= slot.start_s + MAX_REPEAT_S:
        values.note("repeat_until_sec", "is not within 25 hours from start_sec")
    closed = []
    for exception in entry.parts("schedule_exception", EXCEPTION):
        times = exception.part("time_range", TIME_RANGE)
        begin_s, end_s = times.second("begin_sec"), times.second("end_sec")
        if begin_s >= end_s:
            times.note("end_sec", "is not after begin_sec")
        closed.append((begin_s, end_s))
    return Recurrence(every_s, until_s, tuple(closed))
