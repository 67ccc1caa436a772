"""Users whose bookings were made by different keys, the same on every store."""

from dataclasses import replace

import pytest
from tests.backends import TERMS, Backend, soon
from tests.scripts.test_inventory import load

from leasehold.model import ids
from leasehold.model.booking import (
    CreateBooking,
    CreateBookingStatus,
    UpdateBooking,
    UpdateBookingStatus,
)
from leasehold.model.lease import CreateLeaseStatus
from leasehold.model.slot import Slot
from leasehold.model.user_keys import UserKeys
from leasehold.store import keys
from leasehold.store.eraser import Eraser
from leasehold.store.hooks import tell_nobody
from leasehold.store.redis_store import RedisStore

OLD, NEW = b"a key that was used before today", b"a key that is used from today on"
UNKEYED, KEYED, ROTATED = UserKeys([None]), UserKeys([OLD, None]), UserKeys([NEW, OLD, None])
IN_TURN = (UNKEYED, KEYED, ROTATED)
"""How a process writes before there are keys, with the first one, and with the second."""


class Desk:
    """One store of strict inventory, asked by processes with different keys."""

    def __init__(self, backend: Backend, spots: int) -> None:
        backend.is_strict = True
        self.backend, self.spots = backend, spots
        self.user = f"ada of {backend.merchant}"

    def store(self, user_keys: UserKeys) -> RedisStore:
        """Return the real adapter as it is in a process with these keys."""
        return RedisStore(
            self.backend.link,
            TERMS,
            is_strict=True,
            user_keys=user_keys,
            user_of=lambda _, original: original.decode(),
        )

    async def slots(self, count: int) -> list[Slot]:
        """Return slots of the inventory, an hour apart."""
        first = await self.backend.slot()
        slots = [replace(first, start_s=first.start_s + 3600 * it) for it in range(count)]
        await load(self.backend, dict.fromkeys(slots, self.spots))
        return slots

    async def book(self, user_keys: UserKeys, slot: Slot, token: str) -> CreateBookingStatus:
        """Book a slot directly."""
        command = CreateBooking(slot, token, "v2", self.user, self.user.encode())
        return (await self.store(user_keys).create_booking(command, soon())).status

    async def names(self, user_keys: UserKeys) -> set[str]:
        """Return the bookings that the index of the first digest names."""
        key = keys.index_key(user_keys.digests(self.user)[0])
        return {str(it) for it in await self.backend.redis.zrange(key, 0, -1)}


@pytest.mark.parametrize("spots", [2, 20])
async def test_user_keys_rotated_bookings_are_repeated_listed_and_refused_a_second(
    backend: Backend, spots: int
) -> None:
    """Whichever key a booking was made by, every later process takes its user for the same (85)."""
    desk = Desk(backend, spots)
    slots = await desk.slots(3)
    for number, (user_keys, slot) in enumerate(zip(IN_TURN, slots, strict=True)):
        assert await desk.book(user_keys, slot, f"t-{number}") is CreateBookingStatus.CREATED

    for number, slot in enumerate(slots):
        assert await desk.book(ROTATED, slot, f"t-{number}") is CreateBookingStatus.REPLAYED
        second = await desk.book(ROTATED, slot, f"second-{number}")
        assert second is CreateBookingStatus.ALREADY_BOOKED_BY_USER
    listed = await desk.store(ROTATED).list_bookings(desk.user, soon()) or []
    assert [record.slot for record in listed] == slots
    # A repeat by another key names the booking where its record does.
    for number, user_keys in enumerate(IN_TURN):
        made = ids.wire_id(backend.merchant, ids.booking_suffix("v2", f"t-{number}"))
        assert await desk.names(user_keys) == {made}


async def test_user_keys_rotated_lease_consumed_by_the_same_user_says_so(backend: Backend) -> None:
    """Who books a lease again by another key has booked it; another user has not (85)."""
    desk = Desk(backend, 1)
    (slot,) = await desk.slots(1)
    assert (await backend.create_lease(slot)).status is CreateLeaseStatus.CREATED
    lease = ids.Reference(backend.merchant, ids.lease_suffix("reference-1"))
    command = CreateBooking(slot, "t-1", "v2", desk.user, desk.user.encode(), lease)
    made = await desk.store(UNKEYED).create_booking(command, soon())
    assert made.status is CreateBookingStatus.CREATED

    async def again(user: str) -> CreateBookingStatus:
        other = replace(command, token="t-2", user_id=user)
        return (await desk.store(ROTATED).create_booking(other, soon())).status

    assert await again(desk.user) is CreateBookingStatus.LEASE_CONSUMED_BY_USER
    assert await again("bo") is CreateBookingStatus.LEASE_CONSUMED


async def test_user_keys_rotated_move_onto_a_slot_of_the_same_user_is_refused(
    backend: Backend,
) -> None:
    """A move sees what its user booked by any key, and keeps the digest of its record (85)."""
    desk = Desk(backend, 2)
    old, new, free = await desk.slots(3)
    await desk.book(UNKEYED, old, "old")
    await desk.book(ROTATED, new, "new")

    async def move(token: str, slot: Slot) -> UpdateBookingStatus:
        booking = ids.Reference(backend.merchant, ids.booking_suffix("v2", token))
        command = UpdateBooking(booking, start_s=slot.start_s)
        return (await desk.store(ROTATED).update_booking(command, soon())).status

    assert await move("old", new) is UpdateBookingStatus.ALREADY_BOOKED_BY_USER
    assert await move("new", old) is UpdateBookingStatus.ALREADY_BOOKED_BY_USER
    assert await move("old", free) is UpdateBookingStatus.UPDATED
    listed = await desk.store(ROTATED).list_bookings(desk.user, soon()) or []
    assert [record.slot for record in listed] == [new, free]
    moved = ids.wire_id(backend.merchant, ids.booking_suffix("v2", "old"))
    assert await desk.names(UNKEYED) == {moved}


async def test_user_keys_rotated_forget_user_finds_bookings_of_every_key(backend: Backend) -> None:
    """Who is forgotten is so by whichever key they were stored, by index or thoroughly (85)."""
    desk = Desk(backend, 1)
    slots = await desk.slots(4)
    for number, user_keys in enumerate(IN_TURN):
        await desk.book(user_keys, slots[number], f"t-{number}")
    eraser = Eraser(backend.link, lambda *_: b"", ROTATED)

    forgotten = await eraser.forget_user(desk.user, tell_nobody)

    assert len(forgotten.booking_ids) == 3
    await desk.book(UNKEYED, slots[3], "t-3")
    await backend.redis.delete(keys.index_key(UNKEYED.digests(desk.user)[0]))
    await backend.redis.delete(keys.intents_key(UNKEYED.digests(desk.user)[0]))
    thorough = await eraser.forget_user(desk.user, tell_nobody, is_thorough=True)
    last = ids.wire_id(backend.merchant, ids.booking_suffix("v2", "t-3"))
    assert last in thorough.booking_ids
    assert await desk.store(ROTATED).list_bookings(desk.user, soon()) is None
    dumped = str(await backend.dump())
    assert not [digest for digest in ROTATED.digests(desk.user) if digest in dumped]


async def test_user_keys_of_another_user_refuse_nothing(backend: Backend) -> None:
    """Two users never have a digest in common, and a key never that of another (85)."""
    desk = Desk(backend, 2)
    (slot,) = await desk.slots(1)
    await desk.book(KEYED, slot, "t-1")
    desk.user = f"bo of {backend.merchant}"
    assert await desk.book(ROTATED, slot, "t-2") is CreateBookingStatus.CREATED
    digests = {*ROTATED.digests("ada"), *ROTATED.digests("bo")}
    assert len(digests) == 6
