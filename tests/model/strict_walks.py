"""Walks with an inventory: capacities rise, fall, and slots come and go while others hold them."""

from hypothesis import strategies as st
from tests.backends import full_key, soon
from tests.model.real_walks import RealWalk
from tests.model.walks import ELSEWHERE, HERE, SLOTS, Draw, FakeWalk, Key, Walk
from tests.reference_inventory import DAY_MS, ReferenceInventory, day_of

from leasehold.model.ids import decode_id
from leasehold.model.inventory import Availability, FeedItem, Scope
from leasehold.model.lease import CreateLease
from leasehold.model.slot import Slot
from leasehold.store import keys

LIMITS = (
    (),
    ("soon",),
    ("later",),
    ("soon", "later", "elsewhere"),
    ("service soon",),
    ("service later", "soon"),
)
"""The starts of some slots, or whole services, that a feed may be restricted to."""
CAPACITIES = (0, 1, 1, 2, 2, 3, 20)


class StrictWalk(Walk):
    """With feeds between the other steps."""

    is_strict = True
    steps = (*Walk.steps, "feed", "lease", "book")
    feed_age_ms: tuple[int, ...] = (0, 0, 0, 0, 1, 1_000, 30_000)
    has_complete_feeds = False
    """Whether feeds may close merchants of the store that they do not list."""

    def start(self) -> None:
        """Begin with a feed in which one merchant is missing."""
        super().start()
        self.inventory = self.backend.inventory(self.terms)
        self.reference.inventory = ReferenceInventory(self.terms.retention_ms)
        self.load([(name, 2, 2, False) for name in SLOTS if name != "elsewhere"], (), 0, set())

    def do_feed(self, draw: Draw) -> None:
        """Load a feed: of everybody, or of what some restriction speaks of."""
        names = draw(st.lists(st.sampled_from(tuple(SLOTS)), unique=True))
        listed = []
        for name in names:
            total = draw(st.sampled_from(CAPACITIES))
            is_bound = draw(st.sampled_from((False, False, False, True)))
            listed.append(
                (name, total, min(total, draw(st.sampled_from((0, 1, 20, 20)))), is_bound)
            )
        limits = draw(st.sampled_from(LIMITS))
        only_lower = set(draw(st.sampled_from(((), (), (), (HERE,), (HERE, ELSEWHERE)))))
        age_ms = draw(st.sampled_from(self.feed_age_ms))
        is_complete = self.has_complete_feeds and not limits and draw(st.booleans())
        self.load(listed, limits, age_ms, only_lower, is_complete=is_complete)

    def load(
        self,
        listed: list[tuple[str, int, int, bool]],
        limits: tuple[str, ...],
        age_ms: int,
        only_lower: set[str],
        *,
        is_complete: bool = False,
    ) -> None:
        """Load slots, complete for the starts of some, or for their merchants."""
        slots = {name: self.slot(name) for name in SLOTS}
        scopes = [_limit(slots, name) for name in limits] or sorted(
            {Scope(slots[name].merchant_id) for name, *_ in listed}, key=str
        )
        items: list[FeedItem] = [*scopes]
        items += [
            Availability("somewhere", slots[name], total, spots_open, is_ceiling=is_bound)
            for name, total, spots_open, is_bound in listed
            if any(scope.has(slots[name]) for scope in scopes)
        ]
        if not scopes:
            return
        self.settle()
        generated_at_ms = self.reference.now_ms - age_ms
        staged = self.run(self.inventory.stage(items, lambda _: None))
        staged.only_lower = only_lower
        reference = self.reference.inventory
        assert reference
        self.reference.forget_what_has_ended()
        if is_complete:
            self.run(self.inventory.leave_out(staged, generated_at_ms, 1, lambda *_: None))
            days = [day_of(slots[name]) for name, *_ in listed]
            until_ms = max(map(reference.end_of, [*days, ("", generated_at_ms // DAY_MS)]))
            named = {scope.merchant_id for scope in scopes} | only_lower
            names = self.run(self.backend.redis.keys("stage:*"))
            on_their_way = {decode_id(name[len("stage:{") :].partition("}")[0]) for name in names}
            items += reference.leave_out(named, on_their_way, generated_at_ms, until_ms)
            self.count("complete feed")
        self.run(self.inventory.commit(staged, generated_at_ms, lambda *_: None))
        self.reference.forget_what_has_ended()
        reference.replace(self.reference, items, generated_at_ms, only_lower)
        self.count("feed")
        if self.was_slow():
            self.tally["started over"] += 1
            self.start()
        else:
            self.compare_keys()

    def dump(self) -> dict[str, Key]:
        """Return every key; how the order of feeds is written follows from what it does."""
        found = super().dump()
        for key, (fields, _) in found.items():
            if key.startswith("inventory:"):
                fields.pop("order", None)
                for name in [name for name in fields if name.startswith("day:")]:
                    newest, *_, until = fields[name].split()
                    fields[name] = f"{newest} {until}"
        return found

    def expected_keys(self) -> dict[str, Key]:
        """Write the inventory as keys as well."""
        found = super().expected_keys()
        inventory = self.reference.inventory
        assert inventory
        spots: dict[tuple[str, int], dict[str, str]] = {}
        for slot, (count, highest) in inventory.found.items():
            spots.setdefault(day_of(slot), {})[keys.slot_text(slot)] = f"{count} {highest}"
        for day, fields in spots.items():
            key = keys.spots_prefix(day[0]) + keys.start_text(day[1] * 86_400).partition("T")[0]
            found[key] = (fields, inventory.end_of(day))
        known = {merchant_id for merchant_id, _ in inventory.days} | inventory.left_out.keys()
        for merchant_id in known:
            ends = {day: inventory.end_of(day) for day in inventory.days if day[0] == merchant_id}
            days = {
                f"day:{keys.start_text(day[1] * 86_400).partition('T')[0]}": (
                    f"{inventory.days[day]} {end}"
                )
                for day, end in ends.items()
            }
            services = {
                f"service:{service.replace(':', '%3A')}": str(end)
                for (of, service), end in inventory.services.items()
                if of == merchant_id
            }
            fields, all_ends = {"v": "1", **days, **services}, [*ends.values()]
            if merchant_id in inventory.left_out:
                left_out_ms, until_ms = inventory.left_out[merchant_id]
                fields |= {"left_out": str(left_out_ms)} if left_out_ms else {}
                all_ends.append(until_ms)
            found[keys.inventory_key(merchant_id)] = (fields, max(all_ends))
        return found

    def check_full(self, key: str, ends_at_ms: int) -> None:
        """A slot that is known to be full is so, until a hold ends and for a second at most."""
        self.tally["known full"] += 1
        reference = self.reference
        (slot,) = (self.slot(name) for name in SLOTS if full_key(self.slot(name)) == key)
        spots, highest = reference.spots(slot)
        owners = [reference.owners.get((slot, number)) for number in range(1, highest + 1)]
        taken = [owner for owner in owners if owner]
        assert len(taken) >= spots, key
        ends = [at for owner, at in taken if owner.startswith("lease ")]
        latest_ms = min([reference.now_ms + 1_000, *ends])
        assert ends_at_ms <= latest_ms + self.tolerance_ms, key

    def do_crowd(self, draw: Draw) -> None:
        """Let a slot with many spots be sold out, and ask once more."""
        name, for_ms = draw(st.sampled_from(("later", "far"))), draw(st.sampled_from((700, 9_000)))
        slot = self.slot(name)
        self.load([(name, 17, 17, False)], (name,), 0, set())
        spots, highest = self.reference.spots(slot)
        taken = sum((slot, number) in self.reference.owners for number in range(1, highest + 1))
        for number in range(spots - taken):
            asked_ms = self.reference.now_ms + for_ms + number
            reference = f"crowd {self.taken} {number}"
            command = CreateLease(slot, reference, asked_ms, f"at {reference}")
            expected, found = (self.run(it.create_lease(command, soon())) for it in self.sides)
            assert found == expected
        self.hold(slot, f"crowd {self.taken}", for_ms)

    def instants(self) -> set[int]:
        """Return the ends of days as well."""
        inventory = self.reference.inventory
        ends = {inventory.end_of(day) for day in inventory.days} if inventory else set()
        return super().instants() | ends

    def spots_of(self, key: str) -> int:
        """Return how many spots the slot of a key has."""
        assert self.reference.inventory
        found = self.reference.inventory.found.items()
        return max(
            (spots for slot, (spots, _) in found if keys.spot_key(slot, 1).startswith(f"{key}#")),
            default=0,
        )


def _limit(slots: dict[str, Slot], name: str) -> Scope:
    """Return what a feed is restricted to by the name of a slot: its start, or its service."""
    slot = slots[name.removeprefix("service ")]
    if name.startswith("service "):
        return Scope(slot.merchant_id, service_id=slot.service_id)
    return Scope(slot.merchant_id, from_s=slot.start_s, to_s=slot.start_s + 1)


class StrictFakeWalk(StrictWalk, FakeWalk):
    """On fakeredis, at any instant."""

    steps = (*StrictWalk.steps, "care", "crowd")
    has_complete_feeds = True


class StrictRealWalk(StrictWalk, RealWalk):
    """On a server whose clock goes on; its records are a little later than the reference's."""

    feed_age_ms = (0, 0, 0, 30_000)
