"""Of a cluster one shard loses its data, and with it the inventories of its merchants."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest
from tests.backends import TERMS, Backend, cluster_backend, soon
from tests.bookings import book
from tests.clusters import Cluster, cluster
from tests.topologies import ask

from leasehold.model.errors import StoreTrouble, StoreUnavailableError
from leasehold.model.inventory import Availability, FeedItem, Scope
from leasehold.model.slot import Slot
from leasehold.store import keys
from leasehold.store.markers import Markers


@pytest.fixture(scope="module")
def shards() -> Iterator[Cluster]:
    """A cluster of three shards, which these tests spoil."""
    with cluster("valkey9", replicas=0) as found:
        yield found


@pytest.fixture
async def backend(shards: Cluster) -> AsyncIterator[Backend]:
    """The store on that cluster, with strict inventory and none of it loaded."""
    async with cluster_backend(shards) as backend:
        await backend.redis.delete(keys.FEED_KEY)
        backend.is_strict = True
        yield backend


def merchants_of(shards: Cluster, at: int, prefix: str) -> list[str]:
    """Return two merchants whose keys lie on the primary of that place."""
    numbers = (f"{prefix}-{number}" for number in range(1000))
    wanted = shards.primaries[at].port
    return [it for it in numbers if shards.owner_of(f"{{{it}}}").port == wanted][:2]


def lost_shard(shards: Cluster) -> int:
    """Return the place of a primary that does not have the key `feed`."""
    port = shards.owner_of(keys.FEED_KEY).port
    return next(at for at, it in enumerate(shards.primaries) if it.port != port)


async def load(backend: Backend, *slots: Slot) -> None:
    """Load a feed of these slots, as of now."""
    items: list[FeedItem] = []
    for slot in slots:
        items += [Scope(slot.merchant_id), Availability("feed", slot, 1, 1)]
    store = backend.inventory()
    staged = await store.stage(items, lambda _: None)
    await store.commit(staged, None, lambda *_: None)


async def answers(backend: Backend, slot: Slot) -> set[str]:
    """Return what every operation says that looks for a merchant's inventory."""
    found = set()
    for asked in (
        backend.create_lease(slot),
        backend.store().check_availability(slot, soon()),
        book(backend, slot, token="t"),
        backend.leases().inspect_slot(slot, soon()),
    ):
        try:
            found.add(str((await asked).status))
        except StoreUnavailableError as error:
            found.add(error.trouble.value)
    return found


async def test_shard_that_lost_its_inventory_is_trouble_and_not_the_callers_mistake(
    backend: Backend, shards: Cluster
) -> None:
    """Its merchants are NO_INVENTORY until a feed lists one of them; those of others go on."""
    at = lost_shard(shards)
    (known, unknown), (other, unknown_elsewhere) = (
        merchants_of(shards, place, backend.merchant) for place in (at, (at + 1) % 3)
    )
    slot = await backend.slot()
    markers = Markers(backend.link, TERMS.max_lease_ms, on_loss=lambda: None)
    await markers.beat(soon())
    one, another = replace(slot, merchant_id=known), replace(slot, merchant_id=other)
    await load(backend, one, another)
    nobodys = replace(slot, merchant_id=unknown)
    assert await answers(backend, nobodys) == {"merchant_unknown"}
    ask(shards.primaries[at], "FLUSHALL")

    lost = {StoreTrouble.NO_INVENTORY.value}
    assert await answers(backend, one) == lost
    assert await answers(backend, nobodys) == lost
    elsewhere = replace(slot, merchant_id=unknown_elsewhere)
    assert await answers(backend, elsewhere) == {"merchant_unknown"}
    await markers.beat(soon())
    await load(backend, another)
    assert await answers(backend, one) == lost
    await load(backend, one)
    assert "created" in await answers(backend, one)
    assert await answers(backend, nobodys) == {"merchant_unknown"}


async def test_shards_after_a_load_by_an_older_release_are_as_they_were_to_it(
    backend: Backend, shards: Cluster
) -> None:
    """0.1 notes no shards: after its load, as before this release, `feed` decides alone."""
    at = lost_shard(shards)
    known, unknown = merchants_of(shards, at, backend.merchant)
    slot = replace(await backend.slot(), merchant_id=known)
    await load(backend, slot)
    ask(shards.primaries[at], "FLUSHALL")
    nobodys = replace(slot, merchant_id=unknown)
    assert await answers(backend, nobodys) == {StoreTrouble.NO_INVENTORY.value}

    await backend.redis.hset(keys.FEED_KEY, "imported_at_ms", f"{await backend.now_ms()}")

    assert await answers(backend, nobodys) == {"merchant_unknown"}
