"""Shows results: a table for people at the terminal, and a part of docs/guarantees.md."""

import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.torture.checker import Kind
from tests.torture.history import Call, Outcome
from tests.torture.run import Case, Result

_BEGIN, _END = "<!-- torture: begin -->\n", "<!-- torture: end -->"
_HEADINGS = (
    "setting",
    "minutes",
    "calls",
    "no answer that decides",
    "bookings acknowledged",
    "faults",
    "promised to keep all",
    "violations",
)

_LEGEND = """\
A setting is promised to keep all when every change is on disk before it is answered (`appendfsync
always`) and, where there are replicas, all of them have acknowledged it. A fault begins when the
one before it has healed. What was cut: a primary that is cut off refuses its replica and the
Sentinels, whose connections are killed, and still serves the service, as on the smaller side of a
network that has parted; the nodes of a cluster still hear each other on their bus meanwhile. A
single server is cut off from the service by a proxy that holds back everything. A paused process
is SIGSTOP, which to all others is a machine that has gone dark and comes back. Killed is SIGKILL:
the machine and what its kernel has taken stay. No clock was changed, and no disk lost. Acks is
`LEASEHOLD_REPLICA_ACKS`, fsync is Redis' `appendfsync`."""


def cells(result: Result) -> list[str]:
    """Return what a run came to, in the order of the headings."""
    history = result.history
    unknown = sum(operation.outcome is Outcome.UNKNOWN for operation in history)
    booked = {o.booking_id for o in history if o.call is Call.CREATE_BOOKING and o.is_ok}
    return [
        str(result.case),
        f"{result.seconds / 60:.1f}",
        f"{len(history)}",
        f"{unknown}",
        f"{len(booked)}",
        f"{len(result.faults)}",
        "yes" if result.case.keeps_all else "no",
        _violations(result.by_kind),
    ]


def _violations(by_kind: Counter[Kind]) -> str:
    found = [f"{by_kind[kind]} {kind}" for kind in Kind if by_kind[kind]]
    return ", ".join(found) or "none"


def write(document: Path, results: Sequence[Result], skipped: Sequence[Case], by: str) -> None:
    """Put results into their part of the document; what people wrote around it stays."""
    text = document.read_text(encoding="utf-8")
    part = re.compile(f"{re.escape(_BEGIN)}.*?{re.escape(_END)}", re.DOTALL)
    assert part.search(text), f"{document} has no place for the torture run"
    rendered = _BEGIN + body(results, skipped, by) + _END
    document.write_text(part.sub(lambda _: rendered, text), encoding="utf-8")


def body(results: Sequence[Result], skipped: Sequence[Case], by: str) -> str:
    """Return the rendered part of the document."""
    made = f"Made on {datetime.now(UTC):%Y-%m-%d} by `{by}`, seed {results[0].seed}."
    parts = [made, _table(_HEADINGS, [cells(result) for result in results])]
    parts.append(_LEGEND)
    parts += [f"Left out: {case}, because {case.missing}." for case in skipped]
    settings = [str(result.case) for result in results]
    done = [Counter(fault.kind for fault in result.faults) for result in results]
    kinds = sorted({kind for each in done for kind in each})
    rows = [[str(kind), *(str(each[kind] or "") for each in done)] for kind in kinds]
    parts.append(_table(("fault", *settings), rows))
    parts += [text for result in results if (text := _example(result))]
    return "\n\n".join(parts) + "\n\n"


def _example(result: Result) -> str:
    """Show one violation of each kind that was found."""
    first = {violation.kind: violation for violation in reversed(result.violations)}
    if not first:
        return ""
    shown = "\n".join(str(first[kind]) for kind in Kind if kind in first)
    return f"What was found with {result.case}, one of each kind:\n\n```\n{shown}\n```"


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(cell or " " for cell in line) + " |" for line in lines)
