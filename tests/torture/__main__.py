"""The torture run: ``python -m tests.torture``. What it does is told in docs/development.md."""

import argparse
import asyncio
import random
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from tests.torture import history, report
from tests.torture.run import Case, Result, run

ROOT = Path(__file__).parents[2]
MATRIX = (
    Case("single", "everysec"),
    Case("single", "always"),
    Case("sentinel", "everysec", acks=0),
    Case("sentinel", "always", acks=1),
    Case("cluster", "everysec", acks=0),
    Case("cluster", "always", acks=1),
)
"""What ``--matrix`` tortures; the first replicated setting of each kind loses grants."""
_MOST_SHOWN = 10
_FOR_WHAT_BREAKS = Path("build/torture")

console = Console(highlight=False, width=None if sys.stdout.isatty() else 130)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--topology", choices=("single", "sentinel", "cluster"), default="single")
    parser.add_argument("--fsync", choices=("always", "everysec", "no"), default="everysec")
    parser.add_argument("--acks", type=int, default=0, metavar="N")
    parser.add_argument("--matrix", action="store_true", help="every setting, one after the other")
    parser.add_argument(
        "--seconds", type=float, default=60, help="of faults, all settings together"
    )
    parser.add_argument("--seed", type=int, default=random.getrandbits(32))
    parser.add_argument("--store", choices=("redis7", "valkey9"), default="valkey9")
    parser.add_argument(
        "--out",
        type=Path,
        help="a folder for every history; one that breaks a promise is kept anyway",
    )
    parser.add_argument("--document", type=Path, help="a document that gets the report")
    return parser.parse_args()


def main() -> int:
    """Run what was asked for; return 1 if a setting does not keep what it promises."""
    wanted = arguments()
    cases = MATRIX if wanted.matrix else (Case(wanted.topology, wanted.fsync, wanted.acks),)
    possible = [case for case in cases if not case.missing]
    skipped = [case for case in cases if case.missing]
    for case in skipped:
        console.print(f"left out: {case}: {case.missing}", style="yellow")
    console.print(f"--seed {wanted.seed}")
    results = [_run(case, wanted, wanted.seconds / len(possible)) for case in possible]
    if not results:
        return 1
    console.print(_table(results))
    if wanted.document:
        by = shlex.join(["python", "-m", "tests.torture", *sys.argv[1:]])
        report.write(wanted.document, results, skipped, by)
        console.print(f"written: {wanted.document}")
    return int(any(result.broken for result in results))


def _run(case: Case, wanted: argparse.Namespace, seconds: float) -> Result:
    console.rule(str(case))
    began_s = time.monotonic()

    def told(what: str) -> None:
        console.print(f"{time.monotonic() - began_s:6.1f} s  {what}")

    result = asyncio.run(run(case, wanted.seed, seconds, told, wanted.store))
    if wanted.out or result.broken:
        folder = wanted.out or _FOR_WHAT_BREAKS
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{case.topology}-{case.fsync}-{case.acks}-{wanted.seed}.jsonl"
        history.save(path, result.history)
        told(f"the history is in {path}")
    for violation in result.violations[:_MOST_SHOWN]:
        console.print(str(violation), style="red" if case.keeps_all else None)
    more = len(result.violations) - _MOST_SHOWN
    if more > 0:
        console.print(f"and {more} more violations")
    return result


def _table(results: Sequence[Result]) -> Table:
    table = Table(*report._HEADINGS)
    for result in results:
        table.add_row(*report.cells(result), style="red" if result.broken else None)
    return table


if __name__ == "__main__":
    sys.exit(main())
