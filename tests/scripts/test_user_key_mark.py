"""mark_user_key.lua and who may go on by what it answers, the same on every store."""

from collections.abc import AsyncIterator

import pytest
from tests.backends import TERMS, Backend, soon
from tests.bookings import book

from leasehold.model.booking import CreateBooking, CreateBookingStatus
from leasehold.model.errors import StoreTrouble, StoreUnavailableError
from leasehold.model.finding import State
from leasehold.model.user_keys import UserKeys
from leasehold.store import keys
from leasehold.store.eraser import Eraser
from leasehold.store.hooks import tell_nobody
from leasehold.store.redis_store import RedisStore
from leasehold.store.user_key_mark import UserKeyMark

A, B = b"the first key that users have had", b"the key that took the place of it"


@pytest.fixture
async def marked(backend: Backend) -> AsyncIterator[Backend]:
    """A store that processes have served from before there were keys."""
    await backend.redis.delete(keys.USER_KEY_KEY)
    await backend.redis.hset(await marker_of(backend), "id", "any")
    yield backend
    for key in (keys.USER_KEY_KEY, await marker_of(backend)):
        await backend.redis.delete(key)


async def marker_of(backend: Backend) -> str:
    """Name the marker of one shard."""
    return keys.marker_key(next(iter(await backend.link.shards(soon()))))


def process(backend: Backend, *held: bytes | None) -> UserKeyMark:
    """Return what a process that serves with these keys knows when it starts."""
    return UserKeyMark(backend.link, UserKeys(held), writes=True)


async def state(mark: UserKeyMark) -> State:
    """Look once."""
    return (await mark.look(soon())).state


async def test_mark_user_key_follows_two_rollouts_and_no_process_is_shut_out(
    marked: Backend,
) -> None:
    """A rotation is two rollouts; whoever still runs of the one before goes on (85).

    The mark changes with the first process of the second rollout, and running processes leave it.
    """
    rollouts: list[tuple[bytes | None, ...]]
    rollouts = [(None,), (None, A), (A, None), (A, None, B), (B, A, None), (B, A)]
    before: UserKeyMark | None = None
    for held in rollouts:
        started = process(marked, *held)
        assert await state(started) == ("ok" if held[0] else "warning")
        assert before is None or await state(before) != "failed"
        own = UserKeys(held).fingerprints[0]
        assert (await marked.redis.get(keys.USER_KEY_KEY) or "none") == own
        before = started


@pytest.mark.parametrize("held", [(None,), (B,), (None, B)])
async def test_mark_user_key_of_a_key_that_is_not_held_refuses_users_until_it_is(
    marked: Backend, held: tuple[bytes | None, ...]
) -> None:
    """Without the store's key nothing is looked for or written, and the mark stays (85)."""
    assert await state(process(marked, A, None)) == "ok"
    other = process(marked, *held)
    user_keys = UserKeys(held)
    store = RedisStore(marked.link, TERMS, user_keys=user_keys, admit_users=other.admit)
    command = CreateBooking(await marked.slot(), "token-1", "v2", "ada", b"")
    eraser = Eraser(marked.link, lambda *_: b"", user_keys)

    assert await state(other) == "failed"
    for ask in (
        lambda: store.create_booking(command, soon()),
        lambda: store.list_bookings("ada", soon()),
        lambda: eraser.forget_user("ada", tell_nobody),
    ):
        with pytest.raises(StoreUnavailableError) as caught:
            await ask()
        assert caught.value.trouble is StoreTrouble.USER_KEY
    assert await marked.dump() == {}
    await marked.redis.set(keys.USER_KEY_KEY, user_keys.fingerprints[0])
    assert (await store.create_booking(command, soon())).status is CreateBookingStatus.CREATED


async def test_mark_user_key_without_none_refuses_a_store_from_before_there_were_keys(
    marked: Backend,
) -> None:
    """What was booked without a key is not lost out of sight; a new store needs no `none` (85)."""
    assert (await book(marked, await marked.slot())).status is CreateBookingStatus.CREATED
    assert await state(process(marked, A)) == "failed"
    assert await marked.redis.get(keys.USER_KEY_KEY) is None
    await marked.redis.delete(await marker_of(marked))
    assert await state(process(marked, A)) == "ok"


async def test_mark_user_key_that_is_lost_is_written_again_by_who_knew_it(marked: Backend) -> None:
    """A flush makes no store of before there were keys: the next look marks it again (85)."""
    await marked.redis.delete(await marker_of(marked))
    serving = process(marked, A)
    assert await state(serving) == "ok"
    await marked.redis.delete(keys.USER_KEY_KEY)
    await marked.redis.hset(await marker_of(marked), "id", "made after the loss")
    assert await state(serving) == "ok"
    assert await marked.redis.get(keys.USER_KEY_KEY) == UserKeys([A]).fingerprints[0]


async def test_mark_user_key_without_a_file_writes_nothing(marked: Backend) -> None:
    """Who has no file asks once, and serves beside a release that knows of no keys (85)."""
    assert await state(process(marked, None)) == "warning"
    assert await marked.redis.exists(keys.USER_KEY_KEY) == 0
