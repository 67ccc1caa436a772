import os
import time

import pytest
from tests.benchmarks.histogram import Histogram
from tests.benchmarks.processes import cpu_s


@pytest.mark.parametrize(
    ("percent", "expected_ms"), [(50, 50), (99, 99), (99.9, 100), (100, 100), (1, 1)]
)
def test_percentile_of_a_hundred_values_is_the_one_at_that_rank(
    percent: float, expected_ms: float
) -> None:
    """So many percent of the calls took that long or less."""
    histogram = Histogram.of(number * 1_000_000 for number in range(1, 101))

    assert histogram.percentile_ms(percent) == expected_ms


def test_percentile_is_the_upper_end_of_its_bucket() -> None:
    """A latency is never told too low."""
    histogram = Histogram(((1_000_000, 98), (5_000_000, 2)), 4_900_000)

    assert histogram.percentile_ms(98) == 1
    assert histogram.percentile_ms(99) == pytest.approx(4.9)


def test_percentile_of_nothing_is_nothing() -> None:
    """No calls have no latency."""
    assert Histogram.of([]).percentile_ms(99) == 0


def test_cpu_counts_children_that_have_ended() -> None:
    """What a process used to be counts for its parent, so nothing is lost between rounds."""
    before_s = cpu_s([os.getpid()])
    child = os.fork()
    if not child:
        give_up_at_s = time.process_time() + 0.2
        while time.process_time() < give_up_at_s:
            pass
        os._exit(0)
    os.waitpid(child, 0)

    assert cpu_s([os.getpid()]) - before_s >= 0.15
