"""What a run has found, as it is kept in a file. Every figure is of several rounds."""

import statistics
from collections.abc import Iterable
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict

HALF = 0.5


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Figure(_Kept):
    """The median of the rounds, and how far they lie apart."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Self | None:
        """Return the figure of some rounds; None of no rounds."""
        known = list(values)
        if not known:
            return None
        return cls(median=statistics.median(known), least=min(known), most=max(known))


class AtRate(_Kept):
    """How long calls took at a fixed rate, counted from when they were due."""

    load: float
    """The rate as a part of the throughput of the same subject in the same run."""
    requests_per_s: float
    p50_ms: Figure
    p99_ms: Figure
    p999_ms: Figure
    max_ms: Figure
    server_cpu_us: Figure


class Row(_Kept):
    """One subject."""

    name: str
    title: str
    absent: str = ""
    """Why there are no figures: something is missing here, or went wrong."""
    requests_per_s: Figure | None = None
    server_cpu_us: Figure | None = None
    store_cpu_us: Figure | None = None
    client_cpu_us: Figure | None = None
    bytes_per_lease: Figure | None = None
    at_rates: tuple[AtRate, ...] = ()

    def at(self, load: float) -> AtRate | None:
        """Return what was found at a part of the throughput."""
        return next((found for found in self.at_rates if found.load == load), None)


class Filled(_Kept):
    """A store that was filled before it was measured."""

    leases: int
    bytes_per_lease: float
    bytes_in_all: int


class Result(_Kept):
    """One run of the benchmark."""

    kind: Literal["bench", "growth"]
    made_at: str
    """UTC, to the minute."""
    command: str
    machine: dict[str, str]
    versions: dict[str, str]
    rounds: int
    seconds: float
    rows: tuple[Row, ...]
    filled: tuple[Filled, ...] = ()

    def row(self, name: str) -> Row | None:
        """Return a subject by its name."""
        return next((row for row in self.rows if row.name == name), None)
