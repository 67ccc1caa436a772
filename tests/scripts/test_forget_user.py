"""forget_user.lua and what is built on it, the same on every store: nobody knows, and it stands."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from tests.backends import TERMS, Backend, FakeClock, soon
from tests.bookings import book

from leasehold.model import ids
from leasehold.model.booking import (
    BookingStatus,
    CreateBooking,
    CreateBookingStatus,
    UpdateBooking,
    UpdateBookingStatus,
)
from leasehold.model.forgetting import ForgetUserStatus, Forgotten
from leasehold.model.lease import CreateLeaseStatus
from leasehold.model.slot import Slot
from leasehold.store import keys, scripts
from leasehold.store.eraser import Eraser
from leasehold.store.hooks import tell_nobody
from leasehold.store.user_index import UserIndex

NOBODYS = b"anonymous"
Status = ForgetUserStatus


def eraser(backend: Backend) -> Eraser:
    """Return the real adapter on this store; whatever was answered has one anonymous version."""
    return Eraser(backend.link, lambda *_: NOBODYS)


def user_of(backend: Backend, name: str = "ada") -> str:
    """Return a user of this test alone."""
    return f"{name}-of-{backend.merchant}"


async def book_as(backend: Backend, user: str, token: str = "token-1", **slot: Any) -> Slot:
    """Book a slot of a user's own, by a lease, and return it."""
    wanted = await backend.slot(**slot)
    reference = f"reference of {token}"
    assert (await backend.create_lease(wanted, reference)).status is CreateLeaseStatus.CREATED
    lease = ids.Reference(wanted.merchant_id, ids.lease_suffix(reference))
    assert (await book(backend, wanted, lease, token, user)).status is CreateBookingStatus.CREATED
    return wanted


def named(backend: Backend, token: str = "token-1", api: str = "v2") -> ids.Reference:
    """Name the booking of a token."""
    return ids.Reference(backend.merchant, ids.booking_suffix(api, token))


async def forget(backend: Backend, user: str) -> Forgotten:
    """Forget a user."""
    return await eraser(backend).forget_user(user, tell_nobody)


async def indexed(backend: Backend, user: str) -> list[str]:
    """Return what a user's index and intents name."""
    digest = ids.user_digest(user)
    found = set()
    for key in (keys.index_key(digest), keys.intents_key(digest)):
        found |= {str(booking_id) for booking_id in await backend.redis.zrange(key, 0, -1)}
    return sorted(found)


async def age(backend: Backend, user: str) -> None:
    """Let a user's intents have been named two minutes earlier than they were."""
    intents_key = keys.intents_key(ids.user_digest(user))
    for booking_id in await indexed(backend, user):
        await backend.redis.zincrby(intents_key, -120_001, booking_id)


async def test_forget_user_leaves_the_booking_and_nothing_of_the_user(backend: Backend) -> None:
    """Record, spot and lease are nobody's; all else of them, and their ends, is as it was."""
    user = user_of(backend)
    slot = await book_as(backend, user)
    before = await backend.dump()
    digest = ids.user_digest(user)

    assert (await forget(backend, user)).booking_ids == [
        ids.wire_id(backend.merchant, named(backend).suffix)
    ]

    after = await backend.dump()
    assert before.keys() == after.keys()
    lease_key = keys.lease_key(backend.merchant, ids.lease_suffix("reference of token-1"))
    booking_key = keys.booking_key(backend.merchant, named(backend).suffix)
    spot_key = keys.spot_key(slot, 1)
    expected = {key: value for key, (value, _) in before.items()}
    expected[spot_key] = expected[spot_key].replace(digest, "nobody")
    expected[lease_key] = {**expected[lease_key], "reference": ""}
    original = base64.b64encode(NOBODYS).decode()
    expected[booking_key] = {**expected[booking_key], "user": "nobody", "original": original}
    assert {key: value for key, (value, _) in after.items()} == expected
    for key, (_, remaining_ms) in after.items():
        assert before[key][1] - 5_000 < remaining_ms <= before[key][1]
    assert digest not in str(after)
    assert await indexed(backend, user) == []
    assert await backend.store().list_bookings(user, soon()) is None


async def test_forget_user_of_a_direct_booking_makes_no_key(backend: Backend) -> None:
    """Where there is no lease there is none afterwards."""
    user, slot = user_of(backend), await backend.slot()
    assert (await book(backend, slot, None, "token-1", user)).status == "created"
    before = await backend.dump()

    assert len((await forget(backend, user)).booking_ids) == 1

    assert (await backend.dump()).keys() == before.keys()


async def test_forget_user_takes_every_booking_and_nobody_elses(backend: Backend) -> None:
    """Moved, cancelled and on other merchants: all are forgotten; other users keep theirs."""
    ada, bo = user_of(backend), user_of(backend, "bo")
    moved = await book_as(backend, ada, "moved", staff_id="1")
    cancelled = await book_as(backend, ada, "cancelled", staff_id="2")
    elsewhere = await book_as(backend, ada, "elsewhere", merchant_id=f"{backend.merchant}-2")
    later_s = moved.start_s + 3600
    store = backend.store()
    await store.update_booking(UpdateBooking(named(backend, "moved"), start_s=later_s), soon())
    cancel = UpdateBooking(named(backend, "cancelled"), BookingStatus.CANCELED)
    await store.update_booking(cancel, soon())
    assert (await book(backend, cancelled, None, "of bo", bo)).status == "created"

    forgotten = await forget(backend, ada)

    assert len(forgotten.booking_ids) == 3
    assert await backend.owner(replace(moved, start_s=later_s)) == _owned("moved", "nobody")
    assert await backend.owner(elsewhere) == _owned("elsewhere", "nobody")
    assert await backend.owner(cancelled) == _owned("of bo", ids.user_digest(bo))
    found = await store.get_booking(named(backend, "cancelled"), soon())
    assert found
    assert (found.original, found.status) == (NOBODYS, BookingStatus.CANCELED)
    kept = await store.list_bookings(bo, soon()) or []
    assert [record.original for record in kept] == [b"original"]


def _owned(token: str, user: str) -> str:
    return f"booking {ids.booking_suffix('v2', token)} {user}"


async def test_forget_user_leaves_a_booking_that_can_be_moved_and_cancelled(
    backend: Backend,
) -> None:
    """Whoever has its id changes it as before; the spot it had is free afterwards."""
    user = user_of(backend)
    slot = await book_as(backend, user)
    await forget(backend, user)
    later = replace(slot, start_s=slot.start_s + 3600)
    store = backend.store()

    move = UpdateBooking(named(backend), start_s=later.start_s)
    assert (await store.update_booking(move, soon())).status is UpdateBookingStatus.UPDATED
    assert await backend.owner(slot) is None
    assert await backend.owner(later) == _owned("token-1", "nobody")
    cancel = UpdateBooking(named(backend), BookingStatus.CANCELED)
    assert (await store.update_booking(cancel, soon())).status is UpdateBookingStatus.UPDATED
    assert await backend.owner(later) is None
    assert await indexed(backend, user) == []


async def test_create_booking_after_forgetting_its_user_finds_nobody(backend: Backend) -> None:
    """The token stays used and the slot taken, and neither is the user's any more."""
    user = user_of(backend)
    slot = await book_as(backend, user)
    await forget(backend, user)
    lease = ids.Reference(backend.merchant, ids.lease_suffix("reference of token-1"))

    assert (await book(backend, slot, lease, "token-1", user)).status == "token_reused"
    assert (await book(backend, slot, None, "token-2", user)).status == "slot_unavailable"
    assert (await book(backend, slot, lease, "token-2", user)).status == "lease_consumed"
    assert (await backend.create_lease(slot, "reference of token-1")).status == "consumed"


async def test_forget_user_again_finds_nothing(backend: Backend) -> None:
    """It may be repeated, also for somebody who never booked."""
    user = user_of(backend)
    await book_as(backend, user)
    await forget(backend, user)
    before = {key: value for key, (value, _) in (await backend.dump()).items()}

    assert await forget(backend, user) == Forgotten([])
    assert await forget(backend, user_of(backend, "bo")) == Forgotten([])
    assert {key: value for key, (value, _) in (await backend.dump()).items()} == before


async def test_forget_user_interrupted_is_completed_by_the_next_run(backend: Backend) -> None:
    """The index names a booking until that tells nothing, so none is missed."""
    user = user_of(backend)
    await book_as(backend, user, "token-1", staff_id="1")
    await book_as(backend, user, "token-2", staff_id="2")
    # As far as a run came that ended here.
    assert await run(backend, "token-1", ids.user_digest(user)) == "forgotten"

    forgotten = await forget(backend, user)

    assert forgotten.booking_ids == [
        ids.wire_id(backend.merchant, named(backend, "token-2").suffix)
    ]
    assert await indexed(backend, user) == []


async def test_forget_user_keeps_a_booking_in_the_making_named(backend: Backend) -> None:
    """What is intended and nobody has made yet stays named until no call can be making it."""
    user = user_of(backend)
    taken = await book_as(backend, user_of(backend, "bo"), "of bo")
    # Refused, so that only an intent knows of it; it could as well be made in a moment.
    assert (await book(backend, taken, None, "token-1", user)).status == "slot_unavailable"

    assert await forget(backend, user) == Forgotten([], still_named=1)
    assert len(await indexed(backend, user)) == 1
    await age(backend, user)
    assert await forget(backend, user) == Forgotten([])
    assert await indexed(backend, user) == []


async def test_forget_user_thorough_finds_what_no_index_names(backend: Backend) -> None:
    """Looking through every booking, in whichever shard, takes the user's and nobody else's."""
    ada, bo = user_of(backend), user_of(backend, "bo")
    there = await book_as(backend, ada, "there", staff_id="1")
    elsewhere = await book_as(backend, ada, "elsewhere", merchant_id=f"{backend.merchant}-2")
    others = await book_as(backend, bo, "of bo", staff_id="2")
    digest = ids.user_digest(ada)
    for key in (keys.index_key(digest), keys.intents_key(digest), keys.moves_key(digest)):
        await backend.redis.delete(key)
    assert await forget(backend, ada) == Forgotten([])
    told: list[tuple[int, int]] = []

    found = await eraser(backend).forget_user(
        ada, lambda *counts: told.append(counts), is_thorough=True
    )

    assert len(found.booking_ids) == 2
    assert found.still_named == 0
    assert await backend.owner(there) == _owned("there", "nobody")
    assert await backend.owner(elsewhere) == _owned("elsewhere", "nobody")
    assert await backend.owner(others) == _owned("of bo", ids.user_digest(bo))
    assert max(count for count, _ in told) >= 3


async def test_forget_user_by_two_at_once_forgets_each_booking(backend: Backend) -> None:
    """Whichever comes first, nothing is left, and both say so."""
    user = user_of(backend)
    for number in range(25):
        await book_as(backend, user, f"token-{number}", staff_id=str(number))
    told: list[tuple[int, int]] = []

    def tell(count: int, of: int) -> None:
        told.append((count, of))

    both = (eraser(backend).forget_user(user, tell), forget(backend, user))
    found = await asyncio.gather(*both)

    assert len({booking_id for each in found for booking_id in each.booking_ids}) == 25
    assert {each.still_named for each in found} == {0}
    assert ids.user_digest(user) not in str(await backend.dump())
    assert told == [(20, 25), (25, 25)]


async def test_forget_whoever_made_a_booking_of_v0(backend: Backend) -> None:
    """It is in no index; its id leads to it, and a repeat of v0 gets what is left of it."""
    slot = await backend.slot()
    assert (await backend.create_lease(slot, "reference-1")).status == "created"
    lease = ids.Reference(backend.merchant, ids.lease_suffix("reference-1"))
    wanted = CreateBooking(None, "lease id", "v0", None, b"original", lease)
    store = backend.store()
    assert (await store.create_booking(wanted, soon())).status == "created"
    reference = named(backend, "lease id", "v0")

    forgotten = await eraser(backend).forget_whoever_made(reference)

    assert forgotten == Forgotten([ids.wire_id(backend.merchant, reference.suffix)])
    assert await eraser(backend).forget_whoever_made(reference) == forgotten
    repeat = await store.create_booking(wanted, soon())
    assert (repeat.status, repeat.original, repeat.slot) == ("replayed", NOBODYS, slot)


async def test_forget_whoever_made_a_booking_takes_it_out_of_the_index(backend: Backend) -> None:
    """Of one booking of a user the person is forgotten, and the others stay as they are."""
    user = user_of(backend)
    await book_as(backend, user, "token-1", staff_id="1")
    await book_as(backend, user, "token-2", staff_id="2")

    assert await eraser(backend).forget_whoever_made(named(backend, "token-1"))

    left = named(backend, "token-2")
    assert await indexed(backend, user) == [ids.wire_id(backend.merchant, left.suffix)]
    assert len(await backend.store().list_bookings(user, soon()) or ()) == 1
    assert await eraser(backend).forget_whoever_made(named(backend, "never")) is None


async def run(
    backend: Backend, token: str, user: str, original: bytes = b"original"
) -> ForgetUserStatus:
    """Run the script for a booking as somebody has read it."""
    booking = named(backend, token)
    arguments: list[str | int] = [
        booking.suffix,
        user,
        base64.b64encode(original).decode(),
        base64.b64encode(NOBODYS).decode(),
        keys.slot_prefix(backend.merchant),
        keys.lease_key(backend.merchant, ""),
    ]
    key = keys.booking_key(backend.merchant, booking.suffix)
    status, *_ = await backend.link.run(scripts.load("forget_user"), [key], arguments, soon())
    return Status(status)


async def test_forget_user_judges_in_order(backend: Backend) -> None:
    """Unknown, done already, not what was read: nothing changes; else it is forgotten."""
    user, other = user_of(backend), ids.user_digest("other")
    await book_as(backend, user)
    digest = ids.user_digest(user)
    before = {key: value for key, (value, _) in (await backend.dump()).items()}

    assert await run(backend, "never", digest) is Status.BOOKING_UNKNOWN
    assert await run(backend, "token-1", other) is Status.CHANGED
    assert await run(backend, "token-1", "nobody") is Status.CHANGED
    assert await run(backend, "token-1", digest, b"another") is Status.CHANGED
    assert {key: value for key, (value, _) in (await backend.dump()).items()} == before
    assert await run(backend, "token-1", digest) is Status.FORGOTTEN
    assert await run(backend, "token-1", digest) is Status.REPLAYED
    assert await run(backend, "token-1", other, b"another") is Status.REPLAYED


@pytest.mark.parametrize("status", [BookingStatus.NO_SHOW, BookingStatus.CONFIRMED])
async def test_forget_user_read_before_a_change_forgets_what_is_there_now(
    backend: Backend, status: BookingStatus
) -> None:
    """A move or another state in between is no change of what has to be forgotten."""
    user = user_of(backend)
    slot = await book_as(backend, user)
    later = replace(slot, start_s=slot.start_s + 3600)
    move = UpdateBooking(named(backend), status, start_s=later.start_s)
    await backend.store().update_booking(move, soon())

    assert await run(backend, "token-1", ids.user_digest(user)) is Status.FORGOTTEN
    assert await backend.owner(later) == _owned("token-1", "nobody")


class Late:
    """Holds up what calls write into the index until they are let on."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._name, self._late = UserIndex.name, list[Callable[[], Awaitable[None]]]()

        async def hold(*arguments: Any, **more: Any) -> None:
            self._late.append(partial(self._name, *arguments, **more))

        patch.setattr(UserIndex, "name", hold)

    async def let_on(self) -> None:
        """Let every call write."""
        assert self._late
        for write in self._late:
            await write()


async def has_index(backend: Backend, user: str) -> bool:
    """Tell whether a key that lasts names the user."""
    return bool(await backend.redis.exists(keys.index_key(ids.user_digest(user))))


@pytest.mark.parametrize("call", ["move", "create", "repeat", "list"])
async def test_forget_user_beside_a_call_leaves_no_index(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """What was decided before a user was forgotten writes no digest back afterwards (71)."""
    user, slot = user_of(backend), await backend.slot()
    store = backend.store()
    if call != "create":
        assert (await book(backend, slot, None, "token-1", user)).status == "created"
    if call == "list":
        # As 0.1.0 named it, so that a list names it by its start.
        index_key = keys.index_key(ids.user_digest(user))
        booking_id = ids.wire_id(backend.merchant, named(backend).suffix)
        await backend.redis.zadd(index_key, {booking_id: await backend.now_ms()})
    late = Late(monkeypatch)
    match call:
        case "move":
            move = UpdateBooking(named(backend), start_s=slot.start_s + 3600)
            assert (await store.update_booking(move, soon())).status == "updated"
        case "list":
            assert len(await store.list_bookings(user, soon()) or ()) == 1
        case "create":
            assert (await book(backend, slot, None, "token-1", user)).status == "created"
        case _:
            assert (await book(backend, slot, None, "token-1", user)).status == "replayed"
    assert len((await forget(backend, user)).booking_ids) == 1

    await late.let_on()

    assert not await has_index(backend, user)
    assert await forget(backend, user) == Forgotten([])


async def test_forget_user_whose_booking_ended_names_the_next_one_of_its_token(
    fake: Backend, fake_clock: FakeClock
) -> None:
    """Only what was decided before is overtaken: a token whose booking has ended makes another."""
    user, slot = user_of(fake), await fake.slot()
    assert (await book(fake, slot, None, "token-1", user)).status == "created"
    ends_at_ms = slot.start_ms + slot.duration_s * 1000 + TERMS.booking_retention_ms
    fake_clock.now_ms = ends_at_ms - 1000
    assert len((await forget(fake, user)).booking_ids) == 1
    fake_clock.now_ms = ends_at_ms + 1

    assert (await book(fake, await fake.slot(), None, "token-1", user)).status == "created"

    assert len(await indexed(fake, user)) == 1
    assert await has_index(fake, user)


async def test_moves_at_once_leave_a_booking_that_its_index_names(backend: Backend) -> None:
    """However moves of one booking overlap, the index has its present start (71)."""
    user, slot = user_of(backend), await backend.slot()
    assert (await book(backend, slot, None, "token-1", user)).status == "created"
    store, booking = backend.store(), named(backend)
    index_key = keys.index_key(ids.user_digest(user))

    for _ in range(5):
        hours = (1, 9000, 5, 700)
        moves = (UpdateBooking(booking, start_s=slot.start_s + each * 3600) for each in hours)
        await asyncio.gather(*(store.update_booking(move, soon()) for move in moves))

        found = await store.get_booking(booking, soon())
        assert found
        named_by = await backend.redis.zrange(index_key, 0, -1, withscores=True)
        booking_id = ids.wire_id(backend.merchant, booking.suffix)
        assert named_by == [(booking_id, found.slot.start_s)]
        record_ms = await backend.redis.pttl(keys.booking_key(backend.merchant, booking.suffix))
        assert await backend.redis.pttl(index_key) >= record_ms - 1000
