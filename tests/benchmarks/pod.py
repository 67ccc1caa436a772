"""What one process carries: the calls of partners as fast as it answers, and its memory after."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.benchmarks.processes import resident_bytes
from tests.benchmarks.subjects import Entry

_CALLS = ("create_lease_fresh", "create_booking_leased", "check_availability")
_MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Carried:
    """One kind of call."""

    title: str
    requests_per_s: float
    resident_bytes: int
    """What the process has in use after all calls so far."""

    def __str__(self) -> str:
        """Return a line of a table."""
        memory = f"{self.resident_bytes / _MB:.0f} MB resident"
        return f"{self.title}: {self.requests_per_s:.0f} a second, {memory}"


def carried(entries: Sequence[Entry], seconds: float) -> Iterator[Carried]:
    """Yield what a round of each call has found. Raises BenchError for a wrong answer."""
    by_name = {entry.name: entry for entry in entries}
    for entry in (by_name[name] for name in _CALLS):
        with entry.open() as subject:
            work = subject.round(seconds).work
            (pid,) = subject.server_pids
            yield Carried(entry.title, work.requests / work.elapsed_s, resident_bytes(pid))
