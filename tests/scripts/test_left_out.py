"""Merchants that a complete feed does not list, the same on every store."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from tests.backends import DAY_MS, Backend, FakeClock, soon
from tests.scripts.test_inventory import book, free, load, take

from leasehold.model.inventory import (
    Availability,
    CheckAvailabilityStatus,
    Committed,
    Doubt,
    FeedItem,
    ManyLeftOutError,
    Scope,
    Staged,
)
from leasehold.model.lease import CreateLeaseStatus
from leasehold.model.slot import Slot
from leasehold.store import keys


@pytest.fixture
async def strict(backend: Backend) -> AsyncIterator[Backend]:
    """A store that has heard of no complete feed, and does not remember those of the test."""
    backend.is_strict = True
    await backend.redis.hdel(keys.FEED_KEY, "complete_ms")
    yield backend
    await backend.redis.hdel(keys.FEED_KEY, "complete_ms")


def of(slot: Slot, merchant_id: str, days: int = 0) -> Slot:
    """Return the same slot of another merchant, some days later."""
    return replace(slot, merchant_id=merchant_id, start_s=slot.start_s + days * DAY_MS // 1000)


async def stage(backend: Backend, *slots: Slot, more: tuple[FeedItem, ...] = ()) -> Staged:
    """Stage a feed that is complete for the merchants of some slots of one spot each."""
    items: list[FeedItem] = [Scope(name) for name in sorted({it.merchant_id for it in slots})]
    items += [Availability("", slot, 1, 1) for slot in slots]
    return await backend.inventory().stage([*items, *more], lambda _: None)


async def complete(
    backend: Backend,
    *slots: Slot,
    age_ms: int = 0,
    most_share: float = 1,
    more: tuple[FeedItem, ...] = (),
) -> Committed:
    """Load a complete feed."""
    staged = await stage(backend, *slots, more=more)
    made_ms = await backend.now_ms() - age_ms
    await backend.inventory().leave_out(staged, made_ms, most_share, lambda *_: None)
    return await backend.inventory().commit(staged, made_ms, lambda *_: None)


async def part(backend: Backend, *slots: Slot, age_ms: int = 0) -> Committed:
    """Load a feed that says nothing about merchants that it does not list."""
    staged, made_ms = await stage(backend, *slots), await backend.now_ms() - age_ms
    return await backend.inventory().commit(staged, made_ms, lambda *_: None)


async def status_of(backend: Backend, slot: Slot) -> CheckAvailabilityStatus:
    """Return what callers are told of a slot."""
    return (await backend.store().check_availability(slot, soon())).status


async def test_complete_feed_closes_merchants_that_it_does_not_list(strict: Backend) -> None:
    """No slot is left, nothing is unknown as long as the others are known, holds stay (57)."""
    slot, other = await strict.slot(), f"{strict.merchant}-listed"
    next_day = of(slot, strict.merchant, 1)
    await load(strict, {slot: 2, next_day: 1}, age_ms=10_000)
    await take(strict, slot, 1)
    await book(strict, next_day, "t", "ada")

    committed = await complete(strict, of(slot, other, 90))

    assert strict.merchant in committed.closed
    for each in (slot, next_day):
        assert await free(strict, each) == 0
        outcome = await strict.create_lease(each, f"late-{each.start_s}")
        assert outcome.status is CreateLeaseStatus.SLOT_UNAVAILABLE
        assert await strict.redis.exists(keys.spot_key(each, 1))
    key, theirs = keys.inventory_key(strict.merchant), keys.inventory_key(other)
    services = [await strict.redis.hget(name, "service:haircut") for name in (key, theirs)]
    assert services[0] == services[1]
    assert abs(await strict.redis.pttl(key) - await strict.redis.pttl(theirs)) < 1000
    again = await complete(strict, of(slot, other, 90))
    assert again.closed == set()


async def test_older_feed_never_adds_a_merchant_that_a_complete_one_leaves_out(
    strict: Backend,
) -> None:
    """Not on a day that is new, not where nothing is known; a later feed does (57)."""
    slot = await strict.slot()
    known, unknown, listed = (f"{strict.merchant}-{name}" for name in "abc")
    await part(strict, of(slot, known), age_ms=30_000)
    await complete(strict, of(slot, listed), age_ms=10_000)

    older = await part(strict, of(slot, known, 1), of(slot, unknown), age_ms=20_000)

    assert older.days == 0
    days = [keys.start_text(of(slot, known, day).start_s)[:10] for day in (0, 1)]
    assert older.newer == [f"{known} {days[0]}", f"{known} {days[1]}", f"{unknown} {days[0]}"]
    assert await free(strict, of(slot, known, 1)) == 0
    assert await status_of(strict, of(slot, unknown)) is CheckAvailabilityStatus.MERCHANT_UNKNOWN
    later = await part(strict, of(slot, known, 1), of(slot, unknown), age_ms=5_000)
    assert (later.days, later.newer) == (3, [])
    assert await free(strict, of(slot, unknown)) == 1


@pytest.mark.parametrize("begins_before", [False, True])
async def test_complete_feed_sees_a_merchant_that_an_older_one_is_about_to_add(
    fake: Backend, monkeypatch: pytest.MonkeyPatch, *, begins_before: bool
) -> None:
    """An older load that has not seen the note is itself seen by what it has staged (57)."""
    fake.is_strict = True
    slot = await fake.slot()
    adding, listed = of(slot, f"{fake.merchant}-added"), of(slot, f"{fake.merchant}-listed")
    older, now_ms = await stage(fake, adding), await fake.now_ms()
    late = fake.inventory()

    async def before_the_note() -> int:
        return 0

    monkeypatch.setattr(late._unlisted, "latest_ms", before_the_note)
    if begins_before:
        await late.commit(older, now_ms - 5000, lambda *_: None)
    await complete(fake, listed)
    if not begins_before:
        committed = await late.commit(older, now_ms - 5000, lambda *_: None)
        assert committed.days == 0

    day = keys.start_text(adding.start_s).partition("T")[0]
    assert not any(it.spots for it in await fake.inventory().slots(adding.merchant_id, day))


@pytest.fixture
async def crowd(fake: Backend, fake_clock: FakeClock) -> list[Slot]:
    """Ten merchants with an open slot ahead, one without spots, one with a slot that has begun."""
    fake.is_strict = True
    slot = await fake.slot()
    open_ones = [of(slot, f"m-{number}") for number in range(10)]
    full, past = of(slot, "m-full"), of(slot, "m-past")
    past = replace(past, start_s=fake_clock.now_ms // 1000 - 60)
    await part(fake, *open_ones, past, age_ms=60_000)
    staged = await fake.inventory().stage(
        [Scope("m-full"), Availability("", full, 1, 0)], lambda _: None
    )
    await fake.inventory().commit(staged, None, lambda *_: None)
    return open_ones


async def test_complete_feed_that_leaves_out_too_many_is_refused(
    fake: Backend, crowd: list[Slot]
) -> None:
    """Three of ten are more than a fifth: the number and the names, and nothing has changed."""
    before = {key: await fake.redis.dump(key) for key in await fake.redis.keys("[is]*")}

    with pytest.raises(ManyLeftOutError) as caught:
        await complete(fake, *crowd[3:], most_share=0.2)

    assert "3 of the 10 merchants" in str(caught.value)
    assert "m-0, m-1, m-2." in str(caught.value)
    staged = set(await fake.redis.keys("stage:*")) - before.keys()
    after = {key: await fake.redis.dump(key) for key in await fake.redis.keys("[is]*")}
    assert {key: value for key, value in after.items() if key not in staged} == before
    assert await fake.redis.hget(keys.FEED_KEY, "complete_ms") is None
    assert (await complete(fake, *crowd[3:])).closed == {"m-0", "m-1", "m-2", "m-past"}


async def test_complete_feed_that_leaves_out_as_many_as_it_may_closes_them(
    fake: Backend, crowd: list[Slot]
) -> None:
    """Two of ten are a fifth; one always may be left out; those without open slots do not count."""
    assert (await complete(fake, *crowd[2:], most_share=0.2)).closed == {"m-0", "m-1", "m-past"}
    assert (await complete(fake, *crowd[3:], most_share=0)).closed == {"m-2"}
    assert (await complete(fake, *crowd[4:], most_share=0)).closed == {"m-3"}


async def test_older_complete_feed_counts_no_merchant_of_a_later_one(
    fake: Backend, crowd: list[Slot]
) -> None:
    """What a later feed says is not closed by an older one, so it needs no confirmation."""
    await part(fake, *crowd)

    older = await complete(fake, *crowd[9:], age_ms=5_000, most_share=0.2)

    assert older.closed == {"m-past"}
    assert [await free(fake, slot) for slot in crowd] == [1] * 10


@pytest.mark.parametrize("item", [Doubt(""), Scope("m-9", service_id="haircut")])
async def test_complete_feed_that_cannot_be_sure_closes_no_merchant(
    fake: Backend, crowd: list[Slot], item: FeedItem
) -> None:
    """A merchant that cannot be read may be any; an entry of a part makes a feed of parts."""
    committed = await complete(fake, *crowd[9:], more=(item,))

    assert committed.closed == set()
    assert [await free(fake, slot) for slot in crowd] == [1] * 10
