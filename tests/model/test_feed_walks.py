"""Random walks with feeds; see test_walks.py."""

import pytest
from tests.model.answers import INVENTORY_ANSWERS, OPEN_ANSWERS
from tests.model.strict_walks import StrictFakeWalk
from tests.model.walking import SHRINKS_FOR_S, sizes, walk_until

pytestmark = pytest.mark.timeout(SHRINKS_FOR_S)


@sizes(8, 50)
def test_walks_with_feeds_on_the_fake_agree_with_the_reference(walks: int, walk_seed: int) -> None:
    """With capacities that rise and fall and slots that come and go, both agree as well."""
    answers = OPEN_ANSWERS | INVENTORY_ANSWERS if walks > 8 else set()
    assert walk_until(StrictFakeWalk, walk_seed, walks, answers)["known full"]
