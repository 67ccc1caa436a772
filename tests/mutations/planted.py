"""Planted mistakes: what each changes, and whether the test that should notice it does."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]
TABLE = Path(__file__).with_name("planted.toml")
LONGEST_S = 120
_LEFT_BEHIND = shutil.ignore_patterns(
    ".*", "__pycache__", "build", "dist", "*.egg-info", "node_modules"
)
_PASSED, _FAILED = 0, 1


@dataclass(frozen=True, slots=True)
class Mistake:
    """One wrong text in one file, and the test that is expected to notice it."""

    name: str
    says: str
    """One sentence: what is wrong then."""
    file: str
    text: str
    """Stands in the file exactly once."""
    instead: str
    test: str
    """A file and a test in it, as pytest takes them."""
    only: str = ""
    """Which of the test's parameters will do, as pytest's -k takes them; all without it."""

    def fault(self, root: Path = ROOT) -> str | None:
        """Return why this cannot be planted, or None."""
        path, (test_file, _, test_name) = root / self.file, self.test.partition("::")
        if not path.is_file():
            return f"{self.file} is not there"
        count = path.read_text(encoding="utf-8").count(self.text)
        if count != 1:
            return f"its text is in {self.file} {count} times, not once"
        begin = rf"^(?:async )?def {re.escape(test_name.partition('[')[0])}\("
        found = root / test_file
        if not found.is_file() or not re.search(begin, found.read_text("utf-8"), re.MULTILINE):
            return f"there is no test {self.test}"
        return None


class Verdict(StrEnum):
    """What became of a mistake."""

    NOTICED = "noticed"
    MISSED = "MISSED"
    """The test passes beside the mistake."""
    UNUSABLE = "UNUSABLE"
    """The test cannot be run, or fails without the mistake as well."""


def load() -> list[Mistake]:
    """Return every planted mistake, in the order of the table."""
    return [Mistake(**each) for each in tomllib.loads(TABLE.read_text("utf-8"))["mistake"]]


def judge(
    mistakes: Iterable[Mistake], at_once: int, *, with_controls: bool
) -> Iterator[tuple[Mistake, Verdict]]:
    """Plant mistakes in copies of the tree; yield each verdict when it is known.

    With controls every test is run without a mistake first: one that fails by itself notices
    nothing.
    """
    with _copies(at_once) as copies, ThreadPoolExecutor(at_once) as pool:

        def on_a_copy(mistake: Mistake) -> Verdict:
            copy = copies.get()
            try:
                return _verdict(mistake, copy, with_control=with_controls)
            finally:
                copies.put(copy)

        running = {pool.submit(on_a_copy, mistake): mistake for mistake in mistakes}
        try:
            for done in as_completed(running):
                yield running[done], done.result()
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _copies(count: int) -> Iterator["SimpleQueue[Path]"]:
    """Copy the tree, the environment and caches apart, for each that works at a time."""
    copies: SimpleQueue[Path] = SimpleQueue()
    with TemporaryDirectory(prefix="leasehold-mutations-") as place:
        for number in range(count):
            copy = Path(place) / f"{number}"
            shutil.copytree(ROOT, copy, symlinks=True, ignore=_LEFT_BEHIND)
            copies.put(copy)
        yield copies


def _verdict(mistake: Mistake, copy: Path, *, with_control: bool) -> Verdict:
    if with_control and _run(mistake, copy) != _PASSED:
        return Verdict.UNUSABLE
    path = copy / mistake.file
    right = path.read_text(encoding="utf-8")
    path.write_text(right.replace(mistake.text, mistake.instead), encoding="utf-8")
    try:
        code = _run(mistake, copy)
    finally:
        path.write_text(right, encoding="utf-8")
    return {_PASSED: Verdict.MISSED, _FAILED: Verdict.NOTICED}.get(code, Verdict.UNUSABLE)


def _run(mistake: Mistake, copy: Path) -> int:
    """Return pytest's exit code; a test that does not end has failed."""
    environment = {
        **os.environ,
        # The package as well comes from the copy, for the test and for the programs that it starts.
        "PYTHONPATH": str(copy / "service"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HYPOTHESIS_STORAGE_DIRECTORY": str(copy / ".hypothesis"),
    }
    program = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    try:
        done = subprocess.run(
            # Marks do not matter: which test it is has been said.
            [*program, "-o", "addopts=--import-mode=importlib", "-k", mistake.only, mistake.test],
            cwd=copy,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=LONGEST_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return _FAILED
    return done.returncode
