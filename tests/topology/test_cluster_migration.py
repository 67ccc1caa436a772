"""A hash slot moves to another node while scripts run on it (failure mode 47).

Every script is run with every number of its keys moved, in an order that a seed decides. It is
carried out whole or not at all, and "not now" is STORE_MIGRATING, or a deadline that has passed.
"""

import asyncio
import base64
import random
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import pytest
import redis
from tests.backends import EVENTFUL, TERMS, Backend, Counts, cluster_backend, link_to, soon
from tests.clusters import Cluster, cluster
from tests.servers import RedisServer
from tests.topologies import BINARIES, ask

from leasehold.model import ids
from leasehold.model.booking import BookingStatus, CreateBooking, UpdateBooking
from leasehold.model.deadline import Deadline
from leasehold.model.errors import DeadlinePassedError, StoreTrouble, StoreUnavailableError
from leasehold.model.events import ListEvents
from leasehold.model.inventory import Availability, Scope, Staged
from leasehold.model.lease import CreateLease, CreateLeaseStatus, LeaseTerms
from leasehold.model.operators import ExtendLease, ReleaseLease
from leasehold.model.slot import Slot
from leasehold.store import cluster as cluster_module
from leasehold.store import keys, scripts

Dump = dict[str, Any]
Found = TypeVar("Found")
HOUR_S = 3600
DAY_S = 24 * HOUR_S
# A morning: every slot of a scene is on one UTC day, at whatever hour the tests run.
MORNING_S = (int(time.time()) // DAY_S + 2) * DAY_S + 8 * HOUR_S
UNTIL_MS = (int(time.time()) + 2 * HOUR_S) * 1000
MIGRATING = StoreTrouble.MIGRATING.value
LATE = "late"
"""The call was given up: it waited for its slot, or its answer was on its way."""
EPOCH_MS = re.compile(r"\b\d{13}\b")


@pytest.fixture(scope="module", params=BINARIES)
def moving(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A cluster whose slots these tests move about."""
    with cluster(request.param, replicas=0) as moving:
        yield moving


@pytest.fixture
async def backend(moving: Cluster) -> AsyncIterator[Backend]:
    """The store on that cluster, with no repeats but those that moving keys need."""
    async with cluster_backend(moving, retries=0) as backend:
        backend.is_strict = True
        yield backend


@dataclass
class Scene:
    """A merchant with a slot of three spots, one leased and one booked, and two of one spot each.

    The first of those is leased, the second free.
    """

    backend: Backend
    slot: Slot
    lease: ids.Reference
    booking: ids.Reference
    staged: Staged
    """A feed that has other spots, staged and not committed."""

    @property
    def merchant(self) -> str:
        """Return whose scene it is."""
        return self.slot.merchant_id

    async def move(self, hours: int, deadline: Deadline) -> str:
        """Move the booking."""
        command = UpdateBooking(self.booking, start_s=self.slot.start_s + hours * HOUR_S)
        return (await self.backend.store().update_booking(command, deadline)).status.value

    async def create_lease(self, deadline: Deadline) -> str:
        """Hold a second spot."""
        command = CreateLease(self.slot, "reference-2", UNTIL_MS)
        return (await self.backend.store().create_lease(command, deadline)).status.value

    async def repeat_lease(self, deadline: Deadline) -> str:
        """Ask again for the lease."""
        command = CreateLease(self.slot, "reference-1", UNTIL_MS)
        return (await self.backend.store().create_lease(command, deadline)).status.value

    async def create_booking(self, deadline: Deadline) -> str:
        """Consume the lease."""
        command = CreateBooking(self.slot, "token-2", "v2", "user-2", b"original", self.lease)
        return (await self.backend.store().create_booking(command, deadline)).status.value

    async def move_booking(self, deadline: Deadline) -> str:
        """Move the booking to the only spot of a slot."""
        return await self.move(2, deadline)

    async def move_booking_onto_a_lease(self, deadline: Deadline) -> str:
        """Move the booking to where the only spot is held."""
        return await self.move(1, deadline)

    async def cancel_booking(self, deadline: Deadline) -> str:
        """Cancel the booking."""
        command = UpdateBooking(self.booking, status=BookingStatus.CANCELED)
        return (await self.backend.store().update_booking(command, deadline)).status.value

    async def release_lease(self, deadline: Deadline) -> str:
        """Give the lease back."""
        command = ReleaseLease(self.lease, "INC-1")
        return (await self.backend.leases().release_lease(command, deadline)).status.value

    async def extend_lease(self, deadline: Deadline) -> str:
        """Hold the lease longer."""
        command = ExtendLease(self.lease, UNTIL_MS + 1000, "INC-1")
        return (await self.backend.leases().extend_lease(command, deadline)).status.value

    async def forget_user(self, deadline: Deadline) -> str:
        """Take the user out of the booking that the lease has become."""
        suffix, original, anonymous = ids.booking_suffix("v2", "token-2"), b"original", b"nobody's"
        words = (base64.b64encode(it).decode() for it in (original, anonymous))
        prefixes = keys.slot_prefix(self.merchant), keys.lease_key(self.merchant, "")
        status, *_ = await self.backend.link.run(
            scripts.load("forget_user"),
            [keys.booking_key(self.merchant, suffix)],
            [suffix, ids.user_digest("user-2"), *words, *prefixes],
            deadline,
        )
        return str(status)

    async def list_events(self, deadline: Deadline) -> str:
        """Notice that a hold has ended, and tell of it."""
        command = ListEvents(self.merchant, "", 100)
        return (await self.backend.events().list_events(command, deadline)).status.value

    async def drop_inventory(self, deadline: Deadline) -> str:
        """Forget what slots there are."""
        return str(await within(deadline, self.backend.inventory().drop(self.merchant)))

    async def commit_inventory(self, deadline: Deadline) -> str:
        """Make the staged feed the inventory."""
        call = self.backend.inventory().commit(self.staged, None, lambda *_: None)
        return f"{(await within(deadline, call)).days} day"


async def within(deadline: Deadline, call: Coroutine[Any, Any, Found]) -> Found:
    """Wait for a call whose own deadline is much longer than a test can wait."""
    try:
        return await asyncio.wait_for(call, deadline.remaining_s())
    except TimeoutError:
        raise DeadlinePassedError from None


OPERATIONS: dict[str, Callable[[Scene, Deadline], Awaitable[str]]] = {
    "created": Scene.create_lease,
    "replayed": Scene.repeat_lease,
    "created: a booking": Scene.create_booking,
    "updated": Scene.move_booking,
    "slot_unavailable": Scene.move_booking_onto_a_lease,
    "updated: canceled": Scene.cancel_booking,
    "released": Scene.release_lease,
    "extended": Scene.extend_lease,
    "forgotten": Scene.forget_user,
    "listed": Scene.list_events,
    "3": Scene.drop_inventory,
    "1 day": Scene.commit_inventory,
}
"""What each answers when nothing moves, up to a colon."""
EVENTFUL_AT_ONCE = ("created", "updated", "listed")
"""Those that are tried with events in every run; the others in the long one."""


async def set_scene(backend: Backend, merchant: str, *, is_consumed: bool = False) -> Scene:
    """Make a merchant's records afresh, the same for every merchant; the lease may be consumed."""
    slot = await backend.slot(merchant_id=merchant, start_s=MORNING_S)
    narrow, free = (replace(slot, start_s=MORNING_S + n * HOUR_S) for n in (1, 2))
    spots = [Availability("", it, n, n) for it, n in ((slot, 3), (narrow, 1), (free, 1))]
    inventory = backend.inventory()
    staged = await inventory.stage([Scope(merchant), *spots], lambda _: None)
    await inventory.commit(staged, None, lambda *_: None)
    await backend.create_lease(slot, until_ms=UNTIL_MS)
    await backend.create_lease(narrow, "reference-3", until_ms=UNTIL_MS)
    booking = CreateBooking(slot, "token-1", "v2", "user", b"original")
    await backend.store().create_booking(booking, soon())
    if backend.terms.max_events:
        # Somebody's hold has ended, which whoever makes a lease notices.
        ended = f"{ids.lease_suffix('ended')} {keys.slot_text(slot)}#9"
        await backend.redis.zadd(keys.expiring_key(merchant), {ended: 1})
    fewer = [Availability("", it, n, n) for it, n in ((slot, 2), (free, 5))]
    scene = Scene(
        backend,
        slot,
        lease=ids.Reference(merchant, ids.lease_suffix("reference-1")),
        booking=ids.Reference(merchant, booking.suffix),
        staged=await inventory.stage([Scope(merchant), *fewer], lambda _: None),
    )
    if is_consumed:
        await scene.create_booking(soon())
    return scene


def stored(nodes: list[RedisServer], merchant: str) -> Dump:
    """Return what the nodes hold of a merchant, its name taken off; a key twice is a fault."""
    found: Dump = {}
    for node in nodes:
        with node.client() as client:
            for key in client.scan_iter(f"*{{{merchant}}}*", count=1000):
                kept = key.replace(merchant, "m")
                if "stage:" in key:
                    continue
                assert kept not in found, f"{kept} is on two nodes"
                found[kept] = contents(node, key)
    return found


def contents(node: RedisServer, key: str) -> Any:
    """Return a value but for the times in it; a node answers for keys that it has not given up."""
    match ask_there(node, "TYPE", key):
        case "string":
            return ask_there(node, "GET", key)
        case "zset":
            return ask_there(node, "ZRANGE", key, "0", "-1")
        case "stream":
            events = (it for _, it in ask_there(node, "XRANGE", key, "-", "+"))
            return [{**it, "until": ""} for it in events]
    fields = {**ask_there(node, "HGETALL", key)}
    if "dropping" in fields:
        fields["dropping"] = "a drop"
    return {name: EPOCH_MS.sub("", text) for name, text in fields.items()}


def ask_there(node: RedisServer, *words: str) -> Any:
    """Ask a node for a key that may be there only on its way in."""
    with node.client() as client:
        pipeline = client.pipeline(transaction=False)
        pipeline.execute_command("ASKING").execute_command(*words)
        return pipeline.execute()[1]


@pytest.mark.parametrize(
    ("answer", "terms"),
    [
        *((it, TERMS) for it in OPERATIONS if it != "listed"),
        *((it, EVENTFUL) for it in EVENTFUL_AT_ONCE),
        *(
            pytest.param(it, EVENTFUL, marks=pytest.mark.long)
            for it in OPERATIONS
            if it not in {"forgotten", *EVENTFUL_AT_ONCE}
        ),
    ],
    ids=lambda it: it if isinstance(it, str) else "events" if it.max_events else "",
)
@pytest.mark.parametrize(
    "times", [1, pytest.param(2, marks=[pytest.mark.long, pytest.mark.timeout(600)])]
)
async def test_cluster_slot_on_the_move_never_lets_a_script_write_half(
    backend: Backend,
    moving: Cluster,
    answer: str,
    times: int,
    terms: LeaseTerms,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However many keys have moved: the usual answer and its whole effect, or "try again" (47).

    An operation of several scripts may have run the first of them; none runs in half.
    """
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    backend.terms = terms
    run, status = OPERATIONS[answer], answer.partition(":")[0]
    is_consumed = answer == "forgotten"
    whole = await set_scene(backend, f"{backend.merchant}-whole", is_consumed=is_consumed)
    before = stored(moving.primaries, whole.merchant)
    states = [before]
    with monkeypatch.context() as patch:
        run_script = backend.link.run

        async def run_and_look(*words: Any) -> Any:
            answer = await run_script(*words)
            states.append(stored(moving.primaries, whole.merchant))
            return answer

        patch.setattr(backend.link, "run", run_and_look)
        assert await run(whole, soon()) == status
    after = states[-1]
    statuses: list[str] = []
    for moved in [n for n in range(len(before) + 1) for _ in range(times)]:
        merchant = f"{backend.merchant}-{len(statuses)}"
        scene = await set_scene(backend, merchant, is_consumed=is_consumed)
        migration = moving.migration(moving.slot_of(keys.inventory_key(scene.merchant)))
        migration.begin()
        migration.move(chance.sample(sorted(migration.keys()), moved))
        try:
            statuses.append(await run(scene, Deadline.within(0.15, None)))
        except StoreUnavailableError as error:
            statuses.append(error.trouble.value)
        except DeadlinePassedError:
            statuses.append(LATE)
        found = stored([migration.source, migration.target], scene.merchant)
        effect = {status: [after], MIGRATING: states[:-1], LATE: states}[statuses[-1]]
        assert found in effect, f"{moved} moved"
        migration.move_all()
        migration.finish()
        if statuses[-1] != status and found == before:
            assert await run(scene, soon()) == status
            assert stored([migration.target], scene.merchant) == after

    print(statuses)
    assert {MIGRATING, LATE} & set(statuses)


async def test_cluster_read_of_a_key_on_the_move_finds_it_on_either_side(
    backend: Backend, moving: Cluster
) -> None:
    """ASK leads a read to where its key has arrived, and nothing has to wait for the rest."""
    scene = await set_scene(backend, backend.merchant)
    migration = moving.migration(moving.slot_of(keys.inventory_key(scene.merchant)))
    migration.begin()
    found = []
    for key in ["", *migration.keys()]:
        migration.move([key] if key else [])
        found.append(await backend.store().get_booking(scene.booking, soon()))

    assert [record.slot for record in found if record] == [scene.slot] * len(found)
    migration.finish()


async def test_cluster_slot_given_away_is_asked_for_at_its_new_owner(
    backend: Backend, moving: Cluster
) -> None:
    """MOVED leads on at once, even what may not be repeated: it has not been carried out."""
    scene = await set_scene(backend, backend.merchant)
    counts = Counts()
    async with link_to(moving.url, counts) as link:
        await link.ping(soon())
        moving.move_slot(moving.slot_of(keys.inventory_key(backend.merchant)))
        scene.backend = replace(backend, link=link)

        assert await scene.move_booking(soon()) == "updated"

    # Once to the one who had it, once to the one who has it.
    assert counts.resent == 1


async def test_cluster_call_that_waits_for_a_slot_goes_on_when_it_has_arrived(
    backend: Backend, moving: Cluster
) -> None:
    """A slot on the move is waited for, with no repeats allowed."""
    slot = await backend.slot()
    backend.is_strict = False
    stays = f"lease:{{{backend.merchant}}}:other"
    await backend.redis.set(stays, "1", ex=60)
    migration = moving.migration(moving.slot_of(stays))
    migration.begin()
    ask(migration.source, "CONFIG", "RESETSTAT")
    asked = asyncio.create_task(backend.create_lease(slot))
    async with asyncio.timeout(10):
        while not calls_refused(migration.source):
            await asyncio.sleep(0.01)
    assert not asked.done()

    await asyncio.to_thread(migration.move_all)
    await asyncio.to_thread(migration.finish)

    assert (await asked).status is CreateLeaseStatus.CREATED


async def test_cluster_slot_that_stays_half_way_is_not_waited_for_again_and_again(
    backend: Backend, moving: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One call waits for a while, the next ones are sent once (failure mode 69).

    A slot that no call has met on its way of late is waited for again.
    """
    monkeypatch.setattr(cluster_module, "_LONGEST_MOVE_S", 0.2)
    slot = await backend.slot()
    backend.is_strict = False
    stays = f"lease:{{{backend.merchant}}}:other"
    await backend.redis.set(stays, "1", ex=60)
    migration = moving.migration(moving.slot_of(stays))
    migration.begin()

    async def sent(deadline: Deadline) -> int:
        """Return how often a call is sent before it is refused."""
        ask(migration.source, "CONFIG", "RESETSTAT")
        with pytest.raises(StoreUnavailableError) as caught:
            await backend.store().create_lease(CreateLease(slot, "r-1", UNTIL_MS), deadline)
        assert caught.value.trouble is StoreTrouble.MIGRATING
        return refusals(migration.source)

    deadline = soon()
    assert await sent(deadline) > 1
    assert await sent(deadline) == 1
    assert deadline.remaining_s() > 0
    monkeypatch.setattr(cluster_module, "_MOVE_FORGOTTEN_S", 0)
    assert await sent(Deadline.within(0.5, None)) > 1
    migration.abandon()


def calls_refused(server: RedisServer) -> bool:
    """Tell whether a node has sent callers on twice since the test began to move a slot."""
    return refusals(server) > 1


def refusals(server: RedisServer) -> int:
    """Return how often a node has sent callers on since the test began to move a slot."""
    with server.client() as client:
        return int(client.info("errorstats").get("errorstat_ASK", {"count": 0})["count"])


async def test_cluster_command_that_is_dropped_leaves_no_asking_behind(
    moving: Cluster, backend: Backend
) -> None:
    """ASKING goes with its own command or not at all: it must not let in somebody else's."""
    key = f"lease:{{{backend.merchant}}}:other"
    migration = moving.migration(moving.slot_of(key))
    migration.begin()
    async with link_to(moving.url, Counts()) as link:
        primaries = await link.primaries(soon())
        target = primaries[f"127.0.0.1:{migration.target.port}"]
        await target.ping(soon())
        gone = asyncio.create_task(target.ask(("GET", key), soon(), asking=True))
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(StoreUnavailableError) as caught:
            await target.ask(("GET", key), soon())
        assert await target.ask(("GET", key), soon(), asking=True) is None

    assert isinstance(caught.value.__cause__, redis.exceptions.MovedError)
    migration.abandon()
