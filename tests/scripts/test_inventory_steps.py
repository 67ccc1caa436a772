"""Feeds are committed and inventories dropped in steps: how much each does, what a break leaves."""

from dataclasses import replace
from typing import Any

import pytest
from tests.backends import DAY_MS, Backend, soon
from tests.scripts.test_inventory import free, load, take

from leasehold.cli.inventory import drop_each
from leasehold.model import ids
from leasehold.model.booking import CreateBooking
from leasehold.model.errors import StoreTrouble, StoreUnavailableError
from leasehold.model.inventory import (
    Availability,
    Committed,
    FeedError,
    FeedItem,
    Scope,
)
from leasehold.model.lease import CreateLeaseStatus
from leasehold.model.slot import Slot
from leasehold.store import keys
from leasehold.store.scripts import Script

Feed = dict[Slot, tuple[int, int] | int]
MOST_SLOTS = 100
"""A step is asked to look at no more slots."""
STEPS = ("commit_spots", "drop_spots")


@pytest.fixture
async def strict(backend: Backend) -> Backend:
    """A store on which only the inventory's slots exist."""
    backend.is_strict = True
    return backend


class Steps:
    """Stands between a test and its link: notes the steps, sends them twice, or breaks off."""

    def __init__(self, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
        self.run = backend.link.run
        self.done: list[int] = []
        self.calls = 0
        self.times = 1
        self.breaks_at: int | None = None
        monkeypatch.setattr(backend.link, "run", self.pass_on)

    async def pass_on(self, script: Script, *arguments: Any) -> list[Any]:
        """Run a script as often as asked; its first answer is lost then."""
        # That a shard does not answer keeps no load of others, so it is no step.
        self.calls += script.name != "note_shard"
        if self.calls == self.breaks_at:
            raise StoreUnavailableError(StoreTrouble.UNREACHABLE)
        for _ in range(self.times):
            answer = await self.run(script, *arguments)
        if script.name in STEPS and len(answer) > 1:
            self.done.append(answer[1])
        return answer


@pytest.fixture
def steps(strict: Backend, monkeypatch: pytest.MonkeyPatch) -> Steps:
    """What a test sees of the scripts that run on its link."""
    return Steps(strict, monkeypatch)


async def row(backend: Backend, count: int) -> list[Slot]:
    """Return slots of one day, a minute apart."""
    noon_s = (await backend.now_ms() // DAY_MS + 2) * DAY_MS // 1000
    first = await backend.slot(start_s=noon_s)
    return [replace(first, start_s=noon_s + 60 * n) for n in range(count)]


async def occupy(backend: Backend, slot: Slot, numbers: range) -> None:
    """Let leases have spots, as if they had been granted."""
    taken = {keys.spot_key(slot, n): f"lease {ids.lease_suffix(str(n))}" for n in numbers}
    for key, owner in taken.items():
        await backend.redis.set(key, owner, px=60_000)


async def commit(backend: Backend, *items: FeedItem, only_lower: bool = False) -> Committed:
    """Stage and commit what is true now."""
    inventory = backend.inventory()
    staged = await inventory.stage([Scope(backend.merchant), *items], lambda _: None)
    if only_lower:
        staged.only_lower.add(backend.merchant)
    return await inventory.commit(staged, None, lambda *_: None)


async def stored(backend: Backend, slots: list[Slot]) -> list[int]:
    """Return the spots of each slot, 0 for one that is not there."""
    found = {}
    for day in {keys.start_text(slot.start_s).partition("T")[0] for slot in slots}:
        for it in await backend.inventory().slots(backend.merchant, day):
            found[it.slot] = it.spots
    return [found.get(slot, 0) for slot in slots]


@pytest.mark.parametrize("is_dropped", [False, True])
@pytest.mark.parametrize(("count", "spots", "most"), [(230, 1, MOST_SLOTS), (4, 1000, 1)])
async def test_commit_and_drop_of_large_days_do_little_in_each_step(
    strict: Backend, steps: Steps, count: int, spots: int, most: int, *, is_dropped: bool
) -> None:
    """However many slots and spots: a step has 100 slots, and of 1000 spots each only one (52)."""
    slots = await row(strict, count)
    await load(strict, dict.fromkeys(slots, spots))
    assert max(steps.done) <= MOST_SLOTS
    if spots == 1000:
        for slot in slots:
            await occupy(strict, slot, range(990, 1001))
    steps.done.clear()

    removed = (
        await strict.inventory().drop(strict.merchant)
        if is_dropped
        else (await load(strict, {}, Scope(strict.merchant))).removed
    )

    assert removed == count
    assert max(steps.done) == most
    assert sum(steps.done) == count
    assert await stored(strict, slots) == [0] * count


async def test_commit_restricted_to_a_hundred_things_asks_no_step_about_them(
    strict: Backend, steps: Steps
) -> None:
    """Only slots that the restrictions speak of are sent to the store."""
    slots = await row(strict, 200)
    await load(strict, dict.fromkeys(slots, 1))
    steps.done.clear()
    scopes = [Scope(strict.merchant, from_s=it.start_s, to_s=it.start_s + 1) for it in slots[::2]]

    committed = await load(strict, {}, *scopes)

    assert (committed.removed, steps.done) == (100, [100])
    assert await stored(strict, slots) == [0, 1] * 100


async def test_commit_that_breaks_off_leaves_fewer_slots_never_more(
    strict: Backend, steps: Steps
) -> None:
    """At whichever step: no slot has more spots than the old feed says, or than the new one does.

    The same feed loaded again completes it, and an older one changes nothing (52).
    """
    slots = await row(strict, 6)
    before, after = [2, 1, 3, 1, 0, 0], [0, 3, 1, 1, 2, 1]
    made_ms = await strict.now_ms()
    listed = [Availability("", slot, n, n) for slot, n in zip(slots, after, strict=True) if n]
    states = set()
    for breaks_at in range(1, 20):
        steps.breaks_at = None
        old: dict[Slot, tuple[int, int] | int] = {
            slot: n for slot, n in zip(slots, before, strict=True) if n
        }
        await strict.inventory().drop(strict.merchant)
        await load(strict, old, age_ms=60_000)
        staged = await strict.inventory().stage([Scope(strict.merchant), *listed], lambda _: None)
        steps.calls, steps.breaks_at = 0, breaks_at
        try:
            await strict.inventory().commit(staged, made_ms, lambda *_: None)
        except StoreUnavailableError:
            steps.breaks_at = None
        else:
            break
        found = await stored(strict, slots)
        states.add(tuple(found))
        assert any(
            all(now <= said for now, said in zip(found, feed, strict=True))
            for feed in (before, after)
        ), found
        if breaks_at > 1:
            assert (await load(strict, old, age_ms=60_000)).days == 0
            assert await stored(strict, slots) == found
        await strict.inventory().commit(staged, made_ms, lambda *_: None)
        assert await stored(strict, slots) == after

    # Where the key `feed` is the last step, a commit may break off when all slots are done.
    assert states - {tuple(after)} == {tuple(before), (0, 1, 1, 1, 0, 0)}


async def test_commit_and_drop_sent_again_at_each_step_count_what_is_gone_once(
    strict: Backend, steps: Steps
) -> None:
    """A lost answer is right when it is asked for again: the number, and that it was known (52)."""
    slots = await row(strict, 120)
    await load(strict, dict.fromkeys(slots, 1))
    await take(strict, slots[50], 1)
    steps.times = 2

    committed = await load(strict, dict.fromkeys(slots[:10], 1))
    dropped = await strict.inventory().drop(strict.merchant)

    assert (committed.removed, dropped) == (110, 10)
    assert await strict.inventory().drop(strict.merchant) is None


async def test_commit_is_ended_by_a_later_feed_or_a_drop_that_comes_in_between(
    strict: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came later stays as it is; the earlier load says that it has not been taken."""
    slots = await row(strict, 3)
    inventory = strict.inventory()
    run = strict.link.run

    async def drop(*_: Any) -> None:
        assert await inventory.drop(strict.merchant) == 1

    async def later(*_: Any) -> None:
        assert (await load(strict, {slots[1]: 3})).days == 1

    for between in (drop, later):
        await load(strict, {slots[0]: 1}, age_ms=60_000)
        staged = await inventory.stage(
            [Scope(strict.merchant), Availability("", slots[2], 5, 5)], lambda _: None
        )

        async def run_after(script: Script, *rest: Any, then: Any = between) -> Any:
            if script.name == "commit_spots":
                monkeypatch.setattr(strict.link, "run", run)
                await then()
            return await run(script, *rest)

        monkeypatch.setattr(strict.link, "run", run_after)
        made_ms = await strict.now_ms() - 10_000
        if between is drop:
            with pytest.raises(FeedError, match="dropped meanwhile"):
                await inventory.commit(staged, made_ms, lambda *_: None)
            assert await inventory.describe(strict.merchant) is None
        else:
            committed = await inventory.commit(staged, made_ms, lambda *_: None)
            assert len(committed.newer) == 1
            assert await stored(strict, slots) == [0, 3, 0]


async def test_drop_that_breaks_off_or_meets_a_feed_is_dropped_again(
    strict: Backend, steps: Steps
) -> None:
    """A drop takes what another has left; a feed that is loaded meanwhile is not dropped."""
    slots = await row(strict, 250)
    await load(strict, dict.fromkeys(slots, 1))
    steps.calls, steps.breaks_at = 0, 4

    with pytest.raises(StoreUnavailableError):
        await strict.inventory().drop(strict.merchant)
    left = sum(await stored(strict, slots))
    steps.breaks_at = None

    assert left == 50
    refused = await strict.create_lease(slots[0])
    assert refused.status is CreateLeaseStatus.SLOT_UNKNOWN
    assert await strict.inventory().drop(strict.merchant) == left
    assert await strict.inventory().drop(strict.merchant) is None

    await load(strict, dict.fromkeys(slots, 1))
    steps.calls, steps.breaks_at = 0, 3
    with pytest.raises(StoreUnavailableError):
        await strict.inventory().drop(strict.merchant)
    steps.breaks_at = None
    await load(strict, {slots[0]: 1}, Scope(strict.merchant, to_s=slots[1].start_s))
    assert await free(strict, slots[0]) == 1


async def test_drop_while_a_feed_is_loaded_says_so(
    strict: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The feed's slots stay, and the merchant with them."""
    slots = await row(strict, 2)
    await load(strict, {slots[0]: 1})
    run = strict.link.run

    async def run_after(script: Script, *rest: Any) -> Any:
        if script.name == "drop_inventory":
            monkeypatch.setattr(strict.link, "run", run)
            await load(strict, {slots[1]: 1})
        return await run(script, *rest)

    monkeypatch.setattr(strict.link, "run", run_after)
    with pytest.raises(FeedError, match="drop it again"):
        await strict.inventory().drop(strict.merchant)
    assert await free(strict, slots[1]) == 1
    monkeypatch.setattr(strict.link, "run", run_after)
    dropped = await drop_each(
        strict.inventory(), [strict.merchant, f"{strict.merchant}-other"], lambda *_: None
    )

    assert dropped == (1, 1)
    assert await free(strict, slots[1]) == 1


async def test_commit_of_numbers_that_only_bound_a_slot_raises_and_adds_nothing(
    strict: Backend,
) -> None:
    """The slot has min(stored, readable) spots; one that is not there stays so; none is removed."""
    slots = await row(strict, 4)
    await load(strict, {slots[0]: 2, slots[1]: 2, slots[3]: 1})

    bounds = zip(slots, (1, 5, 3), strict=False)
    committed = await commit(
        strict, *(Availability("", slot, n, n, is_ceiling=True) for slot, n in bounds)
    )

    assert await stored(strict, slots) == [1, 2, 0, 0]
    assert committed.removed == 1


async def test_commit_that_only_lowers_a_merchant_removes_raises_and_adds_nothing(
    strict: Backend,
) -> None:
    """Lower numbers apply; a merchant that was never known does not become so."""
    slots = await row(strict, 4)
    said = [Availability("", slot, n, n) for slot, n in zip(slots, (1, 5, 3), strict=False)]
    unknown = await commit(strict, *said, only_lower=True)
    assert unknown.days == 0
    assert await strict.inventory().describe(strict.merchant) is None
    await load(strict, {slots[0]: 2, slots[1]: 2, slots[3]: 1})

    committed = await commit(strict, *said, only_lower=True)

    assert (committed.days, committed.removed) == (1, 0)
    assert await stored(strict, slots) == [1, 2, 0, 1]


async def test_commit_lets_the_highest_number_fall_to_the_highest_in_use(strict: Backend) -> None:
    """Numbers on which no one is any more are looked at no more (67)."""
    (slot,) = await row(strict, 1)
    key, name = keys.spots_prefix(strict.merchant), keys.slot_text(slot)
    key += keys.start_text(slot.start_s).partition("T")[0]
    await load(strict, {slot: 1000})
    await occupy(strict, slot, range(700, 701))
    command = CreateBooking(slot, "t", "v2", f"u-{strict.merchant}", b"original")
    await strict.store().create_booking(command, soon())

    found = []
    for spots in (5, 900, (900, 3), 5, 0):
        await load(strict, {slot: spots})
        found.append(await strict.redis.hget(key, name))
    await strict.redis.delete(keys.spot_key(slot, 700))
    for _ in range(2):
        await load(strict, {slot: 5})
        found.append(await strict.redis.hget(key, name))
    await load(strict, {}, Scope(strict.merchant))
    found.append(await strict.redis.hget(key, name))

    assert found == ["5 700", "900 900", "4 700", "5 700", "0 700", "5 5", "5 5", "0 1"]
