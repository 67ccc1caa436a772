"""Walks that note events: played back, they say what the reference says."""

from dataclasses import replace

from hypothesis import strategies as st
from tests.events import Place, Playback, read_events
from tests.model.real_walks import RealWalk
from tests.model.strict_walks import StrictFakeWalk
from tests.model.walks import ELSEWHERE, HERE, Draw, FakeWalk, Walk

from leasehold.model import ids

EVERY_EVENT = {"max_events": 1_000_000, "event_retention_ms": 86_400_000}
"""Terms by which none is ever lost."""


class EventWalk(Walk):
    """Reads the events of both merchants now and then, and believes them."""

    merchants = (HERE, ELSEWHERE)

    def start(self) -> None:
        """Begin with nothing that has happened."""
        super().start()
        self.backend.terms = self.terms
        self.playbacks = {merchant: Playback() for merchant in self.merchants}

    def teardown(self) -> None:
        """Read to the end, whatever the walk has read before."""
        self.read(100)
        super().teardown()

    def do_events(self, draw: Draw) -> None:
        """Read what has happened since the last time, in pages of any size."""
        self.read(draw(st.sampled_from((1, 2, 7, 100))))
        self.count("events")

    def read(self, most: int) -> None:
        """Play the events and compare what they make believe with the reference."""
        self.settle()
        self.reference.forget_what_has_ended()
        for merchant, playback in self.playbacks.items():
            reading = read_events(self.backend, playback.last, most=most, merchant=merchant)
            for event in self.run(reading):
                playback.take(event)
                self.tally[f"event: {event.kind}"] += 1
        if self.was_slow():
            self.tally["started over"] += 1
            return self.start()
        for merchant, playback in self.playbacks.items():
            assert playback.held == self.held_leases(merchant)
            known = self.known_bookings(merchant)
            assert {name: playback.bookings[name] for name in known} == known
        return None

    def held_leases(self, merchant: str) -> dict[str, tuple[Place, int]]:
        """Return what the reference says is held."""
        return {
            ids.wire_id(merchant, owner.removeprefix("lease ")): ((slot, spot), ends_at_ms)
            for (slot, spot), (owner, ends_at_ms) in self.reference.owners.items()
            if slot.merchant_id == merchant and owner.startswith("lease ")
        }

    def known_bookings(self, merchant: str) -> dict[str, tuple[Place, str]]:
        """Return the bookings that the reference remembers."""
        return {
            ids.wire_id(merchant, suffix): ((made.current_slot, made.spot), str(made.status))
            for (whose, suffix), made in self.reference.bookings.items()
            if whose == merchant
        }


class EventFakeWalk(EventWalk, FakeWalk):
    """On fakeredis, at and around every instant at which a hold ends."""

    terms = replace(FakeWalk.terms, **EVERY_EVENT)
    steps = (*FakeWalk.steps, "events")


class EventStrictFakeWalk(EventWalk, StrictFakeWalk):
    """With slots of several spots."""

    terms = replace(StrictFakeWalk.terms, **EVERY_EVENT)
    steps = (*StrictFakeWalk.steps, "events")


class EventRealWalk(EventWalk, RealWalk):
    """On a server whose clock goes on."""

    terms = replace(RealWalk.terms, **EVERY_EVENT)
    steps = (*RealWalk.steps, "events", "wait")
