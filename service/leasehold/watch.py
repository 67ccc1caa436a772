"""What a process keeps finding out about the data of its store while it serves."""

import asyncio
from contextlib import suppress

from leasehold.model.deadline import Deadline
from leasehold.model.errors import DeadlinePassedError, OverloadedError, StoreUnavailableError
from leasehold.settings import Settings
from leasehold.store import safety
from leasehold.store.feed_ages import FeedAgeWatch
from leasehold.store.link import Link
from leasehold.store.long_slots import LongSlots
from leasehold.store.marker import Runner
from leasehold.store.markers import Guard, Markers
from leasehold.store.user_key_mark import UserKeyMark
from leasehold.telemetry import metrics
from leasehold.telemetry.findings import Findings
from leasehold.telemetry.rounds import Rounds

_BEAT_INTERVAL_S = 1
_PAGES_A_LOOK = 10
_MERCHANTS_A_LOOK = 500


class Watch:
    """Looks for lost data about once a second, and at the store's own settings now and then."""

    def __init__(self, settings: Settings, link: Link, known: Findings) -> None:
        """Whatever is found is noted in ``known``."""
        self._link = link
        self._known = known
        self._timeout_s = settings.call_timeout_s
        self._replica_acks = settings.replica_acks
        self.user_key_mark = UserKeyMark(link, settings.user_keys(), writes=True)
        """Whether users may be looked for and written."""
        self._long_slots = LongSlots(link, settings.max_slot_s, _PAGES_A_LOOK)
        self._feed_ages = FeedAgeWatch(link, _PAGES_A_LOOK, _MERCHANTS_A_LOOK)
        self._is_strict = settings.inventory == "strict"
        hold_ms = settings.lease_terms().max_lease_ms
        self._markers = Markers(
            link,
            hold_ms,
            on_loss=metrics.data_losses.inc,
            clock_step_ms=round(settings.clock_step_s * 1000),
        )
        self._rounds = (
            Rounds(self._beat, _BEAT_INTERVAL_S),
            Rounds(self._look, settings.check_interval_s),
        )
        self._has_quarantine = settings.quarantine == "on"
        metrics.quarantine_remaining.set_function(self._quarantine_remaining_s)
        metrics.clock_step_remaining.set_function(lambda: self._markers.clock_step_remaining_s)

    def taking(self) -> Runner:
        """Return what runs scripts that take a spot, or tell that one is free.

        It refuses after a step of the store's clock, and in quarantine where that is on.
        """
        markers = self._markers
        return Guard(self._link, markers.admit if self._has_quarantine else markers.check_clock)

    def promising(self) -> Runner:
        """Return what runs scripts that promise time and take no spot; it refuses after a step."""
        return Guard(self._link, self._markers.check_clock)

    def connected(self) -> None:
        """Look at once: it may be another store, or the same one with less in it."""
        self._markers.doubt()
        for each in self._rounds:
            each.wake()

    def start(self) -> set[asyncio.Task[None]]:
        """Begin; a task that ends before it is stopped has failed."""
        return {asyncio.create_task(each.run()) for each in self._rounds}

    def stop(self) -> None:
        """Let what runs come to its end."""
        for each in self._rounds:
            each.stop()

    # That a store does not answer is told by readiness; what is known stays known meanwhile.

    async def _beat(self) -> None:
        with suppress(StoreUnavailableError, DeadlinePassedError, OverloadedError):
            deadline = Deadline.within(self._timeout_s, None)
            self._known.note(await self.user_key_mark.look(deadline))
        with suppress(StoreUnavailableError, DeadlinePassedError, OverloadedError):
            self._known.note(await self._markers.beat(Deadline.within(self._timeout_s, None)))
            self._known.note(self._markers.step)

    async def _look(self) -> None:
        for finding in await self._link.findings(Deadline.within(self._timeout_s, None)):
            self._known.note(finding)
        with suppress(StoreUnavailableError, DeadlinePassedError, OverloadedError):
            deadline = Deadline.within(self._timeout_s, None)
            for finding in await safety.look(self._link, deadline, self._replica_acks):
                self._known.note(finding)
            self._known.note(await self._long_slots.look(deadline))
            if self._is_strict:
                ages = await self._feed_ages.look(deadline)
                metrics.feed_oldest_age.set(ages.oldest_ms / 1000)
                metrics.feeds_old.set(ages.old)
                self._known.note(ages.finding)

    def _quarantine_remaining_s(self) -> float:
        return self._markers.quarantine_remaining_s if self._has_quarantine else 0
