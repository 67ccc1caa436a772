"""Random walks: the scripts and the reference store agree, answer for answer and key for key.

A failing walk is shrunk and printed step by step, and the seed of the run is printed with it. The
same walks again: ``pytest tests/model/test_walks.py --hypothesis-seed=<seed>``, with ``-m long``
if it was a long run. With feeds, with events and on real servers they are files of their own, for
files run side by side.
"""

import pytest
from tests.model.answers import OPEN_ANSWERS
from tests.model.walking import SHRINKS_FOR_S, sizes, walk_until
from tests.model.walks import FakeWalk

pytestmark = pytest.mark.timeout(SHRINKS_FOR_S)


@sizes(12, 1010)
def test_walks_on_the_fake_agree_with_the_reference(walks: int, walk_seed: int) -> None:
    """Whatever is asked at whatever instant, both agree; the long run meets every answer."""
    is_long = walks > 12
    tally = walk_until(FakeWalk, walk_seed, walks, OPEN_ANSWERS if is_long else set())
    assert tally["steps"] >= 100_000 or not is_long
