"""Random walks on real servers, where a failing walk cannot be shrunk; see test_walks.py."""

from collections.abc import Callable

import pytest
from hypothesis import Phase
from tests.model.event_walks import EventRealWalk
from tests.model.real_walks import RealWalk
from tests.model.strict_walks import StrictRealWalk
from tests.model.walking import SHRINKS_FOR_S, sizes, walk
from tests.model.walks import Tally, Walk
from tests.servers import REAL_SERVERS, RedisServer, running

pytestmark = pytest.mark.timeout(SHRINKS_FOR_S)


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
