"""Random walks: the scripts and the reference store agree, answer for answer and key for key.

A failing walk is shrunk and printed step by step, and the seed of the run is printed with it. The
same walks again: ``pytest tests/model/test_walks.py --hypothesis-seed=<seed>``, with ``-m long``
if it was a long run. On real servers the time is real too, so a walk is not shrunk there.
"""

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from tests.model.answers import INVENTORY_ANSWERS, OPEN_ANSWERS
from tests.model.event_walks import EventFakeWalk, EventRealWalk, EventStrictFakeWalk
from tests.model.strict_walks import StrictFakeWalk, StrictRealWalk
from tests.model.walks import FakeWalk, RealWalk, Tally, Walk
from tests.servers import REAL_SERVERS, RedisServer, running

from leasehold.model.events import EventKind

pytestmark = pytest.mark.timeout(1200)  # Hypothesis shrinks for minutes.


@pytest.fixture
def walk_seed(request: pytest.FixtureRequest) -> int:
    """What all random choices of a run come from, printed so that a run can be repeated."""
    given = request.config.getoption("--hypothesis-seed")
    chosen = int(given) if given and given != "random" else random.getrandbits(32)
    print(f"--hypothesis-seed={chosen}")
    return chosen


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


def sizes(short: int, long: int) -> pytest.MarkDecorator:
    """Run a test with few walks, and where that is asked for with many."""
    many = pytest.param(long, id="long", marks=pytest.mark.long)
    return pytest.mark.parametrize("walks", [pytest.param(short, id="short"), many])


@sizes(12, 1200)
def test_walks_on_the_fake_agree_with_the_reference(walks: int, walk_seed: int) -> None:
    """Whatever is asked at whatever instant, both agree; the long run meets every answer."""
    tally = Tally()
    walk(lambda: FakeWalk(tally), walk_seed, walks=walks, steps=100)
    print(*sorted(tally.items()), sep="\n")
    if walks > 1000:
        assert tally["steps"] >= 100_000
        assert tally.keys() >= OPEN_ANSWERS


@sizes(8, 200)
def test_walks_with_feeds_on_the_fake_agree_with_the_reference(walks: int, walk_seed: int) -> None:
    """With capacities that rise and fall and slots that come and go, both agree as well."""
    tally = Tally()
    walk(lambda: StrictFakeWalk(tally), walk_seed, walks=walks, steps=100)
    print(*sorted(tally.items()), sep="\n")
    assert tally["known full"]
    if walks > 100:
        # So few walks seldom meet a no-show to be cancelled, or a move to a slot of one's own.
        seldom = {f"update_booking: {it}" for it in ("not_cancellable", "already_booked_by_user")}
        assert tally.keys() >= (OPEN_ANSWERS | INVENTORY_ANSWERS) - seldom


@sizes(6, 100)
@pytest.mark.parametrize("make", [EventFakeWalk, EventStrictFakeWalk])
def test_walks_played_back_from_their_events_say_what_the_reference_says(
    make: Callable[[Tally], Walk], walks: int, walk_seed: int
) -> None:
    """Who knows nothing but the events knows every held lease and every booking as it is."""
    tally = Tally()
    walk(lambda: make(tally), walk_seed, walks=walks, steps=100)
    print(*sorted(tally.items()), sep="\n")
    if walks > 50:
        # So few walks seldom meet a no-show that is confirmed again.
        kinds = set(EventKind) - {EventKind.UNKNOWN, EventKind.BOOKING_CONFIRMED}
        assert tally.keys() >= {f"event: {kind}" for kind in kinds}


@pytest.mark.parametrize("name", REAL_SERVERS)
@sizes(2, 30)
@pytest.mark.parametrize("make", [RealWalk, StrictRealWalk, EventRealWalk])
def test_walks_on_a_server_agree_with_the_reference(
    make: Callable[[RedisServer, Tally], Walk], name: str, walks: int, walk_seed: int
) -> None:
    """Servers end by themselves what the reference says has ended, and answer as it does."""
    tally = Tally()
    with running(name) as server:
        only = [Phase.generate]  # What depends on real time cannot be shrunk.
        walk(lambda: make(server, tally), walk_seed, walks=walks, steps=40, phases=only)
    print(*sorted(tally.items()), sep="\n")
    assert tally["started over"] * 10 <= tally["steps"]
