"""The goals, as ratios in one run."""

from dataclasses import dataclass
from typing import Literal

from tests.benchmarks.results import HALF, Figure, Result, Row

MICRO = 1e6
TIMES = " times"


@dataclass(frozen=True, slots=True)
class Goal:
    """One goal, and what the run says of it."""

    text: str
    bound: Literal["at most", "at least", "more than"]
    limit: float
    unit: str
    reached: float | None
    """None when one of its subjects was not measured."""

    @property
    def verdict(self) -> str:
        """Say whether the goal was reached."""
        match self.reached, self.bound:
            case None, _:
                return "not measured"
            case value, "at most":
                met = value <= self.limit
            case value, "at least":
                met = value >= self.limit
            case value, _:
                met = value > self.limit
        return "reached" if met else "missed"


def goals(result: Result) -> tuple[Goal, ...]:
    """Return every goal with the number of this run."""
    rows = {row.name: row for row in result.rows}
    fresh, noop = rows.get("create_lease_fresh"), rows.get("noop")
    script, plain_set = rows.get("bare_evalsha"), rows.get("bare_set")
    server_cpu = _ratio(_server(fresh), _server(noop))
    throughput = _ratio(_per_s(fresh), _per_s(rows.get("plain_peer")))
    leases = _ratio(_per_cpu_s(fresh), _per_cpu_s(rows.get("etcd")))
    at_half = fresh.at(HALF) if fresh else None
    return (
        Goal("server CPU of a fresh CreateLease, of a no-op's", "at most", 1.35, TIMES, server_cpu),
        Goal("throughput, of the plain peer's", "at least", 3, TIMES, throughput),
        Goal("leases per CPU second, server and store, of etcd's", "more than", 1, TIMES, leases),
        Goal(
            "Redis CPU of the script, of a bare SET NX PXAT's",
            "at most",
            2.5,
            TIMES,
            _ratio(_store(script), _store(plain_set)),
        ),
        Goal(
            "Redis memory of a live lease",
            "at most",
            700,
            " bytes",
            _median(fresh.bytes_per_lease if fresh else None),
        ),
        Goal("p99 at half load", "at most", 5, " ms", _median(at_half.p99_ms if at_half else None)),
    )


def _median(figure: Figure | None) -> float | None:
    return figure.median if figure else None


def _server(row: Row | None) -> float | None:
    return _median(row.server_cpu_us) if row else None


def _store(row: Row | None) -> float | None:
    return _median(row.store_cpu_us) if row else None


def _per_s(row: Row | None) -> float | None:
    return _median(row.requests_per_s) if row else None


def _per_cpu_s(row: Row | None) -> float | None:
    if not row or not row.store_cpu_us:
        return None
    return MICRO / ((_server(row) or 0) + row.store_cpu_us.median)


def _ratio(one: float | None, other: float | None) -> float | None:
    return one / other if one is not None and other else None
