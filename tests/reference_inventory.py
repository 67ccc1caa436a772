"""The inventory in plain Python: what a feed makes of it."""

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from leasehold.model.inventory import Availability, FeedItem, Scope
from leasehold.model.slot import Slot

if TYPE_CHECKING:
    from tests.reference_store import ReferenceStore

DAY_MS = 86_400_000
Day = tuple[str, int]
"""A merchant, and the number of a UTC day."""


def day_of(slot: Slot) -> Day:
    """Return where a slot belongs."""
    return slot.merchant_id, slot.start_ms // DAY_MS


@dataclass
class ReferenceInventory:
    """Slots with their spots, by day."""

    retention_ms: int
    found: dict[Slot, tuple[int, int]] = field(default_factory=dict)
    """The spots of a slot, and the highest number that it has, or that is in use since it had."""
    days: dict[Day, int] = field(default_factory=dict)
    """When the feed was made that a day is known from, in epoch milliseconds."""
    services: dict[tuple[str, str], int] = field(default_factory=dict)
    """Until when a service of a merchant is known."""
    left_out: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Of merchants: when the latest complete feed was made that does not list them; until when."""
    complete_ms: int = 0
    """When the latest complete feed was made."""

    def spots(self, slot: Slot) -> tuple[int, int]:
        """Return the spots of a slot and the highest number; none for one that is not there."""
        return self.found.get(slot, (0, 0))

    def unknown(self, slot: Slot) -> str | None:
        """Return the status for a slot of which not even the service is known."""
        if slot in self.found or (slot.merchant_id, slot.service_id) in self.services:
            return None
        return "service_unknown" if self.knows(slot.merchant_id) else "merchant_unknown"

    def knows(self, merchant_id: str) -> bool:
        """Tell whether anything is known of a merchant."""
        return merchant_id in self.left_out or any(of == merchant_id for of, _ in self.days)

    def end_of(self, day: Day) -> int:
        """Return when a day's inventory ends."""
        return (day[1] + 1) * DAY_MS + self.retention_ms

    def forget(self, now_ms: int) -> None:
        """Drop what Redis would have dropped."""
        self.days = {day: at for day, at in self.days.items() if now_ms <= self.end_of(day)}
        self.services = {name: at for name, at in self.services.items() if now_ms <= at}
        self.left_out = {name: it for name, it in self.left_out.items() if now_ms <= it[1]}
        self.found = {s: it for s, it in self.found.items() if now_ms <= self.end_of(day_of(s))}

    def leave_out(
        self,
        listed: Container[str],
        staged: Iterable[str],
        generated_at_ms: int,
        until_ms: int,
    ) -> list[FeedItem]:
        """Take it that a complete feed lists these merchants, and return who is closed.

        Those of whom something is staged may be about to be added by another feed.
        """
        self.complete_ms = max(self.complete_ms, generated_at_ms)
        known = {merchant_id for merchant_id, _ in self.days} | self.left_out.keys() | set(staged)
        closed = sorted(merchant_id for merchant_id in known if merchant_id not in listed)
        for merchant_id in closed:
            before = self.left_out.get(merchant_id, (0, 0))
            latest_ms, known_ms = max(before[0], generated_at_ms), max(before[1], until_ms)
            self.left_out[merchant_id] = latest_ms, known_ms
            for name in self.services:
                if name[0] == merchant_id:
                    self.services[name] = max(self.services[name], until_ms)
        return [Scope(merchant_id) for merchant_id in closed]

    def _newest_ms(self, day: Day) -> int:
        """Return when the latest feed was made that says what there is on a day."""
        if not self.knows(day[0]):
            return self.complete_ms
        return max(self.days.get(day, 0), self.left_out.get(day[0], (0, 0))[0])

    def replace(
        self,
        store: "ReferenceStore",
        items: Iterable[FeedItem],
        generated_at_ms: int,
        only_lower: Container[str] = (),
    ) -> None:
        """Take a feed, each merchant's day for itself; of some merchants only lower numbers."""
        scopes: list[Scope] = []
        listed: dict[Slot, Availability] = {}
        for item in items:
            if isinstance(item, Scope):
                scopes.append(item)
            elif isinstance(item, Availability):
                for slot, total, spots_open in item.slots():
                    listed.setdefault(
                        slot, replace(item, slot=slot, spots_total=total, spots_open=spots_open)
                    )
        named = {day_of(slot) for slot in listed}
        known = {day for day in named if day[0] not in only_lower} | set(self.days)
        for day in sorted(known):
            of_day = [scope for scope in scopes if scope.merchant_id == day[0]]
            is_spoken_of = any(
                scope.meets(day[1] * DAY_MS // 1000, (day[1] + 1) * DAY_MS // 1000)
                for scope in of_day
            )
            is_newer = self._newest_ms(day) <= generated_at_ms
            if is_spoken_of and is_newer and self.end_of(day) > store.now_ms:
                only_lowers = day[0] in only_lower
                if not only_lowers:
                    self._remove(store, day, of_day, listed)
                for slot, said in listed.items():
                    if day_of(slot) == day:
                        self._set(store, said, generated_at_ms, only_lowers=only_lowers)
                self.days[day] = generated_at_ms

    def _remove(
        self, store: "ReferenceStore", day: Day, scopes: list[Scope], listed: Container[Slot]
    ) -> None:
        for slot in [slot for slot in self.found if day_of(slot) == day and slot not in listed]:
            if any(scope.has(slot) for scope in scopes):
                _, highest = self.found.pop(slot)
                in_use = _highest_in_use(store, slot, highest)
                if in_use:
                    self.found[slot] = (0, in_use)

    def _set(
        self,
        store: "ReferenceStore",
        said: Availability,
        generated_at_ms: int,
        *,
        only_lowers: bool,
    ) -> None:
        slot, total = said.slot, said.spots_total
        before, highest = self.spots(slot)
        spots = total
        if said.spots_open < total:
            counts = _booked_before(store, slot, generated_at_ms)
            booked = _owners(store, slot, max(highest, total), counts)
            spots = min(total, said.spots_open + booked)
        if only_lowers or said.is_ceiling:
            spots = min(spots, before)
            if slot not in self.found or (only_lowers and spots == before):
                return
        self.found[slot] = (spots, max(spots, _highest_in_use(store, slot, max(highest, total))))
        name = (slot.merchant_id, slot.service_id)
        if not only_lowers:
            self.services[name] = max(self.services.get(name, 0), self.end_of(day_of(slot)))


def _highest_in_use(store: "ReferenceStore", slot: Slot, highest: int) -> int:
    numbers = (n for n in range(highest, 0, -1) if store.owners.get((slot, n)))
    return next(numbers, 0)


def _owners(
    store: "ReferenceStore", slot: Slot, highest: int, counts: Callable[[str], bool]
) -> int:
    """Count those owners of a slot's spots that count."""
    owners = (store.owners.get((slot, spot)) for spot in range(1, highest + 1))
    return sum(1 for owner in owners if owner and counts(owner[0]))


def _booked_before(
    store: "ReferenceStore", slot: Slot, generated_at_ms: int
) -> Callable[[str], bool]:
    def counts(owner: str) -> bool:
        kind, suffix, *_ = owner.split()
        return (
            kind == "booking"
            and store.bookings[slot.merchant_id, suffix].taken_at_ms <= generated_at_ms
        )

    return counts
