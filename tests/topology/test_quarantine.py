"""After a loss of data nothing is given away that may have been held, if that is asked for."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace

import pytest
from tests.backends import LIMITS, TERMS, Backend, link_to, real_backend, soon
from tests.proxy import proxy_to
from tests.servers import SERVICE, RedisServer, running

from leasehold.model import ids
from leasehold.model.booking import BookingStatus, CreateBooking, UpdateBooking
from leasehold.model.errors import QuarantinedError, StoreTrouble, StoreUnavailableError
from leasehold.model.lease import CreateLease
from leasehold.model.operators import ExtendLease
from leasehold.store.hooks import Hooks
from leasehold.store.markers import Guard, Markers
from leasehold.store.redis_leases import RedisLeases
from leasehold.store.redis_store import RedisStore
from leasehold.store.topology import open_link

HOLD_MS = 60_000


@dataclass
class Pod:
    """What one process with quarantine has."""

    backend: Backend
    marker: Markers
    store: RedisStore


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A server of this test's own, since the test flushes it."""
    with running("valkey9") as server:
        yield server


@pytest.fixture
async def backend(server: RedisServer) -> AsyncIterator[Backend]:
    """The store on that server."""
    async with real_backend(server) as backend:
        yield backend


def pod(backend: Backend, hold_ms: int = HOLD_MS) -> Pod:
    """Start one more process."""
    marker = Markers(backend.link, hold_ms, on_loss=lambda: None)
    return Pod(
        backend, marker, RedisStore(backend.link, TERMS, taking=Guard(backend.link, marker.admit))
    )


async def lease(backend: Backend, reference: str = "r-1") -> CreateLease:
    """Return a command that a store in order grants."""
    return CreateLease(await backend.slot(), reference, await backend.now_ms() + 30_000)


def booking(command: CreateLease, *, by_lease: bool, token: str = "t-1") -> CreateBooking:
    """Book the slot of a command, by its lease or directly."""
    reference = ids.parse_wire_id(command.lease_id) if by_lease else None
    return CreateBooking(
        token=token,
        slot=command.slot,
        lease=reference,
        user_id="ada",
        api="v2",
        original=b"",
    )


async def test_quarantine_refuses_whatever_takes_a_spot_and_nothing_else(
    backend: Backend,
) -> None:
    """Every process refuses for the rest of the longest hold; what frees or reads goes on."""
    first = pod(backend)
    await first.marker.beat(soon())
    await backend.redis.flushall()
    # Granted before anybody has noticed.
    command = await lease(backend)
    await first.store.create_lease(command, soon())
    await first.marker.beat(soon())
    second = pod(backend)
    await second.marker.beat(soon())

    for store in (first.store, second.store):
        with pytest.raises(QuarantinedError) as caught:
            await store.create_lease(await lease(backend, "r-2"), soon())
        assert 0 < caught.value.retry_after_s <= HOLD_MS / 1000
        with pytest.raises(QuarantinedError):
            await store.create_booking(booking(command, by_lease=False), soon())
        with pytest.raises(QuarantinedError):
            await store.check_availability(command.slot, soon())
    made = await first.store.create_booking(booking(command, by_lease=True), soon())
    reference = ids.Reference(command.slot.merchant_id, ids.booking_suffix("v2", "t-1"))
    assert made.status == "created"
    with pytest.raises(QuarantinedError):
        await first.store.update_booking(UpdateBooking(reference, party_size=2), soon())
    cancel = UpdateBooking(reference, BookingStatus.CANCELED)
    assert (await first.store.update_booking(cancel, soon())).status == "updated"


async def test_quarantine_outlasts_a_hold_that_was_extended_and_lets_it_be_extended(
    backend: Backend,
) -> None:
    """No extension grants more than the longest lease from now, for which quarantine waits."""
    terms = replace(TERMS, max_lease_ms=HOLD_MS)
    first = pod(backend)
    await first.marker.beat(soon())
    await backend.redis.flushall()
    command = await lease(backend)
    await first.store.create_lease(command, soon())
    await first.marker.beat(soon())

    named = ids.Reference(command.slot.merchant_id, command.lease_suffix)
    leases = RedisLeases(backend.link, terms, is_strict=False)
    extended = await leases.extend_lease(ExtendLease(named, 10**15, "INC-1"), soon())

    assert extended.status == "extended"
    assert extended.remaining_ms <= HOLD_MS


async def test_quarantine_ends_by_itself(backend: Backend) -> None:
    """Once the longest hold from before the loss has ended, grants go on."""
    only = pod(backend, hold_ms=400)
    await only.marker.beat(soon())
    await backend.redis.flushall()
    await only.marker.beat(soon())
    with pytest.raises(QuarantinedError) as caught:
        await only.store.create_lease(await lease(backend), soon())
    refused_at_s = time.monotonic()

    await backend.wait_until(await backend.now_ms() + 400)
    assert (await only.store.create_lease(await lease(backend), soon())).status == "created"
    assert time.monotonic() - refused_at_s >= caught.value.retry_after_s


async def test_quarantine_is_heard_of_before_the_first_grant(backend: Backend) -> None:
    """A process that has just started, or lost its connection, gives nothing before it looks."""
    first, second = pod(backend), pod(backend)
    await first.marker.beat(soon())
    await backend.redis.flushall()
    await first.marker.beat(soon())

    with pytest.raises(QuarantinedError):
        await second.store.create_lease(await lease(backend), soon())
    await backend.redis.flushall()
    first.marker.doubt()
    for only in (first, second):
        with pytest.raises(QuarantinedError):
            await only.store.create_lease(await lease(backend), soon())
    assert await backend.dump() == {}


async def test_quarantine_without_a_loss_refuses_nothing(backend: Backend) -> None:
    """A new and empty store is no loss."""
    for only in (pod(backend), pod(backend)):
        await only.marker.beat(soon())
        outcome = await only.store.create_lease(await lease(backend), soon())
        assert outcome.status in ("created", "replayed")


async def test_quarantine_holds_until_a_store_that_took_no_writes_has_been_looked_at(
    backend: Backend,
) -> None:
    """A new primary that still lacks its replicas refuses the look, and may grant a moment later.

    It must not be taken for one that has been looked at.
    """
    only = pod(backend)
    await only.marker.beat(soon())
    await backend.redis.flushall()
    await backend.redis.config_set("min-replicas-to-write", 1)
    # As after a reconnect.
    only.marker.doubt()
    for _ in range(2):
        with pytest.raises(StoreUnavailableError) as caught:
            await only.store.create_lease(await lease(backend), soon())
        assert caught.value.trouble is StoreTrouble.NO_REPLICAS
        assert (await only.marker.beat(soon())).state == "warning"

    await backend.redis.config_set("min-replicas-to-write", 0)
    with pytest.raises(QuarantinedError):
        await only.store.create_lease(await lease(backend), soon())
    assert await backend.dump() == {}


async def test_quarantine_by_a_user_who_may_keep_no_marker_refuses_nothing(
    backend: Backend,
) -> None:
    """Where a loss cannot be noticed there is nothing to wait for; the finding says so."""
    limits = ("resetkeys", "~lease:*", "~slot:*", "~inventory:*")
    await backend.redis.execute_command("ACL", "SETUSER", SERVICE, *limits)
    outcome = await pod(backend).store.create_lease(await lease(backend), soon())
    await backend.redis.execute_command("ACL", "SETUSER", SERVICE, "~*")
    assert outcome.status == "created"


async def test_a_doubt_that_comes_during_a_look_needs_a_look_of_its_own(
    backend: Backend, server: RedisServer
) -> None:
    """What was asked before the doubt may have been answered by the server of before."""
    async with proxy_to(server.port) as proxy, link_to(proxy.url) as link:
        only = pod(replace(backend, link=link))
        await only.marker.beat(soon())
        before = await beats(backend)
        proxy.hold_replies()
        look = asyncio.create_task(only.marker.beat(soon()))
        async with asyncio.timeout(20):
            while await beats(backend) == before:
                await asyncio.sleep(0.005)
        await backend.redis.flushall()
        only.marker.doubt()
        proxy.release()
        assert (await look).state == "ok"

        with pytest.raises(QuarantinedError):
            await only.store.create_lease(await lease(backend), soon())


async def test_quarantine_looks_before_it_believes_a_connection_that_is_new(
    backend: Backend, server: RedisServer
) -> None:
    """After a loss the first new connection may be one that has not been there before."""
    markers: list[Markers] = []

    def connected() -> None:
        for each in markers:
            each.doubt()

    async with proxy_to(server.port) as proxy:
        limits = replace(LIMITS, connections=2)
        link = open_link(proxy.url, limits, hooks=Hooks(on_connect=connected))
        only = pod(replace(backend, link=link))
        markers.append(only.marker)
        await only.marker.beat(soon())
        assert (await only.store.create_lease(await lease(backend), soon())).status == "created"
        assert proxy.connections == 1
        proxy.cut()
        await backend.redis.flushall()
        command = await lease(backend)
        proxy.refuse(1)
        # The connection of before is asked for first, and is not had.
        ping = asyncio.create_task(link.ping(soon()))
        await asyncio.sleep(0)
        with pytest.raises(QuarantinedError):
            await only.store.create_lease(command, soon())
        with pytest.raises(StoreUnavailableError):
            await ping
        await link.close()


async def beats(backend: Backend) -> int:
    """Return the number of the latest beat."""
    return int(await backend.redis.hget("marker", "beat") or 0)
