"""One run: a store, server processes, clients and faults; then the history is judged."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

from tests.torture import faults, pods, records, stores
from tests.torture.checker import Kind, Violation, check
from tests.torture.clients import Clients, Recorder
from tests.torture.faults import Fault, Nemesis
from tests.torture.history import Operation
from tests.torture.load import Load
from tests.torture.pods import Pod

from leasehold.settings import Settings

_PODS = 3
_WORKERS = 16
_PAUSE_S = 0.02


@dataclass(frozen=True, slots=True)
class Case:
    """What is tortured: a store in one setting."""

    topology: Literal["single", "sentinel", "cluster"]
    fsync: Literal["always", "everysec", "no"] = "everysec"
    acks: int = 0
    """How many replicas acknowledge a grant before the caller hears of it."""

    @property
    def keeps_all(self) -> bool:
        """Tell whether nothing acknowledged may be lost in this setting."""
        return self.fsync == "always" and (self.acks > 0 or self.topology == "single")

    @property
    def missing(self) -> str:
        """Return what the service cannot do yet and this needs; else empty."""
        knows_acks = "replica_acks" in Settings.model_fields
        return "" if knows_acks or not self.acks else "the service has no LEASEHOLD_REPLICA_ACKS"

    def __str__(self) -> str:
        """Name it as people write it."""
        acks = f", acks {self.acks}" if self.topology != "single" else ""
        return f"{self.topology}, fsync {self.fsync}{acks}"


@dataclass
class Result:
    """What came of a run."""

    case: Case
    seed: int
    seconds: float
    history: list[Operation]
    faults: list[Fault]
    troubles: Counter[str]
    violations: list[Violation] = field(default_factory=list)

    @property
    def by_kind(self) -> Counter[Kind]:
        """Return how often each kind of violation was found."""
        return Counter(violation.kind for violation in self.violations)

    @property
    def broken(self) -> list[Violation]:
        """Return what breaks the promise of the setting."""
        return self.violations if self.case.keeps_all else []


async def run(
    case: Case,
    seed: int,
    seconds: float,
    told: Callable[[str], None],
    binary: str = "valkey9",
    planned: Iterator[Fault] | None = None,
) -> Result:
    """Torture one setting for so long, and judge what was answered.

    ``planned`` are other faults than those of the seed's schedule.
    """
    chance, recorder = random.Random(f"{seed}/pods"), Recorder()
    async with _store(case, binary) as store:
        settings = {"REDIS_URL": store.url}
        if case.acks:
            settings["REPLICA_ACKS"] = str(case.acks)
        with pods.serving(_PODS, settings) as serving:
            clients = Clients([pod.address for pod in serving], recorder, chance)
            load = Load(clients, f"{seed}")
            nemesis = Nemesis(store, serving, told)
            try:
                wanted = planned or faults.schedule(f"{seed}", case.topology)
                await _torture(load, nemesis, wanted, seconds)
                told("looking at what is left")
                await load.look_at_the_end()
            finally:
                await clients.close()
            _check_pods(serving, recorder)
            # Where acknowledged bookings may be lost, their indexes may, too.
            kept = load.acknowledged() if case.keeps_all else {}
            assert list(records.faults(store.primaries(), set(kept))) == []
    recorder.check_clock()
    told(f"judging {len(recorder.history)} calls")
    violations = await asyncio.to_thread(check, recorder.history)
    done = nemesis.done
    return Result(case, seed, seconds, recorder.history, done, recorder.troubles, violations)


async def _torture(load: Load, nemesis: Nemesis, planned: Iterator[Fault], seconds: float) -> None:
    ends_at_s = time.monotonic() + seconds
    async with asyncio.TaskGroup() as group:
        working = group.create_task(load.run(_WORKERS, _PAUSE_S))
        await asyncio.to_thread(nemesis.run, planned, ends_at_s)
        load.stop()
        await working


def _check_pods(serving: Sequence[Pod], recorder: Recorder) -> None:
    """Fail on a bug of the service, whatever it did to the history."""
    if recorder.troubles["INTERNAL"]:
        logs = [line for pod in serving for line in pod.log_text().splitlines()]
        bugs = [line for line in logs if '"INTERNAL"' in line]
        raise AssertionError("\n".join(["the service answered INTERNAL", *bugs[:3]]))


@asynccontextmanager
async def _store(case: Case, binary: str) -> AsyncIterator[stores.Store]:
    if case.topology == "single":
        async with stores.single(binary, case.fsync) as store:
            yield store
    else:
        opens = {"sentinel": stores.sentinel, "cluster": stores.shards}[case.topology]
        with opens(binary, case.fsync, case.acks) as store:
            yield store
