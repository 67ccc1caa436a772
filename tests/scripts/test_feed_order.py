"""Which of two feeds counts, slot by slot and for what is not listed, the same on every store."""

from dataclasses import replace
from typing import Any

import pytest
from tests.backends import DAY_MS, Backend
from tests.scripts.test_inventory import free, load

from leasehold.model.inventory import Scope
from leasehold.model.slot import Slot
from leasehold.store import keys

DAY_S = DAY_MS // 1000


@pytest.fixture
async def strict(backend: Backend) -> Backend:
    """A store on which only the inventory's slots exist."""
    backend.is_strict = True
    return backend


async def noon(backend: Backend, **changes: Any) -> Slot:
    """Return a slot at noon, two days ahead."""
    start_s = (await backend.now_ms() // DAY_MS + 2) * DAY_S + DAY_S // 2
    return await backend.slot(start_s=start_s, **changes)


def named(slot: Slot) -> str:
    """Return a slot's merchant and day, as reports name them."""
    return f"{slot.merchant_id} {keys.start_text(slot.start_s).partition('T')[0]}"


async def field(backend: Backend, name: str) -> str:
    """Return a field of what is known of the merchant's inventory."""
    return str(await backend.redis.hget(keys.inventory_key(backend.merchant), name))


@pytest.mark.parametrize(
    "restriction",
    [
        {"service_id": "shave"},
        {"staff_id": "anna"},
        {"room_id": "1"},
        {"party_size": 4},
        {"duration_s": 900},
        {"from_s": 0, "to_s": 60},
        {"from_s": 0, "to_s": 3 * DAY_S},
        {"from_s": -DAY_S, "to_s": 60, "service_id": "shave"},
    ],
)
async def test_older_feed_changes_all_but_what_a_later_restricted_one_speaks_of(
    strict: Backend, restriction: dict[str, Any]
) -> None:
    """A later update of one service, staff member, room, size, length or time counts for that."""
    mine = {
        "service_id": "shave",
        "staff_id": "anna",
        "room_id": "1",
        "party_size": 4,
        "duration_s": 900,
    }
    one = await noon(strict, **mine)
    gone, other = replace(one, start_s=one.start_s + 30), await noon(strict)
    other = replace(other, start_s=one.start_s - 60)
    await load(strict, {one: 1, gone: 1, other: 1}, age_ms=60_000)
    times = {name: it + one.start_s for name, it in restriction.items() if name.endswith("_s")}
    times.pop("duration_s", None)
    await load(strict, {one: 5}, Scope(strict.merchant, **{**restriction, **times}), age_ms=10_000)

    daily = await load(strict, {one: 2, gone: 2, other: 2}, age_ms=30_000)

    assert [await free(strict, slot) for slot in (one, gone, other)] == [5, 0, 2]
    assert (daily.newer, daily.newer_in_part) == ([], [named(one)])
    await load(strict, {one: 3, gone: 3, other: 3}, age_ms=0)
    assert [await free(strict, slot) for slot in (one, gone, other)] == [3, 3, 3]


async def test_older_feed_brings_back_no_day_that_a_later_one_does_not_list(
    strict: Backend,
) -> None:
    """What is complete for a merchant, or a service, says that other days have nothing of it."""
    slot = await noon(strict)
    later = replace(slot, start_s=slot.start_s + DAY_S)
    shaved = replace(later, service_id="shave")
    await load(strict, {slot: 1}, age_ms=60_000)
    await load(strict, {slot: 1}, Scope(strict.merchant, "haircut"), age_ms=10_000)

    part = await load(strict, {slot: 2, later: 2, shaved: 2}, age_ms=30_000)

    assert part.newer_in_part == [named(slot), named(later)]
    assert [await free(strict, it) for it in (slot, later, shaved)] == [1, 0, 2]
    await load(strict, {slot: 1}, age_ms=5_000)
    older = await load(
        strict, {shaved: 1, replace(shaved, start_s=later.start_s + DAY_S): 1}, age_ms=8_000
    )
    assert (older.days, len(older.newer)) == (0, 3)
    assert await free(strict, shaved) == 0


async def test_older_feed_of_what_later_ones_speak_of_alone_is_named(strict: Backend) -> None:
    """Two updates of one service in the wrong order: the earlier one changes nothing."""
    slot = await noon(strict)
    limits: dict[str, Any] = {"from_s": slot.start_s, "to_s": slot.start_s + 3600}
    await load(strict, {slot: 1, replace(slot, service_id="shave"): 1}, age_ms=60_000)
    await load(strict, {slot: 3}, Scope(strict.merchant, "haircut"), age_ms=10_000)

    older = await load(
        strict, {slot: 2}, Scope(strict.merchant, "haircut", **limits), age_ms=20_000
    )

    assert (older.newer, older.days, await free(strict, slot)) == ([named(slot)], 0, 3)


async def test_order_of_a_day_is_bounded_and_the_oldest_count_for_all_of_it(
    strict: Backend,
) -> None:
    """Beyond 50 restrictions of a day, or of all days, less is taken of earlier feeds, not more."""
    slot = await noon(strict)
    await load(strict, {slot: 1}, age_ms=60_000)
    for number in range(55):
        at_s = slot.start_s + 60 * number
        limits: dict[str, Any] = {"from_s": at_s, "to_s": at_s + 1} if number % 2 else {}
        scopes = [Scope(strict.merchant, f"s-{number}-{n}", **limits) for n in range(2)]
        await load(strict, {}, *scopes, age_ms=20_000 - number)

    text = await field(strict, f"day:{named(slot).split()[1]}")
    assert 40 <= text.count("|") <= 50
    assert (await field(strict, "order")).count("|") == 50
    assert (await load(strict, {slot: 2}, age_ms=30_000)).days == 0
    assert (await load(strict, {slot: 3}, age_ms=20_000 - 54)).days == 1
    assert await free(strict, slot) == 3
    assert len((await field(strict, f"day:{named(slot).split()[1]}")).split()) == 2


async def test_order_is_written_so_that_the_release_before_understands_it(strict: Backend) -> None:
    """0.1 reads the first and the last number of a day; a day that it has written is one moment."""
    slot = await noon(strict)
    await load(strict, {slot: 1}, age_ms=60_000)
    name = f"day:{named(slot).split()[1]}"
    before = (await field(strict, name)).split()
    limits: dict[str, Any] = {"from_s": slot.start_s, "to_s": slot.start_s + 60}
    await load(strict, {slot: 2}, Scope(strict.merchant, "haircut", **limits), age_ms=10_000)
    first, *_, last = (await field(strict, name)).split()
    assert int(first) >= int(before[0]) + 50_000
    assert last == before[1]

    await strict.redis.hset(keys.inventory_key(strict.merchant), name, f"{first} {last}")

    assert (await load(strict, {slot: 3}, age_ms=30_000)).newer == [named(slot)]
    assert await free(strict, slot) == 2
