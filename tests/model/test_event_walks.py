"""Random walks with events; see test_walks.py."""

from collections.abc import Callable

import pytest
from tests.model.event_walks import EventFakeWalk, EventStrictFakeWalk
from tests.model.walking import SHRINKS_FOR_S, sizes, walk_until
from tests.model.walks import Tally, Walk

from leasehold.model.events import EventKind

pytestmark = pytest.mark.timeout(SHRINKS_FOR_S)


@sizes(6, 50)
@pytest.mark.parametrize("make", [EventFakeWalk, EventStrictFakeWalk])
def test_walks_played_back_from_their_events_say_what_the_reference_says(
    make: Callable[[Tally], Walk], walks: int, walk_seed: int
) -> None:
    """Who knows nothing but the events knows every held lease and every booking as it is."""
    kinds = set(EventKind) - {EventKind.UNKNOWN} if walks > 6 else set()
    walk_until(make, walk_seed, walks, {f"event: {kind}" for kind in kinds})
