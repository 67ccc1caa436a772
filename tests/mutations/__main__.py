"""Plants mistakes: ``python -m tests.mutations [NAME ...]``; told in docs/development.md."""

import argparse
import sys
import time

from rich.console import Console
from rich.table import Table
from tests.mutations import planted
from tests.mutations.planted import Mistake, Verdict

console = Console(highlight=False, width=None if sys.stdout.isatty() else 130)
_AT_ONCE = 2


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutations", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="of mistakes; without any, all")
    parser.add_argument("--at-once", type=int, default=_AT_ONCE, metavar="N")
    return parser.parse_args()


def main() -> int:
    """Plant what was asked for; return 1 if a mistake is missed, or cannot be planted."""
    wanted, known = arguments(), {mistake.name: mistake for mistake in planted.load()}
    unknown = set(wanted.names) - known.keys()
    if unknown:
        console.print(f"There is no mistake {', '.join(sorted(unknown))}.")
        return 1
    chosen = [known[name] for name in wanted.names] or list(known.values())
    faults = {mistake.name: fault for mistake in chosen if (fault := mistake.fault())}
    for name, fault in faults.items():
        console.print(f"{name}: {fault}")
    if faults:
        return 1
    return _report(_judged(chosen, wanted.at_once))


def _judged(chosen: list[Mistake], at_once: int) -> dict[Mistake, Verdict]:
    began_at_s, verdicts = time.monotonic(), {}
    for mistake, verdict in planted.judge(chosen, at_once, with_controls=True):
        verdicts[mistake] = verdict
        passed_s = time.monotonic() - began_at_s
        console.print(f"{len(verdicts)}/{len(chosen)} {passed_s:.0f} s {mistake.name}: {verdict}")
    return {mistake: verdicts[mistake] for mistake in chosen}


def _report(verdicts: dict[Mistake, Verdict]) -> int:
    table = Table("mistake", "then", "test", "")
    for mistake, verdict in verdicts.items():
        table.add_row(mistake.name, mistake.says, mistake.test.rpartition("::")[2], verdict)
    console.print(table)
    return int(any(verdict is not Verdict.NOTICED for verdict in verdicts.values()))


if __name__ == "__main__":
    sys.exit(main())
