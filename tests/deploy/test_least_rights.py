"""The service's user in deploy/redis/users.acl: take any command away, and something fails."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from tests.backends import EVENTFUL, link_to, soon
from tests.servers import RedisServer, access_list
from tests.service import now_ms

from leasehold.model import ids
from leasehold.model.booking import BookingStatus, CreateBooking, UpdateBooking
from leasehold.model.errors import StoreUnavailableError
from leasehold.model.events import ListEvents
from leasehold.model.inventory import Availability, Scope
from leasehold.model.lease import CreateLease
from leasehold.model.operators import ExtendLease, LeaseFilter, ReleaseLease
from leasehold.model.slot import Slot
from leasehold.store import safety
from leasehold.store.doctor import Doctor
from leasehold.store.eraser import Eraser
from leasehold.store.hooks import tell_nobody
from leasehold.store.link import Link
from leasehold.store.marker import Marker
from leasehold.store.redis_events import RedisEvents
from leasehold.store.redis_inventory import RedisInventory
from leasehold.store.redis_leases import RedisLeases
from leasehold.store.redis_store import RedisStore

OF_OTHER_STORES = {"role", "asking", "cluster|slots"}
"""What only Sentinels and clusters need; the tests of those fail without it."""
MAY_BE_DENIED = {"info", "config|get", "wait"}
"""What is a warning where it is missing, because a managed store does not allow it."""
ALLOWED = {rule[1:] for rule in access_list()["leasehold"] if rule.startswith("+")}
number = itertools.count()


@pytest.fixture(scope="module")
def store() -> Iterator[RedisServer]:
    """A server whose users are those of the list."""
    # Without PEXPIREAT, say, it is left with keys that have no TTL.
    with RedisServer("valkey9") as server:
        yield server


def lease_steps(link: Link, slot: Slot) -> Iterator[Awaitable[Any]]:
    """Yield all that is asked about leases and bookings, one after the other."""
    store, leases = (
        RedisStore(link, EVENTFUL, is_strict=True),
        RedisLeases(link, EVENTFUL, is_strict=True),
    )
    until_ms = now_ms() + 300_000
    held = ids.Reference(slot.merchant_id, ids.lease_suffix("r-1"))
    other = replace(slot, staff_id="bo")
    booking = CreateBooking(slot, "t-1", "v2", "ada", b"original", held)
    direct = CreateBooking(other, "t-2", "v2", "ada", b"original")
    booked = ids.Reference(slot.merchant_id, booking.suffix)
    unknown = replace(slot, service_id="unknown")
    for wanted, reference in ((slot, "r-1"), (slot, "r-1"), (other, "r-2"), (unknown, "r-3")):
        yield store.create_lease(CreateLease(wanted, reference, until_ms), soon())
    yield leases.release_lease(
        ReleaseLease(ids.Reference(slot.merchant_id, ids.lease_suffix("r-2")), "x"), soon()
    )
    yield leases.extend_lease(ExtendLease(held, until_ms + 1000, "x"), soon())
    yield leases.list_leases(LeaseFilter(slot.merchant_id), 100, 0, soon())
    yield leases.inspect_slot(slot, soon())
    yield store.create_booking(booking, soon())
    yield store.create_booking(direct, soon())
    yield store.update_booking(UpdateBooking(booked, start_s=slot.start_s + 1800), soon())
    yield store.list_bookings("ada", soon())
    yield Eraser(link, lambda *_: b"").forget_user("ada", tell_nobody)
    yield store.update_booking(UpdateBooking(booked, BookingStatus.CANCELED), soon())
    yield RedisEvents(link, EVENTFUL).list_events(ListEvents(slot.merchant_id, "", 100), soon())


async def load(inventory: RedisInventory, *slots: Slot) -> None:
    """Make the inventory of a merchant what is listed."""
    items = [Availability("here", slot, 20, 20) for slot in slots]
    staged = await inventory.stage([Scope(slots[0].merchant_id), *items], tell_nobody)
    await inventory.commit(staged, None, tell_nobody)


async def all_steps(link: Link) -> AsyncIterator[Awaitable[Any]]:
    """Yield everything that a service and its commands ever ask of a single store."""
    slot = Slot(f"m-{next(number)}", "haircut", now_ms() // 1000 + 86_400, 1800)
    listed = (slot, replace(slot, staff_id="bo"), replace(slot, start_s=slot.start_s + 1800))
    inventory, marker = (
        RedisInventory(link, EVENTFUL.retention_ms),
        Marker(link, 1, on_loss=tell_nobody),
    )
    yield load(inventory, *listed, replace(slot, staff_id="goes"))
    for step in lease_steps(link, slot):
        yield step
    yield load(inventory, *listed)
    yield inventory.describe(slot.merchant_id)
    yield anext(inventory.merchants())
    for _ in range(2):
        yield marker.beat(soon())
    yield Doctor(link, 0).examine()
    yield inventory.drop(slot.merchant_id)
    yield inventory.forget_feed()
    yield link.ping(soon())


async def refusals(store: RedisServer) -> list[str]:
    """Do everything, and return what was refused."""
    found = []
    async with link_to(store.url) as link:
        async for step in all_steps(link):
            try:
                await step
            except (StoreUnavailableError, StopAsyncIteration) as error:
                found.append(str(error))
    return found


async def warnings(store: RedisServer) -> list[str]:
    """Return what the store is told to be able to tell, and does not."""
    async with link_to(store.url) as link:
        found = await safety.look(link, soon(), 0)
    return [each.detail for each in found if "not allowed" in each.detail]


async def test_service_user_may_do_all_that_is_asked(store: RedisServer) -> None:
    """With the list as it is nothing is refused."""
    assert await refusals(store) == []
    assert await warnings(store) == []


@pytest.mark.parametrize("command", sorted(ALLOWED - OF_OTHER_STORES))
async def test_service_user_without_a_command_is_refused_something(
    store: RedisServer, command: str
) -> None:
    """No command is allowed that nothing needs."""
    with store.client() as tester:
        # So that scripts are sent as they are, too.
        tester.script_flush()
        tester.execute_command("ACL", "SETUSER", "default", f"-{command}")
        try:
            looks = warnings if command in MAY_BE_DENIED else refusals
            assert await looks(store)
        finally:
            tester.execute_command("ACL", "SETUSER", "default", f"+{command}")
