"""A cluster whose nodes come late, are lost, taken over from, and come back."""

import asyncio
from contextlib import ExitStack
from typing import Any

import pytest
from tests.backends import Counts, cluster_backend, link_to, soon
from tests.clusters import Cluster, cluster, form
from tests.servers import RedisServer, as_prober, free_port, poll
from tests.topologies import BINARIES
from tests.topology.test_cluster import echo, merchant_on

from leasehold.model.deadline import Deadline
from leasehold.model.errors import StoreTrouble, StoreUnavailableError
from leasehold.model.lease import CreateLease, CreateLeaseStatus
from leasehold.store import keys
from leasehold.store.link import Link

IMPATIENT: dict[str, Any] = {"timeout_s": 0.3, "connect_timeout_s": 0.3}


async def trouble_at(link: Link, merchant: str) -> StoreTrouble | None:
    """Return what is the matter with the shard of a merchant."""
    key = keys.inventory_key(merchant)
    try:
        await link.read("HLEN", key, deadline=Deadline.within(2, None))
    except StoreUnavailableError as error:
        return error.trouble
    return None


async def until_well(link: Link, merchant: str) -> None:
    """Wait until a merchant is served again, by the same link."""
    async with asyncio.timeout(20):
        while await trouble_at(link, merchant):
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("name", BINARIES)
async def test_cluster_lost_shard_takes_out_its_own_merchants_only(name: str) -> None:
    """Where slots need not all be served, the other shards serve on, and the process is ready."""
    with cluster(name, replicas=0, full_coverage=False) as shards:
        lost, *others = shards.primaries
        merchants = {server.port: merchant_on(shards, server) for server in shards.primaries}
        async with link_to(shards.url, retries=2, **IMPATIENT) as link:
            await link.ping(soon())
            lost.stop()

            assert await trouble_at(link, merchants[lost.port]) is StoreTrouble.UNREACHABLE
            for server in others:
                assert await trouble_at(link, merchants[server.port]) is None
            await link.ping(soon())

            lost.start()
            await until_well(link, merchants[lost.port])


@pytest.mark.parametrize("name", BINARIES)
async def test_cluster_down_as_a_whole_is_told_as_such_until_it_is_up(name: str) -> None:
    """Where all slots must be served, a lost shard is CLUSTERDOWN for everybody (25)."""
    with cluster(name, replicas=0) as shards:
        lost, other, _ = shards.primaries
        merchant = merchant_on(shards, other)
        async with cluster_backend(shards, **IMPATIENT) as backend:
            slot = await backend.slot(merchant_id=merchant)
            wanted = CreateLease(slot, "r", await backend.now_ms() + 60_000)
            lost.stop()
            async with asyncio.timeout(20):
                while await trouble_at(backend.link, merchant) is not StoreTrouble.CLUSTER_DOWN:
                    await asyncio.sleep(0.02)

            with pytest.raises(StoreUnavailableError) as caught:
                await backend.store().create_lease(wanted, soon())
            assert caught.value.trouble is StoreTrouble.CLUSTER_DOWN

            lost.start()
            await until_well(backend.link, merchant)
            outcome = await backend.store().create_lease(wanted, soon())
            assert outcome.status is CreateLeaseStatus.CREATED


async def test_cluster_without_any_node_is_no_store_until_it_is_there() -> None:
    """Nobody answers, then nodes that are no cluster yet, then a cluster: the link goes on (27)."""
    servers = [
        RedisServer("valkey9", ("--cluster-enabled", "yes"), port=free_port()) for _ in range(3)
    ]
    shards = Cluster(servers)
    with ExitStack() as stack:
        async with link_to(as_prober(shards.url), **IMPATIENT) as link:
            for trouble in (StoreTrouble.UNREACHABLE, StoreTrouble.CLUSTER_DOWN):
                with pytest.raises(StoreUnavailableError) as caught:
                    await link.ping(soon())
                assert caught.value.trouble is trouble
                if trouble is StoreTrouble.UNREACHABLE:
                    for server in servers:
                        stack.enter_context(server)
            await asyncio.to_thread(form, shards, 3)

            async with asyncio.timeout(20):
                while not await is_there(link):
                    await asyncio.sleep(0.02)
            for number, server in enumerate(servers):
                assert await echo(link, shards, server, f"{number}") == f"{number}"


async def is_there(link: Link) -> bool:
    """Tell whether the store answers."""
    try:
        await link.ping(soon())
    except StoreUnavailableError:
        return False
    return True


@pytest.mark.parametrize("name", BINARIES)
async def test_cluster_primary_killed_or_silent_is_followed_to_its_replica(name: str) -> None:
    """Whether a primary dies or falls silent, its merchants are served where its replica is."""
    with cluster(name) as shards:
        async with link_to(shards.url, retries=2, **IMPATIENT) as link:
            for end in (RedisServer.stop, RedisServer.pause):
                old = shards.primaries[0]
                merchant = merchant_on(shards, old)
                await link.ping(soon())
                end(old)
                await asyncio.to_thread(shards.wait_for_takeover, old)

                await until_well(link, merchant)

                old.resume() if end is RedisServer.pause else old.start()
                await asyncio.to_thread(shards.wait_until_healthy)


@pytest.mark.parametrize(
    "failovers",
    [
        pytest.param(6, id="short"),
        pytest.param(50, id="long", marks=[pytest.mark.long, pytest.mark.timeout(600)]),
    ],
)
async def test_cluster_failed_over_again_and_again_keeps_as_many_connections(
    failovers: int,
) -> None:
    """After every failover there is one connection to each primary, and no other (32)."""
    with cluster("valkey9") as shards:
        counts = Counts()
        async with link_to(shards.url, counts, retries=5) as link:
            for number in range(failovers):
                server = shards.primaries[number % 3]
                await asyncio.to_thread(shards.fail_over, server)
                await asyncio.to_thread(shards.wait_until_healthy)
                for merchant in [merchant_on(shards, it) for it in shards.primaries]:
                    assert await trouble_at(link, merchant) is None
                await asyncio.to_thread(
                    poll, "one connection to each primary", lambda: is_lean(shards)
                )


def is_lean(shards: Cluster) -> bool:
    """Tell whether the link has one connection to each primary and none to a replica."""
    wanted = {it.port: int(it in shards.primaries) for it in shards.servers}
    return {it.port: len(it.links()) for it in shards.servers} == wanted
