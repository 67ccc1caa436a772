"""create_lease.lua, the same on every store."""

import asyncio
from dataclasses import replace

import pytest
from tests.backends import DAY_MS, TERMS, Backend, FakeClock, soon

from leasehold.model import ids
from leasehold.model.lease import CreateLease, CreateLeaseOutcome, CreateLeaseStatus
from leasehold.store import keys
from leasehold.store.redis_store import RedisStore

Status = CreateLeaseStatus


def suffix(reference: str = "reference-1") -> str:
    """Name the lease of a reference."""
    return ids.lease_suffix(reference)


async def test_create_lease_on_a_free_slot_is_created(backend: Backend) -> None:
    """A free slot is held: its key names the lease, and the record remembers it."""
    slot = await backend.slot(staff_id="anna")
    until_ms = await backend.now_ms() + 60_000

    outcome = await backend.create_lease(slot, until_ms=until_ms)

    assert outcome == CreateLeaseOutcome(Status.CREATED, until_ms)
    values = {key: value for key, (value, _) in (await backend.dump()).items()}
    created_at_ms = values[keys.lease_key(backend.merchant, suffix())].pop("created_at_ms")
    assert until_ms - 60_000 <= int(created_at_ms) <= await backend.now_ms()
    assert values == {
        keys.spot_key(slot, 1): f"lease {suffix()}",
        keys.lease_key(backend.merchant, suffix()): {
            "v": "1",
            "slot": keys.slot_text(slot),
            "spot": "1",
            "start_ms": str(slot.start_ms),
            "duration_ms": "1800000",
            "reference": "reference-1",
            "availability_tag": "",
            "expires_at_ms": str(until_ms),
        },
    }


async def test_create_lease_tells_for_how_long_only_what_is_new_was_granted(
    backend: Backend,
) -> None:
    """The lifetime of a lease is told once, in seconds; a repeat or a refusal grants nothing."""
    granted_s: list[float] = []
    store = RedisStore(backend.link, TERMS, on_grant=granted_s.append)
    slot, until_ms = await backend.slot(), await backend.now_ms() + 60_000

    for reference in ("reference-1", "reference-1", "somebody-else"):
        await store.create_lease(CreateLease(slot, reference, until_ms), soon())

    (lifetime_s,) = granted_s
    assert 50 < lifetime_s <= 60


async def test_create_lease_ttl_equals_the_granted_expiry(backend: Backend) -> None:
    """The slot key ends at the granted expiry, within the millisecond, by Redis' own TTL."""
    slot = await backend.slot()
    outcome = await backend.create_lease(slot, for_ms=60_000)

    before_ms = await backend.now_ms()
    remaining_ms = await backend.redis.pttl(keys.spot_key(slot, 1))
    after_ms = await backend.now_ms()

    assert outcome.expires_at_ms - after_ms - 1 <= remaining_ms
    assert remaining_ms <= outcome.expires_at_ms - before_ms + 1


async def test_create_lease_record_outlives_the_hold_by_the_retention(backend: Backend) -> None:
    """The record of a lease ends one retention after its hold."""
    slot = await backend.slot()
    outcome = await backend.create_lease(slot, for_ms=60_000)

    before_ms = await backend.now_ms()
    remaining_ms = await backend.redis.pttl(keys.lease_key(backend.merchant, suffix()))
    after_ms = await backend.now_ms()

    ends_at_ms = outcome.expires_at_ms + TERMS.retention_ms
    assert ends_at_ms - after_ms - 1 <= remaining_ms <= ends_at_ms - before_ms + 1


async def test_create_lease_on_a_held_slot_is_slot_unavailable(backend: Backend) -> None:
    """A held slot is refused to everybody else, and nothing is written for them."""
    slot = await backend.slot()
    await backend.create_lease(slot, "reference-1")
    before = (await backend.dump()).keys()

    outcome = await backend.create_lease(slot, "reference-2")

    assert outcome == CreateLeaseOutcome(Status.SLOT_UNAVAILABLE)
    assert (await backend.dump()).keys() == before
    assert await backend.owner(slot) == f"lease {suffix('reference-1')}"


@pytest.mark.parametrize(
    "change",
    [
        {"service_id": "shave"},
        {"duration_s": 1801},
        {"staff_id": "anna"},
        {"room_id": "anna"},
        {"party_size": 1},
    ],
)
async def test_create_lease_on_another_slot_is_created(
    backend: Backend, change: dict[str, str | int]
) -> None:
    """Slots that differ in one field do not exclude each other."""
    slot = await backend.slot()
    await backend.create_lease(slot, "reference-1")

    outcome = await backend.create_lease(await backend.slot(**change), "reference-2")

    assert outcome.status is Status.CREATED


async def test_create_lease_repeated_is_replayed_with_the_stored_expiry(backend: Backend) -> None:
    """A repeat gets the lease it has, whatever expiry it asks for now."""
    slot = await backend.slot()
    first = await backend.create_lease(slot, for_ms=60_000)

    repeat = await backend.create_lease(slot, for_ms=120_000)

    assert repeat == CreateLeaseOutcome(Status.REPLAYED, first.expires_at_ms)


async def test_create_lease_repeated_with_a_past_expiry_is_replayed(backend: Backend) -> None:
    """Replay is judged before the clock: a repeat whose asked expiry has passed gets its lease."""
    slot = await backend.slot()
    asked_ms = await backend.now_ms() + 60_000
    first = await backend.create_lease(slot, until_ms=asked_ms)

    repeat = await backend.create_lease(slot, until_ms=await backend.now_ms() - 1)

    assert repeat == CreateLeaseOutcome(Status.REPLAYED, first.expires_at_ms)


async def test_create_lease_repeated_after_its_expiry_is_lease_expired(backend: Backend) -> None:
    """A reference makes at most one lease, even though the slot is free again."""
    slot = await backend.slot()
    first = await backend.create_lease(slot, for_ms=200)
    await backend.wait_until(first.expires_at_ms + 1)

    repeat = await backend.create_lease(slot, for_ms=60_000)

    assert repeat == CreateLeaseOutcome(Status.LEASE_EXPIRED)
    assert await backend.owner(slot) is None


async def test_create_lease_repeated_after_another_holder_leaves_the_holder_untouched(
    backend: Backend,
) -> None:
    """A stale reference learns that it has expired; the new holder keeps the slot."""
    slot = await backend.slot()
    first = await backend.create_lease(slot, "reference-1", for_ms=200)
    await backend.wait_until(first.expires_at_ms + 1)
    second = await backend.create_lease(slot, "reference-2", for_ms=60_000)
    before = await backend.owner(slot)

    repeat = await backend.create_lease(slot, "reference-1", for_ms=60_000)

    assert second.status is Status.CREATED
    assert repeat == CreateLeaseOutcome(Status.LEASE_EXPIRED)
    assert await backend.owner(slot) == before == f"lease {suffix('reference-2')}"


async def test_create_lease_after_the_expiry_needs_nobody_to_sweep(backend: Backend) -> None:
    """Once the hold has lapsed the slot can be held again, with nothing run in between."""
    slot = await backend.slot()
    first = await backend.create_lease(slot, "reference-1", for_ms=200)
    await backend.wait_until(first.expires_at_ms + 1)

    second = await backend.create_lease(slot, "reference-2")

    assert second.status is Status.CREATED


async def test_create_lease_same_reference_for_another_slot_is_reference_reused(
    backend: Backend,
) -> None:
    """A reference belongs to its slot: no second hold, and the first one stays as it was."""
    slot = await backend.slot()
    await backend.create_lease(slot)
    before = (await backend.dump()).keys()

    outcome = await backend.create_lease(await backend.slot(staff_id="anna"))

    assert outcome == CreateLeaseOutcome(Status.REFERENCE_REUSED)
    assert (await backend.dump()).keys() == before


@pytest.mark.parametrize("ahead_ms", [-(10**12), -DAY_MS, -1, 0, 1, 50])
async def test_create_lease_asking_less_than_the_minimum_is_expiry_too_soon(
    backend: Backend, ahead_ms: int
) -> None:
    """A deadline already past, now, or within the minimum is refused and writes nothing."""
    outcome = await backend.create_lease(await backend.slot(), for_ms=ahead_ms)

    assert outcome == CreateLeaseOutcome(Status.EXPIRY_TOO_SOON)
    assert await backend.dump() == {}


@pytest.mark.parametrize("until_ms", [253_402_300_799_999, 4_102_444_800_000])
async def test_create_lease_asking_too_much_is_cut_to_the_maximum(
    backend: Backend, until_ms: int
) -> None:
    """An expiry in the year 2100, or at the end of time, is granted up to the maximum."""
    before_ms = await backend.now_ms()
    outcome = await backend.create_lease(await backend.slot(), until_ms=until_ms)
    after_ms = await backend.now_ms()

    assert outcome.status is Status.CREATED
    assert before_ms <= outcome.expires_at_ms - TERMS.max_lease_ms <= after_ms


async def test_create_lease_never_outlasts_the_start_of_the_slot(backend: Backend) -> None:
    """A hold ends when the slot begins, at the latest."""
    slot = await backend.slot(start_s=await backend.now_ms() // 1000 + 60)

    outcome = await backend.create_lease(slot, for_ms=600_000)

    assert outcome == CreateLeaseOutcome(Status.CREATED, slot.start_ms)


@pytest.mark.parametrize("start_s", [-62_135_596_800, 0, 1_500_000_000])
async def test_create_lease_of_a_past_slot_is_start_too_soon(
    backend: Backend, start_s: int
) -> None:
    """A slot that has begun cannot be held."""
    outcome = await backend.create_lease(await backend.slot(start_s=start_s))

    assert outcome == CreateLeaseOutcome(Status.START_TOO_SOON)
    assert await backend.dump() == {}


async def test_create_lease_of_a_slot_too_far_ahead_is_start_too_far(backend: Backend) -> None:
    """Every record must have an end, so a slot may not lie beyond the longest advance."""
    slot = await backend.slot()
    far = replace(slot, start_s=slot.start_s + TERMS.max_advance_ms // 1000)

    outcome = await backend.create_lease(far)

    assert outcome == CreateLeaseOutcome(Status.START_TOO_FAR)
    assert await backend.dump() == {}


async def test_create_lease_judges_reuse_before_the_clock(backend: Backend) -> None:
    """A reused reference is named as such even when the asked expiry has passed too."""
    await backend.create_lease(await backend.slot())

    outcome = await backend.create_lease(await backend.slot(staff_id="anna"), for_ms=-1)

    assert outcome.status is Status.REFERENCE_REUSED


async def test_create_lease_judges_the_clock_before_the_spot(backend: Backend) -> None:
    """An expiry that has passed is a fault even when the slot is taken."""
    slot = await backend.slot()
    await backend.create_lease(slot, "reference-1")

    outcome = await backend.create_lease(slot, "reference-2", for_ms=-1)

    assert outcome.status is Status.EXPIRY_TOO_SOON


async def test_create_lease_judges_the_expiry_before_the_start(backend: Backend) -> None:
    """Of two faults of the clock the asked expiry is named."""
    outcome = await backend.create_lease(await backend.slot(start_s=0), for_ms=-1)

    assert outcome.status is Status.EXPIRY_TOO_SOON


async def test_create_lease_of_another_merchant_may_use_the_same_reference(
    backend: Backend,
) -> None:
    """References are told apart by merchant."""
    slot = await backend.slot()
    await backend.create_lease(slot)
    other = replace(slot, merchant_id=f"{slot.merchant_id}-2")

    outcome = await backend.create_lease(other)

    assert outcome.status is Status.CREATED


async def test_create_lease_again_after_script_flush_is_replayed(backend: Backend) -> None:
    """A store that has forgotten its scripts gets them again, and the lease is the same."""
    slot = await backend.slot()
    first = await backend.create_lease(slot)
    await backend.redis.script_flush()

    repeat = await backend.create_lease(slot)

    assert repeat == CreateLeaseOutcome(Status.REPLAYED, first.expires_at_ms)


async def test_create_lease_again_from_another_connection_is_replayed(
    backend: Backend,
) -> None:
    """The lease is named by its reference, so any process that asks again finds it."""
    slot = await backend.slot()
    first = await backend.create_lease(slot)
    link = backend.another_link()

    repeat = await replace(backend, link=link).create_lease(slot)
    await link.close()

    assert repeat == CreateLeaseOutcome(Status.REPLAYED, first.expires_at_ms)


@pytest.mark.parametrize(
    ("past_expiry_ms", "status"),
    [(-1, Status.REPLAYED), (0, Status.REPLAYED), (1, Status.LEASE_EXPIRED)],
)
async def test_create_lease_repeated_around_the_expiry(
    fake: Backend, fake_clock: FakeClock, past_expiry_ms: int, status: CreateLeaseStatus
) -> None:
    """Redis keeps a key through its last millisecond; the next one it is gone."""
    slot = await fake.slot()
    first = await fake.create_lease(slot, for_ms=60_000)
    fake_clock.now_ms = first.expires_at_ms + past_expiry_ms

    keys_alive = await fake.owner(slot) is not None
    script = fake.store()._create_lease
    answer = await fake.redis.eval(
        script.source,
        2,
        keys.lease_key(slot.merchant_id, suffix()),
        keys.inventory_key(slot.merchant_id),
        *(suffix(), keys.slot_text(slot), keys.slot_prefix(slot.merchant_id), ""),
        *("reference-1", "", 0, slot.start_ms, 1_800_000),
        *(TERMS.min_lease_ms, TERMS.max_lease_ms, TERMS.max_advance_ms, TERMS.retention_ms),
    )

    assert answer[0] == status.value
    assert keys_alive == (status is Status.REPLAYED)


async def test_create_lease_minimum_is_counted_to_the_millisecond(
    fake: Backend, fake_clock: FakeClock
) -> None:
    """Exactly the minimum is granted; one millisecond less is not."""
    at_ms = fake_clock.now_ms + TERMS.min_lease_ms

    assert (await fake.create_lease(await fake.slot(), "r-1", until_ms=at_ms - 1)).status == (
        Status.EXPIRY_TOO_SOON
    )
    assert await fake.create_lease(await fake.slot(), "r-2", until_ms=at_ms) == (
        CreateLeaseOutcome(Status.CREATED, at_ms)
    )


async def test_create_lease_start_is_counted_to_the_millisecond(
    fake: Backend, fake_clock: FakeClock
) -> None:
    """A slot that starts in exactly the minimum can be held until then."""
    slot = await fake.slot()
    fake_clock.now_ms = slot.start_ms - TERMS.min_lease_ms

    assert await fake.create_lease(slot, for_ms=60_000) == (
        CreateLeaseOutcome(Status.CREATED, slot.start_ms)
    )
    fake_clock.now_ms += 1
    late = await fake.create_lease(await fake.slot(start_s=slot.start_s, room_id="2"), "r-2")
    assert late.status is Status.START_TOO_SOON


async def test_create_lease_advance_is_counted_to_the_millisecond(
    fake: Backend, fake_clock: FakeClock
) -> None:
    """A slot exactly the longest advance away can be held; a millisecond earlier it cannot."""
    slot = await fake.slot()
    fake_clock.now_ms = slot.start_ms - TERMS.max_advance_ms - 1
    assert (await fake.create_lease(slot, "r-1")).status is Status.START_TOO_FAR
    fake_clock.now_ms += 1
    assert (await fake.create_lease(slot, "r-2")).status is Status.CREATED


async def test_create_lease_raced_by_many_has_one_winner(backend: Backend) -> None:
    """Of many callers at once one holds the slot; all others are told that it is taken."""
    slot = await backend.slot()

    outcomes = await asyncio.gather(
        *(backend.create_lease(slot, f"reference-{number}") for number in range(50))
    )

    statuses = [outcome.status for outcome in outcomes]
    assert statuses.count(Status.CREATED) == 1
    assert statuses.count(Status.SLOT_UNAVAILABLE) == 49
    winner = statuses.index(Status.CREATED)
    assert await backend.owner(slot) == f"lease {suffix(f'reference-{winner}')}"
