"""The rounds: every subject in turn, then all of them again, so that a bad minute hits them all."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

from tests.benchmarks.goals import MICRO
from tests.benchmarks.processes import BenchError, MissingError
from tests.benchmarks.results import AtRate, Figure, Row
from tests.benchmarks.subjects import Entry, Round, Subject

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to measure."""

    rounds: int
    seconds: float
    loads: tuple[float, ...]
    """Parts of a subject's throughput, at which its latencies are measured."""


@dataclass
class Measured:
    """A subject and its rounds so far."""

    entry: Entry
    subject: Subject | None = None
    absent: str = ""
    closed: list[Round] = field(default_factory=list)
    at_rates: dict[float, list[Round]] = field(default_factory=dict)

    @property
    def per_s(self) -> float:
        """Return the throughput, once it is known."""
        figure = Figure.of(each.work.requests / each.work.elapsed_s for each in self.closed)
        assert figure
        return figure.median


def open_all(entries: list[Entry], stack: ExitStack) -> list[Measured]:
    """Start what every subject needs; what is missing here becomes a row that says so."""
    opened = []
    for entry in entries:
        measured = Measured(entry)
        try:
            measured.subject = stack.enter_context(entry.open())
        except MissingError as error:
            measured.absent = f"missing: {error}"
        opened.append(measured)
    return opened


def steps(plan: Plan, subjects: list[Measured]) -> int:
    """Return how many rounds there will be, for showing progress."""
    there = [measured.subject for measured in subjects if measured.subject]
    with_rates = sum(subject.has_rates for subject in there)
    return plan.rounds * (len(there) + with_rates * len(plan.loads)) + len(there)


def measure(plan: Plan, subjects: list[Measured], tell: Tell) -> tuple[Row, ...]:
    """Run every round and return a row for each subject, the missing ones too."""
    for measured in _there(subjects, tell, "warming up"):
        _try(measured, min(1, plan.seconds), 0)
    for number in range(1, plan.rounds + 1):
        for measured in _there(subjects, tell, f"round {number}, as fast as it goes"):
            done = _try(measured, plan.seconds, 0)
            measured.closed += [done] if done else []
    for number in range(1, plan.rounds + 1):
        for load in plan.loads:
            for measured in _there(subjects, tell, f"round {number}, at {load:.0%}", rated=True):
                done = _try(measured, plan.seconds, measured.per_s * load)
                measured.at_rates.setdefault(load, []).extend([done] if done else [])
    return tuple(row(measured) for measured in subjects)


def _there(
    subjects: list[Measured], tell: Tell, what: str, *, rated: bool = False
) -> Iterator[Measured]:
    for measured in subjects:
        subject = measured.subject
        if subject and (subject.has_rates or not rated):
            tell(f"{what}: {measured.entry.title}")
            if not measured.absent:
                yield measured


def _try(measured: Measured, seconds: float, rate: float) -> Round | None:
    """Run a round; a subject that fails is out, and says why in the table."""
    assert measured.subject
    try:
        return measured.subject.round(seconds, rate)
    except BenchError as error:
        measured.absent = f"failed: {error}"
        return None


def row(measured: Measured) -> Row:
    """Sum up the rounds of a subject."""
    entry = measured.entry
    if measured.absent or not measured.subject:
        return Row(name=entry.name, title=entry.title, absent=measured.absent)
    closed, subject = measured.closed, measured.subject
    memory = [each.bytes_per_lease for each in closed if each.bytes_per_lease is not None]
    return Row(
        name=entry.name,
        title=entry.title,
        requests_per_s=Figure.of(each.work.requests / each.work.elapsed_s for each in closed),
        server_cpu_us=Figure.of(map(_server_us, closed)) if subject.server_pids else None,
        store_cpu_us=(
            Figure.of(each.store_cpu_s / each.work.requests * MICRO for each in closed)
            if subject.store_pids
            else None
        ),
        client_cpu_us=Figure.of(each.client_cpu_s / each.work.requests * MICRO for each in closed),
        bytes_per_lease=Figure.of(memory),
        at_rates=tuple(
            _at_rate(load, measured.per_s * load, rounds)
            for load, rounds in measured.at_rates.items()
        ),
    )


def _server_us(each: Round) -> float:
    return each.server_cpu_s / each.work.requests * MICRO


def _at_rate(load: float, per_s: float, rounds: list[Round]) -> AtRate:
    def percentile(percent: float) -> Figure:
        figure = Figure.of(
            each.work.latencies.percentile_ms(percent) for each in rounds if each.work.latencies
        )
        assert figure
        return figure

    server_cpu_us = Figure.of(map(_server_us, rounds))
    assert server_cpu_us
    return AtRate(
        load=load,
        requests_per_s=per_s,
        p50_ms=percentile(50),
        p99_ms=percentile(99),
        p999_ms=percentile(99.9),
        max_ms=percentile(100),
        server_cpu_us=server_cpu_us,
    )
