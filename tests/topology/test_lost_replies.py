"""A change of a booking whose reply is lost: done once, and left to its caller."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from tests.backends import Backend, client_of, soon
from tests.proxy import Proxy

from leasehold.model import ids
from leasehold.model.booking import (
    BookingStatus,
    CreateBooking,
    CreateBookingStatus,
    UpdateBooking,
    UpdateBookingStatus,
)
from leasehold.model.errors import StoreTrouble, StoreUnavailableError
from leasehold.model.slot import Slot
from leasehold.store import scripts

UPDATE_BOOKING = scripts.load("update_booking").sha.encode()
HOUR_S = 3600


@pytest.fixture
async def behind(proxy: Proxy, direct: Backend) -> AsyncIterator[Backend]:
    """The store through the proxy, by a link that repeats what may be repeated."""
    client = client_of(proxy.url)
    yield replace(direct, redis=client, retries=3)
    await client.aclose()


async def booked(backend: Backend, slot: Slot) -> ids.Reference:
    """Book a slot, and let the store learn the script that changes it."""
    command = CreateBooking(slot, "token-1", "v2", f"user-{backend.merchant}", b"original")
    outcome = await backend.store().create_booking(command, soon())
    assert outcome.status is CreateBookingStatus.CREATED
    booking = ids.Reference(slot.merchant_id, command.suffix)
    same = await backend.store().update_booking(
        UpdateBooking(booking, start_s=slot.start_s), soon()
    )
    assert same.status is UpdateBookingStatus.UNCHANGED
    return booking


async def now_at(backend: Backend, booking: ids.Reference) -> Slot:
    """Return where a booking is, and see that it holds no other slot."""
    record = await backend.store().get_booking(booking, soon())
    assert record
    held = [key for key in await backend.dump() if key.startswith("slot:")]
    assert len(held) == 1
    assert await backend.owner(record.slot) is not None
    return record.slot


async def test_lost_reply_to_a_move_is_not_asked_for_again(
    proxy: Proxy, direct: Backend, behind: Backend
) -> None:
    """A move is sent once: repeated by the link it would undo a later one (failure mode 45)."""
    slot = await direct.slot()
    booking = await booked(direct, slot)
    first = replace(slot, start_s=slot.start_s + HOUR_S)
    later = replace(slot, start_s=slot.start_s + 2 * HOUR_S)

    async def somebody_else_moves_it() -> None:
        assert await now_at(direct, booking) == first
        change = UpdateBooking(booking, start_s=later.start_s)
        outcome = await direct.store().update_booking(change, soon())
        assert outcome.status is UpdateBookingStatus.UPDATED

    proxy.drop_reply_to(UPDATE_BOOKING, somebody_else_moves_it)
    with pytest.raises(StoreUnavailableError) as caught:
        await behind.store().update_booking(UpdateBooking(booking, start_s=first.start_s), soon())

    assert caught.value.trouble is StoreTrouble.UNREACHABLE
    assert await now_at(direct, booking) == later


@pytest.mark.parametrize(
    "change", [{"start_s": HOUR_S}, {"party_size": 4}, {"status": BookingStatus.CANCELED}]
)
async def test_lost_reply_to_a_change_is_found_by_the_caller_who_asks_again(
    proxy: Proxy, direct: Backend, behind: Backend, change: dict[str, Any]
) -> None:
    """When nobody came between, the caller's own repeat finds the change made."""
    slot = await direct.slot()
    booking = await booked(direct, slot)
    if "start_s" in change:
        change = {"start_s": slot.start_s + change["start_s"]}
    command = UpdateBooking(booking, **change)
    seen: list[BookingStatus | Slot] = []

    async def look() -> None:
        record = await direct.store().get_booking(booking, soon())
        assert record
        seen.extend((record.status, record.slot))

    proxy.drop_reply_to(UPDATE_BOOKING, look)
    with pytest.raises(StoreUnavailableError):
        await behind.store().update_booking(command, soon())
    again = await behind.store().update_booking(command, soon())

    assert again.status is UpdateBookingStatus.UNCHANGED
    assert again.record
    assert seen == [again.record.status, again.record.slot]
    assert seen != [BookingStatus.CONFIRMED, slot]
