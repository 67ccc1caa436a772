"""Of a cluster every shard is looked at, and has a marker and a quarantine of its own."""

from collections.abc import AsyncIterator, Iterator

import pytest
from tests.backends import TERMS, Backend, cluster_backend, link_to, soon
from tests.clusters import Cluster, cluster
from tests.topologies import ask, replicated

from leasehold.model.errors import QuarantinedError
from leasehold.model.lease import CreateLease
from leasehold.store import keys, safety
from leasehold.store.markers import Guard, Markers
from leasehold.store.redis_store import RedisStore


@pytest.fixture(scope="module")
def shards() -> Iterator[Cluster]:
    """A cluster of three shards, which these tests spoil."""
    with cluster("valkey9", replicas=0) as found:
        yield found


@pytest.fixture
async def backend(shards: Cluster) -> AsyncIterator[Backend]:
    """The store on that cluster."""
    async with cluster_backend(shards) as backend:
        yield backend


async def test_look_at_a_cluster_names_the_shard_that_is_amiss(
    backend: Backend, shards: Cluster
) -> None:
    """One finding for all; what is wrong with one primary carries its address, and only its."""
    one, *others = shards.primaries
    ask(one, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    try:
        found = {it.name: it for it in await safety.look(backend.link, soon(), 0)}
    finally:
        ask(one, "CONFIG", "SET", "maxmemory-policy", "noeviction")

    assert found["eviction"].state == "warning"
    assert str(one.port) in found["eviction"].detail
    assert not [it for it in others if str(it.port) in found["eviction"].detail]
    assert found["permissions"].state == "ok"
    assert "\n" not in found["version"].detail
    assert str(one.port) not in found["version"].detail


async def lease(backend: Backend, merchant: str) -> CreateLease:
    """Return a command that a store in order grants."""
    slot = await backend.slot(merchant_id=merchant)
    return CreateLease(slot, "r-1", await backend.now_ms() + 30_000)


def merchant_of(shards: Cluster, at: int, prefix: str) -> str:
    """Return a merchant whose keys lie on the primary of that place."""
    numbers = (f"{prefix}-{number}" for number in range(1000))
    wanted = shards.primaries[at].port
    return next(it for it in numbers if shards.owner_of(f"{{{it}}}").port == wanted)


async def test_marker_notices_the_flush_of_one_shard_and_holds_up_only_its_merchants(
    backend: Backend, shards: Cluster
) -> None:
    """What one shard has lost says nothing about the others: their merchants go on."""
    losses: list[int] = []
    markers = Markers(backend.link, 60_000, on_loss=lambda: losses.append(1))
    store = RedisStore(backend.link, TERMS, taking=Guard(backend.link, markers.admit))
    assert (await markers.beat(soon())).state == "ok"
    tags = await backend.link.shards(soon())
    assert len(tags) == 3
    lost = shards.primaries[0]
    ask(lost, "FLUSHALL")

    finding = await markers.beat(soon())
    assert (finding.state, losses) == ("warning", [1])
    assert finding.detail.startswith(f"127.0.0.1:{lost.port}: lost at ")
    assert str(shards.primaries[1].port) not in finding.detail
    with pytest.raises(QuarantinedError):
        await store.create_lease(
            await lease(backend, merchant_of(shards, 0, backend.merchant)), soon()
        )
    for at in (1, 2):
        command = await lease(backend, merchant_of(shards, at, backend.merchant))
        assert (await store.create_lease(command, soon())).status == "created"
    assert {keys.marker_key(tag) for tag in tags} == {
        key for server in shards.primaries for key in ask(server, "KEYS", "marker:*")
    }


async def test_marker_after_a_planned_failover_notices_nothing() -> None:
    """A replica that has all the data takes over the marker as well."""
    with replicated("valkey9") as group:
        async with link_to(group.url, retries=20) as link:
            markers = Markers(link, 60_000, on_loss=pytest.fail)
            assert (await markers.beat(soon())).state == "ok"
            old = group.primary
            group.fail_over()

            finding = await markers.beat(soon())
            assert (finding.state, group.primary is old) == ("ok", False)
            assert {it.state for it in await safety.look(link, soon(), 0)} <= {"ok", "warning"}
