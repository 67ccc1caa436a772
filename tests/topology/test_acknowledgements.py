"""Replicas that must have a grant before the caller is told of it (failure modes 3 and 4)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from redis.asyncio import ConnectionPool, Redis
from tests.backends import LIMITS, Backend, Counts, RealClock, client_of, link_to, soon
from tests.servers import RedisServer, poll, running
from tests.topologies import ask, cut_off, follow, has_replicas, info, keeps_up

from leasehold.model import ids
from leasehold.model.booking import (
    BookingStatus,
    CreateBooking,
    CreateBookingStatus,
    UpdateBooking,
    UpdateBookingStatus,
)
from leasehold.model.errors import OverloadedError, StoreTrouble, StoreUnavailableError
from leasehold.model.lease import CreateLeaseStatus
from leasehold.model.operators import ExtendLease, ReleaseLease
from leasehold.store.acknowledger import Acknowledger
from leasehold.store.hooks import NO_HOOKS
from leasehold.store.topology import open_link
from leasehold.store.user_index import UserIndex

ACKS: dict[str, Any] = {"replica_acks": 1, "replica_ack_timeout_s": 0.3}
# Long enough for a test to find out whom it holds up.
PATIENT: dict[str, Any] = {"replica_acks": 1, "replica_ack_timeout_s": 15}

Servers = tuple[RedisServer, RedisServer]


@pytest.fixture(params=["valkey9", "redis7"])
def servers(request: pytest.FixtureRequest) -> Iterator[Servers]:
    """A primary and its replica."""
    with (
        running(request.param, "--repl-diskless-sync-delay", "0") as primary,
        running(request.param, "--replicaof", f"127.0.0.1 {primary.port}") as replica,
    ):
        poll("the replica follows", lambda: keeps_up(primary))
        yield primary, replica


@pytest.fixture
async def redis(servers: Servers) -> AsyncIterator[Redis]:
    """The primary, for the test's own questions."""
    async with client_of(servers[0].tester_url) as redis:
        yield redis


@pytest.fixture
def counts() -> Counts:
    """What the link of ``backend`` tells."""
    return Counts()


@pytest.fixture
async def backend(servers: Servers, redis: Redis, counts: Counts) -> AsyncIterator[Backend]:
    """The store on the primary, impatient with its replica."""
    async with opened(servers[0].url, redis, counts, **ACKS) as backend:
        yield backend


@asynccontextmanager
async def opened(
    url: str, redis: Redis, counts: Counts | None = None, **limits: Any
) -> AsyncIterator[Backend]:
    """Open the store at an address."""
    async with link_to(url, counts, **limits) as link:
        yield Backend(redis, link, RealClock(), lambda: open_link(url, LIMITS))


async def is_not_replicated(asked: Awaitable[object]) -> bool:
    """Tell whether an answer is withheld for want of a replica."""
    with pytest.raises(StoreUnavailableError) as caught:
        await asked
    return caught.value.trouble is StoreTrouble.NOT_REPLICATED


async def test_create_lease_with_its_replica_at_hand_is_created(
    backend: Backend, counts: Counts
) -> None:
    """Acknowledged grants are as any others."""
    outcome = await backend.create_lease(await backend.slot())
    assert outcome.status is CreateLeaseStatus.CREATED
    assert counts == Counts()


async def test_create_lease_unacknowledged_stays_with_its_reference(
    servers: Servers, backend: Backend, counts: Counts
) -> None:
    """A shortfall undoes nothing: the repeat gets the same lease, and nobody else the slot."""
    primary, replica = servers
    slot, until_ms = await backend.slot(), await backend.now_ms() + 60_000
    cut_off(replica)
    assert await is_not_replicated(backend.create_lease(slot, until_ms=until_ms))
    assert await is_not_replicated(backend.create_lease(slot, until_ms=until_ms))
    assert counts.shortfalls == 2

    other = await backend.create_lease(slot, "somebody else")
    assert other.status is CreateLeaseStatus.SLOT_UNAVAILABLE

    follow(primary, replica)
    again = await backend.create_lease(slot, until_ms=until_ms)
    assert (again.status, again.expires_at_ms) == (CreateLeaseStatus.REPLAYED, until_ms)


@pytest.mark.parametrize("acks", [1, 2])
async def test_create_lease_that_fewer_replicas_acknowledge_than_asked_is_not_confirmed(
    servers: Servers, redis: Redis, counts: Counts, acks: int
) -> None:
    """WAIT that answers in time with a smaller number is a shortfall: the number decides."""
    primary, replica = servers
    async with opened(primary.url, redis, counts, **{**PATIENT, "replica_acks": acks}) as patient:
        slot = await patient.slot()
        if acks == 1:
            replica.pause()
        grant = asyncio.create_task(patient.create_lease(slot))
        await until(lambda: waiters(primary))
        # With two asked for, the one replica has all of it.
        await until(lambda: acks == 1 or acknowledged(primary))
        (asking,) = [each for each in await redis.client_list() if each["cmd"] == "wait"]
        await redis.client_unblock(int(asking["id"]))

        assert await is_not_replicated(grant)
        assert counts.shortfalls == 1
        replica.resume()


def acknowledged(primary: RedisServer) -> bool:
    """Tell whether the replica has acknowledged everything that its primary has written."""
    replication = info(primary, "replication")
    return bool(replication["slave0"]["offset"] == replication["master_repl_offset"])


async def test_every_wait_for_a_replica_is_told_with_its_seconds(
    servers: Servers, backend: Backend, counts: Counts
) -> None:
    """Waits are told however they end: a shortfall has taken the whole limit."""
    _, replica = servers
    slot, until_ms = await backend.slot(), await backend.now_ms() + 60_000
    await backend.create_lease(slot, until_ms=until_ms)
    (acknowledged_s,) = counts.replica_waits_s
    assert 0 < acknowledged_s < 0.3

    cut_off(replica)
    assert await is_not_replicated(backend.create_lease(slot, until_ms=until_ms))
    _, withheld_s = counts.replica_waits_s
    assert 0.3 <= withheld_s < 5


async def test_create_booking_and_update_booking_wait_as_leases_do(
    servers: Servers, backend: Backend
) -> None:
    """Nothing is confirmed that only one server knows of."""
    primary, replica = servers
    cut_off(replica)
    slot = await backend.slot()
    command = CreateBooking(slot, "token", "v2", None, b"original")
    store = backend.store()
    assert await is_not_replicated(store.create_booking(command, soon()))

    follow(primary, replica)
    made = await store.create_booking(command, soon())
    assert made.status is CreateBookingStatus.REPLAYED

    cut_off(replica)
    reference = ids.Reference(backend.merchant, command.suffix)
    cancel = UpdateBooking(reference, BookingStatus.CANCELED)
    assert await is_not_replicated(store.update_booking(cancel, soon()))

    follow(primary, replica)
    assert (await store.update_booking(cancel, soon())).status is UpdateBookingStatus.UNCHANGED


async def test_extend_lease_and_release_lease_wait_as_leases_do(
    servers: Servers, backend: Backend
) -> None:
    """A shortfall undoes neither, and the repeat waits again and answers the same."""
    primary, replica = servers
    first = await backend.create_lease(await backend.slot(), for_ms=60_000)
    lease = ids.Reference(backend.merchant, ids.lease_suffix("reference-1"))
    until_ms = first.expires_at_ms + 60_000
    extension, release = ExtendLease(lease, until_ms, "INC-1"), ReleaseLease(lease, "INC-2")
    leases = backend.leases()

    cut_off(replica)
    assert await is_not_replicated(leases.extend_lease(extension, soon()))
    assert await is_not_replicated(leases.extend_lease(extension, soon()))
    follow(primary, replica)
    extended = await leases.extend_lease(extension, soon())
    assert (extended.status, extended.expires_at_ms) == ("unchanged", until_ms)

    cut_off(replica)
    assert await is_not_replicated(leases.release_lease(release, soon()))
    follow(primary, replica)
    assert (await leases.release_lease(release, soon())).status == "replayed"


async def test_a_booking_waits_for_the_index_of_its_user_too(
    servers: Servers, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What names the booking for its user is kept as safely as the booking.

    Here a replica has the booking, and is cut off before it has the index.
    """
    name = UserIndex.name

    async def name_cut_off(*arguments: Any, **options: Any) -> None:
        monkeypatch.undo()
        cut_off(servers[1])
        await name(*arguments, **options)

    monkeypatch.setattr(UserIndex, "name", name_cut_off)
    command = CreateBooking(await backend.slot(), "token", "v2", "user", b"original")
    assert await is_not_replicated(backend.store().create_booking(command, soon()))
    assert await backend.dump()

    follow(*servers)
    outcome = await backend.store().create_booking(command, soon())
    assert outcome.status is CreateBookingStatus.REPLAYED


async def test_waiting_for_a_replica_holds_up_nobody_else(servers: Servers, redis: Redis) -> None:
    """Reads, refusals and pings are answered while a grant waits."""
    primary, replica = servers
    async with opened(primary.url, redis, **PATIENT) as patient:
        slot = await patient.slot()
        replica.pause()
        grant = asyncio.create_task(patient.create_lease(slot))
        await until(lambda: waiters(primary))

        await patient.link.ping(soon())
        assert (await patient.store().check_availability(slot, soon())).count == 0
        refused = await patient.create_lease(slot, "somebody else")
        assert refused.status is CreateLeaseStatus.SLOT_UNAVAILABLE
        assert not grant.done()

        replica.resume()
        assert (await grant).status is CreateLeaseStatus.CREATED


async def test_one_wait_speaks_for_all_that_was_written_before(
    servers: Servers, redis: Redis
) -> None:
    """A hundred grants behind a slow replica cost two or three questions, not a hundred."""
    primary, replica = servers
    async with opened(primary.url, redis, **PATIENT) as patient:
        slots = [await patient.slot(staff_id=f"{number}") for number in range(100)]
        ask(primary, "CONFIG", "RESETSTAT")
        replica.pause()
        grants = [
            asyncio.create_task(patient.create_lease(slot, f"r-{number}"))
            for number, slot in enumerate(slots)
        ]
        await until(lambda: calls(primary, "evalsha") >= 100 and waiters(primary))
        replica.resume()
        outcomes = await asyncio.gather(*grants)

    assert {outcome.status for outcome in outcomes} == {CreateLeaseStatus.CREATED}
    assert 1 <= calls(primary, "wait") <= 3


async def test_create_lease_whose_server_is_replaced_before_the_replicas_answer_is_not_confirmed(
    servers: Servers, redis: Redis, counts: Counts
) -> None:
    """What another process says of its replicas proves nothing about what was granted here."""
    primary, replica = servers
    async with opened(primary.url, redis, counts, **PATIENT) as patient:
        replica.pause()
        grant = asyncio.create_task(patient.create_lease(await patient.slot()))
        await until(lambda: waiters(primary))
        primary.stop()
        primary.start()
        replica.resume()
        poll("the replica follows the new process", lambda: keeps_up(primary))
        # It came back empty.
        assert await is_not_replicated(grant)
        assert counts.shortfalls == 1


async def test_create_lease_after_a_restart_is_confirmed_by_the_new_process(
    servers: Servers, redis: Redis, counts: Counts
) -> None:
    """The connection that asks follows the one that grants."""
    primary, _ = servers
    # A replica that has just been given everything anew may take its time to say so.
    async with opened(primary.url, redis, counts, **PATIENT) as patient:
        await patient.create_lease(await patient.slot(), "before")
        primary.stop()
        primary.start()
        poll("the replica follows the new process", lambda: keeps_up(primary))
        with contextlib.suppress(StoreUnavailableError):
            await patient.link.ping(soon())

        outcome = await patient.create_lease(await patient.slot(staff_id="anna"), "after")
        assert outcome.status is CreateLeaseStatus.CREATED
        assert counts.shortfalls == 0


async def test_create_lease_after_the_connection_for_questions_has_ended_is_confirmed(
    backend: Backend, redis: Redis, counts: Counts
) -> None:
    """Servers and networks cut what is idle; the next grant does not pay for that."""
    await backend.create_lease(await backend.slot(), "before")
    (asking,) = [each for each in await redis.client_list() if each["cmd"] == "wait"]
    await redis.client_kill_filter(_id=asking["id"])

    outcome = await backend.create_lease(await backend.slot(staff_id="anna"), "after")
    assert outcome.status is CreateLeaseStatus.CREATED
    assert counts.shortfalls == 0


async def test_callers_who_wait_for_a_replica_count_against_the_limit(
    servers: Servers, redis: Redis
) -> None:
    """A replica that lags must not let a process grow: beyond the limit callers are refused."""
    primary, replica = servers
    async with opened(primary.url, redis, **PATIENT, max_in_flight=5) as patient:
        slots = [await patient.slot(staff_id=f"{number}") for number in range(6)]
        replica.pause()
        grants = [
            asyncio.create_task(patient.create_lease(slot, f"r-{number}"))
            for number, slot in enumerate(slots[:5])
        ]
        await until(lambda: calls(primary, "set") >= 5 and waiters(primary))
        with pytest.raises(OverloadedError):
            await patient.create_lease(slots[5], "one too many")
        replica.resume()
        outcomes = await asyncio.gather(*grants)

        assert {outcome.status for outcome in outcomes} == {CreateLeaseStatus.CREATED}
        assert patient.link.in_flight == 0


async def test_another_process_confirms_nothing(servers: Servers) -> None:
    """An address can lead to another server meanwhile, whose replicas have what they have."""
    primary, _ = servers
    pool = ConnectionPool.from_url(primary.url, decode_responses=True)
    acknowledger = Acknowledger(
        pool.make_connection,
        replicas=1,
        timeout_s=5,
        connect_timeout_s=5,
        hooks=NO_HOOKS,
    )
    assert await is_not_replicated(acknowledger.wait("lease:{m}:1", "0" * 40, soon()))

    run_id = str(info(primary, "server")["run_id"])
    await acknowledger.wait("lease:{m}:1", run_id, soon())
    await acknowledger.close()


@pytest.mark.parametrize("denied", ["-info", "-wait"])
async def test_create_lease_where_acknowledgements_are_forbidden_is_access_denied(
    servers: Servers, redis: Redis, denied: str
) -> None:
    """Who may not ask whether replicas have a grant cannot promise it."""
    primary = servers[0]
    await redis.acl_setuser(
        "limited", enabled=True, passwords=["+limited"], keys=["*"], commands=["+@all", denied]
    )
    async with opened(primary.url_of("limited"), redis, **ACKS) as limited:
        with pytest.raises(StoreUnavailableError) as caught:
            await limited.create_lease(await limited.slot())
        assert caught.value.trouble is StoreTrouble.ACCESS_DENIED
        await limited.link.ping(soon())


@pytest.mark.parametrize("acks", [0, 1])
async def test_winners_after_a_failover_that_lost_a_grant(
    servers: Servers, redis: Redis, acks: int
) -> None:
    """Without acknowledgements two callers are told that they hold the slot; with them, one."""
    primary, replica = servers
    limits = {**ACKS, "replica_acks": acks}
    won = []
    async with opened(primary.url, redis, **limits) as backend:
        slot = await backend.slot()
        cut_off(replica)
        won.append(await is_granted(lambda: backend.create_lease(slot, "first")))
    primary.stop()
    ask(replica, "REPLICAOF", "NO", "ONE")

    async with client_of(replica.tester_url) as promoted, opened(replica.url, promoted) as other:
        later = replace(other, merchant=backend.merchant)
        won.append(await is_granted(lambda: later.create_lease(slot, "second")))

    assert won.count(True) == 2 - acks


@pytest.mark.parametrize("acks", [1, 2])
async def test_winners_after_a_failover_to_a_replica_that_did_not_acknowledge(
    servers: Servers, redis: Redis, acks: int
) -> None:
    """One acknowledgement of two lets two callers hold the slot; with both there is one."""
    primary, _ = servers
    limits = {**ACKS, "replica_acks": acks}
    won = []
    with running(primary.name, "--replicaof", f"127.0.0.1 {primary.port}") as other:
        poll("both follow", lambda: has_replicas(primary, 2))
        async with opened(primary.url, redis, **limits) as backend:
            slot = await backend.slot()
            cut_off(other)
            won.append(await is_granted(lambda: backend.create_lease(slot, "first")))
        primary.stop()
        ask(other, "REPLICAOF", "NO", "ONE")

        async with client_of(other.tester_url) as promoted, opened(other.url, promoted) as later:
            again = replace(later, merchant=backend.merchant)
            won.append(await is_granted(lambda: again.create_lease(slot, "second")))

    assert won.count(True) == 3 - acks


async def is_granted(ask_for_lease: Callable[[], Awaitable[object]]) -> bool:
    """Tell whether a caller was told that it holds the slot."""
    try:
        outcome = await ask_for_lease()
    except StoreUnavailableError:
        return False
    assert getattr(outcome, "status", None) is CreateLeaseStatus.CREATED
    return True


def waiters(primary: RedisServer) -> int:
    """Return how many clients are blocked."""
    return int(info(primary, "clients")["blocked_clients"])


def calls(primary: RedisServer, command: str) -> int:
    """Return how often a command was called."""
    return int(info(primary, "commandstats").get(f"cmdstat_{command}", {"calls": 0})["calls"])


async def until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)
