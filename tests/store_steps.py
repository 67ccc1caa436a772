"""All that a service and its commands ever ask of a single store, one call after the other."""

import itertools
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any

from tests.backends import EVENTFUL, soon
from tests.service import now_ms

from leasehold.model import ids
from leasehold.model.booking import BookingStatus, CreateBooking, UpdateBooking
from leasehold.model.events import ListEvents
from leasehold.model.inventory import Availability, Scope
from leasehold.model.lease import CreateLease
from leasehold.model.operators import ExtendLease, LeaseFilter, ReleaseLease
from leasehold.model.slot import Slot
from leasehold.store.doctor import Doctor
from leasehold.store.eraser import Eraser
from leasehold.store.hooks import tell_nobody
from leasehold.store.link import Link
from leasehold.store.marker import Marker
from leasehold.store.redis_events import RedisEvents
from leasehold.store.redis_inventory import RedisInventory
from leasehold.store.redis_leases import RedisLeases
from leasehold.store.redis_store import RedisStore

Step = tuple[str, Callable[[], Awaitable[Any]]]
"""One call by name, which may be made again."""
_number = itertools.count()


def new_slot() -> Slot:
    """Return a slot of a merchant that no other test has."""
    return Slot(f"m-{next(_number)}", "haircut", now_ms() // 1000 + 86_400, 1800)


def lease_steps(link: Link, slot: Slot) -> Iterator[Step]:
    """Yield all that is asked about leases and bookings."""
    store = RedisStore(link, EVENTFUL, is_strict=True)
    leases = RedisLeases(link, EVENTFUL, is_strict=True)
    until_ms, user = now_ms() + 300_000, f"ada-{slot.merchant_id}"
    held = ids.Reference(slot.merchant_id, ids.lease_suffix("r-1"))
    released = ids.Reference(slot.merchant_id, ids.lease_suffix("r-2"))
    other = replace(slot, staff_id="bo")
    booking = CreateBooking(slot, "t-1", "v2", user, b"original", held)
    direct = CreateBooking(other, "t-2", "v2", user, b"original")
    booked = ids.Reference(slot.merchant_id, booking.suffix)
    unknown = replace(slot, service_id="unknown")
    moved = UpdateBooking(booked, start_s=slot.start_s + 1800)
    canceled = UpdateBooking(booked, BookingStatus.CANCELED)

    def create(wanted: Slot, reference: str) -> Step:
        return "create_lease", lambda: store.create_lease(
            CreateLease(wanted, reference, until_ms), soon()
        )

    yield create(slot, "r-1")
    yield create(slot, "r-1")
    yield create(other, "r-2")
    yield create(unknown, "r-3")
    yield "release_lease", lambda: leases.release_lease(ReleaseLease(released, "x"), soon())
    yield (
        "extend_lease",
        lambda: leases.extend_lease(ExtendLease(held, until_ms + 1000, "x"), soon()),
    )
    yield "list_leases", lambda: leases.list_leases(LeaseFilter(slot.merchant_id), 100, 0, soon())
    yield "inspect_slot", lambda: leases.inspect_slot(slot, soon())
    yield "create_booking", lambda: store.create_booking(booking, soon())
    yield "create_booking", lambda: store.create_booking(direct, soon())
    yield "update_booking", lambda: store.update_booking(moved, soon())
    yield "list_bookings", lambda: store.list_bookings(user, soon())
    yield "forget_user", lambda: Eraser(link, lambda *_: b"").forget_user(user, tell_nobody)
    yield "update_booking", lambda: store.update_booking(canceled, soon())
    yield (
        "list_events",
        lambda: RedisEvents(link, EVENTFUL).list_events(
            ListEvents(slot.merchant_id, "", 100), soon()
        ),
    )


async def load(inventory: RedisInventory, *slots: Slot) -> None:
    """Make the inventory of a merchant what is listed."""
    items = [Availability("here", slot, 20, 20) for slot in slots]
    staged = await inventory.stage([Scope(slots[0].merchant_id), *items], tell_nobody)
    await inventory.commit(staged, None, tell_nobody)


def all_steps(link: Link, slot: Slot) -> Iterator[Step]:
    """Yield everything, for a merchant who is new to the store."""
    listed = (slot, replace(slot, staff_id="bo"), replace(slot, start_s=slot.start_s + 1800))
    inventory = RedisInventory(link, EVENTFUL.retention_ms)
    marker = Marker(link, 1, on_loss=tell_nobody)
    yield "load", lambda: load(inventory, *listed, replace(slot, staff_id="goes"))
    yield from lease_steps(link, slot)
    yield "load", lambda: load(inventory, *listed)
    yield "describe", lambda: inventory.describe(slot.merchant_id)
    yield "merchants", lambda: anext(inventory.merchants())
    for _ in range(2):
        yield "beat", lambda: marker.beat(soon())
    yield "examine", lambda: Doctor(link, 0, 86_400, 0).examine()
    yield "drop", lambda: inventory.drop(slot.merchant_id)
    yield "forget_feed", inventory.forget_feed
    yield "ping", lambda: link.ping(soon())
