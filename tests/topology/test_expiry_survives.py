"""The end of a hold is an absolute time, whatever becomes of the server (failure mode 12)."""

import asyncio
from collections.abc import Callable

import pytest
from redis.asyncio import Redis
from tests.backends import LIMITS, Backend, RealClock, client_of, link_to, soon
from tests.servers import RedisServer, poll, running
from tests.topologies import ask, has_replicas

from leasehold.model.lease import CreateLease, CreateLeaseStatus
from leasehold.store import keys
from leasehold.store.topology import open_link

# The newest always; each of them waits for a hold to end.
SERVERS = [
    pytest.param("redis62", marks=pytest.mark.long),
    "valkey9",
    pytest.param("redis7", marks=pytest.mark.long),
]
HOLD_MS = 6000
# PTTL is whole milliseconds of a time that the server reads once more for it.
GRAIN_MS = 2

PERSISTENCE = {
    "append-only file": ("--appendonly", "yes", "--appendfsync", "always"),
    "snapshots": (),
}


async def ends_at_ms(redis: Redis, key: str) -> int:
    """Return when a key ends by the server's clock."""
    async with redis.pipeline(transaction=True) as pipeline:
        pipeline.time()
        pipeline.pttl(key)
        (seconds, microseconds), remaining_ms = await pipeline.execute()
    assert remaining_ms > 0, f"{key} is gone, or has no end"
    return int(seconds) * 1000 + int(microseconds) // 1000 + int(remaining_ms)


async def hold(server: RedisServer) -> tuple[Backend, str, CreateLease, int]:
    """Hold a slot on a server; return the key, the command and the granted expiry."""
    async with client_of(server.tester_url) as redis, link_to(server.url) as link:
        backend = Backend(redis, link, RealClock(), lambda: open_link(server.url, LIMITS))
        slot = await backend.slot()
        command = CreateLease(slot, "r", await backend.now_ms() + HOLD_MS)
        granted = await backend.store().create_lease(command, soon())
        assert granted.status is CreateLeaseStatus.CREATED
        key = keys.spot_key(slot, 1)
        assert abs(await ends_at_ms(redis, key) - granted.expires_at_ms) <= GRAIN_MS
        return backend, key, command, granted.expires_at_ms


async def still_ends(server: RedisServer, key: str, command: CreateLease, at_ms: int) -> None:
    """Check the end of the hold, and what its reference is told."""
    async with client_of(server.tester_url) as redis, link_to(server.url) as link:
        backend = Backend(redis, link, RealClock(), lambda: open_link(server.url, LIMITS))
        assert abs(await ends_at_ms(redis, key) - at_ms) <= GRAIN_MS
        again = await backend.store().create_lease(command, soon())
        assert (again.status, again.expires_at_ms) == (CreateLeaseStatus.REPLAYED, at_ms)


async def is_over(server: RedisServer, key: str, at_ms: int) -> None:
    """Wait for the end, and see that it is one: not before, and not after."""
    async with client_of(server.tester_url) as redis, asyncio.timeout(30):
        held = True
        while held:
            async with redis.pipeline(transaction=True) as pipeline:
                pipeline.time()
                pipeline.exists(key)
                (seconds, microseconds), held = await pipeline.execute()
            now_ms = int(seconds) * 1000 + int(microseconds) // 1000
            assert bool(held) == (now_ms < at_ms) or abs(now_ms - at_ms) <= GRAIN_MS
            await asyncio.sleep(0.002)


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.parametrize("kind", PERSISTENCE)
async def test_restarted_again_and_again_a_hold_ends_when_it_was_granted_to(
    name: str, kind: str
) -> None:
    """Neither loading the file of commands nor a snapshot begins a hold afresh."""
    with running(name, *PERSISTENCE[kind]) as server:
        _, key, command, at_ms = await hold(server)
        for _ in range(4):
            if kind == "snapshots":
                ask(server, "SAVE")
            server.stop()
            server.start()
            await still_ends(server, key, command, at_ms)
        await is_over(server, key, at_ms)


@pytest.mark.parametrize("name", SERVERS)
async def test_promoted_again_and_again_a_hold_ends_when_it_was_granted_to(name: str) -> None:
    """A replica has the end itself, not what remained when it was told."""
    quick = ("--repl-diskless-sync-delay", "0")
    with running(name, *quick) as one, running(name, *quick) as other:
        primary, replica = one, other
        follow(replica, primary)
        _, key, command, at_ms = await hold(primary)
        for _ in range(3):
            poll("the replica has the hold", has(replica, key))
            primary, replica = replica, primary
            ask(primary, "REPLICAOF", "NO", "ONE")
            await still_ends(primary, key, command, at_ms)
            follow(replica, primary)
        await is_over(primary, key, at_ms)


def follow(replica: RedisServer, primary: RedisServer) -> None:
    """Let one server follow another, and wait until it does."""
    ask(replica, "REPLICAOF", "127.0.0.1", primary.port)
    poll("the replica follows", lambda: has_replicas(primary, 1))


def has(server: RedisServer, key: str) -> Callable[[], bool]:
    """Return what tells whether a server knows a key."""
    return lambda: bool(ask(server, "EXISTS", key))
