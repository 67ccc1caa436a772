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
    """When the newest feed was made that says anything of a day, in epoch milliseconds."""
    whole: dict[Day, int] = field(default_factory=dict)
    """When the newest feed was made that says all of a day."""
    claims: dict[str, list[tuple[int, Scope]]] = field(default_factory=dict)
    """Of each merchant: when feeds were made, and what of the merchant they were complete for."""
    services: dict[tuple[str, str], int] = field(default_factory=dict)
    """Until when a service of a merchant is known."""
    left_out: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Of merchants: when the latest feed was made that says all of them, on every day; until when.

    0 where there is none, and one that says a part of them, on every day.
    """
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
        known = {merchant_id for merchant_id, _ in self.days}
        self.left_out = {
            name: it for name, it in self.left_out.items() if now_ms <= it[1] or name in known
        }
        self.claims = {name: it for name, it in self.claims.items() if self.knows(name)}
        self.whole = {day: at for day, at in self.whole.items() if day in self.days}
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
        return max(self.whole.get(day, 0), self.left_out.get(day[0], (0, 0))[0])

    def _later(self, merchant_id: str, generated_at_ms: int) -> list[Scope]:
        """Return what feeds that were made later are complete for."""
        claims = self.claims.get(merchant_id, ())
        return [scope for made_ms, scope in claims if made_ms > generated_at_ms]

    def _note_order(
        self,
        merchant_id: str,
        scopes: list[Scope],
        listed: list[Day],
        generated_at_ms: int,
        now_ms: int,
    ) -> None:
        """Keep what a feed is complete for in mind, if the merchant is known or about to be."""
        until_ms = max(map(self.end_of, [*listed, (merchant_id, generated_at_ms // DAY_MS)]))
        if not self.knows(merchant_id) and (
            not listed or until_ms <= now_ms or self.complete_ms > generated_at_ms
        ):
            return
        made_ms, end_ms = self.left_out.get(merchant_id, (0, 0))
        if Scope(merchant_id) in scopes:
            made_ms = max(made_ms, generated_at_ms)
        if not all(map(_is_of_one_day, scopes)):
            self.left_out[merchant_id] = made_ms, max(end_ms, until_ms)
        self.claims.setdefault(merchant_id, []).extend((generated_at_ms, it) for it in scopes)

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
        named = {day_of(slot) for slot in listed if slot.merchant_id not in only_lower}
        of_one_day = {
            (it.merchant_id, (it.from_s or 0) * 1000 // DAY_MS)
            for it in scopes
            if self.knows(it.merchant_id)
            and it.merchant_id not in only_lower
            and _is_of_one_day(it)
        }
        for merchant_id in {scope.merchant_id for scope in scopes}:
            of_merchant = [scope for scope in scopes if scope.merchant_id == merchant_id]
            days = [day for day in named if day[0] == merchant_id]
            self._note_order(merchant_id, of_merchant, days, generated_at_ms, store.now_ms)
        known = named | of_one_day | set(self.days)
        for day in sorted(known):
            bounds = day[1] * DAY_MS // 1000, (day[1] + 1) * DAY_MS // 1000
            of_day = [it for it in scopes if it.merchant_id == day[0] and it.meets(*bounds)]
            later = self._later(day[0], generated_at_ms)
            is_left = self._newest_ms(day) > generated_at_ms or all(
                any(_covers(one, other, bounds) for one in later) for other in of_day
            )
            if not is_left and self.end_of(day) > store.now_ms:
                self._replace_day(store, day, of_day, listed, generated_at_ms, only_lower)
                self.days[day] = max(self.days.get(day, 0), generated_at_ms)
                if any(_covers(it, Scope(day[0]), bounds) for it in of_day):
                    self.whole[day] = generated_at_ms

    def _replace_day(
        self,
        store: "ReferenceStore",
        day: Day,
        scopes: list[Scope],
        listed: dict[Slot, Availability],
        generated_at_ms: int,
        only_lower: Container[str],
    ) -> None:
        """Take what a feed says of a day, and leave what later ones speak of."""
        later = self._later(day[0], generated_at_ms)
        only_lowers = day[0] in only_lower
        left = {slot for slot in {*self.found, *listed} if any(it.has(slot) for it in later)}
        if not only_lowers:
            self._remove(store, day, scopes, {*listed, *left})
        for slot, said in listed.items():
            if day_of(slot) == day and slot not in left:
                self._set(store, said, generated_at_ms, only_lowers=only_lowers)

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


def _is_of_one_day(scope: Scope) -> bool:
    if scope.from_s is None or scope.to_s is None:
        return False
    return scope.from_s * 1000 // DAY_MS == (scope.to_s - 1) * 1000 // DAY_MS


def _covers(one: Scope, other: Scope, bounds: tuple[int, int]) -> bool:
    """Tell whether one scope speaks of everything within bounds that another one speaks of."""
    names = ("service_id", "duration_s", "staff_id", "room_id", "party_size")
    named = ((getattr(one, name), getattr(other, name)) for name in names)
    (one_from, one_to), (from_s, to_s) = (
        (max(it.from_s or 0, bounds[0]), min(it.to_s or bounds[1], bounds[1]))
        for it in (one, other)
    )
    is_within = one_from <= from_s and to_s <= one_to
    return is_within and all(mine in (None, its) for mine, its in named)


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
