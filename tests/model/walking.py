"""How far the random walks go."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from tests.model.walks import Tally, Walk

SHRINKS_FOR_S = 1200
"""How long Hypothesis may take to shrink a walk that fails."""
_MOST_TIMES, _WALKS_MORE = 20, 50


def walk(make: Callable[[], Walk], walk_seed: int, *, walks: int, steps: int, **more: Any) -> None:
    """Walk so many times, so many steps each, and shrink a walk that fails."""
    run_state_machine_as_test(
        seed(walk_seed)(make),  # type: ignore[arg-type]
        settings=settings(
            max_examples=walks,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            print_blob=True,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
            **more,
        ),
    )


def walk_until(
    make: Callable[[Tally], Walk], walk_seed: int, walks: int, answers: set[str]
) -> Tally:
    """Walk so many times, and on until each of the answers has been met.

    Some answers need a chain of steps that chance seldom makes.
    """
    tally = Tally()
    walk(lambda: make(tally), walk_seed, walks=walks, steps=100)
    for more in range(1, _MOST_TIMES):
        if tally.keys() >= answers:
            break
        walk(lambda: make(tally), walk_seed + more, walks=_WALKS_MORE, steps=100)
    print(*sorted(tally.items()), sep="\n")
    assert tally.keys() >= answers
    return tally


def sizes(short: int, long: int) -> pytest.MarkDecorator:
    """Run a test with few walks, and where that is asked for with many."""
    many = pytest.param(long, id="long", marks=pytest.mark.long)
    return pytest.mark.parametrize("walks", [pytest.param(short, id="short"), many])
