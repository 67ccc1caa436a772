"""Slots with many spots that are sold out: refused for little, and open when one is free."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from tests.backends import DAY_MS, Backend, FakeClock, full_key, soon
from tests.scripts.test_inventory import book, free, load, take

from leasehold.model import ids
from leasehold.model.booking import BookingStatus, CreateBookingStatus, UpdateBooking
from leasehold.model.booking import UpdateBookingStatus as Updated
from leasehold.model.inventory import Scope
from leasehold.model.lease import CreateLeaseStatus
from leasehold.model.operators import ReleaseLease
from leasehold.model.slot import Slot
from leasehold.store import keys

SPOTS = 17
"""The least of which not all are looked at each time."""
FULL, CREATED = CreateLeaseStatus.SLOT_UNAVAILABLE, CreateLeaseStatus.CREATED


@pytest.fixture
async def strict(backend: Backend) -> Backend:
    """A store on which only the inventory's slots exist."""
    backend.is_strict = True
    return backend


async def known_full(backend: Backend) -> list[str]:
    """Return the slots of this test's merchant that are known to be full."""
    pattern = f"full:{{{backend.merchant}}}:*"
    return [str(key) async for key in backend.redis.scan_iter(match=pattern, count=1000)]


async def noon(backend: Backend) -> Slot:
    """Return a slot in the middle of a day."""
    return await backend.slot(start_s=(await backend.now_ms() // DAY_MS + 2) * DAY_MS // 1000)


async def sold_out(backend: Backend, slot: Slot) -> None:
    """Sell a slot out: a booking, a lease that ends soon, and others; a refusal comes after."""
    await load(backend, {slot: SPOTS, replace(slot, room_id="2"): 1})
    assert await book(backend, slot, "t", "ada") is CreateBookingStatus.CREATED
    await take(backend, slot, SPOTS - 2)
    assert (await backend.create_lease(slot, "last", for_ms=2_000)).status is CREATED
    assert (await backend.create_lease(slot, "late")).status is FULL


async def release(backend: Backend, _: Slot) -> None:
    """Give a lease back."""
    lease = ids.Reference(backend.merchant, ids.lease_suffix("r-1"))
    await backend.leases().release_lease(ReleaseLease(lease, "INC-1"), soon())


async def cancel(backend: Backend, _: Slot) -> None:
    """Cancel the booking."""
    booking = ids.Reference(backend.merchant, ids.booking_suffix("v2", "t"))
    await backend.store().update_booking(UpdateBooking(booking, BookingStatus.CANCELED), soon())


async def move_away(backend: Backend, slot: Slot) -> None:
    """Move the booking to a slot of another hour."""
    later = replace(slot, start_s=slot.start_s + 3600)
    await load(backend, {later: 1}, Scope(backend.merchant, from_s=later.start_s))
    booking = ids.Reference(backend.merchant, ids.booking_suffix("v2", "t"))
    command = UpdateBooking(booking, start_s=later.start_s)
    moved = await backend.store().update_booking(command, soon())
    assert moved.status is Updated.UPDATED


async def raise_spots(backend: Backend, slot: Slot) -> None:
    """Load a feed that has a spot more."""
    await load(backend, {slot: SPOTS + 1})


async def drop_and_load(backend: Backend, slot: Slot) -> None:
    """Forget the inventory, and load one that has a spot more."""
    await backend.inventory().drop(backend.merchant)
    await load(backend, {slot: SPOTS + 1})


async def expire(backend: Backend, slot: Slot) -> None:
    """Wait until the first hold has ended."""
    del slot
    lease = keys.lease_key(backend.merchant, ids.lease_suffix("last"))
    await backend.wait_until(int(str(await backend.redis.hget(lease, "expires_at_ms"))) + 1)


@pytest.mark.parametrize(
    "frees",
    [release, cancel, move_away, raise_spots, drop_and_load, expire],
    ids=lambda it: it.__name__,
)
async def test_full_slot_is_open_at_once_when_a_spot_is_free(
    strict: Backend, frees: Callable[[Backend, Slot], Awaitable[None]]
) -> None:
    """Whatever frees a spot or raises their number ends what is known of the slot (67)."""
    slot = await noon(strict)
    await sold_out(strict, slot)

    await frees(strict, slot)

    assert await known_full(strict) == []
    assert await free(strict, slot) >= 1
    assert (await strict.create_lease(slot, "next")).status is CREATED


async def test_full_slot_is_refused_again_without_a_look_at_its_spots(
    fake: Backend, fake_clock: FakeClock
) -> None:
    """The first refusal looks at all spots, those within a second after it at none (67).

    To show that, a spot's key is taken away, which nothing but the store does otherwise.
    """
    fake.is_strict = True
    slot = await noon(fake)
    other = replace(slot, start_s=slot.start_s + 3600)
    await load(fake, {slot: SPOTS, other: 1})
    assert await book(fake, other, "t", "ada") is CreateBookingStatus.CREATED
    await take(fake, slot, SPOTS)
    assert (await fake.create_lease(slot, "late-0")).status is FULL
    assert len(await known_full(fake)) == 1
    await fake.redis.delete(keys.spot_key(slot, 9))

    booking = ids.Reference(fake.merchant, ids.booking_suffix("v2", "t"))
    move = UpdateBooking(booking, start_s=slot.start_s)
    for n in range(1, 4):
        fake_clock.now_ms += 300
        assert (await fake.create_lease(slot, f"late-{n}")).status is FULL
        assert await free(fake, slot) == 0
        assert (await fake.store().update_booking(move, soon())).status is Updated.SLOT_UNAVAILABLE
    fake_clock.now_ms += 101
    assert await free(fake, slot) == 1
    assert (await fake.store().update_booking(move, soon())).status is Updated.UPDATED


async def test_full_slot_is_known_so_until_its_first_hold_ends_and_for_a_second_at_most(
    fake: Backend, fake_clock: FakeClock
) -> None:
    """At each millisecond around that end CreateLease, CheckAvailability and a move agree (67)."""
    fake.is_strict = True
    slot = await noon(fake)
    other = replace(slot, start_s=slot.start_s + 3600)
    await load(fake, {slot: SPOTS, other: 1})
    assert await book(fake, other, "t", "ada") is CreateBookingStatus.CREATED
    await take(fake, slot, SPOTS - 1)
    last = await fake.create_lease(slot, "last", for_ms=1_500)
    booking = ids.Reference(fake.merchant, ids.booking_suffix("v2", "t"))
    move = UpdateBooking(booking, start_s=slot.start_s)

    for ahead_ms, known_for_ms in ((1_400, 1_000), (900, 900), (1, 1), (0, -2)):
        for key in await known_full(fake):
            await fake.redis.delete(key)
        fake_clock.now_ms = last.expires_at_ms - ahead_ms
        answer = await fake.store().update_booking(move, soon())
        assert answer.status is Updated.SLOT_UNAVAILABLE
        assert await fake.redis.pttl(full_key(slot)) == known_for_ms
        assert (await fake.create_lease(slot, "late")).status is FULL
        assert await free(fake, slot) == 0
    fake_clock.now_ms = last.expires_at_ms + 1
    assert await free(fake, slot) == 1
    assert (await fake.create_lease(slot, "late")).status is CREATED


@pytest.mark.parametrize("spots", [1, 16])
async def test_full_slot_with_few_spots_leaves_nothing_behind(strict: Backend, spots: int) -> None:
    """To look at all spots of those costs hardly more than to know."""
    slot = await noon(strict)
    await load(strict, {slot: spots})
    await take(strict, slot, spots)

    assert (await strict.create_lease(slot, "late")).status is FULL

    assert await known_full(strict) == []


async def test_full_slot_that_shrank_is_refused_and_opens_when_enough_have_gone(
    strict: Backend,
) -> None:
    """It counts every number in use, also those that it has no more."""
    slot = await noon(strict)
    await load(strict, {slot: 20})
    await take(strict, slot, 20)
    await load(strict, {slot: 19})
    for n in range(2):
        assert (await strict.create_lease(slot, f"late-{n}")).status is FULL
        lease = ids.Reference(strict.merchant, ids.lease_suffix(f"r-{n}"))
        await strict.leases().release_lease(ReleaseLease(lease, "INC-1"), soon())

    assert await free(strict, slot) == 1
    assert (await strict.create_lease(slot, "next")).status is CREATED
