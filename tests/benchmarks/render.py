"""Writes docs/benchmarks.md and its plots from the files of runs. The same files, the same text.

What people have written in the document around the rendered parts stays as it is.
"""

import re
from pathlib import Path

from tests.benchmarks import plots
from tests.benchmarks.goals import goals
from tests.benchmarks.plots import Bar, Line
from tests.benchmarks.results import Result
from tests.benchmarks.tables import (
    COLUMNS,
    cells,
    figure,
    filled_cells,
    goal_cells,
    number,
    reasons,
)


def write(result: Result, docs: Path) -> list[Path]:
    """Put a run into its part of the document, and draw its plots. Returns what was written."""
    document = docs / "benchmarks.md"
    text = document.read_text(encoding="utf-8")
    begin, end = f"<!-- {result.kind}: begin -->\n", f"<!-- {result.kind}: end -->"
    part = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    assert part.search(text), f"{document} has no place for {result.kind}"
    rendered = begin + body(result) + end
    document.write_text(part.sub(lambda _: rendered, text), encoding="utf-8")
    written = [document]
    for name, drawn in pictures(result).items():
        path = docs / "images" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(drawn, encoding="utf-8")
        written.append(path)
    return written


def body(result: Result) -> str:
    """Return the rendered part of the document."""
    parts = [_made(result)]
    if result.kind == "bench":
        parts += ["### Goals", _goals(result), "### Figures"]
    parts.append(_table(["subject", *(c.heading for c in COLUMNS)], _rows(result)))
    parts += reasons(result)
    parts.append(_PRECISION.format(rounds=result.rounds, seconds=result.seconds))
    if result.filled:
        filled = [
            filled_cells(found.leases, found.bytes_per_lease, found.bytes_in_all)
            for found in result.filled
        ]
        parts.append(_table(["live leases", "bytes a lease", "in all"], filled))
    if result.kind == "bench":
        parts += ["### Latency at fixed rates", _latencies(result)]
    parts += [f"![{_title(drawn)}](images/{name})" for name, drawn in pictures(result).items()]
    parts += ["### Where", _table(["", ""], [*map(list, result.machine.items())])]
    parts.append(_table(["", "version"], [*map(list, result.versions.items())]))
    return "\n\n".join(parts) + "\n\n"


_PRECISION = """\
Median of {rounds} interleaved rounds of {seconds:g} s, with the least and the most. CPU is that of
all threads, for each request, as fast as answers come; a latency counts from the time at which the
call was due."""


def _made(result: Result) -> str:
    return f"Made on {result.made_at} by `{result.command}`."


def _goals(result: Result) -> str:
    return _table(["goal", "bound", "this run", ""], [goal_cells(goal) for goal in goals(result)])


def _rows(result: Result) -> list[list[str]]:
    return [[row.title, *cells(row, figure)] for row in result.rows]


def _latencies(result: Result) -> str:
    headings = ["subject", "load", "requests/s", "p50 ms", "p99 ms", "p99.9 ms", "slowest ms"]
    rows = [
        [
            row.title,
            f"{found.load:.0%}",
            number(found.requests_per_s),
            *(
                number(each.median)
                for each in (found.p50_ms, found.p99_ms, found.p999_ms, found.max_ms)
            ),
        ]
        for row in result.rows
        for found in row.at_rates
    ]
    return _table(headings, rows)


def _table(headings: list[str], rows: list[list[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(cell or " " for cell in line) + " |" for line in lines)


def _title(drawn: str) -> str:
    found = re.search("<title>(.*?)</title>", drawn)
    assert found
    return found[1]


def pictures(result: Result) -> dict[str, str]:
    """Return the plots of a run by their file names."""
    measured = [row for row in result.rows if not row.absent]
    throughput = [
        Bar(row.title, (row.requests_per_s.median,), number(row.requests_per_s.median))
        for row in measured
        # Commands that go round without a front end would leave no room for the others.
        if row.requests_per_s and not row.name.startswith("bare_")
    ]
    cpu = [_cpu_bar(row.title, row.server_cpu_us, row.store_cpu_us) for row in measured]
    drawn = {
        f"{result.kind}-throughput.svg": plots.bars("Requests per second", throughput),
        f"{result.kind}-cpu.svg": plots.bars(
            "CPU per request, µs", cpu, ("server process", "Redis, etcd or PostgreSQL")
        ),
    }
    fresh = result.row("create_lease_fresh")
    if fresh and fresh.at_rates:
        scale = [f"{found.load:.0%} of throughput" for found in fresh.at_rates]
        latencies = [
            Line("p50", tuple(found.p50_ms.median for found in fresh.at_rates)),
            Line("p99", tuple(found.p99_ms.median for found in fresh.at_rates)),
            Line("p99.9", tuple(found.p999_ms.median for found in fresh.at_rates)),
        ]
        title = "Latency of a fresh CreateLease"
        drawn[f"{result.kind}-latency.svg"] = plots.lines(title, scale, latencies, "ms")
    return drawn


def _cpu_bar(title: str, server: object, store: object) -> Bar:
    parts = tuple(getattr(figure, "median", 0.0) for figure in (server, store))
    return Bar(title, parts, number(sum(parts)))
