"""Some of the planted mistakes, chosen by a seed; ``make mutations`` plants all of them."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
from tests.mutations import planted
from tests.mutations.planted import Mistake, Verdict

_CHOSEN = 5
_SMALL = Mistake(
    name="small",
    says="a sum is a difference",
    file="tests/mutations/small.py",
    text="a + b",
    instead="a - b",
    test="tests/mutations/test_small.py::test_add",
)


@pytest.mark.long
@pytest.mark.timeout(_CHOSEN * planted.LONGEST_S)
def test_planted_mistakes_are_noticed_by_their_tests() -> None:
    """A test that passes beside the mistake that it is named for protects nothing."""
    seed = random.getrandbits(32)
    chosen = random.Random(seed).sample(planted.load(), _CHOSEN)
    print(f"seed {seed}: python -m tests.mutations {' '.join(each.name for each in chosen)}")

    verdicts = dict(planted.judge(chosen, 2, with_controls=False))

    assert {m.name: v for m, v in verdicts.items() if v is not Verdict.NOTICED} == {}


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree of one file and its test, instead of the project."""
    folder = tmp_path / "tests" / "mutations"
    folder.mkdir(parents=True)
    (folder / "small.py").write_text("def add(a, b):\n    return a + b\n")
    tests = {"add": "add(2, 1) == 3", "passes": "add(2, 0) == 2", "fails": "False"}
    lines = [f"def test_{name}():\n    assert {fact}\n" for name, fact in tests.items()]
    text = "\n\n".join(["from tests.mutations.small import add\n", *lines])
    (folder / "test_small.py").write_text(text)
    (tmp_path / "pyproject.toml").write_text('[tool.pytest.ini_options]\npythonpath = ["."]\n')
    monkeypatch.setattr(planted, "ROOT", tmp_path)
    return tmp_path


@pytest.mark.long
def test_judge_tells_noticed_from_missed_and_unusable(tree: Path) -> None:
    """Only a test that passes without the mistake and fails beside it has noticed it."""
    file = "tests/mutations/test_small.py"
    mistakes = [
        _SMALL,
        replace(_SMALL, name="missed", test=f"{file}::test_passes"),
        replace(_SMALL, name="failing", test=f"{file}::test_fails"),
        replace(_SMALL, name="absent", test=f"{file}::test_absent"),
    ]

    verdicts = {m.name: v for m, v in planted.judge(mistakes, 2, with_controls=True)}

    assert verdicts == {
        "small": Verdict.NOTICED,
        "missed": Verdict.MISSED,
        "failing": Verdict.UNUSABLE,
        "absent": Verdict.UNUSABLE,
    }
    assert "a + b" in (tree / _SMALL.file).read_text()


def test_fault_names_what_keeps_a_mistake_from_being_planted(tree: Path) -> None:
    """A text that is gone, or is there twice, and a test that is gone are told apart."""
    faults = {
        "its text is in tests/mutations/small.py 0 times": replace(_SMALL, text="a * b"),
        "its text is in tests/mutations/small.py 2 times": replace(_SMALL, text="a, b"),
        "is not there": replace(_SMALL, file="tests/none.py"),
        "there is no test": replace(_SMALL, test="tests/mutations/test_small.py::test_a"),
    }
    (tree / _SMALL.file).write_text("def add(a, b):\n    return a + b\n\n\n# a, b\n")

    assert _SMALL.fault(tree) is None
    for words, mistake in faults.items():
        assert words in str(mistake.fault(tree))
