import re
from pathlib import Path

TESTS = Path(__file__).parents[1]

OWNED = {8, 9, 18, 19, 20, 21, 22, 23, 24, 25}
"""The failures seen elsewhere whose tests name their number."""


def test_every_failure_mode_that_is_owned_has_a_test_that_names_it() -> None:
    """A reader finds the test of a failure mode by its number."""
    named = {
        int(number)
        for path in TESTS.rglob("test_*.py")
        for number in re.findall(r"\(failure mode (\d+)\)", path.read_text())
    }
    assert named >= OWNED
