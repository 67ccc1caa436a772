"""The inventory and slots with many spots, the same on every store."""

from dataclasses import replace
from typing import Any

import pytest
from tests.backends import DAY_MS, TERMS, Backend, FakeClock, soon

from leasehold.model import ids
from leasehold.model.booking import (
    BookingStatus,
    CreateBooking,
    CreateBookingStatus,
    UpdateBooking,
    UpdateBookingStatus,
)
from leasehold.model.errors import StoreTrouble, StoreUnavailableError
from leasehold.model.inventory import (
    Availability,
    CheckAvailabilityOutcome,
    CheckAvailabilityStatus,
    Committed,
    FeedError,
    FeedItem,
    Scope,
)
from leasehold.model.lease import CreateLeaseStatus
from leasehold.model.slot import Slot
from leasehold.store import keys


@pytest.fixture
async def strict(backend: Backend) -> Backend:
    """A store on which only the inventory's slots exist."""
    backend.is_strict = True
    return backend


async def load(
    backend: Backend,
    spots: dict[Slot, tuple[int, int] | int],
    *scopes: Scope,
    age_ms: int = 0,
) -> Committed:
    """Load slots with their spots, in total and open, as one feed of this test's merchant."""
    items: list[Any] = list(scopes or [Scope(backend.merchant)])
    for slot, count in spots.items():
        total, spots_open = count if isinstance(count, tuple) else (count, count)
        items.append(Availability("", slot, total, spots_open))
    inventory = backend.inventory()
    staged = await inventory.stage(items, lambda _: None)
    assert staged.faults == []
    return await inventory.commit(staged, await backend.now_ms() - age_ms, lambda *_: None)


async def free(backend: Backend, slot: Slot) -> int:
    """Count the free spots."""
    outcome = await backend.store().check_availability(slot, soon())
    assert outcome.status is CheckAvailabilityStatus.COUNTED
    return outcome.count


async def take(backend: Backend, slot: Slot, count: int, label: str = "r") -> list[int]:
    """Hold spots with references of their own, and return their numbers."""
    for n in range(count):
        outcome = await backend.create_lease(slot, f"{label}-{n}")
        assert outcome.status is CreateLeaseStatus.CREATED
    found = []
    for n in range(count):
        lease = keys.lease_key(slot.merchant_id, ids.lease_suffix(f"{label}-{n}"))
        found.append(int(str(await backend.redis.hget(lease, "spot"))))
    return found


async def book(
    backend: Backend, slot: Slot, token: str, user: str, lease: ids.Reference | None = None
) -> CreateBookingStatus:
    """Book directly, or with a lease."""
    command = CreateBooking(slot, token, "v2", f"{user}-{backend.merchant}", b"original", lease)
    return (await backend.store().create_booking(command, soon())).status


@pytest.mark.parametrize("spots", [1, 2, 16, 17, 60])
async def test_create_lease_grants_as_many_as_there_are_spots(strict: Backend, spots: int) -> None:
    """N spots are held N times, each by a number of its own, and no more."""
    slot = await strict.slot()
    await load(strict, {slot: spots})

    numbers = await take(strict, slot, spots)

    assert sorted(numbers) == list(range(1, spots + 1))
    assert (await strict.create_lease(slot, "late")).status is CreateLeaseStatus.SLOT_UNAVAILABLE
    assert await free(strict, slot) == 0


async def test_a_second_hold_never_moves_the_end_of_the_first(strict: Backend) -> None:
    """Every spot has a key with an end of its own (failure mode 15)."""
    slot = await strict.slot()
    await load(strict, {slot: 2})
    first = await strict.create_lease(slot, "short", for_ms=300)
    before = await strict.redis.pttl(keys.spot_key(slot, 1))

    await strict.create_lease(slot, "long", for_ms=60_000)

    assert await strict.redis.pttl(keys.spot_key(slot, 1)) <= before
    await strict.wait_until(first.expires_at_ms + 1)
    assert await free(strict, slot) == 1


async def test_create_lease_of_what_the_inventory_does_not_know(strict: Backend) -> None:
    """Merchant and service are the caller's mistake; a slot that is not there is not."""
    slot = await strict.slot()
    other = replace(slot, merchant_id=f"{strict.merchant}-other")
    await load(strict, {slot: 1, await strict.slot(staff_id="anna"): 0})
    asked = {
        other: CreateLeaseStatus.MERCHANT_UNKNOWN,
        replace(slot, service_id="shave"): CreateLeaseStatus.SERVICE_UNKNOWN,
        replace(slot, party_size=2): CreateLeaseStatus.SLOT_UNKNOWN,
        replace(slot, duration_s=slot.duration_s * 1000): CreateLeaseStatus.SLOT_UNKNOWN,
        replace(slot, staff_id="bob"): CreateLeaseStatus.SLOT_UNKNOWN,
        replace(slot, staff_id="anna"): CreateLeaseStatus.SLOT_UNAVAILABLE,
        replace(slot, start_s=slot.start_s + 86_400): CreateLeaseStatus.SLOT_UNKNOWN,
        slot: CreateLeaseStatus.CREATED,
    }

    for number, (wanted, status) in enumerate(asked.items()):
        counted = await strict.store().check_availability(wanted, soon())
        outcome = await strict.create_lease(wanted, f"r-{number}")
        booked = await book(strict, wanted, f"t-{number}", "u")
        assert outcome.status is status
        if status in (CreateLeaseStatus.MERCHANT_UNKNOWN, CreateLeaseStatus.SERVICE_UNKNOWN):
            assert counted == CheckAvailabilityOutcome(CheckAvailabilityStatus(status.value))
            assert booked is CreateBookingStatus(status.value)
        else:
            is_free = status is CreateLeaseStatus.CREATED
            assert counted == CheckAvailabilityOutcome(CheckAvailabilityStatus.COUNTED, is_free)
            is_known = status is not CreateLeaseStatus.SLOT_UNKNOWN
            expected = CreateBookingStatus("slot_unavailable" if is_known else "slot_unknown")
            assert booked is expected


async def test_create_lease_when_nobody_has_an_inventory_is_no_answer(strict: Backend) -> None:
    """An inventory that was never loaded, or is lost, is not the caller's mistake."""
    await strict.redis.delete(keys.FEED_KEY)
    slot = await strict.slot()

    for ask in (
        strict.create_lease(slot),
        strict.store().check_availability(slot, soon()),
        book(strict, slot, "t", "u"),
    ):
        with pytest.raises(StoreUnavailableError) as caught:
            await ask
        assert caught.value.trouble is StoreTrouble.NO_INVENTORY


async def test_create_booking_gives_one_user_one_spot_of_a_slot(strict: Backend) -> None:
    """Directly or with a lease, also when spots are left; somebody else gets the next one."""
    slot = await strict.slot()
    await load(strict, {slot: 20})
    assert await book(strict, slot, "t-1", "ada") is CreateBookingStatus.CREATED
    await strict.create_lease(slot, "r-1")
    lease = ids.Reference(strict.merchant, ids.lease_suffix("r-1"))

    again = await book(strict, slot, "t-2", "ada")
    leased = await book(strict, slot, "t-3", "ada", lease)
    other = await book(strict, slot, "t-3", "bob", lease)

    assert again is leased is CreateBookingStatus.ALREADY_BOOKED_BY_USER
    assert other is CreateBookingStatus.CREATED
    assert await free(strict, slot) == 18


async def test_update_booking_moves_within_the_inventory(strict: Backend) -> None:
    """To a free spot of a slot that is there, whichever number that has; else it stays."""
    slot = await strict.slot()
    later = replace(slot, start_s=slot.start_s + 3600)
    await load(strict, {slot: 1, later: 2})
    await take(strict, later, 1)
    await book(strict, slot, "t-1", "ada")
    booking = ids.Reference(strict.merchant, ids.booking_suffix("v2", "t-1"))

    async def move(start_s: int) -> UpdateBookingStatus:
        command = UpdateBooking(booking, start_s=start_s)
        return (await strict.store().update_booking(command, soon())).status

    assert await move(slot.start_s + 7200) is UpdateBookingStatus.SLOT_UNKNOWN
    assert await move(later.start_s) is UpdateBookingStatus.UPDATED
    assert str(await strict.redis.get(keys.spot_key(later, 2))).startswith("booking ")
    assert (await free(strict, slot), await free(strict, later)) == (1, 0)
    cancel = UpdateBooking(booking, BookingStatus.CANCELED)
    await strict.store().update_booking(cancel, soon())
    assert await free(strict, later) == 1


@pytest.mark.parametrize("spots_left", [0, 1, 2, 3])
async def test_a_capacity_lowered_below_what_is_held_gives_nothing_twice(
    strict: Backend, spots_left: int
) -> None:
    """Whoever is on a high number counts, also when its slot comes back (failure mode 46)."""
    slot, other = await strict.slot(), await strict.slot(staff_id="anna")
    await load(strict, {slot: 5})
    for n in range(1, 5):
        await book(strict, slot, f"t-{n}", f"u-{n}")
    for n in (1, 2):
        booking = ids.Reference(strict.merchant, ids.booking_suffix("v2", f"t-{n}"))
        cancel = UpdateBooking(booking, BookingStatus.CANCELED)
        await strict.store().update_booking(cancel, soon())
    taken = [n for n in range(1, 6) if await strict.redis.exists(keys.spot_key(slot, n))]
    assert taken == [3, 4]

    removed = (await load(strict, {slot: spots_left} if spots_left else {other: 1})).removed

    assert removed == (0 if spots_left else 1)
    assert await free(strict, slot) == max(0, spots_left - 2)
    for spots in (2, 3, 1, 2):
        await load(strict, {slot: spots})
        assert await free(strict, slot) == max(0, spots - 2)
    assert (await strict.create_lease(slot, "r")).status is CreateLeaseStatus.SLOT_UNAVAILABLE
    await load(strict, {slot: 3})
    assert (await strict.create_lease(slot, "r")).status is CreateLeaseStatus.CREATED
    assert (await strict.create_lease(slot, "q")).status is CreateLeaseStatus.SLOT_UNAVAILABLE


async def test_a_slot_that_is_gone_and_free_is_forgotten(strict: Backend) -> None:
    """Nothing is kept of a slot on which nobody is."""
    slot, other = await strict.slot(), await strict.slot(staff_id="anna")
    await load(strict, {slot: 5, other: 1})

    committed = await load(strict, {other: 1})

    day = keys.start_text(slot.start_s).partition("T")[0]
    fields = await strict.redis.hkeys(keys.spots_prefix(strict.merchant) + day)
    assert committed.removed == 1
    assert fields == [keys.slot_text(other)]


@pytest.mark.parametrize(
    ("made_after_ms", "spots_open", "spots"),
    [(0, 7, 10), (0, 5, 8), (0, 10, 10), (-1, 7, 7), (5000, 5, 10), (5000, 4, 9)],
)
async def test_a_booking_made_before_the_feed_is_not_counted_twice(
    fake: Backend, fake_clock: FakeClock, made_after_ms: int, spots_open: int, spots: int
) -> None:
    """A slot gets min(total, open + our standing bookings made before the feed)."""
    fake.is_strict = True
    slot = await fake.slot()
    await load(fake, {slot: 10}, age_ms=60_000)
    for n in range(3):
        await book(fake, slot, f"t-{n}", f"u-{n}")
    third_at_ms = fake_clock.now_ms
    fake_clock.now_ms += 5000
    for n in range(3, 5):
        await book(fake, slot, f"t-{n}", f"u-{n}")
    await fake.create_lease(slot, "r")
    fake_clock.now_ms += 60_000

    age_ms = fake_clock.now_ms - third_at_ms - made_after_ms
    await load(fake, {slot: (10, spots_open)}, age_ms=age_ms)

    assert await free(fake, slot) == spots - 6


async def test_commit_of_an_older_feed_leaves_the_day_as_it_is(strict: Backend) -> None:
    """Of two feeds the later one counts, also for a day that it does not list."""
    slot = await strict.slot()
    next_day = replace(slot, start_s=slot.start_s + 86_400)
    await load(strict, {slot: 2}, age_ms=10_000)

    older = await load(strict, {slot: 1, next_day: 1}, age_ms=20_000)
    same = await load(strict, {slot: 3, next_day: 1}, age_ms=0)

    day = keys.start_text(slot.start_s).partition("T")[0]
    next_date = keys.start_text(next_day.start_s).partition("T")[0]
    assert older.newer == [f"{strict.merchant} {day}", f"{strict.merchant} {next_date}"]
    assert (older.days, same.days, same.newer) == (0, 2, [])
    assert await free(strict, slot) == 3


@pytest.mark.parametrize(
    ("scope", "gone"),
    [
        ({}, {"a", "b", "c", "d", "e"}),
        ({"service_id": "shave"}, {"e"}),
        ({"from_s": 3600}, {"b"}),
        ({"to_s": 3600}, {"a", "c", "d", "e"}),
        ({"from_s": 0, "to_s": 3600, "service_id": "haircut"}, {"a", "c", "d"}),
        ({"from_s": 1, "to_s": 3600}, set()),
        ({"duration_s": 900}, {"c"}),
        ({"staff_id": "anna"}, {"d"}),
        ({"party_size": 2}, {"d"}),
        ({"room_id": "2"}, set()),
    ],
)
async def test_commit_removes_what_its_scope_speaks_of_and_nothing_else(
    strict: Backend, scope: dict[str, Any], gone: set[str]
) -> None:
    """A restricted entry is complete for its restriction only."""
    slot = await strict.slot()
    slots = {
        "a": slot,
        "b": replace(slot, start_s=slot.start_s + 3600),
        "c": replace(slot, duration_s=900),
        "d": replace(slot, staff_id="anna", party_size=2),
        "e": replace(slot, service_id="shave"),
    }
    await load(strict, dict.fromkeys(slots.values(), 1))
    times = {k: v + slot.start_s for k, v in scope.items() if k in ("from_s", "to_s")}

    committed = await load(strict, {}, Scope(strict.merchant, **{**scope, **times}))

    left = {name for name, it in slots.items() if await free(strict, it)}
    assert left == slots.keys() - gone
    assert committed.removed == len(gone)


async def test_commit_of_what_was_staged_incompletely_changes_nothing(strict: Backend) -> None:
    """A stage that has ended meanwhile wipes no inventory."""
    slot = await strict.slot()
    await load(strict, {slot: 2})
    inventory = strict.inventory()
    items: list[FeedItem] = [
        Scope(strict.merchant),
        Availability("", replace(slot, party_size=2), 1, 1),
    ]
    staged = await inventory.stage(items, lambda _: None)
    async for key in strict.redis.scan_iter(f"stage:*{staged.import_id}*"):
        await strict.redis.delete(key)

    with pytest.raises(FeedError):
        await inventory.commit(staged, None, lambda *_: None)

    assert await free(strict, slot) == 2


async def test_commit_may_be_repeated(strict: Backend) -> None:
    """A lost reply harms nothing: the same commit again finds the same."""
    slot = await strict.slot()
    inventory = strict.inventory()
    items: list[FeedItem] = [Scope(strict.merchant), Availability("", slot, 2, 2)]
    staged = await inventory.stage(items, lambda _: None)
    now_ms = await strict.now_ms()

    for _ in range(2):
        committed = await inventory.commit(staged, now_ms, lambda *_: None)
        assert (committed.days, committed.removed) == (1, 0)
        assert await free(strict, slot) == 2


async def test_commit_of_a_day_that_has_passed_is_left_out(strict: Backend) -> None:
    """A day whose inventory has ended gets no key, whatever the pod's clock says."""
    slot = await strict.slot()
    past = replace(slot, start_s=slot.start_s - 3 * 86_400)

    committed = await load(strict, {past: 1, slot: 1})

    day = keys.start_text(past.start_s).partition("T")[0]
    assert (committed.days, committed.over) == (1, 1)
    assert not await strict.redis.exists(keys.spots_prefix(strict.merchant) + day)


async def test_a_feed_from_the_future_or_of_nothing_is_refused(strict: Backend) -> None:
    """A wrong clock must not keep later feeds out."""
    slot = await strict.slot()

    with pytest.raises(FeedError, match="future"):
        await load(strict, {slot: 1}, age_ms=-DAY_MS)
    with pytest.raises(FeedError, match="no slots"):
        await strict.inventory().commit(
            await strict.inventory().stage([], lambda _: None), None, lambda *_: None
        )


async def test_stage_keeps_the_first_of_two_entries_for_one_slot(strict: Backend) -> None:
    """The other one is a fault with its place; a piece that is sent again is none."""
    slot = await strict.slot()
    items: list[FeedItem] = [
        Scope(strict.merchant),
        Availability("first", slot, 2, 2),
        Availability("second", slot, 5, 5),
    ]

    staged = await strict.inventory().stage(items, lambda _: None)
    await strict.inventory().commit(staged, None, lambda *_: None)

    assert [fault.place for fault in staged.faults] == ["second"]
    assert staged.slots == 1
    assert await free(strict, slot) == 2


async def test_inventory_ends_with_its_day(strict: Backend) -> None:
    """The keys of a day end one retention after it, and what is known with the last one."""
    slot = await strict.slot()
    later = replace(slot, start_s=slot.start_s + 3 * 86_400)
    await load(strict, {slot: 1, later: 1})
    ends_ms = [(it.start_ms // DAY_MS + 1) * DAY_MS + TERMS.retention_ms for it in (slot, later)]

    found = []
    for start_s in (slot.start_s, later.start_s):
        key = keys.spots_prefix(strict.merchant) + keys.start_text(start_s).partition("T")[0]
        found.append(await strict.now_ms() + await strict.redis.pttl(key))
    found.append(
        await strict.now_ms() + await strict.redis.pttl(keys.inventory_key(strict.merchant))
    )
    assert [abs(a - b) < 1000 for a, b in zip(found, [*ends_ms, ends_ms[1]], strict=True)] == [
        True
    ] * 3
    assert await strict.redis.pttl(keys.FEED_KEY) > 0


async def test_drop_forgets_a_merchant_and_nobody_who_is_on_a_spot(strict: Backend) -> None:
    """The merchant is unknown afterwards; loaded again, its old holds count."""
    slot, free_slot = await strict.slot(), await strict.slot(staff_id="anna")
    await load(strict, {slot: 2, free_slot: 1})
    await take(strict, slot, 2)

    assert await strict.inventory().drop(strict.merchant) == 2
    assert await strict.inventory().drop(strict.merchant) is None
    unknown = await strict.create_lease(free_slot, "r")
    await load(strict, {slot: 2, free_slot: 1}, age_ms=1000)

    assert unknown.status is CreateLeaseStatus.MERCHANT_UNKNOWN
    assert (await free(strict, slot), await free(strict, free_slot)) == (0, 1)


async def test_show_tells_who_is_on_the_spots_of_a_day(strict: Backend) -> None:
    """Merchants, what is known of one, and the slots of a day with holds and bookings."""
    slot = await strict.slot(service_id="hair:cut")
    await load(strict, {slot: 20})
    await take(strict, slot, 2)
    await book(strict, slot, "t", "ada")
    inventory, day = strict.inventory(), keys.start_text(slot.start_s).partition("T")[0]

    assert strict.merchant in {name async for name in inventory.merchants()}
    found = await inventory.describe(strict.merchant)
    assert found
    assert (found.services, list(found.generated_at_ms)) == (["hair:cut"], [day])
    (it,) = await inventory.slots(strict.merchant, day)
    assert (it.slot, it.spots, it.held, it.booked) == (slot, 20, 2, 1)
    assert await inventory.describe(f"{strict.merchant}-other") is None
