"""extend_lease.lua, the same on every store."""

import asyncio
from dataclasses import replace

import pytest
from tests.backends import TERMS, Backend, FakeClock, soon
from tests.bookings import book

from leasehold.model import ids
from leasehold.model.errors import StoreTrouble, StoreUnavailableError
from leasehold.model.lease import CreateLeaseStatus, LeaseTerms
from leasehold.model.operators import (
    ExtendLease,
    ExtendLeaseOutcome,
    ExtendLeaseStatus,
    ReleaseLease,
)
from leasehold.store import keys

Status = ExtendLeaseStatus


def named(backend: Backend, reference: str = "reference-1") -> ids.Reference:
    """Name the lease of a reference."""
    return ids.Reference(backend.merchant, ids.lease_suffix(reference))


async def extend(
    backend: Backend, until_ms: int, reference: str = "reference-1", terms: LeaseTerms = TERMS
) -> ExtendLeaseOutcome:
    """Ask for a new expiry."""
    command = ExtendLease(named(backend, reference), until_ms, "ticket 1")
    return await backend.leases(terms).extend_lease(command, soon())


async def end_of(backend: Backend, key: str) -> int:
    """Return when a key ends, give or take what it took to ask."""
    return int(await backend.redis.pttl(key)) + await backend.now_ms()


async def test_extend_lease_held_ends_when_it_is_granted_to(backend: Backend) -> None:
    """Spot key, record and answer have the new expiry; the record says when, how often and why."""
    slot = await backend.slot()
    first = await backend.create_lease(slot, for_ms=60_000)
    until_ms = first.expires_at_ms + 60_000

    outcome = await extend(backend, until_ms)

    assert (outcome.status, outcome.expires_at_ms) == (Status.EXTENDED, until_ms)
    assert 118_000 < outcome.remaining_ms <= 120_000
    assert abs(await end_of(backend, keys.spot_key(slot, 1)) - until_ms) < 1000
    record_key = keys.lease_key(backend.merchant, named(backend).suffix)
    assert abs(await end_of(backend, record_key) - until_ms - TERMS.retention_ms) < 1000
    found = await backend.leases().get_lease(named(backend), soon())
    assert found
    assert (found.expires_at_ms, found.extensions, found.extend_reason) == (
        until_ms,
        1,
        "ticket 1",
    )
    replayed = await backend.create_lease(slot, for_ms=1000)
    assert (replayed.status, replayed.expires_at_ms) == (CreateLeaseStatus.REPLAYED, until_ms)


async def test_extend_lease_repeated_is_unchanged_with_the_same_expiry(backend: Backend) -> None:
    """The expiry is absolute: a repeat finds it as it is, and writes nothing."""
    first = await backend.create_lease(await backend.slot(), for_ms=60_000)
    once = await extend(backend, first.expires_at_ms + 60_000)
    before = {key: value for key, (value, _) in (await backend.dump()).items()}

    again = await extend(backend, first.expires_at_ms + 60_000)

    assert again.status is Status.UNCHANGED
    assert (again.expires_at_ms, again.latest_ms) == (once.expires_at_ms, once.latest_ms)
    assert {key: value for key, (value, _) in (await backend.dump()).items()} == before


@pytest.mark.parametrize("asked_ms", [-(10**13), -1, 0])
async def test_extend_lease_never_shortens(backend: Backend, asked_ms: int) -> None:
    """An expiry that is nearer, or long past, leaves the hold as it is."""
    slot = await backend.slot()
    first = await backend.create_lease(slot, for_ms=60_000)

    outcome = await extend(backend, first.expires_at_ms + asked_ms)

    assert (outcome.status, outcome.expires_at_ms) == (Status.UNCHANGED, first.expires_at_ms)
    assert abs(await end_of(backend, keys.spot_key(slot, 1)) - first.expires_at_ms) < 1000


async def test_extend_lease_grants_at_most_the_longest_lease_from_now(fake: Backend) -> None:
    """However much is asked for, no hold lasts longer than a fresh one could."""
    await fake.create_lease(await fake.slot(), for_ms=60_000)

    outcome = await extend(fake, 10**15)

    assert outcome.expires_at_ms == await fake.now_ms() + TERMS.max_lease_ms
    assert outcome.remaining_ms == TERMS.max_lease_ms


async def test_extend_lease_again_and_again_ends_with_its_longest_life(
    fake: Backend, fake_clock: FakeClock
) -> None:
    """The life is counted from the creation; the last answer names no time to renew."""
    terms = replace(TERMS, max_lease_ms=60_000, max_life_ms=150_000)
    created_at_ms = await fake.now_ms()
    await fake.create_lease(await fake.slot(), for_ms=60_000, terms=terms)
    granted = []
    for _ in range(4):
        fake_clock.now_ms += 40_000
        outcome = await extend(fake, 10**15, terms=terms)
        granted.append(outcome.expires_at_ms - created_at_ms)
        assert (outcome.renew_at_ms is None) is (granted[-1] == 150_000)
        if outcome.renew_at_ms:
            assert outcome.renew_at_ms == await fake.now_ms() + 40_000
        assert outcome.latest_ms == created_at_ms + 150_000
        if granted[-1] == 150_000:
            break

    assert granted == [100_000, 140_000, 150_000]
    assert (await extend(fake, 10**15, terms=terms)).status is Status.UNCHANGED
    fake_clock.now_ms = created_at_ms + 150_001
    assert (await extend(fake, 10**15, terms=terms)).status is Status.LEASE_EXPIRED


async def test_extend_lease_grants_at_most_the_start_of_the_slot(fake: Backend) -> None:
    """A hold ends when its slot begins."""
    start_s = await fake.now_ms() // 1000 + 120
    slot = await fake.slot(start_s=start_s)
    await fake.create_lease(slot, for_ms=60_000)

    outcome = await extend(fake, 10**15)

    assert (outcome.expires_at_ms, outcome.latest_ms) == (slot.start_ms, slot.start_ms)
    assert outcome.renew_at_ms is None


async def test_extend_lease_of_an_older_release_has_no_endless_life(
    fake: Backend, fake_clock: FakeClock
) -> None:
    """A record that does not say when it was made counts as old as it can be, and says so then."""
    terms = replace(TERMS, max_lease_ms=60_000, max_life_ms=100_000)
    lease = await fake.create_lease(await fake.slot(), for_ms=60_000, terms=terms)
    await fake.redis.hdel(keys.lease_key(fake.merchant, named(fake).suffix), "created_at_ms")
    latest_ms = lease.expires_at_ms - 60_000 + 100_000

    for _ in range(3):
        fake_clock.now_ms += 30_000
        outcome = await extend(fake, 10**15, terms=terms)
        assert outcome.latest_ms == latest_ms

    assert outcome.expires_at_ms == latest_ms


async def test_extend_lease_after_expiry_leaves_the_next_holder_untouched(
    backend: Backend,
) -> None:
    """Who comes too late lengthens nobody's hold (failure mode 8)."""
    slot = await backend.slot()
    first = await backend.create_lease(slot, for_ms=200)
    await backend.wait_until(first.expires_at_ms + 1)
    second = await backend.create_lease(slot, "reference-2", for_ms=60_000)

    outcome = await extend(backend, first.expires_at_ms + 300_000)

    assert outcome == ExtendLeaseOutcome(Status.LEASE_EXPIRED)
    assert await backend.owner(slot) == f"lease {ids.lease_suffix('reference-2')}"
    assert abs(await end_of(backend, keys.spot_key(slot, 1)) - second.expires_at_ms) < 1000


async def test_extend_lease_after_expiry_is_lease_expired_though_the_slot_is_free(
    backend: Backend,
) -> None:
    """What has ended does not come back, whoever asks how often (failure mode 9)."""
    slot = await backend.slot()
    first = await backend.create_lease(slot, for_ms=200)
    await backend.wait_until(first.expires_at_ms + 1)

    answers = [await extend(backend, first.expires_at_ms + 300_000) for _ in range(3)]

    assert answers == [ExtendLeaseOutcome(Status.LEASE_EXPIRED)] * 3
    assert await backend.owner(slot) is None


async def test_extend_lease_consumed_released_or_unknown_is_refused(backend: Backend) -> None:
    """Only what is held can be held longer; each has an answer of its own."""
    far_ms = await backend.now_ms() + 600_000
    assert (await extend(backend, far_ms, "never")).status is Status.LEASE_UNKNOWN

    slot = await backend.slot()
    await backend.create_lease(slot)
    await book(backend, slot, named(backend))
    assert (await extend(backend, far_ms)).status is Status.LEASE_CONSUMED

    await backend.create_lease(await backend.slot(staff_id="anna"), "reference-2")
    command = ReleaseLease(named(backend, "reference-2"), "ticket 2")
    await backend.leases().release_lease(command, soon())
    assert (await extend(backend, far_ms, "reference-2")).status is Status.LEASE_RELEASED


@pytest.mark.parametrize("after_ms", [-1, 0, 1])
async def test_extend_lease_around_the_expiry(fake: Backend, after_ms: int) -> None:
    """Held through its last millisecond, and gone from the first one after."""
    slot = await fake.slot()
    lease = await fake.create_lease(slot)
    await fake.wait_until(lease.expires_at_ms + after_ms)

    outcome = await extend(fake, lease.expires_at_ms + 60_000)

    assert outcome.status is (Status.LEASE_EXPIRED if after_ms > 0 else Status.EXTENDED)
    assert (await fake.owner(slot) is None) is (after_ms > 0)


async def test_extend_lease_racing_its_expiry_is_extended_or_gone(backend: Backend) -> None:
    """At the boundary a lease is held on or has clearly ended, never both (failure mode 10)."""
    seen = set()
    for number, offset_ms in enumerate((-80, -60, -40, *range(-12, 5))):
        slot, reference = await backend.slot(staff_id=str(number)), f"reference-{number}"
        lease = await backend.create_lease(slot, reference, for_ms=200)
        assert lease.status is CreateLeaseStatus.CREATED
        until_ms = lease.expires_at_ms + 60_000
        # From well before the end to just after it, a little later each time.
        await backend.wait_until(lease.expires_at_ms + offset_ms)
        try:
            outcome, rival = await asyncio.gather(
                extend(backend, until_ms, reference),
                backend.create_lease(slot, f"rival-{number}", for_ms=60_000),
            )
        except StoreUnavailableError as error:
            assert error.trouble is StoreTrouble.ANSWERED_TOO_LATE  # noqa: PT017 - may not come
            continue
        seen.add(outcome.status)
        suffix, rivals = ids.lease_suffix(reference), ids.lease_suffix(f"rival-{number}")
        found = await backend.leases().get_lease(named(backend, reference), soon())
        assert found
        if outcome.status is Status.EXTENDED:
            assert outcome.expires_at_ms == found.expires_at_ms == until_ms
            assert rival.status is CreateLeaseStatus.SLOT_UNAVAILABLE
            assert await backend.owner(slot) == f"lease {suffix}"
        else:
            assert outcome.status is Status.LEASE_EXPIRED
            assert (found.state, found.extensions) == ("expired", 0)
            # The rival may have come first, when the hold had not ended yet.
            assert await backend.owner(slot) in (None, f"lease {rivals}")

    assert Status.EXTENDED in seen
