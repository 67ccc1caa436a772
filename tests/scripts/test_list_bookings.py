"""ListBookings of a user with many bookings: piece by piece, the soonest, and nobody is refused."""

import asyncio
from dataclasses import replace

import pytest
from tests.backends import Backend, RealClock, client_of, link_to, soon
from tests.servers import RedisServer

from leasehold.model import ids
from leasehold.model.booking import (
    MOST_LISTED,
    BookingStatus,
    CreateBooking,
    CreateBookingStatus,
    UpdateBooking,
)
from leasehold.model.slot import Slot
from leasehold.store.eraser import Eraser
from leasehold.store.hooks import tell_nobody
from leasehold.store.link import Link
from leasehold.store.redis_store import RedisStore
from leasehold.store.user_index import PIECE

MINUTE_S = 60
IN_FLIGHT = 40


def many(slot: Slot, count: int) -> list[Slot]:
    """Return slots by start, a minute apart, in an order that is not theirs."""
    return [
        replace(slot, start_s=slot.start_s + MINUTE_S * (n * 7919 % count)) for n in range(count)
    ]


async def book(store: RedisStore, slots: list[Slot], user: str) -> None:
    """Book slots for a user, few at a time."""
    for first in range(0, len(slots), 10):
        commands = (
            CreateBooking(slot, f"token-{slot.start_s}", "v2", user, b"original")
            for slot in slots[first : first + 10]
        )
        made = await asyncio.gather(*(store.create_booking(each, soon()) for each in commands))
        assert {each.status for each in made} == {CreateBookingStatus.CREATED}


def named(slot: Slot) -> ids.Reference:
    """Name the booking of a slot."""
    return ids.Reference(slot.merchant_id, ids.booking_suffix("v2", f"token-{slot.start_s}"))


async def watch(link: Link, over: asyncio.Event) -> tuple[int, int]:
    """Ask beside others until it is over; return how often, and the most that was in flight."""
    asked = most = 0
    while not over.is_set():
        # A neighbour's call; with a full queue it would be refused.
        await link.ping(soon())
        await link.read("EXISTS", "slot:{nobody}:probe", deadline=soon())
        asked, most = asked + 1, max(most, link.in_flight)
    return asked, most


async def test_list_bookings_of_more_than_the_queue_takes_refuses_nobody(
    valkey: RedisServer,
) -> None:
    """Few commands at a time, whatever the user has; so do forget and lists (failure mode 52).

    With 4 500 bookings it was OVERLOADED for ever, and others were refused meanwhile.
    """
    async with (
        client_of(valkey.tester_url) as redis,
        link_to(valkey.url, max_in_flight=IN_FLIGHT) as link,
    ):
        backend = Backend(redis, link, RealClock(), lambda: link)
        slots = many(await backend.slot(), 3 * PIECE)
        user, store = f"ada-of-{backend.merchant}", backend.store()
        await book(store, slots, user)
        over = asyncio.Event()
        neighbour = asyncio.create_task(watch(link, over))

        listed = await store.list_bookings(user, soon())
        forgotten = await Eraser(link, lambda *_: b"").forget_user(user, tell_nobody)

        over.set()
        asked, most = await neighbour
        assert [each.slot for each in listed or ()] == sorted(slots, key=lambda it: it.start_s)
        assert len(forgotten.booking_ids) == len(slots)
        assert asked > 0
        assert most <= IN_FLIGHT // 2


@pytest.mark.parametrize("at_once", [1, PIECE + 50])
async def test_list_bookings_reads_starts_that_are_the_same(fake: Backend, at_once: int) -> None:
    """Bookings of one start are each read once, also where they are more than a piece."""
    slot = await fake.slot()
    slots = [replace(slot, room_id=str(number)) for number in range(at_once)]
    slots += [replace(slot, start_s=slot.start_s + MINUTE_S, room_id=str(n)) for n in range(3)]
    for number, each in enumerate(slots):
        command = CreateBooking(each, f"token-{number}", "v2", "ada", b"original")
        assert (await fake.store().create_booking(command, soon())).status == "created"

    found = await fake.store().list_bookings("ada", soon()) or []

    assert len(found) == len(slots)
    assert {each.slot for each in found} == set(slots)


async def test_list_bookings_of_more_than_are_listed_answers_the_soonest(
    valkey: RedisServer,
) -> None:
    """Of 1 050 the 1 000 soonest, by the starts that they have now; that there are more is told."""
    cuts: list[None] = []
    async with client_of(valkey.tester_url) as redis, link_to(valkey.url) as link:
        backend = Backend(redis, link, RealClock(), lambda: link)
        slots = many(await backend.slot(), MOST_LISTED + 50)
        store = RedisStore(link, backend.terms, on_cut=lambda: cuts.append(None))
        user = f"ada-of-{backend.merchant}"
        await book(store, slots, user)
        first, *_, last = by_start = sorted(slots, key=lambda each: each.start_s)
        soonest = replace(last, start_s=first.start_s - MINUTE_S)
        await store.update_booking(UpdateBooking(named(last), start_s=soonest.start_s), soon())
        cancel = UpdateBooking(named(first), status=BookingStatus.CANCELED)
        await store.update_booking(cancel, soon())

        found = await store.list_bookings(user, soon()) or []

        assert [each.slot for each in found] == [soonest, *by_start[1:MOST_LISTED]]
        assert len(cuts) == 1
