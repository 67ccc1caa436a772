"""A primary that the Sentinels no longer name, while it serves on: when it is left, and when not.

Two primaries that know nothing of each other stand for the old and the new one. Three Sentinels
are told which of them to name, so nothing depends on how long a failover takes.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.backends import TERMS, Counts, link_to, soon
from tests.servers import RedisServer, poll, running
from tests.service import now_ms
from tests.topologies import Replicated, ask, info, is_primary, replicated
from tests.topology.conftest import until

from leasehold.model import ids
from leasehold.model.deadline import Deadline
from leasehold.model.errors import (
    DeadlinePassedError,
    QuarantinedError,
    StoreTrouble,
    StoreUnavailableError,
)
from leasehold.model.lease import CreateLease, CreateLeaseStatus
from leasehold.model.slot import Slot
from leasehold.store import keys, sentinels
from leasehold.store.link import Link
from leasehold.store.markers import Guard, Markers
from leasehold.store.redis_store import RedisStore

PATIENT: dict[str, Any] = {"timeout_s": 15, "replica_ack_timeout_s": 15}


@pytest.fixture
def group() -> Iterator[Replicated]:
    """The old primary, which serves on, and three Sentinels."""
    with replicated("valkey9", replicas=0) as group:
        yield group


@pytest.fixture
def new() -> Iterator[RedisServer]:
    """Another primary."""
    with running("valkey9") as server:
        yield server


def name(server: RedisServer, *watchers: RedisServer) -> None:
    """Let Sentinels name a server from now on."""
    for sentinel in watchers:
        ask(sentinel, "SENTINEL", "REMOVE", "leasehold-test")
        ask(sentinel, "SENTINEL", "MONITOR", "leasehold-test", "127.0.0.1", server.port, 2)


class Caller:
    """Takes slots over a link, each once."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.markers = Markers(link, 60_000, on_loss=lambda: None)
        self._store = RedisStore(link, TERMS)
        self._guarded = RedisStore(link, TERMS, taking=Guard(link, self.markers.admit))
        self._until_ms = now_ms() + 600_000

    async def lease(self, reference: str, *, is_guarded: bool = False) -> CreateLeaseStatus:
        """Ask for a lease on a slot that belongs to the reference."""
        store = self._guarded if is_guarded else self._store
        slot = Slot("m", reference, self._until_ms // 1000 + 86_400, 1800)
        command = CreateLease(slot, reference, self._until_ms)
        return (await store.create_lease(command, soon())).status

    def stood_still(self) -> None:
        """Be as a process that was stopped for ten seconds since the Sentinels were asked."""
        asked: sentinels.Sentinels = self.link._nodes  # type: ignore[assignment]
        asked._asked_at_s -= 10

    async def beat(self) -> None:
        """Keep the heart beating, as a process that serves does, only faster."""
        while True:
            with contextlib.suppress(StoreUnavailableError, DeadlinePassedError):
                await self.link.read("PING", deadline=Deadline.within(0.05, None))
            await asyncio.sleep(0.01)


@asynccontextmanager
async def calling(
    group: Replicated, counts: Counts | None = None, **limits: Any
) -> AsyncIterator[Caller]:
    """Open a link by the Sentinels, with a heart that beats."""
    async with link_to(group.url, counts, **limits) as link:
        caller = Caller(link)
        beats = asyncio.create_task(caller.beat())
        try:
            yield caller
        finally:
            beats.cancel()


def has(server: RedisServer, reference: str) -> bool:
    """Tell whether a server knows a lease."""
    return bool(ask(server, "EXISTS", keys.lease_key("m", ids.lease_suffix(reference))))


async def test_sentinel_primary_that_most_no_longer_name_is_left(
    group: Replicated, new: RedisServer
) -> None:
    """It answers well, and is left at the next heartbeat: two of three Sentinels are enough."""
    old, counts = group.primary, Counts()
    async with calling(group, counts) as caller:
        assert await caller.lease("before") is CreateLeaseStatus.CREATED
        name(new, *group.sentinels[:2])
        await until(new.links)
        assert await caller.lease("after") is CreateLeaseStatus.CREATED
        await asyncio.to_thread(poll, "the old one is left", lambda: not old.links())

    assert (has(old, "before"), has(old, "after"), has(new, "after")) == (True, False, True)
    assert is_primary(old)
    assert counts.reconnects == 1


@pytest.mark.parametrize("is_one_dead", [False, True])
async def test_sentinel_primary_that_one_of_three_no_longer_names_is_kept(
    group: Replicated, new: RedisServer, is_one_dead: bool
) -> None:
    """The smaller side of a network that has parted decides nothing."""
    one, other, third = group.sentinels
    old = group.primary
    async with link_to(group.url) as link:
        caller = Caller(link)
        await caller.lease("before")
        name(new, one)
        if is_one_dead:
            other.stop()
        for number in range(5):
            caller.stood_still()
            assert await caller.lease(f"after-{number}") is CreateLeaseStatus.CREATED
            assert has(old, f"after-{number}")
        assert third.links()
        assert not new.links()


async def test_sentinel_primary_without_any_sentinel_is_kept(group: Replicated) -> None:
    """The Sentinels are needed for changes only: without them the primary serves on."""
    async with link_to(group.url) as link:
        caller = Caller(link)
        await caller.lease("before")
        for sentinel in group.sentinels:
            sentinel.stop()
        caller.stood_still()
        assert await caller.lease("after") is CreateLeaseStatus.CREATED
        for sentinel in group.sentinels:
            sentinel.start()


async def test_sentinel_primary_that_is_gone_is_left_for_what_any_sentinel_names(
    group: Replicated, new: RedisServer
) -> None:
    """One of three Sentinels is enough to be served again, as it is to begin with."""
    one, *others = group.sentinels
    async with calling(group, connect_timeout_s=0.3) as caller:
        await caller.lease("before")
        for server in (group.primary, *others):
            server.stop()
        name(new, one)
        await until(new.links)
        assert await caller.lease("after") is CreateLeaseStatus.CREATED


async def is_unknown(asked: "asyncio.Task[CreateLeaseStatus]") -> bool:
    """Tell whether the answer is that the outcome is unknown."""
    with pytest.raises(StoreUnavailableError) as caught:
        await asked
    return caught.value.trouble is StoreTrouble.UNREACHABLE


async def test_create_lease_in_flight_to_a_primary_that_is_replaced_is_not_confirmed(
    group: Replicated, new: RedisServer
) -> None:
    """With its connection the question is gone; a repeat is granted by the new one."""
    old = group.primary
    async with calling(group, **PATIENT) as caller:
        await caller.lease("before")
        ask(old, "CLIENT", "PAUSE", 60_000, "WRITE")
        held = asyncio.create_task(caller.lease("held"))
        name(new, *group.sentinels)
        assert await is_unknown(held)
        assert await caller.lease("held") is CreateLeaseStatus.CREATED
        ask(old, "CLIENT", "UNPAUSE")
        assert (has(old, "held"), has(new, "held")) == (False, True)


async def test_create_lease_in_flight_to_a_primary_that_is_replaced_is_asked_again_there(
    group: Replicated, new: RedisServer
) -> None:
    """What may be repeated is: the caller notices nothing."""
    old = group.primary
    async with calling(group, retries=1, **PATIENT) as caller:
        await caller.lease("before")
        ask(old, "CLIENT", "PAUSE", 60_000, "WRITE")
        held = asyncio.create_task(caller.lease("held"))
        name(new, *group.sentinels)
        assert await held is CreateLeaseStatus.CREATED
        assert has(new, "held")


async def test_create_lease_that_waits_for_replicas_of_a_primary_that_is_replaced_is_not_confirmed(
    new: RedisServer,
) -> None:
    """Replicas that still follow the old one prove nothing; its connections are let go, both."""
    with replicated("valkey9") as group:
        old, (replica,) = group.primary, group.replicas
        async with calling(group, replica_acks=1, **PATIENT) as caller:
            await caller.lease("before")
            replica.pause()
            held = asyncio.create_task(caller.lease("held"))
            await until(lambda: int(info(old, "clients")["blocked_clients"]))
            name(new, *group.sentinels)
            assert await is_unknown(held)
            await asyncio.to_thread(poll, "the old one is left", lambda: not old.links())
            replica.resume()


async def test_create_lease_after_a_standstill_is_not_confirmed_before_the_sentinels_are_asked(
    group: Replicated, new: RedisServer
) -> None:
    """A process that was stopped may have missed everything: its first answer has to wait."""
    old = group.primary
    async with link_to(group.url) as link:
        caller = Caller(link)
        await caller.lease("before")
        name(new, *group.sentinels)
        caller.stood_still()
        assert await is_unknown(asyncio.create_task(caller.lease("after")))
        assert await caller.lease("after") is CreateLeaseStatus.CREATED
        assert has(new, "after")
        assert is_primary(old)


async def test_create_lease_unacknowledged_has_the_sentinels_asked_at_once(
    new: RedisServer,
) -> None:
    """A shortfall may mean that the replicas follow another: no heartbeat is waited for."""
    with replicated("valkey9") as group:
        (replica,) = group.replicas
        async with link_to(group.url, replica_acks=1, replica_ack_timeout_s=0.2) as link:
            caller = Caller(link)
            await caller.lease("before")
            replica.pause()
            name(new, *group.sentinels)
            assert await is_unknown(asyncio.create_task(caller.lease("after")))
            replica.resume()
            assert has(new, "after") is False
            assert list(new.links()) == []
            await link.ping(soon())
            assert new.links()


async def test_create_lease_with_quarantine_by_a_new_primary_that_lacks_the_marker_is_refused(
    group: Replicated, new: RedisServer
) -> None:
    """Another primary is another store until its marker has been looked at, at the first grant."""
    async with calling(group) as caller:
        await caller.markers.beat(soon())
        assert await caller.lease("before", is_guarded=True) is CreateLeaseStatus.CREATED
        name(new, *group.sentinels)
        await until(new.links)
        with pytest.raises(QuarantinedError):
            await caller.lease("after", is_guarded=True)
        assert not has(new, "after")
