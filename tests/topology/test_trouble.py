"""Each trouble that a real server can have, made on a real server (failure mode 25).

None of them is ever answered as a taken slot, and each passes without a restart of ours.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import pytest
import redis
from tests.backends import EVENTFUL, Backend, RealClock, client_of, link_to, soon
from tests.events import kinds, read_events
from tests.servers import REAL_SERVERS, SERVICE, RedisServer, poll, running

from leasehold.model import ids
from leasehold.model.booking import BookingStatus, CreateBooking, UpdateBooking
from leasehold.model.errors import StoreTrouble, StoreUnavailableError
from leasehold.model.lease import CreateLease, CreateLeaseStatus
from leasehold.model.operators import ExtendLease, ReleaseLease
from leasehold.store.eraser import Eraser
from leasehold.store.hooks import tell_nobody

BUSY_SCRIPT = "while true do end"


@pytest.fixture(params=REAL_SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """A server of this test's own, since the test spoils it."""
    with running(request.param) as server:
        yield server


@pytest.fixture
async def backend(server: RedisServer) -> AsyncIterator[Backend]:
    """The store on that server."""
    async with opened(server) as backend:
        yield backend


@contextlib.asynccontextmanager
async def opened(server: RedisServer) -> AsyncIterator[Backend]:
    """Open the store on a server."""
    async with (
        client_of(server.tester_url, timeout_s=1) as redis,
        link_to(server.url, timeout_s=1, connect_timeout_s=1) as link,
    ):
        yield Backend(redis, link, RealClock(), lambda: link)


async def command(backend: Backend) -> CreateLease:
    """Return a command that a healthy store grants."""
    return CreateLease(await backend.slot(), "r", await backend.now_ms() + 60_000)


async def trouble_of(backend: Backend, wanted: CreateLease) -> StoreTrouble:
    """Run a command that must find trouble."""
    with pytest.raises(StoreUnavailableError) as caught:
        await backend.store().create_lease(wanted, soon())
    return caught.value.trouble


async def grants(backend: Backend, wanted: CreateLease) -> bool:
    """Tell whether the same link grants again."""
    outcome = await backend.store().create_lease(wanted, soon())
    return outcome.status in (CreateLeaseStatus.CREATED, CreateLeaseStatus.REPLAYED)


async def test_down_is_unreachable(server: RedisServer, backend: Backend) -> None:
    """A server that is gone cannot be reached; once it is back, the same link goes on."""
    wanted = await command(backend)
    server.stop()
    assert await trouble_of(backend, wanted) is StoreTrouble.UNREACHABLE

    server.start()
    assert await grants(backend, wanted)


async def test_out_of_memory(backend: Backend) -> None:
    """A full server refuses the first write, so nothing is half-written."""
    wanted = await command(backend)
    await backend.redis.config_set("maxmemory", "1")
    assert await trouble_of(backend, wanted) is StoreTrouble.OUT_OF_MEMORY
    assert await backend.dump() == {}

    await backend.redis.config_set("maxmemory", "0")
    assert await grants(backend, wanted)


async def test_out_of_memory_lets_a_booking_be_cancelled(backend: Backend) -> None:
    """With noeviction a full server forgets nothing, and freeing works on it (failure mode 33)."""
    store, wanted = backend.store(), await command(backend)
    direct = CreateBooking(wanted.slot, "token", "v2", "ada", b"")
    assert (await store.create_booking(direct, soon())).status == "created"
    await backend.redis.config_set("maxmemory", "1")
    assert await trouble_of(backend, await command(backend)) is StoreTrouble.OUT_OF_MEMORY

    reference = ids.Reference(wanted.slot.merchant_id, direct.suffix)
    cancel = UpdateBooking(reference, BookingStatus.CANCELED)
    assert (await store.update_booking(cancel, soon())).status == "updated"
    assert await backend.owner(wanted.slot) is None
    await backend.redis.config_set("maxmemory", "0")


async def test_out_of_memory_lets_a_user_be_forgotten(backend: Backend) -> None:
    """To erase somebody's data needs no room."""
    direct = CreateBooking(await backend.slot(), "token", "v2", "ada", b"o" * 999, None, "w" * 999)
    assert (await backend.store().create_booking(direct, soon())).status == "created"
    await backend.redis.config_set("maxmemory", "1")
    assert await trouble_of(backend, await command(backend)) is StoreTrouble.OUT_OF_MEMORY

    forgotten = await Eraser(backend.link, lambda *_: b"").forget_user("ada", tell_nobody)
    await backend.redis.config_set("maxmemory", "0")
    assert forgotten.booking_ids == [direct.booking_id]
    assert ids.user_digest("ada") not in str(await backend.dump())


async def test_out_of_memory_lets_a_lease_be_extended_and_released(backend: Backend) -> None:
    """What frees, or needs next to nothing, works on a full server, and is written down."""
    wanted = await command(backend)
    assert await grants(backend, wanted)
    await backend.redis.config_set("maxmemory", "1")
    other = CreateLease(await backend.slot(staff_id="bo"), "other", wanted.asked_expires_ms)
    assert await trouble_of(backend, other) is StoreTrouble.OUT_OF_MEMORY

    reference = ids.Reference(wanted.slot.merchant_id, wanted.lease_suffix)
    later_ms = wanted.asked_expires_ms + 1000
    extended = await backend.leases().extend_lease(
        ExtendLease(reference, later_ms, "INC-1"), soon()
    )
    assert (extended.status, extended.expires_at_ms) == ("extended", later_ms)
    released = await backend.leases().release_lease(ReleaseLease(reference, "INC-2"), soon())
    assert released.status == "released"
    assert await backend.owner(wanted.slot) is None
    found = await backend.leases().get_lease(reference, soon())
    await backend.redis.config_set("maxmemory", "0")
    assert found
    assert (found.extend_reason, found.release_reason) == ("INC-1", "INC-2")


async def test_out_of_memory_lets_events_be_read_and_noted_with_what_frees(
    backend: Backend,
) -> None:
    """On a full server a release, a cancel and an expiry are events like any others."""
    backend.terms = EVENTFUL
    slots = [await backend.slot(staff_id=str(number)) for number in range(3)]
    await backend.create_lease(slots[0], "r-0")
    lease = await backend.create_lease(slots[1], "r-1", for_ms=300)
    direct = CreateBooking(slots[2], "token", "v2", "ada", b"")
    assert (await backend.store().create_booking(direct, soon())).status == "created"
    await backend.redis.config_set("maxmemory", "1")

    named = ids.Reference(backend.merchant, ids.lease_suffix("r-0"))
    released = await backend.leases().release_lease(ReleaseLease(named, "INC-1"), soon())
    cancel = UpdateBooking(ids.Reference(backend.merchant, direct.suffix), BookingStatus.CANCELED)
    assert (await backend.store().update_booking(cancel, soon())).status == "updated"
    refused = CreateLease(slots[0], "r-2", lease.expires_at_ms + 60_000)
    assert await trouble_of(backend, refused) is StoreTrouble.OUT_OF_MEMORY
    await backend.wait_until(lease.expires_at_ms + 2)
    events = await read_events(backend)

    await backend.redis.config_set("maxmemory", "0")
    assert released.status == "released"
    assert kinds(events)[2:] == ["booking_created", "released", "booking_canceled", "expired"]


async def test_read_only(backend: Backend) -> None:
    """A replica takes no writes: after a failover the old primary must not seem to refuse slots."""
    wanted = await command(backend)
    await backend.redis.execute_command("REPLICAOF", "127.0.0.1", "1")
    assert await trouble_of(backend, wanted) is StoreTrouble.READ_ONLY

    await backend.redis.execute_command("REPLICAOF", "NO", "ONE")
    assert await grants(backend, wanted)


async def test_no_replicas(backend: Backend) -> None:
    """A primary that must have replicas and has none takes no writes."""
    wanted = await command(backend)
    await backend.redis.config_set("min-replicas-to-write", "1")
    assert await trouble_of(backend, wanted) is StoreTrouble.NO_REPLICAS

    await backend.redis.config_set("min-replicas-to-write", "0")
    assert await grants(backend, wanted)


async def test_loading(server: RedisServer, backend: Backend) -> None:
    """A server that reads its data back answers nothing else meanwhile."""
    wanted = await command(backend)
    for number in range(200):
        await backend.redis.set(f"filler-{number}", "x" * 200_000, ex=60)
    await backend.redis.config_set("rdbcompression", "no")
    await backend.redis.save()
    server.stop()
    # Two seconds of loading; the server looks at its clients every 2 MB.
    server.arguments = ("--key-load-delay", "10000")
    server.start(wait=False)
    poll("the server is loading", lambda: is_loading(server))

    async with opened(server) as fresh:
        assert await trouble_of(fresh, wanted) is StoreTrouble.LOADING
    async with asyncio.timeout(20):
        while is_loading(server):
            await asyncio.sleep(0.02)
    assert await grants(backend, wanted)


def is_loading(server: RedisServer) -> bool:
    """Tell whether a server is reading its data back."""
    with server.client() as client, contextlib.suppress(redis.ConnectionError):
        try:
            client.ping()
        except redis.BusyLoadingError:
            return True
    return False


async def test_not_persisting(server: RedisServer, backend: Backend) -> None:
    """A server that cannot save its data refuses writes."""
    wanted = await command(backend)
    await backend.redis.config_set("save", "3600 1")
    await backend.redis.set("filler", "1", ex=60)
    (server.directory / "dump.rdb").mkdir()
    (server.directory / "dump.rdb" / "in-the-way").touch()
    await backend.redis.bgsave()
    async with asyncio.timeout(10):
        while (await backend.redis.info("persistence"))["rdb_last_bgsave_status"] == "ok":
            await asyncio.sleep(0.02)
    assert await trouble_of(backend, wanted) is StoreTrouble.NOT_PERSISTING

    await backend.redis.config_set("stop-writes-on-bgsave-error", "no")
    assert await grants(backend, wanted)


async def test_busy(server: RedisServer, backend: Backend) -> None:
    """A server that is stuck in somebody's script says that it is busy."""
    wanted = await command(backend)
    await backend.redis.config_set("lua-time-limit", "10")
    stuck = client_of(server.tester_url, timeout_s=60)
    looping = asyncio.ensure_future(stuck.eval(BUSY_SCRIPT, 0))
    async with asyncio.timeout(10):
        while not looping.done():
            with contextlib.suppress(redis.TimeoutError):
                if await is_busy(backend):
                    break
            await asyncio.sleep(0.01)
    assert await trouble_of(backend, wanted) is StoreTrouble.BUSY

    await backend.redis.script_kill()
    await asyncio.gather(looping, return_exceptions=True)
    await stuck.aclose()
    assert await grants(backend, wanted)


async def is_busy(backend: Backend) -> bool:
    """Tell whether a server says that it is stuck in a script."""
    try:
        await backend.redis.ping()
    except redis.ResponseError as error:
        return "BUSY" in str(error)
    return False


async def test_access_denied(server: RedisServer, backend: Backend) -> None:
    """A server that wants a password, or a user without the permission, is trouble of the store."""
    wanted = await command(backend)
    await backend.redis.execute_command("ACL", "SETUSER", SERVICE, "-evalsha", "-eval")
    assert await trouble_of(backend, wanted) is StoreTrouble.ACCESS_DENIED

    await backend.redis.execute_command("ACL", "SETUSER", SERVICE, "+@all", f"<{SERVICE}")
    async with opened(server) as fresh:
        assert await trouble_of(fresh, wanted) is StoreTrouble.ACCESS_DENIED

    await backend.redis.execute_command("ACL", "SETUSER", SERVICE, f">{SERVICE}")
    assert await grants(backend, wanted)


@pytest.mark.parametrize("name", REAL_SERVERS)
async def test_cluster_down(name: str) -> None:
    """A cluster whose slots are not all served is down, and well again once they are."""
    with running(name, "--cluster-enabled", "yes") as node:
        async with opened(node) as backend:
            wanted = await command(backend)
            assert await trouble_of(backend, wanted) is StoreTrouble.CLUSTER_DOWN

            await backend.redis.execute_command("CLUSTER ADDSLOTS", *range(16_384))
            await cluster_says(backend, "cluster_state:ok")
            assert await grants(backend, wanted)


@pytest.mark.parametrize("name", REAL_SERVERS)
async def test_migrating(name: str) -> None:
    """A cluster slot on its way to another node: `try again`, on both nodes, and no half-write."""
    arguments = ("--cluster-enabled", "yes")
    with running(name, *arguments) as source, running(name, *arguments) as target:
        async with opened(source) as here, opened(target) as there:
            there.merchant = here.merchant
            await here.redis.execute_command("CLUSTER ADDSLOTS", *range(16_384))
            await here.redis.execute_command("CLUSTER MEET", "127.0.0.1", target.port)
            await cluster_says(here, "cluster_known_nodes:2", "cluster_state:ok")
            await cluster_says(there, "cluster_known_nodes:2", "cluster_state:ok")
            wanted = await command(here)
            # Something of this merchant stays behind, so that the slot is on both nodes.
            stays = f"lease:{{{here.merchant}}}:other"
            await here.redis.set(stays, "1", ex=60)
            await migrate(here, there, await here.redis.execute_command("CLUSTER KEYSLOT", stays))

            assert await trouble_of(here, wanted) is StoreTrouble.MIGRATING
            assert await trouble_of(there, wanted) is StoreTrouble.MIGRATING
            assert list(await here.dump()) == [stays]
            assert await there.dump() == {}

            slot = await here.redis.execute_command("CLUSTER KEYSLOT", stays)
            await here.redis.execute_command("CLUSTER SETSLOT", slot, "STABLE")
            assert await grants(here, wanted)


async def cluster_says(backend: Backend, *facts: str) -> None:
    """Wait until CLUSTER INFO holds all the facts."""
    async with asyncio.timeout(20):
        while True:
            info = await backend.redis.execute_command("CLUSTER INFO")
            if set(facts) <= {f"{name}:{value}" for name, value in info.items()}:
                return
            await asyncio.sleep(0.02)


async def migrate(here: Backend, there: Backend, slot: int) -> None:
    """Begin to move a cluster slot, as a resharding does."""
    here_id = await here.redis.execute_command("CLUSTER MYID")
    there_id = await there.redis.execute_command("CLUSTER MYID")
    await there.redis.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", here_id)
    await here.redis.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", there_id)
