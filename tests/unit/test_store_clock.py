"""Steps of the store's clock, told from slow answers, pauses and drift."""

import pytest

from leasehold.store import store_clock
from leasehold.store.store_clock import Reading, StoreClock

LIMIT_MS = 5_000
HOLD_MS = 900_000
EPOCH_MS = 1_800_000_000_000


@pytest.fixture
def now_s(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The process' own clock, which the test sets."""
    now = [1000.0]
    monkeypatch.setattr(store_clock, "elapsed_s", lambda: now[0])
    return now


def reading(
    sent_s: float, ahead_ms: float = 0, *, takes_s: float = 0.0, at: float = 0.5
) -> Reading:
    """Return a reading that was made when the share ``at`` of its round trip had passed."""
    at_ms = EPOCH_MS + (sent_s + at * takes_s) * 1000 + ahead_ms
    return Reading(at_ms, sent_s, sent_s + takes_s)


def clock_of(*readings: Reading) -> StoreClock:
    """Return the clock after these readings."""
    clock = StoreClock(LIMIT_MS, HOLD_MS)
    for each in readings:
        clock.compare(each)
    return clock


@pytest.mark.parametrize(
    ("ahead_ms", "is_step"),
    [
        (90_000, True),
        (-3_600_000, True),
        (5_001, True),
        (-5_001, True),
        (5_000, False),
        (-5_000, False),
        (0, False),
    ],
)
def test_step_beyond_the_limit_is_one_either_way(
    now_s: list[float], ahead_ms: int, is_step: bool
) -> None:
    """Up to the limit it is taken as it comes; beyond, the clock is not trusted."""
    clock = clock_of(reading(999), reading(now_s[0], ahead_ms))

    assert (clock.stepped_s, clock.remaining_s) == (
        (round(ahead_ms / 1000), HOLD_MS / 1000) if is_step else (0, 0)
    )


def test_step_is_over_once_the_clock_is_back(now_s: list[float]) -> None:
    """A clock that is back within the limit is trusted at once."""
    clock = clock_of(reading(999), reading(1000, 90_000), reading(now_s[0], 90_000))
    assert clock.remaining_s == HOLD_MS / 1000

    clock.compare(reading(1002, 3_000))
    assert clock.remaining_s == 0
    clock.compare(reading(1003, 6_000))
    assert clock.remaining_s == 0


def test_step_is_over_after_the_longest_lease_and_the_clock_counts_as_it_is(
    now_s: list[float],
) -> None:
    """Beats meanwhile change nothing; after it a return is a step of its own."""
    clock = clock_of(reading(999), *(reading(1000 + n, 90_000) for n in range(900)))
    now_s[0] = 1899.5
    assert clock.remaining_s == 0.5
    now_s[0] = 1900
    assert clock.remaining_s == 0

    clock.compare(reading(1900, 90_000))
    assert clock.stepped_s == 0
    clock.compare(reading(1901, 0))
    assert clock.stepped_s == -90


def test_second_step_begins_the_time_afresh(now_s: list[float]) -> None:
    """What was promised between two steps has the longest lease too."""
    clock = clock_of(reading(999), reading(1000, 90_000), reading(1600, 700_000))
    now_s[0] = 1600

    assert (clock.stepped_s, clock.remaining_s) == (700, HOLD_MS / 1000)


@pytest.mark.parametrize("at", [0, 0.5, 1])
def test_slow_answer_and_a_paused_process_are_no_step(now_s: list[float], at: float) -> None:
    """Somewhere in an answer's time the clock was read: no more than that is known of it."""
    paused = reading(now_s[0], takes_s=60, at=at)
    clock = clock_of(reading(999))

    for each in (paused, reading(1061), reading(5000)):
        clock.compare(each)
        assert clock.stepped_s == 0


def test_slow_answer_hides_no_step_from_the_next_one(now_s: list[float]) -> None:
    """It does not take the place of a reading that tells more."""
    clock = clock_of(reading(999), reading(1000, 7_000, takes_s=6))
    assert clock.stepped_s == 0

    now_s[0] = 1007
    clock.compare(reading(1007, 7_000))
    assert clock.stepped_s == 7


def test_slow_answer_after_a_step_does_not_begin_the_time_afresh(now_s: list[float]) -> None:
    """The step looks smaller in it, and is the same."""
    clock = clock_of(reading(999), reading(1000, 90_000), reading(1001, 90_000, takes_s=20))
    now_s[0] = 1021

    assert clock.remaining_s == HOLD_MS / 1000 - 21


def test_drift_is_no_step(now_s: list[float]) -> None:
    """A clock that is slowed or hurried gets far in the end, and never steps."""
    clock = clock_of(*(reading(now_s[0] + n, n) for n in range(10_000)))

    assert clock.stepped_s == 0


def test_step_back_that_others_have_seen_counts_for_the_rest_of_its_time(
    now_s: list[float],
) -> None:
    """A new process hears of it with its first beat, and only then."""
    clock, first = StoreClock(LIMIT_MS, HOLD_MS), reading(now_s[0])
    clock.learn(first, int(first.at_ms) - 100_000, 3_600_000)
    clock.compare(first)
    assert (clock.stepped_s, clock.remaining_s) == (-3600, 800)

    clock.compare(reading(1001, 3_600_000))
    assert clock.stepped_s == 0
    clock.learn(reading(1002, 3_600_000), int(first.at_ms), 3_600_000)
    assert clock.stepped_s == 0


@pytest.mark.parametrize(("ago_ms", "by_ms"), [(HOLD_MS, 3_600_000), (0, 0)])
def test_step_back_of_long_ago_is_over(now_s: list[float], ago_ms: int, by_ms: int) -> None:
    """After one longest lease a new process has nothing to wait for."""
    clock, first = StoreClock(LIMIT_MS, HOLD_MS), reading(now_s[0])
    clock.learn(first, int(first.at_ms) - ago_ms, by_ms)
    clock.compare(first)

    assert clock.stepped_s == 0


def test_step_back_that_is_noted_ahead_of_time_ends_within_the_longest_lease(
    now_s: list[float],
) -> None:
    """The clock may have stepped back once more since others noted it."""
    clock, first = StoreClock(LIMIT_MS, HOLD_MS), reading(now_s[0])
    clock.learn(first, int(first.at_ms) + 10**7, 3_600_000)
    clock.compare(first)

    assert clock.remaining_s == HOLD_MS / 1000
