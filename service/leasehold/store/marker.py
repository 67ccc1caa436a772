"""The marker of a data set: tells when the store comes back empty, or older, or its clock steps."""

import asyncio
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol

import structlog
from redis.exceptions import ResponseError

from leasehold.model.deadline import Deadline
from leasehold.model.errors import (
    ClockSteppedError,
    DeadlinePassedError,
    QuarantinedError,
    StoreTrouble,
    StoreUnavailableError,
)
from leasehold.model.finding import Finding
from leasehold.store import keys, scripts, trouble
from leasehold.store.lane import NeverSentError
from leasehold.store.link import Reply
from leasehold.store.node import Word
from leasehold.store.scripts import Script
from leasehold.store.store_clock import Reading, StoreClock, elapsed_s

_log = structlog.get_logger()


class BeatStatus(StrEnum):
    """Every answer to a beat, in order of precedence; see lua/beat.lua."""

    CREATED = "created"
    LOST = "lost"
    WENT_BACK = "went_back"
    ADVANCED = "advanced"


class Runner(Protocol):
    """Runs scripts; a Link does."""

    async def run(
        self, script: Script, keys: list[str], arguments: list[Word], deadline: Deadline
    ) -> Reply:
        """Run a script once in effect and return its reply."""
        ...


class Marker:
    """What one process knows of the data set of one server, or one shard of a cluster.

    ``hold_ms`` is the longest hold: so long after a loss something may be given that is held.
    ``clock_step_ms`` is how much the clock may step. ``on_loss`` is called whenever this process
    has noticed a loss.
    """

    def __init__(
        self,
        link: Runner,
        hold_ms: int,
        tag: str = "",
        *,
        on_loss: Callable[[], object],
        clock_step_ms: int = 5000,
    ) -> None:
        self._link = link
        self._key = keys.marker_key(tag)
        self._hold_ms = hold_ms
        self._on_loss = on_loss
        self._beat = scripts.load("beat")
        self._process = secrets.token_hex(8)
        self._known_id, self._known_beat, self._known_at_ms = "", 0, 0
        # How often there was doubt, and how much of that has been looked into.
        self._doubts, self._settled = 1, 0
        self._one_at_a_time = asyncio.Lock()
        self._looking: asyncio.Task[Finding] | None = None
        self._lost_at_ms, self._quarantine_ends_s = 0, 0.0
        self._clock_step_ms = clock_step_ms
        self._clock = StoreClock(clock_step_ms, hold_ms)

    @property
    def quarantine_remaining_s(self) -> float:
        """Return for how much longer something may be free that is held; 0 without a loss."""
        return max(0.0, self._quarantine_ends_s - elapsed_s())

    @property
    def clock_step_remaining_s(self) -> float:
        """Return for how much longer the store's clock is not trusted; 0 while it is."""
        return self._clock.remaining_s

    def check_clock(self) -> None:
        """Raise ClockSteppedError while the store's clock is known to have stepped."""
        if remaining_s := self._clock.remaining_s:
            raise ClockSteppedError(remaining_s)

    def doubt(self) -> None:
        """Admit nobody before the next beat: the store may be another one now."""
        self._doubts += 1

    async def admit(self, deadline: Deadline) -> None:
        """Return if a spot may be taken, and look first if in doubt.

        Raises ClockSteppedError, QuarantinedError, and whatever a beat raises.
        """
        while self._settled < self._doubts:
            await self._look(deadline)
        self.check_clock()
        if remaining_s := self.quarantine_remaining_s:
            raise QuarantinedError(remaining_s)

    async def _look(self, deadline: Deadline) -> None:
        """Beat once for all who ask at the same time."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._beat_once(deadline))
            # It is no mishap if everybody who asked has left.
            self._looking.add_done_callback(lambda task: task.cancelled() or task.exception())
        await asyncio.wait({self._looking}, timeout=max(0, deadline.remaining_s()))
        if not self._looking.done():
            raise DeadlinePassedError
        try:
            self._looking.result()
        except DeadlinePassedError:
            # That of the one who came first; another look may still be in time.
            if deadline.remaining_s() <= 0:
                raise
        except StoreUnavailableError:
            if self._settled < self._doubts:
                raise

    async def beat(self, deadline: Deadline) -> Finding:
        """Look at the marker and advance it; return what is known now.

        Raises as Link.run does, but for trouble that does not pass by itself: nothing is known.
        """
        try:
            return await self._beat_once(deadline)
        except StoreUnavailableError as error:
            if error.trouble in trouble.WORTH_ANOTHER_TRY:
                raise
            return Finding("data", "warning", f"unknown: no marker can be kept ({error})")

    async def _beat_once(self, deadline: Deadline) -> Finding:
        """Beat; raises whatever it was that kept the store from being looked at, for now."""
        async with self._one_at_a_time:
            doubts, sent_s = self._doubts, elapsed_s()
            try:
                status, data_set, number, at_ms, lost_at_ms, *back = await self._run(deadline)
            except ResponseError:
                self._settled = doubts
                return Finding("data", "warning", "unknown: the store runs no scripts")
            except StoreUnavailableError as error:
                # Who may keep no marker cannot wait for one. But a store that takes no writes at
                # the moment may take them before the next beat, and be another by now.
                is_denied = error.trouble is StoreTrouble.ACCESS_DENIED
                if is_denied and not isinstance(error, NeverSentError):
                    self._settled = doubts
                raise
            # A doubt that came meanwhile may be about another server than the one that answered.
            self._settled = doubts
            self._note_loss(lost_at_ms, at_ms)
            self._tell(BeatStatus(status), data_set, lost_at_ms)
            reading = Reading(at_ms, sent_s, elapsed_s())
            self._clock.learn(reading, *back)
            self._clock.compare(reading)
            self._known_id, self._known_beat, self._known_at_ms = data_set, number, at_ms
            return self._finding(lost_at_ms)

    async def _run(self, deadline: Deadline) -> Reply:
        known: list[Word] = [self._known_id, self._known_beat, self._known_at_ms]
        arguments = [self._process, secrets.token_hex(8), *known, self._clock_step_ms]
        return await self._link.run(self._beat, [self._key], arguments, deadline)

    def _note_loss(self, lost_at_ms: int, at_ms: int) -> None:
        """Set the end of quarantine once for each loss, so that no step of the clock moves it."""
        if lost_at_ms != self._lost_at_ms:
            remaining_ms = lost_at_ms + self._hold_ms - at_ms if lost_at_ms else 0
            self._quarantine_ends_s = elapsed_s() + min(remaining_ms, self._hold_ms) / 1000
            self._lost_at_ms = lost_at_ms

    def _tell(self, status: BeatStatus, data_set: str, lost_at_ms: int) -> None:
        match status:
            case BeatStatus.CREATED:
                _log.info("data_set_created", data_set=data_set)
            case BeatStatus.LOST | BeatStatus.WENT_BACK:
                self._on_loss()
                _log.error(
                    "data_lost",
                    how=status.value,
                    known_data_set=self._known_id,
                    data_set=data_set,
                    lost_at=_text(lost_at_ms),
                )

    @property
    def step(self) -> Finding:
        """Return whether the store's clock is trusted, as far as beats have shown."""
        if not self.clock_step_remaining_s:
            return Finding("step", "ok", "the store's clock has not stepped of late")
        direction = "back" if self._clock.stepped_s < 0 else "forward"
        detail = f"the store's clock stepped {direction} by {abs(self._clock.stepped_s)} s"
        until = f"until it is back, or {self._hold_ms / 1000:g} s have passed"
        return Finding("step", "warning", f"{detail}; {until}, nothing new is held")

    def _finding(self, lost_at_ms: int) -> Finding:
        detail = f"data set {self._known_id}"
        if not lost_at_ms:
            return Finding("data", "ok", f"{detail}, no loss known")
        if not self.quarantine_remaining_s:
            return Finding("data", "ok", f"{detail}, made after a loss at {_text(lost_at_ms)}")
        ends_at = _text(lost_at_ms + self._hold_ms)
        detail = f"lost at {_text(lost_at_ms)}; until {ends_at} what is free may have been held"
        return Finding("data", "warning", detail)


def _text(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
