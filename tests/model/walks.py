"""Walks: steps that are asked of a store and of the reference, and what must hold after each."""

import asyncio
import base64
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from tests.backends import Backend, FakeClock, fake_backend, soon
from tests.model import answers, care
from tests.model.indexes import DUMP, KEYS, NOBODYS, Indexes, user_of
from tests.reference_leases import ReferenceLeases
from tests.reference_store import ReferenceStore

from leasehold.model import ids
from leasehold.model.booking import BookingStatus, CreateBooking, UpdateBooking
from leasehold.model.errors import StoreTrouble, StoreUnavailableError
from leasehold.model.lease import CreateLease, LeaseTerms
from leasehold.model.slot import Slot
from leasehold.model.user_keys import UserKeys
from leasehold.store import keys
from leasehold.store.eraser import Eraser
from leasehold.store.hooks import tell_nobody
from leasehold.store.redis_store import RedisStore

HERE, ELSEWHERE = "salon {1}", "salon:2"
STARTS_S = {"soon": 3, "later": 30, "far": 200, "farthest": 400}
SLOTS = {start: (HERE, start, 0) for start in STARTS_S}
SLOTS |= {"later for two": (HERE, "later", 2), "elsewhere": (ELSEWHERE, "later", 0)}
REFERENCES, USERS = ("r-1", "r-2", "r-3", "r-4"), ("u-1", "u-2", "u-3")
SLOT, TOKEN, USER = map(st.sampled_from, (tuple(SLOTS), ("t-1", "t-2", "t-3", "t-4"), USERS))
NUMBER = st.integers(0, 12)
UNJUDGED = ("stage:", "feed", "events:", "expiring:")
# A value, and when it ends in epoch milliseconds.
Key = tuple[Any, int]
Tally = Counter[str]
Draw = Callable[[st.SearchStrategy[Any]], Any]


class Walk(RuleBasedStateMachine):
    """Asks a store and the reference the same, and compares answers and keys."""

    # Short, so that everything ends within a walk.
    terms = LeaseTerms(100, 10_000, 150_000, 5_000, 20_000, max_life_ms=15_000, max_slot_ms=2_000)
    asked_in_ms: tuple[int, ...] = (-1, 0, 99, 100, 101, 1_500, 9_999, 10_001)
    probe_ms = 100
    tolerance_ms = 0
    is_strict = False
    steps: tuple[str, ...] = ("lease", "book", "book_leased", "update", "availability", "get")
    steps += ("list", "wait", "forget", "rotate", "move_together", "no_show")

    def __init__(self, opened: AbstractAsyncContextManager[Backend], tally: Tally) -> None:
        super().__init__()
        self.tally, self.taken = tally, 0
        tally["walks"] += 1
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.backend = self.run(self.stack.enter_async_context(opened))
        self.backend.is_strict = self.is_strict
        self.start()

    def start(self) -> None:
        """Begin on an empty store."""
        self.run(self.backend.redis.flushall())
        self.reference = ReferenceStore(self.terms, self.run(self.backend.now_ms()))
        self.write_with(0)
        self.care_sides = (ReferenceLeases(self.reference), self.backend.leases(self.terms))
        self.base_s = self.reference.now_ms // 1000
        self.over: set[tuple[str, str]] = set()
        self.consumed: dict[tuple[str, str], str | None] = {}
        self.held: Counter[str] = Counter()
        self.indexes = Indexes()

    def write_with(self, first: int) -> None:
        """Go on as a process that digests users by another key, and reads all."""
        user_keys = UserKeys([*KEYS[first:], *KEYS[:first]])
        link, terms = self.backend.link, self.terms
        self.reference.user_keys = user_keys
        self.store = RedisStore(
            link, terms, is_strict=self.is_strict, user_keys=user_keys, user_of=user_of
        )
        self.eraser = Eraser(link, lambda *_: NOBODYS, user_keys)
        self.sides = (self.reference, self.store)

    def run(self, coroutine: Any) -> Any:
        """Wait for what a coroutine answers, on the loop of this walk."""
        return self.runner.run(coroutine)

    def teardown(self) -> None:
        """Close what was opened."""
        self.run(self.stack.aclose())
        self.runner.close()

    @rule(data=st.data())
    def step(self, data: st.DataObject) -> None:
        """Take a step. Not a rule for each: Hypothesis would leave most of them out of a walk."""
        getattr(self, "do_" + data.draw(st.sampled_from(self.steps)))(data.draw)

    def do_lease(self, draw: Draw) -> None:
        """Ask for a lease, also of what cannot be had; every other time for the same one again."""
        slot, reference = self.slot(draw(SLOT)), draw(st.sampled_from(REFERENCES))
        known = self.reference.leases.get((HERE, ids.lease_suffix(reference)))
        slot = known.slot if draw(st.booleans()) and known else slot
        self.hold(slot, reference, draw(st.sampled_from(self.asked_in_ms)))

    def do_book(self, draw: Draw) -> None:
        """Book any slot, directly or with any lease of its merchant or of the other."""
        slot, reference = self.slot(draw(SLOT)), draw(st.sampled_from((None, None, *REFERENCES)))
        lease = ids.Reference(HERE, ids.lease_suffix(reference)) if reference else None
        self.book(slot, draw(TOKEN), draw(USER), lease)

    def do_book_leased(self, draw: Draw) -> None:
        """Book with a lease that there is, held or not; by v0, naming neither user nor slot."""
        number, token, user = draw(NUMBER), draw(TOKEN), draw(st.sampled_from((*USERS, None)))
        leases = sorted(self.reference.leases)
        if leases:
            name = leases[number % len(leases)]
            slot = self.reference.leases[name].slot if user else None
            self.book(slot, token if user else ids.wire_id(*name), user, ids.Reference(*name))

    def do_update(self, draw: Draw) -> None:
        """Change a state, move, or both."""
        named, choices = self.booking(draw(NUMBER)), (BookingStatus, STARTS_S, (1, 2, 3), (0, 2))
        status, start, duration_s, party = (
            draw(st.sampled_from((None, None, *some))) for some in choices
        )
        start_s = self.base_s + STARTS_S[start] if start else None
        service = draw(st.sampled_from((None, None, None, "hair:cut", "shave")))
        self.ask(
            "update_booking", UpdateBooking(named, status, start_s, duration_s, party, service)
        )

    def do_move_together(self, draw: Draw) -> None:
        """Book two slots for a user, and move the one to the other."""
        taken, user = [self.slot(name) for name in ("later", "later for two")], draw(USER)
        for slot, token in zip(taken, ("t-3", "t-4"), strict=True):
            self.book(slot, token, user, None)
        made = ids.Reference(HERE, ids.booking_suffix("v2", "t-3"))
        self.ask("update_booking", UpdateBooking(made, party_size=taken[1].party_size))

    def do_no_show(self, draw: Draw) -> None:
        """Note that a customer did not come, try to cancel, and take it back."""
        made = self.booking(draw(NUMBER))
        for status in (BookingStatus.NO_SHOW, BookingStatus.CANCELED, BookingStatus.CONFIRMED):
            self.ask("update_booking", UpdateBooking(made, status))

    def do_availability(self, draw: Draw) -> None:
        """Count free spots; what CreateLease then answers agrees with the count."""
        slot, started_over = self.slot(draw(SLOT)), self.tally["started over"]
        count = self.ask("check_availability", slot)
        counted_at_ms, instants = self.reference.now_ms, self.instants()
        outcome = self.hold(slot, f"probe {self.taken}", self.probe_ms)
        passed = any(counted_at_ms <= at < self.reference.now_ms for at in instants)
        if started_over == self.tally["started over"] and not passed:
            assert outcome.status in answers.agreeing(count)

    def do_get(self, draw: Draw) -> None:
        """Look at a booking."""
        self.ask("get_booking", self.booking(draw(NUMBER)))

    def do_list(self, draw: Draw) -> None:
        """Look at all that a user has ahead."""
        self.ask("list_bookings", draw(USER))

    def do_forget(self, draw: Draw) -> None:
        """Let nothing tell any more who made a user's bookings."""
        self.settle()
        user = draw(USER)
        expected = self.reference.forget_user(user, NOBODYS)
        forgotten = self.run(self.eraser.forget_user(user, tell_nobody))
        self.count("forget_user")
        if not self.starts_over():
            assert forgotten.booking_ids == expected
            self.compare_keys()

    def do_rotate(self, draw: Draw) -> None:
        """Digest users by any of the keys from now on."""
        self.write_with(draw(st.sampled_from(range(len(KEYS)))))

    def do_care(self, draw: Draw) -> None:
        """Look at a lease, give it back or lengthen it, held or not."""
        suffix = ids.lease_suffix(draw(st.sampled_from((*REFERENCES, "never"))))
        name = draw(st.sampled_from((*sorted(self.reference.leases), (HERE, suffix))))
        self.ask(*care.command(draw, ids.Reference(*name), self.reference.now_ms))

    def hold(self, slot: Slot, reference: str, asked_in_ms: int) -> Any:
        """Ask for a lease, so long from now."""
        self.settle()
        asked_ms = self.reference.now_ms + asked_in_ms
        return self.ask("create_lease", CreateLease(slot, reference, asked_ms, f"at {reference}"))

    def book(self, slot: Slot | None, token: str, user: str | None, lease: Any) -> None:
        """Ask for a booking; every request has words of its own."""
        api, words = "v2" if user else "v0", f"words of step {self.taken} by {user or ''}"
        command = CreateBooking(slot, token, api, user, words.encode(), lease, words)
        self.ask("create_booking", command)

    def ask(self, operation: str, command: Any) -> Any:
        """Let both answer at one instant; compare the answers, then all keys."""
        self.settle()
        reference, store = self.sides if hasattr(self.store, operation) else self.care_sides
        expected = self.run(getattr(reference, operation)(command, soon()))
        try:
            answer = self.run(getattr(store, operation)(command, soon()))
        except StoreUnavailableError as error:
            # The adapter passes on no grant that has run out, and on its last millisecond it has.
            late = expected.expires_at_ms <= self.run(self.backend.now_ms())
            if error.trouble is not StoreTrouble.ANSWERED_TOO_LATE or not late:
                raise
            answer = expected
        self.count(f"{operation}: {getattr(expected, 'status', 'answered')}")
        if not self.starts_over():
            assert answers.in_any_order(answer) == answers.in_any_order(expected)
            self.compare_keys()
        return expected

    def starts_over(self) -> bool:
        """Begin anew if an answer was slow."""
        if self.was_slow():
            self.tally["started over"] += 1
            self.start()
            return True
        return False

    def count(self, what: str) -> None:
        """Note a step."""
        # What a walk does must follow from its draws alone, so it does not look at the tally.
        self.taken += 1
        self.tally.update(["steps", what])
        if self.tally["steps"] % 10_000 == 0:
            print(f"{self.tally['steps']} steps agree")

    def slot(self, name: str) -> Slot:
        """Return a slot of this walk."""
        merchant, start, party_size = SLOTS[name]
        return Slot(merchant, "hair:cut", self.base_s + STARTS_S[start], 1, "anna", "", party_size)

    def booking(self, number: int) -> ids.Reference:
        """Choose one that is remembered; 0 never was."""
        names = sorted(self.reference.bookings)
        unknown = (HERE, ids.booking_suffix("v2", "unknown"))
        return ids.Reference(*(names[number % len(names)] if number and names else unknown))

    def instants(self) -> set[int]:
        """Return the last millisecond of everything that ends by the clock alone."""
        starts_ms = [(self.base_s + start_s) * 1000 for start_s in STARTS_S.values()]
        return {
            *(ends_at_ms for _, ends_at_ms in self.reference.owners.values()),
            *(lease.ends_at_ms for lease in self.reference.leases.values()),
            *(made.ends_at_ms for made in self.reference.bookings.values()),
            *starts_ms,
            *(start_ms - self.terms.min_lease_ms for start_ms in starts_ms),
            *(start_ms - self.terms.max_advance_ms for start_ms in starts_ms),
        }

    def settle(self) -> None:
        """Set the reference's clock by the store's, at an instant when both must agree."""

    def was_slow(self) -> bool:
        """Tell whether the answer may be of another instant than the reference's."""
        return False

    def compare_keys(self) -> None:
        """Find every key that the reference implies and no other, with its value and its end."""
        found = self.dump()
        indexes = {key: found.pop(key) for key in list(found) if key.startswith("bookings-of:")}
        # What no decision about a slot depends on.
        for key in [key for key in found if key.startswith(UNJUDGED)]:
            del found[key]
        for key in [key for key in found if key.startswith("full:")]:
            self.check_full(key, found.pop(key)[1])
        expected = self.expected_keys()
        for key in found.keys() & expected.keys():
            self.settle_clocks(found[key][0], expected[key][0])
        values = {key: value for key, (value, _) in found.items()}
        assert values == {key: value for key, (value, _) in expected.items()}
        for key, (_, ends_at_ms) in expected.items():
            assert abs(found[key][1] - ends_at_ms) <= self.tolerance_ms, key
        self.indexes.check(indexes, self.reference, self.tolerance_ms)
        self.check_truths(found)

    def settle_clocks(self, found: Any, expected: Any) -> None:
        """Take what a record says of the moment it was written for what the reference says."""

    def dump(self) -> dict[str, Key]:
        """Return every key, and set the reference's clock by the moment of it."""
        while True:
            (seconds, microseconds), found = self.run(self.backend.redis.eval(DUMP, 0))
            now_ms = int(seconds) * 1000 + int(microseconds) // 1000
            if not any(abs(at - now_ms) < self.tolerance_ms for at in self.instants()):
                break
        self.reference.now_ms = now_ms
        dumped = {}
        for key, kind, value, remaining_ms in found:
            assert remaining_ms >= 0, f"no TTL: {key}"
            is_paired = kind in ("hash", "zset")
            fields = dict(zip(value[::2], value[1::2], strict=True)) if is_paired else value
            dumped[key] = (fields, now_ms + remaining_ms)
        return dumped

    def expected_keys(self) -> dict[str, Key]:
        """Write what the reference knows as keys; the indexes apart."""
        self.reference.forget_what_has_ended()
        found: dict[str, Key] = {}
        for (slot, spot), (owner, ends_at_ms) in self.reference.owners.items():
            found[keys.spot_key(slot, spot)] = (owner, ends_at_ms)
        for (merchant, suffix), lease in self.reference.leases.items():
            fields = care.lease_fields(lease)
            found[keys.lease_key(merchant, suffix)] = (fields, lease.ends_at_ms)
        for (merchant, suffix), made in self.reference.bookings.items():
            command = made.command
            fields = {
                **care.slot_fields(made.first_slot, made.current_slot, made.spot),
                "taken_at_ms": str(made.taken_at_ms),
                "current_slot": keys.slot_text(made.current_slot),
                "api": command.api,
                "user": made.user,
                "lease": command.lease.suffix if command.lease else "",
                "status": str(made.status),
                "original": base64.b64encode(command.original).decode(),
                "additional_request": command.additional_request,
            }
            found[keys.booking_key(merchant, suffix)] = (fields, made.ends_at_ms)
        return found

    def check_truths(self, found: dict[str, Key]) -> None:
        """What holds of the keys alone, whatever the reference thinks."""
        owners = {}
        for key in [key for key in found if key.startswith("slot:")]:
            _, tag, slot = key.split(":", 2)
            kind, suffix, *_ = found[key][0].split()
            record = f"{kind}:{tag}:{suffix}"
            assert record in found, f"{key} names no record"
            assert record not in owners, f"two spots of {record}"
            owners[record] = slot
        for key, (fields, _) in found.items():
            if key.startswith("booking:"):
                gone = fields["status"] == "canceled"
                spot = f"{fields['current_slot']}#{fields['spot']}"
                assert owners.get(key) == (None if gone else spot)
            elif key.startswith("lease:"):
                # Once forgotten, a reference may make another lease, at another time.
                lease, by = (key, fields["created_at_ms"]), fields.get("booking")
                assert self.consumed.setdefault(lease, by) in (None, by), "consumed once"
                self.consumed[lease] = by
                assert owners.get(key) in (None, f"{fields['slot']}#{fields['spot']}")
                if by or key not in owners:
                    self.over.add(lease)
                assert key not in owners or lease not in self.over, "it came back"
        self.check_capacity(found)

    def spots_of(self, _key: str) -> int:
        """Return how many spots the slot of a key has."""
        return 1

    def check_full(self, key: str, _ends_at_ms: int) -> None:
        """Only slots with many spots are known to be full, and there are none."""
        raise AssertionError(key)

    def check_capacity(self, found: dict[str, Key]) -> None:
        """A slot has no more owners than spots, or than it had before it lost some."""
        held = Counter(key.rpartition("#")[0] for key in found if key.startswith("slot:"))
        for key, count in held.items():
            assert count <= max(self.spots_of(key), self.held[key]), key
        self.held = held


class FakeWalk(Walk):
    """On fakeredis, with time moving onto and around every instant at which something ends."""

    # On a real server what is written down then has another time than the reference's.
    steps = (*Walk.steps, "care")

    def __init__(self, tally: Tally) -> None:
        self.patch = pytest.MonkeyPatch()
        super().__init__(fake_backend(self.patch), tally)
        assert isinstance(self.backend.clock, FakeClock)
        self.clock = self.backend.clock
        # The adapter weighs a grant against its own clock, which must stand still as well.
        still = SimpleNamespace(monotonic=lambda: 0.0)
        for adapter in ("redis_store", "redis_leases"):
            self.patch.setattr(f"leasehold.store.{adapter}.time", still)

    def teardown(self) -> None:
        """Give the clocks back."""
        super().teardown()
        self.patch.undo()

    def do_wait(self, draw: Draw) -> None:
        """Go on a little, or to just before, on or just after one of the next instants."""
        by_ms = draw(st.sampled_from((None, None, None, None, 1, 99, 1_000, 5_001, 50_000)))
        around = {at + nearby for at in self.instants() for nearby in (-1, 0, 1)}
        ahead = sorted(at for at in around if at > self.clock.now_ms)
        if by_ms or not ahead:
            self.clock.now_ms += by_ms or 1
        else:
            self.clock.now_ms = ahead[draw(NUMBER) % 4 % len(ahead)]
        self.count("wait")
        self.compare_keys()
