"""What the random walks of a run begin with."""

import random

import pytest


@pytest.fixture
def walk_seed(request: pytest.FixtureRequest) -> int:
    """What all random choices of a run come from, printed so that a run can be repeated."""
    given = request.config.getoption("--hypothesis-seed")
    chosen = int(given) if given and given != "random" else random.getrandbits(32)
    print(f"--hypothesis-seed={chosen}")
    return chosen
