"""Whether the clock of a store has stepped, as one process sees it from heartbeat to heartbeat."""

import time
from dataclasses import dataclass

import structlog

# A machine that slept has missed nothing: this clock went on, as that of the store did.
_CLOCK: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_PRECISE_MS = 1000

_log = structlog.get_logger()


def elapsed_s() -> float:
    """Return the seconds of a clock that cannot be set, from any beginning."""
    return time.clock_gettime(_CLOCK)


@dataclass(frozen=True, slots=True)
class Reading:
    """What the store's clock said at some moment between a question and its answer."""

    at_ms: float
    """Epoch milliseconds."""
    sent_s: float
    received_s: float
    """Both by elapsed_s."""

    @property
    def least_ms(self) -> float:
        """Return the least that the store's clock can be ahead of this process' own."""
        return self.at_ms - self.received_s * 1000

    @property
    def most_ms(self) -> float:
        """Return the most that it can be ahead."""
        return self.at_ms - self.sent_s * 1000

    @property
    def round_trip_ms(self) -> float:
        """Return how long the answer took, which is all that the reading may be wrong by."""
        return self.most_ms - self.least_ms

    def step_to(self, later: "Reading") -> float:
        """Return by how many ms at least the clock has stepped since; negative for back."""
        ahead_ms, behind_ms = later.least_ms - self.most_ms, later.most_ms - self.least_ms
        return max(ahead_ms, 0) + min(behind_ms, 0)


class StoreClock:
    """Compares the clock of one server with one that cannot be set; their offset must stay.

    Once it has changed by more than ``limit_ms`` nothing that depends on time is safe until the
    clock is back, or ``hold_ms``, the longest lease, has passed: then what was held by the clock of
    before has ended, and the new one counts.
    """

    def __init__(self, limit_ms: int, hold_ms: int) -> None:
        self._limit_ms = limit_ms
        self._hold_ms = hold_ms
        self._trusted: Reading | None = None
        self._stepped_ms = 0.0
        self._ends_s = 0.0

    @property
    def stepped_s(self) -> int:
        """Return by how much the clock has stepped, negative for back; 0 while it is trusted."""
        return round(self._stepped_ms / 1000)

    @property
    def remaining_s(self) -> float:
        """Return for how much longer the clock is not trusted, if it does not step back."""
        return max(0.0, self._ends_s - elapsed_s()) if self._stepped_ms else 0.0

    def learn(self, reading: Reading, back_at_ms: int, back_by_ms: int) -> None:
        """Take over that the clock has stepped back, unless this process knows better.

        ``back_at_ms`` is when, by the clock as it is now; ``back_by_ms`` is 0 without a step.
        """
        since_ms = max(0, reading.at_ms - back_at_ms)
        if self._trusted is None and back_by_ms and since_ms < self._hold_ms:
            at_ms = reading.at_ms + back_by_ms
            self._trusted = Reading(at_ms, reading.sent_s, reading.received_s)
            self._begin(-back_by_ms, reading.received_s + (self._hold_ms - since_ms) / 1000)

    def compare(self, reading: Reading) -> None:
        """Notice a step since the last reading, or that one is over."""
        step_ms = self._trusted.step_to(reading) if self._trusted else 0
        if abs(step_ms) <= self._limit_ms:
            self._settle("stepped back", reading)
        elif self._is_another(step_ms, reading):
            self._begin(step_ms, reading.received_s + self._hold_ms / 1000)
        elif reading.received_s >= self._ends_s:
            self._trusted = None
            self._settle("the longest lease has passed", reading)

    def _is_another(self, step_ms: float, reading: Reading) -> bool:
        """Tell a step from the one that is known, which looks smaller in a slow answer."""
        slack_ms = self._limit_ms + reading.round_trip_ms
        return not self._stepped_ms or abs(step_ms - self._stepped_ms) > slack_ms

    def _begin(self, step_ms: float, ends_s: float) -> None:
        self._stepped_ms, self._ends_s = step_ms, ends_s
        _log.error("store_clock_stepped", by_s=self.stepped_s)

    def _settle(self, why: str, reading: Reading) -> None:
        if self._stepped_ms:
            _log.info("store_clock_trusted", by_s=self.stepped_s, why=why)
            self._stepped_ms = 0
        # A slow answer tells little, and would hide a step that comes with it.
        known = self._trusted
        if known is None or reading.round_trip_ms <= max(_PRECISE_MS, known.round_trip_ms):
            self._trusted = reading
