"""How commands show records: a table on a terminal, elsewhere lines for other commands."""

import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from rich.table import Column, Table

from leasehold.cli.console import err, out, print_json, write
from leasehold.cli.times import show_duration, show_time

Value = str | int | datetime | timedelta
Cell = Value | tuple[Value, ...]
"""A tuple stands in one column of a table, one value below the other; the first is never folded."""

# These would end a line or a value.
_ONE_LINE = str.maketrans("\t\r\n", "   ")


def on_terminal() -> bool:
    """Tell whether people read standard output, and not a program."""
    return sys.stdout.isatty()


class Sheet:
    """Records that are shown together.

    On a terminal the records are a table. Elsewhere each record is one line without a heading, with
    tabs between its values; no value is cut.
    """

    def __init__(self, *names: Cell, title: str = "", zone: tzinfo = UTC) -> None:
        """``names`` are the columns; without names, each record is a name and its value."""
        self.zone = zone
        self._names = names
        self._title = title
        self._rows: list[tuple[Cell, ...]] = []

    def add_row(self, *cells: Cell) -> None:
        """Add a record."""
        self._rows.append(cells)

    def records(self) -> list[dict[str, str | int]]:
        """Return the records for JSON, by column: times as RFC 3339 UTC, durations in seconds."""
        names = [str(name).replace(" ", "_") for name in _values(self._names)]
        rows = (zip(names, _values(row), strict=True) for row in self._rows)
        return [dict(_plain(name, value) for name, value in row) for row in rows]

    def show(self) -> None:
        """Print all records."""
        if on_terminal():
            out.print(self._table())
            return
        lines = [
            "\t".join(self._text(value).translate(_ONE_LINE) for value in _values(row))
            for row in self._rows
        ]
        if self._title:
            lines.insert(0, self._title)
        if lines:
            write("\n".join(lines))

    def _table(self) -> Table:
        columns = [self._column(number) for number in range(len(self._names))]
        table = Table(*columns, title=self._title or None, title_justify="left")
        if not columns:
            table.show_header = False
            table.add_column(no_wrap=True)
            table.add_column(overflow="fold")
        for row in self._rows:
            table.add_row(
                *("\n".join(filter(None, map(self._text, _values((cell,))))) for cell in row)
            )
        return table

    def _column(self, number: int) -> Column:
        name = self._names[number]
        if not isinstance(name, tuple):
            return Column(str(name), overflow="fold")
        # Ids and times are for copying.
        firsts = [self._text(_values((row[number],))[0]) for row in self._rows]
        longest = max(map(len, firsts), default=0)
        return Column(", ".join(map(str, name)), min_width=longest, overflow="fold")

    def _text(self, value: Value) -> str:
        if isinstance(value, datetime):
            return show_time(value, self.zone)
        return show_duration(value) if isinstance(value, timedelta) else str(value)


def _values(cells: Sequence[Cell]) -> list[Value]:
    """Return the values of cells, one after the other."""
    return [value for cell in cells for value in (cell if isinstance(cell, tuple) else (cell,))]


def _plain(name: str, value: Value) -> tuple[str, str | int]:
    if isinstance(value, datetime):
        return name, value.isoformat().replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return f"{name}_s", int(value.total_seconds())
    return name, value


def details(title: str, zone: tzinfo = UTC) -> Sheet:
    """Return an empty record of names and values."""
    return Sheet(title=title, zone=zone)


def show_answer(sheet: Sheet, json: Any, ids: Iterable[str], *, as_json: bool, quiet: bool) -> None:
    """Print an answer: as JSON, or its ids alone, one a line, or as a sheet."""
    if as_json:
        print_json(json)
    elif quiet:
        for each in ids:
            write(each)
    else:
        sheet.show()


def remark(text: str) -> None:
    """Print a line about the records: where lines are records, on standard error."""
    (out if on_terminal() else err).print(text)
