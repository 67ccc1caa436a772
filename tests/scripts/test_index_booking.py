"""The index of a user's bookings, the same on every store."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from tests.backends import TERMS, Backend, FakeClock, soon

from leasehold.model import ids
from leasehold.model.booking import (
    BookingStatus,
    CreateBooking,
    CreateBookingStatus,
    UpdateBooking,
    UpdateBookingStatus,
)
from leasehold.model.slot import Slot
from leasehold.store import keys
from leasehold.store.user_index import OLDER_THAN_ANY_CALL_MS, UserIndex

HOUR_S = 3600
OLD_MS = 1_700_000_000_000
"""A time at which 0.1.0 named a booking: the score that it wrote."""


def user_of(backend: Backend, name: str = "ada") -> str:
    """Return a user of this test alone."""
    return f"{name}-of-{backend.merchant}"


def index_of(backend: Backend, name: str = "ada") -> str:
    """Name the index of such a user."""
    return keys.index_key(ids.user_digest(user_of(backend, name)))


async def ask(
    backend: Backend, slot: Slot | None, token: str = "token-1", name: str = "ada", **changes: Any
) -> CreateBookingStatus:
    """Ask for a booking, and return the answer."""
    command = CreateBooking(slot, token, "v2", user_of(backend, name), b"original")
    outcome = await backend.store().create_booking(replace(command, **changes), soon())
    return outcome.status


def named(backend: Backend, token: str = "token-1") -> ids.Reference:
    """Name the booking of a token."""
    return ids.Reference(backend.merchant, ids.booking_suffix("v2", token))


def wire_id(backend: Backend, token: str = "token-1") -> str:
    """Name the booking of a token on the wire."""
    return ids.wire_id(backend.merchant, named(backend, token).suffix)


async def move(backend: Backend, start_s: int, token: str = "token-1") -> UpdateBookingStatus:
    """Move a booking to another start."""
    command = UpdateBooking(named(backend, token), start_s=start_s)
    return (await backend.store().update_booking(command, soon())).status


async def listed(backend: Backend, name: str = "ada") -> list[Slot] | None:
    """Return the slots of the user's bookings."""
    records = await backend.store().list_bookings(user_of(backend, name), soon())
    return None if records is None else [record.slot for record in records]


async def all_keys(backend: Backend) -> dict[str, int]:
    """Return every key of this test's merchant and of its users, with what is left of it in ms."""
    users = [f"user-{number}" for number in range(20)] + ["ada", "bo", "eve"]
    patterns = [f"*{{{backend.merchant}}}*", *(f"{index_of(backend, each)}*" for each in users)]
    return {
        key: await backend.redis.pttl(key)
        for pattern in patterns
        async for key in backend.redis.scan_iter(match=pattern, count=1000)
    }


async def test_create_booking_refused_leaves_nothing_beyond_two_minutes(backend: Backend) -> None:
    """Refused for whatever reason, in v2 and v0: each key that is new ends soon (failure mode 51).

    9 000 refusals once left 9 000 keys for two years.
    """
    slot = await backend.slot()
    assert (await backend.create_lease(slot, "held")).status == "created"
    before = await all_keys(backend)
    far = replace(slot, start_s=slot.start_s + TERMS.max_advance_ms // 1000 - 90_000)
    never = ids.Reference(backend.merchant, ids.lease_suffix("never"))

    for number in range(20):
        name, token = f"user-{number}", f"token-{number}"
        assert await ask(backend, slot, token, name) == "slot_unavailable"
        assert await ask(backend, replace(far, start_s=0), token, name) == "start_too_soon"
        assert await ask(backend, far, token, name, lease=never) == "lease_unknown"
        v0: dict[str, Any] = {"api": "v0", "user_id": None, "lease": never}
        assert await ask(backend, None, token, **v0) == "lease_unknown"

    after = await all_keys(backend)
    assert len(after) == len(before) + 20
    assert max(after[key] for key in after.keys() - before) <= OLDER_THAN_ANY_CALL_MS
    if isinstance(backend.clock, FakeClock):
        backend.clock.now_ms += OLDER_THAN_ANY_CALL_MS + 1
        assert (await all_keys(backend)).keys() == before.keys()


@pytest.mark.parametrize("user", ["ada", None])
async def test_update_booking_refused_leaves_the_index_as_it_was(
    backend: Backend, user: str | None
) -> None:
    """A move that is refused names nothing and makes nothing last (failure mode 51).

    One to a taken slot in two years made the index last for two years.
    """
    slot = await backend.slot()
    taken = replace(slot, start_s=slot.start_s + 300 * 86_400)
    await backend.create_lease(taken, "held")
    assert await ask(backend, slot, user_id=user and user_of(backend)) == "created"
    before = await all_keys(backend)

    assert await move(backend, taken.start_s) == "slot_unavailable"
    assert await move(backend, slot.start_s + TERMS.max_advance_ms // 1000) == "start_too_far"
    assert await move(backend, 0) == "start_too_soon"

    after = await all_keys(backend)
    assert after.keys() == before.keys()
    assert all(after[key] <= before[key] for key in after)


async def test_create_booking_intents_of_one_user_are_bounded(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often a user is refused, so many intents are kept, and the one just named."""
    monkeypatch.setattr("leasehold.store.user_index._MOST_INTENTS", 3)
    slot = await backend.slot()
    await backend.create_lease(slot, "held")

    for number in range(9):
        assert await ask(backend, slot, f"token-{number}") == "slot_unavailable"

    assert await backend.redis.zcard(f"{index_of(backend)}:intents") == 4


async def test_index_names_a_booking_by_the_start_that_it_has(backend: Backend) -> None:
    """Made or moved, earlier or later: the score is the start of the slot, in seconds."""
    slot = await backend.slot()
    index = index_of(backend)
    assert await ask(backend, slot) == "created"
    assert await backend.redis.zscore(index, wire_id(backend)) == slot.start_s

    for hours in (5, 3, 4):
        assert await move(backend, slot.start_s + hours * HOUR_S) == "updated"
        start_s = slot.start_s + hours * HOUR_S
        assert await backend.redis.zscore(index, wire_id(backend)) == start_s
    assert await ask(backend, slot) == "replayed"
    assert await backend.redis.zscore(index, wire_id(backend)) == slot.start_s + 4 * HOUR_S


async def test_index_of_two_moves_keeps_the_later_one_in_whichever_order_they_come(
    backend: Backend,
) -> None:
    """A call that comes late to the index does not undo what a later move wrote there."""
    slot = await backend.slot()
    assert await ask(backend, slot) == "created"
    late: list[tuple[Any, ...]] = []
    name = UserIndex.name

    async def note(index: UserIndex, *arguments: Any) -> None:
        late.append((index, *arguments))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(UserIndex, "name", note)
        assert await move(backend, slot.start_s + HOUR_S) == "updated"
    assert await move(backend, slot.start_s + 9 * HOUR_S) == "updated"
    (arguments,) = late
    await name(*arguments)

    score = await backend.redis.zscore(index_of(backend), wire_id(backend))
    assert score == slot.start_s + 9 * HOUR_S


async def test_update_booking_moved_twice_in_a_millisecond_has_two_moments(
    fake: Backend,
) -> None:
    """Each move is later than the one before, so that the index can tell them apart."""
    slot = await fake.slot()
    assert await ask(fake, slot) == "created"
    key, moments = keys.booking_key(fake.merchant, named(fake).suffix), []

    for hours in (1, 2, 3):
        assert await move(fake, slot.start_s + hours * HOUR_S) == "updated"
        moments.append(int(await fake.redis.hget(key, "taken_at_ms") or 0))

    now_ms = await fake.now_ms()
    assert moments == [now_ms + 1, now_ms + 2, now_ms + 3]


async def test_list_bookings_reads_what_an_older_release_has_named(backend: Backend) -> None:
    """An index of 0.1.0 is listed whole, and from then on in the order of starts."""
    slot = await backend.slot()
    starts = [slot.start_s + hours * HOUR_S for hours in range(5)]
    for start_s in starts:
        assert await ask(backend, replace(slot, start_s=start_s), f"token-{start_s}") == "created"
    index = index_of(backend)
    for number, start_s in enumerate(reversed(starts)):
        await backend.redis.zadd(index, {wire_id(backend, f"token-{start_s}"): OLD_MS + number})
    await backend.redis.zadd(index, {wire_id(backend, "never made"): OLD_MS})

    found = await listed(backend) or []

    assert [each.start_s for each in found] == starts
    scores = await backend.redis.zrange(index, 0, -1, withscores=True)
    assert scores == [(wire_id(backend, f"token-{start_s}"), start_s) for start_s in starts]


async def test_index_of_this_release_is_read_by_an_older_one(backend: Backend) -> None:
    """0.1.0 reads members alone; what it names by the time is newer than any start."""
    slot = await backend.slot()
    assert await ask(backend, slot) == "created"

    assert await backend.redis.zrange(index_of(backend), 0, -1) == [wire_id(backend)]
    score = await backend.redis.zscore(index_of(backend), wire_id(backend))
    assert score is not None
    assert score < OLD_MS


@pytest.mark.parametrize("minutes", [0, 3])
async def test_create_booking_whose_index_failed_is_repaired_by_its_repeat(
    fake: Backend, fake_clock: FakeClock, minutes: int
) -> None:
    """A process that ends between the booking and the index: its repeat names it (mode 51)."""
    slot = await fake.slot()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(UserIndex, "name", _end)
        with pytest.raises(EndedError):
            await ask(fake, slot)
    assert await fake.redis.exists(index_of(fake)) == 0
    fake_clock.now_ms += minutes * 60_000
    if not minutes:
        # Within two minutes the intent leads to it, and the list names it for good.
        assert await listed(fake) == [slot]
        assert await fake.redis.exists(index_of(fake)) == 1
        return
    assert await listed(fake) is None

    assert await ask(fake, slot) == "replayed"

    assert await listed(fake) == [slot]
    ends_at_ms = slot.start_ms + slot.duration_s * 1000 + TERMS.booking_retention_ms
    assert await fake.redis.pttl(index_of(fake)) == ends_at_ms - fake_clock.now_ms


async def test_update_booking_whose_index_failed_is_repaired_by_its_repeat(
    fake: Backend, fake_clock: FakeClock
) -> None:
    """A move that was carried out, and not answered, is unchanged when repeated, and indexed."""
    slot = await fake.slot()
    assert await ask(fake, slot) == "created"
    later_s = slot.start_s + 30 * 86_400
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(UserIndex, "name", _end)
        with pytest.raises(EndedError):
            await move(fake, later_s)

    assert await move(fake, later_s) == "unchanged"

    fake_clock.now_ms = later_s * 1000 - 1
    assert await listed(fake) == [replace(slot, start_s=later_s)]


class EndedError(Exception):
    """The process has ended."""


async def _end(*_: Any, **__: Any) -> None:
    raise EndedError


async def test_list_bookings_beside_moves_misses_none(backend: Backend) -> None:
    """A booking on its way from what is unread to what was read is in every list."""
    slot = await backend.slot()
    for number in range(3):
        assert (
            await ask(backend, replace(slot, room_id=str(number)), f"token-{number}") == "created"
        )
    over = asyncio.Event()

    async def to_and_fro() -> None:
        hours = 1
        while not over.is_set():
            assert await move(backend, slot.start_s + hours * HOUR_S, "token-1") == "updated"
            hours = 10 - hours

    moving = asyncio.create_task(to_and_fro())
    counts = {len(await listed(backend) or ()) for _ in range(50)}
    over.set()
    await moving

    assert counts == {3}


async def test_list_bookings_lets_what_has_ended_leave_the_index(
    fake: Backend, fake_clock: FakeClock
) -> None:
    """The index of a user who goes on booking names no bookings whose records have ended."""
    slot = await fake.slot()
    assert await ask(fake, slot) == "created"
    later = replace(slot, start_s=slot.start_s + 30 * 86_400)
    assert await ask(fake, later, "token-2") == "created"
    fake_clock.now_ms = later.start_ms - 1

    assert await listed(fake) == [later]

    assert await fake.redis.zrange(index_of(fake), 0, -1) == [wire_id(fake, "token-2")]


async def test_list_bookings_shows_a_cancelled_one_neither_ahead_nor_after_its_repeat(
    backend: Backend,
) -> None:
    """A cancelled booking stays named, for those who forget its user, and is not listed."""
    slot = await backend.slot()
    assert await ask(backend, slot) == "created"
    cancel = UpdateBooking(named(backend), BookingStatus.CANCELED)
    await backend.store().update_booking(cancel, soon())

    assert await ask(backend, slot) == "replayed"

    assert await listed(backend) == []
    assert await backend.redis.zrange(index_of(backend), 0, -1) == [wire_id(backend)]
