import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "failure-modes.md").read_text()


def test_every_failure_mode_names_a_test_that_exists() -> None:
    """Each row of docs/failure-modes.md names something that the tests have."""
    code = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    rows = re.findall(r"^\| (\d+) \|.*\| `(\w+)`[^|]*\|$", DOCUMENT, re.MULTILINE)

    assert len(rows) == len(re.findall(r"^\| \d+ \|", DOCUMENT, re.MULTILINE))
    missing = [n for _, n in rows if not re.search(rf"(?:def {n}\(|^{n} =)", code, re.MULTILINE)]
    assert missing == []


def test_every_number_in_the_tests_is_in_the_document() -> None:
    """Whoever reads a number of a failure mode finds it explained."""
    listed = set(re.findall(r"^\| (\d+) \|", DOCUMENT, re.MULTILINE))
    for path in (ROOT / "tests").rglob("test_*.py"):
        assert set(re.findall(r"\(failure mode (\d+)\)", path.read_text())) <= listed, path


def test_failure_modes_stand_in_order_and_once() -> None:
    """Other documents refer to a row by its number."""
    numbers = [int(number) for number in re.findall(r"^\| (\d+) \|", DOCUMENT, re.MULTILINE)]

    assert numbers == sorted(set(numbers))
