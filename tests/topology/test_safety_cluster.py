"""Of a cluster every shard is looked at, and has a marker and a quarantine of its own."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator

import pytest
from tests.backends import TERMS, Backend, cluster_backend, link_to, soon
from tests.clusters import Cluster, cluster
from tests.servers import SERVICE, RedisServer, poll
from tests.service import Service, run, serving
from tests.topologies import ask, replicated

from leasehold.model.errors import QuarantinedError
from leasehold.model.finding import Finding
from leasehold.model.lease import CreateLease
from leasehold.store import keys, safety
from leasehold.store.doctor import Doctor
from leasehold.store.link import Link
from leasehold.store.markers import Guard, Markers
from leasehold.store.redis_store import RedisStore


@pytest.fixture(scope="module")
def shards() -> Iterator[Cluster]:
    """A cluster of three shards, which these tests spoil."""
    with cluster("valkey9", replicas=0, full_coverage=False) as found:
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


async def cluster_of(link: Link) -> Finding:
    """Return what is found about the cluster as a whole."""
    (found,) = await link.findings(soon())
    return found


async def until_well(link: Link) -> None:
    """Wait until every shard answers and every slot is where it belongs."""
    async with asyncio.timeout(30):
        while (await cluster_of(link)).state != "ok":
            await asyncio.sleep(0.02)


async def test_look_at_a_cluster_names_slots_on_the_move_and_counts_those_that_are_covered(
    backend: Backend, shards: Cluster
) -> None:
    """A move that stopped half-way, and a slot that no shard owns, are told; both end."""
    well = await cluster_of(backend.link)
    assert well.state == "ok"
    assert well.detail == (
        "3 of 3 shards answer; 16384 of 16384 slots are covered; none is on the move"
    )
    migration = shards.migration(93)
    migration.begin()
    moving = await cluster_of(backend.link)
    migration.abandon()
    assert moving.state == "warning"
    assert moving.detail.endswith("; 1 on the move: 93")
    assert await cluster_of(backend.link) == well

    owner = shards.owner_of(93)
    for server in shards.primaries:
        ask(server, "CLUSTER", "DELSLOTS", 93)
    async with asyncio.timeout(30):
        while "16383 of 16384 slots" not in (open_ := await cluster_of(backend.link)).detail:
            await asyncio.sleep(0.02)
    ask(owner, "CLUSTER", "ADDSLOTS", 93)
    assert open_.state == "warning"
    await until_well(backend.link)


async def test_look_at_a_cluster_without_the_right_to_ask_is_a_warning(
    backend: Backend, shards: Cluster
) -> None:
    """An older access list lets nobody see what is on the move; the shard answers all the same."""
    one = shards.primaries[0]
    ask(one, "ACL", "SETUSER", SERVICE, "-cluster|nodes")
    found = await cluster_of(backend.link)
    ask(one, "ACL", "SETUSER", SERVICE, "+cluster|nodes")

    assert found.state == "warning"
    assert found.detail.startswith("3 of 3 shards answer; 16384 of 16384")
    assert found.detail.endswith("CLUSTER NODES is not allowed")


def shows(service: Service, line: str) -> bool:
    """Tell whether /readyz?verbose has a line that begins so."""
    return any(each.startswith(line) for each in service.http("/readyz?verbose")[1].splitlines())


async def test_doctor_of_a_cluster_tells_what_answers_while_a_shard_is_dead(
    backend: Backend, shards: Cluster
) -> None:
    """The other shards are looked at; a cluster that is down as a whole is the only finding."""
    *others, dead = shards.primaries
    doctor = Doctor(backend.link, 0, 86_400, 60_000, is_strict=True)
    names = [it.name for it in await doctor.findings()]
    dead.stop()
    try:
        found = await doctor.findings()
        for each in others:
            ask(each, "CONFIG", "SET", "cluster-require-full-coverage", "yes")
        poll("down", lambda: all("cluster_state:fail" in state_of(each) for each in others))
        down = await doctor.findings()
    finally:
        for each in others:
            ask(each, "CONFIG", "SET", "cluster-require-full-coverage", "no")
        dead.start()
    await until_well(backend.link)

    assert [it.name for it in found] == names
    assert {it.state for it in found if it.name in {"permissions", "slots", "feeds"}} == {"ok"}
    detail = f"2 of 3 shards answer, not 127.0.0.1:{dead.port}; 10922 of 16384 slots are covered"
    assert [(it.name, it.state) for it in down] == [("cluster", "warning")]
    assert all(it.detail.startswith(detail) for it in (found[-1], *down))


def state_of(server: RedisServer) -> str:
    """Return what a node tells of its cluster."""
    return str(ask(server, "CLUSTER", "INFO"))


@pytest.mark.long
def test_ready_page_and_doctor_tell_of_a_shard_that_is_dead(shards: Cluster) -> None:
    """The process stays ready for the merchants of the others (failure mode 68).

    What is found about the other shards is told all the same.
    """
    dead = shards.primaries[2]
    part = f"2 of 3 shards answer, not 127.0.0.1:{dead.port}; "
    with serving(REDIS_URL=shards.url, CHECK_INTERVAL_S="0.2") as service:
        poll("known", lambda: shows(service, "[+] cluster ok: 3 of 3 shards answer"))
        dead.stop()
        try:
            poll("noticed", lambda: shows(service, f"[!] cluster warning: {part}"))
            assert service.http("/readyz")[0] == 200
            examined = run("doctor", "--json", settings={"REDIS_URL": shards.url})
        finally:
            dead.start()
        poll("whole", lambda: shows(service, "[+] cluster ok: 3 of 3 shards answer"))

    findings = {it["name"]: it for it in json.loads(examined.stdout)["findings"]}
    assert examined.returncode == 3
    assert findings["cluster"]["detail"].startswith(part)
    assert findings["permissions"]["state"] == "ok"
