"""Stores that the same tests run on: fakeredis with a clock of its own, and real servers."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, cast

import fakeredis.aioredis
import pytest
from fakeredis.aioredis import FakeAsyncRedisConnection
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from tests.clusters import Cluster
from tests.servers import SERVICE, RedisServer, check_ttls, is_marker

from leasehold.model.deadline import Deadline
from leasehold.model.lease import CreateLease, CreateLeaseOutcome, LeaseTerms
from leasehold.model.slot import Slot
from leasehold.store import keys
from leasehold.store.hooks import Hooks
from leasehold.store.link import Link
from leasehold.store.node import Limits, Node
from leasehold.store.redis_events import RedisEvents
from leasehold.store.redis_inventory import RedisInventory
from leasehold.store.redis_leases import RedisLeases
from leasehold.store.redis_store import RedisStore
from leasehold.store.topology import Access, open_link

DAY_MS = 86_400_000
TERMS = LeaseTerms(
    min_lease_ms=100,
    max_lease_ms=900_000,
    max_advance_ms=731 * DAY_MS,
    retention_ms=3_600_000,
    booking_retention_ms=7 * DAY_MS,
    max_life_ms=3_600_000,
    max_slot_ms=DAY_MS,
)
EVENTFUL = replace(TERMS, max_events=1000, event_retention_ms=3_600_000)
"""Terms by which events are noted."""
LIMITS = Limits(connections=1, max_in_flight=1000, timeout_s=5, connect_timeout_s=5, retries=0)


class Clock(Protocol):
    """Lets a test wait for a moment of the store's clock."""

    async def wait_until(self, redis: Redis, at_ms: int) -> None:
        """Return when the store's clock has reached ``at_ms``."""


class FakeClock:
    """The clock of fakeredis: it stands still until the test moves it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_ms = 1_800_000_000_000
        monkeypatch.setattr(time, "time", lambda: self.now_ms / 1000)

    async def wait_until(self, _redis: Redis, at_ms: int) -> None:
        """Move to ``at_ms``."""
        self.now_ms = max(self.now_ms, at_ms)


class RealClock:
    """The clock of a real server: the test waits for it."""

    async def wait_until(self, redis: Redis, at_ms: int) -> None:
        """Poll the server's clock."""
        async with asyncio.timeout(30):
            while await now_ms(redis) < at_ms:
                await asyncio.sleep(0.005)


async def now_ms(redis: Redis) -> int:
    """Return the store's clock in epoch milliseconds."""
    seconds, microseconds = await redis.time()
    return int(seconds) * 1000 + int(microseconds) // 1000


@dataclass
class Backend:
    """One store under test, and the ids that belong to this test alone."""

    redis: Redis
    """For the test's own questions."""
    link: Link
    clock: Clock
    another_link: Callable[[], Link]
    """Opens a link as another process would; the test closes it."""
    merchant: str = field(default_factory=lambda: f"m-{uuid.uuid4().hex[:12]}")
    is_strict: bool = False
    terms: LeaseTerms = TERMS

    def store(self, terms: LeaseTerms | None = None) -> RedisStore:
        """Return the real adapter on this store."""
        return RedisStore(self.link, terms or self.terms, is_strict=self.is_strict)

    def inventory(self, terms: LeaseTerms = TERMS) -> RedisInventory:
        """Return the real adapter of the inventory on this store."""
        return RedisInventory(self.link, terms.retention_ms)

    def leases(self, terms: LeaseTerms | None = None) -> RedisLeases:
        """Return the real adapter of what operators ask on this store."""
        return RedisLeases(self.link, terms or self.terms, is_strict=self.is_strict)

    def events(self, terms: LeaseTerms | None = None) -> RedisEvents:
        """Return the real adapter of what has happened on this store."""
        return RedisEvents(self.link, terms or self.terms)

    async def now_ms(self) -> int:
        """Return the store's clock."""
        return await now_ms(self.redis)

    async def wait_until(self, at_ms: int) -> None:
        """Wait for a moment of the store's clock."""
        await self.clock.wait_until(self.redis, at_ms)

    async def slot(self, **changes: Any) -> Slot:
        """Return a slot of this test's merchant that starts in a day."""
        start_s = await self.now_ms() // 1000 + 86_400
        values = {"merchant_id": self.merchant, "service_id": "haircut", "start_s": start_s}
        return Slot(**{**values, "duration_s": 1800, **changes})

    async def create_lease(
        self,
        slot: Slot,
        reference: str = "reference-1",
        *,
        for_ms: int = 300_000,
        until_ms: int | None = None,
        terms: LeaseTerms | None = None,
    ) -> CreateLeaseOutcome:
        """Ask for a lease, ``for_ms`` from now or until a fixed time."""
        asked_ms = await self.now_ms() + for_ms if until_ms is None else until_ms
        command = CreateLease(slot, reference, asked_ms)
        return await self.store(terms).create_lease(command, soon())

    async def owner(self, slot: Slot) -> str | None:
        """Return what the slot's key says."""
        owner = await self.redis.get(keys.spot_key(slot, 1))
        return str(owner) if owner is not None else None

    async def dump(self) -> dict[str, tuple[Any, int]]:
        """Return every key of this test's merchant with its value and its absolute expiry."""
        found = {}
        async for key in self.redis.scan_iter(match=f"*{{{self.merchant}}}*", count=1000):
            value = await READERS[str(await self.redis.type(key))](self.redis, key)
            remaining_ms = await self.redis.pttl(key)
            found[key] = (value, remaining_ms)
        return found


READERS: dict[str, Callable[[Redis, str], Any]] = {
    "string": lambda redis, key: redis.get(key),
    "hash": lambda redis, key: redis.hgetall(key),
    "stream": lambda redis, key: redis.xrange(key),
    "zset": lambda redis, key: redis.zrange(key, 0, -1, withscores=True),
}
"""How the value of a key is read whole, by its type."""


def full_key(slot: Slot) -> str:
    """Name what stands while every spot of a slot with many is known to be taken."""
    return keys.spot_key(slot, 1).replace("slot:", "full:", 1).removesuffix("#1")


def soon() -> Deadline:
    """Return a deadline that no healthy call reaches."""
    return Deadline.within(20, None)


@asynccontextmanager
async def fake_backend(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Backend]:
    """Open a fakeredis of this test's own; the test must leave no key without a TTL in it."""
    redis = fakeredis.FakeAsyncRedis(
        decode_responses=True, protocol=2, connection_class=FakeConnection
    )

    def another_link() -> Link:
        return Link(Node("fake", redis.connection_pool.make_connection, LIMITS), LIMITS)

    link = another_link()
    yield Backend(redis, link, FakeClock(monkeypatch), another_link)
    await link.close()
    endless = {key async for key in redis.scan_iter() if await redis.pttl(key) == -1}
    assert not {key for key in endless if not is_marker(key)}
    await redis.aclose()


class FakeConnection(FakeAsyncRedisConnection):
    """A connection of fakeredis with a transport, as the link wants one."""

    async def _connect(self) -> None:
        await super()._connect()
        assert self._sock
        self._writer = FakeWriter(self._sock)


class FakeWriter(fakeredis.aioredis.FakeWriter):
    """A writer that is its own transport: it passes answers on as Redis would write them."""

    _passing: "asyncio.Task[None] | None" = None

    @property
    def transport(self) -> "FakeWriter":
        """Return what takes a protocol."""
        return self

    def set_protocol(self, protocol: asyncio.Protocol) -> None:
        """Pass answers to a protocol from now on."""
        assert self._socket
        self._passing = asyncio.create_task(_pass_on(self._socket, protocol))

    def write(self, data: bytes) -> None:
        """Pass one piece on."""
        self.writelines([data])

    def is_closing(self) -> bool:
        """Tell whether it has been closed."""
        return self._socket is None

    def abort(self) -> None:
        """Close at once."""
        if self._passing:
            self._passing.cancel()
        self.close()


async def _pass_on(socket: fakeredis.aioredis.AsyncFakeSocket, protocol: asyncio.Protocol) -> None:
    while True:
        protocol.data_received(_as_resp(await socket.responses.get()))


def _as_resp(answer: Any) -> bytes:
    match answer:
        case None:
            return b"$-1\r\n"
        case int():
            return b":%d\r\n" % answer
        case bytes():
            return b"$%d\r\n%b\r\n" % (len(answer), answer)
        case list():
            return b"*%d\r\n" % len(answer) + b"".join(map(_as_resp, answer))
        case RedisError():
            # Parsed already, its code beside the message.
            code = f"{answer.status_code} " if answer.status_code else ""
            # As Redis does: an error is one line.
            return f"-{code}{' '.join(answer.args[0].split())}\r\n".encode()
    raise AssertionError(f"an answer of a kind unknown here: {answer!r}")


@asynccontextmanager
async def real_backend(server: RedisServer, user: str = SERVICE) -> AsyncIterator[Backend]:
    """Open a backend on a running server; the test must leave no key without a TTL on it."""
    url = server.url_of(user)
    async with client_of(server.tester_url) as redis, link_to(url) as link:
        yield Backend(redis, link, RealClock(), lambda: open_link(url, LIMITS))
    check_ttls(server.tester_url)


@asynccontextmanager
async def cluster_backend(cluster: Cluster, **limits: Any) -> AsyncIterator[Backend]:
    """Open a backend on a running cluster; the test must leave no key without a TTL on it."""
    client = RedisCluster.from_url(
        cluster.servers[0].tester_url,
        decode_responses=True,
        protocol=2,
        require_full_coverage=False,
    )
    async with client, link_to(cluster.url, **limits) as link:
        # A lease of a fifth of a second must not wait until the cluster has told who owns what.
        await link.ping(soon())
        # It answers what tests ask as the client of one server does.
        redis = cast("Redis", client)
        yield Backend(redis, link, RealClock(), lambda: open_link(cluster.url, LIMITS))
    for server in cluster.primaries:
        check_ttls(server.tester_url)


@dataclass
class Counts:
    """What a link has told of itself."""

    resent: int = 0
    reconnects: int = 0
    shortfalls: int = 0
    replica_waits_s: list[float] = field(default_factory=list, compare=False)
    answers: list[tuple[float, str]] = field(default_factory=list, compare=False)
    """The seconds and the name of every script that was answered."""

    def add_resent(self) -> None:
        """Count a command that was sent again."""
        self.resent += 1

    def add_reconnect(self) -> None:
        """Count a connection that took the place of a lost one."""
        self.reconnects += 1

    def add_shortfall(self) -> None:
        """Count an answer that too few replicas could confirm."""
        self.shortfalls += 1

    def add_answer(self, seconds: float, script: str) -> None:
        """Note the answer of a script."""
        self.answers.append((seconds, script))


@asynccontextmanager
async def link_to(
    url: str, counts: Counts | None = None, access: Access | None = None, **limits: Any
) -> AsyncIterator[Link]:
    """Open a link as the service opens its own, with other limits."""
    counts = counts or Counts()
    hooks = Hooks(
        on_reconnect=counts.add_reconnect,
        on_resend=counts.add_resent,
        on_answer=counts.add_answer,
        on_shortfall=counts.add_shortfall,
        on_replica_wait=counts.replica_waits_s.append,
    )
    link = open_link(url, replace(LIMITS, **limits), access, hooks)
    try:
        yield link
    finally:
        await link.close()


def client_of(url: str, timeout_s: float | None = None) -> Redis:
    """Return a client for the test's own questions; it takes the first answer."""
    return Redis.from_url(
        url,
        decode_responses=True,
        protocol=2,
        socket_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
    )
