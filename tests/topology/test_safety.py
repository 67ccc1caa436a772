"""What a look at a real server finds, and what a marker on it notices when data is lost."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from tests.backends import LIMITS, Backend, Counts, RealClock, client_of, link_to, soon
from tests.servers import REAL_SERVERS, SERVICE, RedisServer, access_list, running

from leasehold.model.errors import StoreTrouble, StoreUnavailableError
from leasehold.model.finding import Finding
from leasehold.model.slot import Slot
from leasehold.store import conversation, keys, rights, safety
from leasehold.store.doctor import Doctor
from leasehold.store.link import Link
from leasehold.store.long_slots import LongSlots
from leasehold.store.marker import Marker
from leasehold.store.topology import open_link

LIMITED = ("-config", "-info", "-wait")


@pytest.fixture(params=REAL_SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """A server of this test's own, since the test spoils it."""
    with running(request.param) as server:
        yield server


@asynccontextmanager
async def opened(server: RedisServer) -> AsyncIterator[Backend]:
    """Open the store on a server."""
    async with client_of(server.tester_url) as redis, link_to(server.url, retries=2) as link:
        yield Backend(redis, link, RealClock(), lambda: open_link(server.url, LIMITS))


async def restart(server: RedisServer, backend: Backend) -> None:
    """Kill a server and start it again."""
    server.stop()
    server.start()
    # The test's own client would trust a connection that is gone.
    await backend.redis.connection_pool.disconnect()


async def found(link: Link) -> dict[str, Finding]:
    """Look, and return the findings by name."""
    return {finding.name: finding for finding in await safety.look(link, soon(), 0)}


def states(findings: dict[str, Finding]) -> dict[str, str]:
    """Return the state of each finding."""
    return {name: str(finding.state) for name, finding in findings.items()}


async def test_look_at_a_well_kept_server_finds_nothing(server: RedisServer) -> None:
    """A log on disk and no eviction: every finding is ok, on each server."""
    async with opened(server) as backend:
        await backend.redis.config_set("appendonly", "yes")

        assert set(states(await found(backend.link)).values()) == {"ok"}


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
async def test_look_at_a_server_that_evicts_warns(server: RedisServer, policy: str) -> None:
    """Every policy but noeviction can delete a live hold, whose key has a TTL (failure mode 33)."""
    async with opened(server) as backend:
        await backend.redis.config_set("maxmemory-policy", policy)
        eviction = (await found(backend.link))["eviction"]
        assert (eviction.state, policy in eviction.detail) == ("warning", True)

        await backend.redis.config_set("maxmemory-policy", "noeviction")
        assert (await found(backend.link))["eviction"].state == "ok"


async def test_look_at_a_server_that_keeps_nothing_warns(server: RedisServer) -> None:
    """Without a log a restart loses holds; who may ask CONFIG learns how many."""
    async with opened(server) as backend:
        doctor = Doctor(backend.link, 0, 86_400, 0)

        async def persistence() -> str:
            every = {each.name: each for each in await doctor.findings()}
            assert every["persistence"].state == "warning"
            return every["persistence"].detail

        assert (await persistence()).startswith("no append-only file")
        await backend.redis.execute_command("ACL", "SETUSER", SERVICE, "+config|get")
        assert (await persistence()).startswith("none")
        await backend.redis.config_set("save", "3600 1")
        assert (await persistence()).startswith("snapshots only")
        # A process does not ask, whatever its user may.
        assert (await found(backend.link))["persistence"].detail.startswith("no append-only file")


async def test_service_user_may_read_no_password_of_the_server(server: RedisServer) -> None:
    """An access list cannot name single parameters, so CONFIG GET is not granted at all."""
    async with opened(server) as backend:
        await backend.redis.config_set("masterauth", "of-the-replicas")
        await found(backend.link)
        with pytest.raises(StoreUnavailableError) as caught:
            await backend.link.read("CONFIG", "GET", "masterauth", deadline=soon())
        assert caught.value.trouble is StoreTrouble.ACCESS_DENIED
        log: Any = await backend.redis.acl_log()
        # What a look asks was allowed; Redis 6.2 logs no subcommand.
        assert [entry["object"].partition("|")[0] for entry in log] == ["config"]
        assert int(log[0]["count"]) == 1


@pytest.mark.parametrize(
    ("rights", "lacks"),
    [
        ("-@all", "EXEC SET DEL HSET ZADD XADD PEXPIREAT"),
        ("+@all -hset", "HSET"),
        ("+@all resetkeys ~shop:*", "SET DEL HSET ZADD XADD PEXPIREAT"),
    ],
)
async def test_look_at_a_server_that_may_drop_its_file_warns(
    server: RedisServer, rights: str, lacks: str
) -> None:
    """A server that may judge its append-only file by ``default`` is found out before it restarts.

    Redis 6.2 never does, and where there is no such file nothing is judged (failure mode 62).
    """
    async with opened(server) as backend:
        await backend.redis.execute_command("ACL", "SETUSER", "default", *rights.split())
        assert (await found(backend.link))["restart"].state == "ok"
        await backend.redis.config_set("appendonly", "yes")
        restart = (await found(backend.link))["restart"]
        if server.name == "redis62":
            assert restart.state == "ok"
            return
        assert restart.state == "warning"
        assert f"default may not use {lacks}: a restart may drop" in restart.detail

        await backend.redis.execute_command("ACL", "SETUSER", SERVICE, "-acl|dryrun")
        restart = (await found(backend.link))["restart"]
        assert (restart.state, restart.detail) == ("warning", "unknown: ACL DRYRUN is not allowed")
        await backend.redis.execute_command("ACL", "SETUSER", SERVICE, "+acl|dryrun")
        await backend.redis.execute_command("ACL", "SETUSER", "default", "+@all", "~*", "&*")
        assert (await found(backend.link))["restart"].state == "ok"


async def test_look_as_a_user_who_may_not_ask_warns_and_raises_nothing(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """INFO, CONFIG and WAIT denied: unknown is a warning, and calls go on (failure mode 42).

    To be denied costs no connection, or every look would renew it.
    """
    async with opened(server) as backend, link_to(server.url, counts := Counts()) as link:
        await backend.redis.execute_command("ACL", "SETUSER", SERVICE, *LIMITED)
        wanted = replace(backend, link=link)
        monkeypatch.setattr(conversation, "_LEAST_AGE_S", 0)
        for _ in range(3):
            findings = await found(link)
        assert states(findings) == {
            "version": "warning",
            "permissions": "ok",
            "eviction": "warning",
            "persistence": "warning",
            "restart": "warning",
            "replicas": "warning",
            "clock": "ok",
        }
        assert findings["eviction"].detail == "unknown: INFO is not allowed"
        assert (await wanted.create_lease(await wanted.slot())).expires_at_ms
        assert counts.reconnects == 0


async def test_look_as_a_user_who_lacks_commands_names_them(server: RedisServer) -> None:
    """What the scripts need and may not do is known before the first call."""
    async with opened(server) as backend:
        for denied in (["pexpireat", "zadd"], ["set"]):
            without = [f"-{name}" for name in denied]
            await backend.redis.execute_command("ACL", "SETUSER", SERVICE, "+@all", *without)
            permissions = (await found(backend.link))["permissions"]
            assert permissions.state == "failed"
            assert {f"+{name}" for name in denied} <= set(permissions.detail.split())
            assert not await backend.redis.exists(keys.probe_key(""))

        rules = [it for it in access_list()[SERVICE] if it not in {"~events:{*", "~feed"}]
        await backend.redis.execute_command("ACL", "SETUSER", SERVICE, *rules)
        permissions = (await found(backend.link))["permissions"]
        assert permissions.detail == "the store's user lacks ~events:{* ~feed"

        await backend.redis.execute_command("ACL", "SETUSER", SERVICE, "-eval", "-evalsha")
        assert (await found(backend.link))["permissions"].state == "failed"


@pytest.mark.parametrize(("ago_s", "state"), [(30, "warning"), (61, "ok")])
async def test_doctor_tells_of_a_clock_that_stepped_back_for_one_longest_lease(
    server: RedisServer, ago_s: int, state: str
) -> None:
    """What processes have noted in the marker is a finding, until what was held has ended."""
    async with opened(server) as backend:
        back_at_ms = await backend.now_ms() - ago_s * 1000
        fields = ["back_at_ms", str(back_at_ms), "back_by_ms", "3600000"]
        await backend.redis.execute_command("HSET", keys.marker_key(""), *fields)
        found = {it.name: it for it in await Doctor(backend.link, 0, 86_400, 60_000).findings()}

    assert found["step"].state == state


@pytest.mark.parametrize("is_replica", [False, True])
async def test_doctor_names_every_rule_that_is_missing(
    server: RedisServer, *, is_replica: bool
) -> None:
    """Rules of scripts and of the link are named, on a server before it is promoted as well."""
    taken = {"+hset", "+pexpireat", "~events:{*", "~feed", "+scan", "+wait", "+role"}
    async with opened(server) as backend:
        if is_replica:
            await backend.redis.execute_command("REPLICAOF", "127.0.0.1", "1")
        doctor = Doctor(backend.link, 0, 86_400, 60_000)
        assert list((await doctor.lacking()).values()) == [[]]

        rules = [it for it in access_list()[SERVICE] if it not in taken]
        await backend.redis.execute_command("ACL", "SETUSER", SERVICE, *rules)
        (lacking,) = (await doctor.lacking()).values()
        assert set(lacking) == taken

        await backend.redis.execute_command("ACL", "SETUSER", SERVICE, "-evalsha")
        (lacking,) = (await doctor.lacking()).values()
        assert "+evalsha" in lacking
        if is_replica:
            await backend.redis.execute_command("REPLICAOF", "NO", "ONE")


async def test_a_user_who_may_do_no_more_than_is_documented_is_served(
    server: RedisServer,
) -> None:
    """What docs/configuration.md lists is enough to connect, be ready, grant and list."""
    used = [right.command.lower() for right in rights.of_keys()]
    documented = ["client|setname", "ping", "evalsha", "eval", "scan", *used]
    async with opened(server) as backend:
        allowed = [f"+{name}" for name in documented]
        await backend.redis.execute_command(
            "ACL", "SETUSER", "frugal", "on", ">frugal", "~*", *allowed
        )
        async with link_to(server.url_of("frugal")) as link:
            await link.ping(soon())
            frugal = replace(backend, link=link)
            assert (await frugal.create_lease(await frugal.slot())).expires_at_ms
            assert (await found(link))["permissions"].state == "ok"
            assert [name async for name in frugal.inventory().merchants()] == []


async def test_look_at_a_replica_says_that_it_is_one(server: RedisServer) -> None:
    """A replica takes no writes; that is no fault of its own settings."""
    async with opened(server) as backend:
        await backend.redis.execute_command("REPLICAOF", "127.0.0.1", "1")

        assert (await found(backend.link))["replicas"].state == "warning"


async def test_marker_notices_a_flush(server: RedisServer) -> None:
    """Every process notices, once, and the warning ends with the longest hold (failure mode 44)."""
    async with opened(server) as backend:
        losses: list[str] = []
        one = Marker(backend.link, 300, on_loss=lambda: losses.append("one"))
        other = Marker(backend.link, 300, on_loss=lambda: losses.append("other"))
        for marker in (one, other):
            assert (await marker.beat(soon())).state == "ok"
        await backend.redis.flushall()

        for _ in range(2):
            assert (await one.beat(soon())).detail.startswith("lost at ")
            assert (await other.beat(soon())).state == "warning"
        assert losses == ["one", "other"]

        await backend.wait_until(await backend.now_ms() + 300)
        assert (await one.beat(soon())).state == "ok"
        assert losses == ["one", "other"]


async def test_marker_notices_a_restart_without_the_data(server: RedisServer) -> None:
    """A server that keeps nothing comes back empty: noticed with the first beat that it answers."""
    async with opened(server) as backend:
        losses: list[int] = []
        marker = Marker(backend.link, 60_000, on_loss=lambda: losses.append(1))
        await marker.beat(soon())
        server.stop()
        with pytest.raises(StoreUnavailableError):
            await marker.beat(soon())
        server.start()

        assert (await marker.beat(soon())).state == "warning"
        assert losses == [1]


async def test_marker_notices_a_restart_from_an_older_snapshot(server: RedisServer) -> None:
    """Data that is as it was before the last beat is noticed, though nothing seems to be gone."""
    async with opened(server) as backend:
        losses: list[int] = []
        marker = Marker(backend.link, 60_000, on_loss=lambda: losses.append(1))
        await marker.beat(soon())
        await backend.redis.save()
        await marker.beat(soon())
        held = await backend.create_lease(slot := await backend.slot())
        assert held.expires_at_ms
        await restart(server, backend)

        assert await backend.owner(slot) is None
        assert (await marker.beat(soon())).state == "warning"
        assert losses == [1]


async def test_marker_after_a_restart_with_the_data_notices_nothing(server: RedisServer) -> None:
    """A server that comes back with all that it had answered is no loss."""
    server.stop()
    server.arguments = ("--appendonly", "yes", "--appendfsync", "always")
    server.start()
    async with opened(server) as backend:
        marker = Marker(backend.link, 60_000, on_loss=pytest.fail)
        await marker.beat(soon())
        await restart(server, backend)

        assert (await marker.beat(soon())).state == "ok"


async def test_marker_that_may_not_be_kept_warns(server: RedisServer) -> None:
    """A user who may not touch the marker's key, and a full store, leave a loss unknown."""
    async with opened(server) as backend:
        marker = Marker(backend.link, 60_000, on_loss=pytest.fail)
        await backend.redis.config_set("maxmemory", "1")
        assert "STORE_OUT_OF_MEMORY" in (await marker.beat(soon())).detail
        await backend.redis.config_set("maxmemory", "0")

        limits = ("resetkeys", "~lease:*", "~slot:*")
        await backend.redis.execute_command("ACL", "SETUSER", SERVICE, *limits)
        finding = await marker.beat(soon())
        await backend.redis.execute_command("ACL", "SETUSER", SERVICE, "~*")
        assert (finding.state, finding.detail[:8]) == ("warning", "unknown:")


async def test_slots_longer_than_they_may_be_are_a_finding_while_they_are_stored(
    server: RedisServer,
) -> None:
    """The names of spots tell, some pages a look, until a whole pass finds no such slot."""
    async with opened(server) as backend:
        others = {f"foreign:{number}": "" for number in range(2_000)}
        others["slot:{m}:not#1"] = others["slot:{m}:probe"] = ""
        await backend.redis.mset(others)
        slot = Slot("m", "haircut", 1_900_000_000, 1_800_000)
        await backend.redis.set(keys.spot_key(slot, 1), "lease X")
        await backend.redis.set(keys.spot_key(replace(slot, duration_s=86_400), 1), "lease Y")

        long_slots = LongSlots(backend.link, 86_400, most_pages=1)
        found = [await long_slots.look(soon()) for _ in range(20)]
        assert found[-1].state == "warning"
        assert "a slot of 1800000 s is held or booked" in found[-1].detail
        assert len(set(found)) <= 2
        doctor = Doctor(backend.link, 0, 86_400, 60_000)
        by_name = {each.name: each for each in await doctor.findings()}
        assert by_name["slots"] == found[-1]

        await backend.redis.delete(keys.spot_key(slot, 1))
        states = [(await long_slots.look(soon())).state for _ in range(20)]
        assert (states[0], states[-1]) == ("warning", "ok")
        without_scan = [*access_list()[SERVICE], "-scan"]
        await backend.redis.execute_command("ACL", "SETUSER", SERVICE, *without_scan)
        assert (await long_slots.look(soon())).detail == "unknown: SCAN is not allowed"
        await backend.redis.flushall()
