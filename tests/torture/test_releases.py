"""Two releases on one store, upgraded and taken back under load; then the history is judged.

A condition of every change of keys, records and scripts: the release before runs beside it.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from tests import released, servers
from tests.clusters import cluster
from tests.released import Released
from tests.servers import RedisServer, running
from tests.service import Service
from tests.torture import records
from tests.torture.checker import check
from tests.torture.clients import Clients, Recorder
from tests.torture.load import Load
from tests.torture.pods import Pod

pytestmark = pytest.mark.long

_PODS = 2
_WORKERS = 12
_PAUSE_S = 0.02
_CALLS_BETWEEN = 100
_BUGS = {"INTERNAL", "UNKNOWN", "STORE_ACCESS_DENIED", "STORE_LAYOUT_UNKNOWN"}


@contextmanager
def stores(topology: str) -> Iterator[tuple[str, list[RedisServer]]]:
    """Run one server, or three shards, with the access list of the release before."""
    if topology == "single":
        with running("valkey9") as server:
            yield server.url, [server]
    else:
        with cluster("valkey9", replicas=0) as shards:
            yield shards.url, shards.primaries


async def roll(pods: list[Pod], recorder: Recorder) -> None:
    """Upgrade each process, take each back, and upgrade one again, with calls in between."""
    steps = [(pod, Service) for pod in pods]
    steps += [(pod, Released) for pod in pods]
    for pod, release in [*steps, (pods[0], Service)]:
        seen = len(recorder.history)
        while len(recorder.history) < seen + _CALLS_BETWEEN:
            await asyncio.sleep(0.01)
        pod.release = release
        pod.kill()
        await asyncio.to_thread(pod.start)


@pytest.mark.parametrize("topology", ["single", "cluster"])
async def test_torture_of_two_releases_on_one_store_finds_nothing(
    topology: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls and repeats go to either; what one grants the other keeps, through every step (84)."""
    monkeypatch.setattr(servers, "ACCESS_LIST", released.access_list_of(released.LATEST))
    seed = random.getrandbits(32)
    print(f"seed {seed}")
    recorder = Recorder()
    with stores(topology) as (url, primaries), ExitStack() as stack:
        pods = [Pod({"REDIS_URL": url}, Released) for _ in range(_PODS)]
        for pod in pods:
            stack.callback(pod.kill)
            pod.start()
        clients = Clients([pod.address for pod in pods], recorder, random.Random(f"{seed}/pods"))
        load = Load(clients, f"{seed}")
        try:
            async with asyncio.TaskGroup() as group:
                working = group.create_task(load.run(_WORKERS, _PAUSE_S))
                await roll(pods, recorder)
                load.stop()
                await working
            await load.look_at_the_end()
        finally:
            await clients.close()
        assert list(records.faults(primaries, set(load.acknowledged()))) == []
    recorder.check_clock()
    assert [str(violation) for violation in check(recorder.history)] == []
    assert not recorder.troubles.keys() & _BUGS
    print(Counter(operation.call for operation in recorder.history), recorder.troubles)
