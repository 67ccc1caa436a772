"""A cluster of three shards that stays as it is: keys, scripts, reads over all of it."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.backends import TERMS, Backend, cluster_backend, link_to, soon
from tests.clusters import Cluster
from tests.servers import RedisServer, as_prober, port_in
from tests.topologies import ask

from leasehold.model import ids
from leasehold.model.booking import CreateBooking, CreateBookingStatus, UpdateBooking
from leasehold.model.errors import OverloadedError
from leasehold.model.inventory import Availability, Scope
from leasehold.model.lease import CreateLease, CreateLeaseStatus
from leasehold.model.user_keys import UserKeys
from leasehold.store import keys
from leasehold.store.eraser import Eraser
from leasehold.store.hooks import tell_nobody
from leasehold.store.link import Link
from leasehold.store.redis_store import RedisStore

HOSTILE = [
    "{}",
    "{a}{b}",
    "}{",
    "a:b",
    "#1",
    "%7B%7D",
    "*?[a]",
    " ",
    "a b",
    "salón-ø-沙龙-💈",
    "\n\r\x00",
    "x" * 100,
]


@pytest.fixture
async def backend(shared_cluster: Cluster) -> AsyncIterator[Backend]:
    """The store on the cluster."""
    async with cluster_backend(shared_cluster, retries=2) as backend:
        yield backend


def merchant_on(cluster: Cluster, primary: RedisServer, name: str = "m") -> str:
    """Return a merchant whose keys lie on a shard."""
    candidates = (f"{name}-{number}" for number in range(1000))
    return next(it for it in candidates if cluster.owner_of(keys.inventory_key(it)) is primary)


async def echo(link: Link, cluster: Cluster, at: RedisServer, text: str) -> str:
    """Ask one shard for something to which only one answer is right."""
    near = keys.inventory_key(merchant_on(cluster, at))
    return str(await link.read("ECHO", text, deadline=soon(), key=near))


@pytest.mark.parametrize("hostile", HOSTILE)
async def test_cluster_hostile_ids_keep_every_operation_on_one_shard(
    backend: Backend, shared_cluster: Cluster, hostile: str
) -> None:
    """Whatever ids hold, all keys of a merchant have one hash slot (failure mode 6)."""
    backend.merchant = f"{hostile}{backend.merchant}{hostile}"
    changes = {"service_id": hostile, "staff_id": hostile, "room_id": hostile}
    slot = await backend.slot(**changes)
    lease = await backend.create_lease(slot, hostile)
    holder = ids.Reference(backend.merchant, ids.lease_suffix(hostile))
    booking = CreateBooking(slot, hostile, "v2", hostile, b"original", holder)
    made = await backend.store().create_booking(booking, soon())
    later = UpdateBooking(
        ids.Reference(backend.merchant, booking.suffix), start_s=slot.start_s + 3600
    )
    await backend.store().update_booking(later, soon())
    found = await backend.store().list_bookings(hostile, soon())

    assert lease.status is CreateLeaseStatus.CREATED
    assert made.status is CreateBookingStatus.CREATED
    assert slot.merchant_id in {record.slot.merchant_id for record in found or ()}
    tag = f"{{{ids.encode_id(backend.merchant)}}}"
    stored = [key async for key in backend.redis.scan_iter(count=1000) if tag in key]
    assert len(stored) == 3
    assert len({shared_cluster.slot_of(key) for key in stored}) == 1


async def test_cluster_scripts_flushed_between_any_two_calls_are_loaded_again(
    backend: Backend, shared_cluster: Cluster
) -> None:
    """SCRIPT FLUSH on every shard, from a cold start, beside callers of every shard."""
    until_ms = await backend.now_ms() + 60_000
    merchants = [
        merchant_on(shared_cluster, it, backend.merchant) for it in shared_cluster.primaries
    ]
    for server in shared_cluster.primaries:
        ask(server, "SCRIPT", "FLUSH")

    async def create(number: int) -> CreateLeaseStatus:
        if number % 3:
            await asyncio.to_thread(
                ask, shared_cluster.primaries[number // 3 % 3], "SCRIPT", "FLUSH"
            )
        slot = await backend.slot(merchant_id=merchants[number % 3], room_id=str(number))
        command = CreateLease(slot, f"r-{number}", until_ms)
        return (await backend.store().create_lease(command, soon())).status

    statuses = await asyncio.gather(*(create(number) for number in range(60)))

    assert set(statuses) == {CreateLeaseStatus.CREATED}


async def test_cluster_bookings_of_a_user_are_listed_from_every_shard(
    backend: Backend, shared_cluster: Cluster
) -> None:
    """The index lies on one shard, the bookings that it names on all of them."""
    user = f"user-{backend.merchant}"
    merchants = [
        merchant_on(shared_cluster, it, backend.merchant) for it in shared_cluster.primaries
    ]
    for merchant in merchants:
        command = CreateBooking(
            await backend.slot(merchant_id=merchant), "token", "v2", user, b"original"
        )
        await backend.store().create_booking(command, soon())

    found = await backend.store().list_bookings(user, soon())

    assert sorted(record.slot.merchant_id for record in found or ()) == sorted(merchants)


async def test_cluster_bookings_of_a_user_by_several_keys_are_listed_and_forgotten(
    backend: Backend, shared_cluster: Cluster
) -> None:
    """Every digest has an index on a shard of its own, and each of them is asked (85)."""
    keys_of_users: list[bytes | None] = [None, *(bytes([65 + it]) * 32 for it in range(3))]
    user, made = f"user-{backend.merchant}", []
    for first in range(len(keys_of_users)):
        user_keys = UserKeys([*keys_of_users[first:], *keys_of_users[:first]])
        slot = await backend.slot(room_id=str(first))
        command = CreateBooking(slot, f"token-{first}", "v2", user, b"original")
        await RedisStore(backend.link, TERMS, user_keys=user_keys).create_booking(command, soon())
        made.append(command.booking_id)
    indexes = {shared_cluster.slot_of(keys.index_key(it)) for it in user_keys.digests(user)}
    assert len(indexes) == len(made)

    store = RedisStore(backend.link, TERMS, user_keys=user_keys)
    assert len(await store.list_bookings(user, soon()) or ()) == len(made)
    eraser = Eraser(backend.link, lambda *_: b"", user_keys)
    assert (await eraser.forget_user(user, tell_nobody)).booking_ids == sorted(made)


async def test_cluster_merchants_of_the_inventory_are_found_on_every_shard(
    backend: Backend, shared_cluster: Cluster
) -> None:
    """Whoever lists the merchants sees all of them, wherever they lie."""
    merchants = [
        merchant_on(shared_cluster, it, backend.merchant) for it in shared_cluster.primaries
    ]
    items: list[Availability | Scope] = [Scope(merchant) for merchant in merchants]
    slots = [await backend.slot(merchant_id=merchant) for merchant in merchants]
    items.extend(Availability("", slot, 1, 1) for slot in slots)
    inventory = backend.inventory()
    staged = await inventory.stage(items, lambda _: None)
    await inventory.commit(staged, None, lambda *_: None)

    listed = {merchant async for merchant in inventory.merchants()}

    assert set(merchants) <= listed
    for merchant in merchants:
        await inventory.drop(merchant)


async def test_cluster_reads_everywhere_answer_for_each_primary(
    backend: Backend, shared_cluster: Cluster
) -> None:
    """What has to hold of every primary can be asked of every primary."""
    found = await backend.link.read_everywhere("INFO", "server", deadline=soon())

    ports = {address: port_in(info) for address, info in found.items()}
    primaries = [server.port for server in shared_cluster.primaries]
    assert ports == {f"127.0.0.1:{port}": port for port in primaries}


async def test_cluster_queue_limit_is_one_for_all_shards(shared_cluster: Cluster) -> None:
    """The limit bounds what a process holds, however many nodes it is spread over."""
    async with link_to(as_prober(shared_cluster.url), max_in_flight=30) as link:
        await link.ping(soon())
        shards = shared_cluster.primaries
        nears = [keys.inventory_key(merchant_on(shared_cluster, it)) for it in shards]
        tasks = [
            asyncio.create_task(link.read("ECHO", f"{n}", deadline=soon(), key=nears[n % 3]))
            for n in range(100)
        ]
        answers = await asyncio.gather(*tasks, return_exceptions=True)

    assert answers[:30] == [f"{number}" for number in range(30)]
    assert {type(answer) for answer in answers[30:]} == {OverloadedError}


async def test_cluster_has_one_connection_to_each_primary(
    shared_cluster: Cluster,
) -> None:
    """What asked for the map is closed; what serves is as many as the setting says."""
    texts = [f"{number}" for number in range(60)]
    shards = shared_cluster.primaries
    async with link_to(as_prober(shared_cluster.url)) as link:
        await link.ping(soon())
        before = [len(server.links()) for server in shards]
        answers = await asyncio.gather(
            *(echo(link, shared_cluster, shards[n % 3], text) for n, text in enumerate(texts))
        )
        during = [len(server.links()) for server in shards]

    assert list(answers) == texts
    assert before == during
