"""What is measured, and how one round of it goes."""

import resource
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tests.benchmarks import generator, processes
from tests.benchmarks.generator import Step
from tests.benchmarks.histogram import Histogram
from tests.benchmarks.processes import BenchError
from tests.servers import RedisServer

from leasehold.store import keys


@dataclass(frozen=True, slots=True)
class Work:
    """What a client got done in one round."""

    requests: int
    elapsed_s: float
    latencies: Histogram | None = None


@dataclass(frozen=True, slots=True)
class Round:
    """One round, measured from outside."""

    work: Work
    server_cpu_s: float
    store_cpu_s: float
    client_cpu_s: float
    bytes_per_lease: float | None


class Subject(ABC):
    """One row of the table. Everything it needs is running already."""

    has_rates: ClassVar[bool] = True
    """Whether it can be called at a fixed rate."""
    server_pids: tuple[int, ...] = ()
    """The front end's processes; none where clients talk to the store itself."""
    store_pids: tuple[int, ...] = ()
    expected_per_s = 8000.0
    """How much is prepared for a second; a round ends sooner where that is used up."""

    @abstractmethod
    def prepare(self, requests: int) -> None:
        """Put everything back to its start, and make so many requests ready. Not measured."""

    @abstractmethod
    def work(self, seconds: float, rate: float) -> Work:
        """Call as fast as answers come, or at a rate above zero. Raises BenchError."""

    def memory_bytes(self) -> int | None:
        """Return what the leases take in the store now, where that is asked."""
        return None

    def check(self, work: Work) -> None:  # noqa: B027 - some work shows nowhere else
        """Raise BenchError unless the servers agree that the work was done."""

    def round(self, seconds: float, rate: float = 0) -> Round:
        """Prepare, then measure one round."""
        self.prepare(round((rate or self.expected_per_s) * seconds * 1.05) + 64)
        memory_bytes = self.memory_bytes()
        before = self._cpu_s()
        work = self.work(seconds, rate)
        server, store, client = (
            now - then for now, then in zip(self._cpu_s(), before, strict=True)
        )
        taken = self.memory_bytes()
        self.check(work)
        per_lease = None
        if taken is not None and memory_bytes is not None:
            per_lease = (taken - memory_bytes) / work.requests
        if not rate:
            self.expected_per_s = max(self.expected_per_s, 1.25 * work.requests / work.elapsed_s)
        return Round(work, server, store, client, per_lease)

    def _cpu_s(self) -> tuple[float, float, float]:
        """Return what server, store and clients have used so far."""
        # Clients are the only children that end, and are waited for, during a round.
        clients = resource.getrusage(resource.RUSAGE_CHILDREN)
        return (
            processes.cpu_s(self.server_pids),
            processes.cpu_s(self.store_pids),
            clients.ru_utime + clients.ru_stime,
        )


@dataclass(frozen=True, slots=True)
class Bench:
    """What the subjects share."""

    folder: Path
    generator: Path
    """The compiled load generator."""


class GrpcSubject(Subject):
    """Something that speaks gRPC, called by the load generator."""

    def __init__(self, bench: Bench, targets: tuple[str, ...], steps: tuple[Step, ...]) -> None:
        self._bench = bench
        self._targets = targets
        self._steps = steps
        self._repeat = False

    @property
    def _bodies(self) -> Path:
        return self._bench.folder / "bodies"

    def write(self, messages: Iterator[bytes], *, repeat: bool = False) -> None:
        """Make requests ready; with ``repeat`` they are sent again and again."""
        generator.write_bodies(self._bodies, messages)
        self._repeat = repeat

    def call_all(self, step: Step, messages: Iterator[bytes]) -> None:
        """Send requests once, unmeasured, to prepare what the measured ones need."""
        path = self._bench.folder / "preparation"
        generator.write_bodies(path, messages)
        generator.run(self._bench.generator, self._targets, [step], path, seconds=600)

    def work(self, seconds: float, rate: float) -> Work:
        """Call with the bodies that were prepared."""
        load = generator.run(
            self._bench.generator,
            self._targets,
            self._steps,
            self._bodies,
            seconds=seconds,
            rate=rate,
            repeat=self._repeat,
        )
        if rate and load.requests < 0.99 * rate * seconds:
            raise BenchError(f"only {load.requests} of {rate * seconds:.0f} calls were made")
        return Work(load.requests, load.elapsed_s, load.latencies)


@dataclass(frozen=True, slots=True)
class Entry:
    """A subject by its name, before it is known whether this machine has what it needs."""

    name: str
    """Stays the same from run to run."""
    title: str
    open: Callable[[], AbstractContextManager[Subject]]
    """Starts what the subject needs; raises MissingError."""


def live_keys(store: RedisServer) -> int:
    """Return how many keys a Redis has, without the marker of the service that shares it."""
    with store.client() as client:
        return int(client.dbsize()) - int(client.exists(keys.marker_key("")))


def live_bytes(store: RedisServer) -> int:
    """Return what the keys of a Redis take, without what its connections take."""
    with store.client() as client:
        memory = client.info("memory")
    return int(memory["used_memory"]) - int(memory["mem_clients_normal"])
