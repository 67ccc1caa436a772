"""Rows and figures in words, the same in the terminal and in the document."""

from collections.abc import Callable
from typing import NamedTuple

from rich.table import Table
from tests.benchmarks.goals import Goal, goals
from tests.benchmarks.results import HALF, Figure, Result, Row

NOTHING = "-"


class Column(NamedTuple):
    """A column and what stands in it, which is a figure or in words already."""

    heading: str
    cell: Callable[[Row], Figure | str | None]


def number(value: float) -> str:
    """Write a value with three digits that count; thousands stand apart by a thin space."""
    if abs(value) >= 100:
        return f"{value:,.0f}".replace(",", "\u2009")
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def figure(found: Figure | None) -> str:
    """Write the median and the spread."""
    if not found:
        return NOTHING
    return f"{number(found.median)} ({number(found.least)} to {number(found.most)})"


def brief(found: Figure | None) -> str:
    """Write the median, and how far the farthest round lies from it."""
    if not found:
        return NOTHING
    farthest = max(found.most - found.median, found.median - found.least)
    return f"{number(found.median)} ±{farthest / (found.median or 1):.0%}"


def _at_half(row: Row) -> str:
    found = row.at(HALF)
    if not found:
        return NOTHING
    return " / ".join(number(each.median) for each in (found.p50_ms, found.p99_ms, found.p999_ms))


COLUMNS = (
    Column("requests/s", lambda row: row.requests_per_s),
    Column("server CPU µs", lambda row: row.server_cpu_us),
    Column("store CPU µs", lambda row: row.store_cpu_us),
    Column("client CPU µs", lambda row: row.client_cpu_us),
    Column("p50 / p99 / p99.9 ms at half load", _at_half),
    Column("bytes a lease", lambda row: row.bytes_per_lease),
)


def cells(row: Row, write: Callable[[Figure | None], str]) -> list[str]:
    """Return a row of the table; why a subject has no figures is told below it."""
    if row.absent:
        return [row.absent.partition(":")[0], *[NOTHING] * (len(COLUMNS) - 1)]
    found = [column.cell(row) for column in COLUMNS]
    return [each if isinstance(each, str) else write(each) for each in found]


def reasons(result: Result) -> list[str]:
    """Say of each subject without figures why it has none."""
    return [
        f"{row.title}: {row.absent.splitlines()[0]}" for row in result.rows if row.absent.strip()
    ]


def goal_cells(goal: Goal) -> list[str]:
    """Return a goal, its bound, its number and its verdict."""
    bound = f"{goal.bound} {goal.limit:g}{goal.unit}"
    reached = NOTHING if goal.reached is None else f"{number(goal.reached)}{goal.unit}"
    return [goal.text, bound, reached, goal.verdict]


def terminal(result: Result) -> list[Table | str]:
    """Return what is shown at the end of a run."""
    table = Table(title=f"{result.rounds} rounds of {result.seconds:g} s, median and spread")
    table.add_column("subject")
    for column in COLUMNS:
        table.add_column(column.heading, justify="right")
    for row in result.rows:
        table.add_row(row.title, *cells(row, brief))
    other = _goals(result) if result.kind == "bench" else _filled(result)
    return [table, *reasons(result), other]


def _goals(result: Result) -> Table:
    table = Table("goal", "bound", "this run", "", title="Goals")
    for goal in goals(result):
        table.add_row(*goal_cells(goal))
    return table


def _filled(result: Result) -> Table:
    table = Table("live leases", "bytes a lease", "in all", title="Filled stores")
    for found in result.filled:
        table.add_row(*filled_cells(found.leases, found.bytes_per_lease, found.bytes_in_all))
    return table


def filled_cells(leases: int, bytes_per_lease: float, bytes_in_all: int) -> list[str]:
    """Return what a filled store takes."""
    return [number(leases), number(bytes_per_lease), f"{bytes_in_all / 2**30:.2f} GiB"]
