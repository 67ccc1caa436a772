"""release_lease.lua, the same on every store."""

import asyncio

import pytest
from tests.backends import TERMS, Backend, soon
from tests.bookings import book

from leasehold.model import ids
from leasehold.model.booking import CreateBookingStatus
from leasehold.model.lease import CreateLeaseStatus
from leasehold.model.operators import (
    LeaseState,
    ReleaseLease,
    ReleaseLeaseOutcome,
    ReleaseLeaseStatus,
)
from leasehold.store import keys

Status = ReleaseLeaseStatus


def named(backend: Backend, reference: str = "reference-1") -> ids.Reference:
    """Name the lease of a reference."""
    return ids.Reference(backend.merchant, ids.lease_suffix(reference))


async def release(
    backend: Backend, reference: str = "reference-1", reason: str = "ticket 1"
) -> ReleaseLeaseOutcome:
    """Release the lease of a reference."""
    command = ReleaseLease(named(backend, reference), reason)
    return await backend.leases().release_lease(command, soon())


async def test_release_lease_held_frees_the_spot_at_once(backend: Backend) -> None:
    """The spot is free for anybody, and the record says since when and why."""
    slot = await backend.slot()
    await backend.create_lease(slot)
    before_ms = await backend.now_ms()

    outcome = await release(backend)

    assert outcome.status is Status.RELEASED
    assert outcome.reason == "ticket 1"
    assert before_ms <= outcome.released_at_ms <= await backend.now_ms()
    assert await backend.owner(slot) is None
    found = await backend.leases().get_lease(named(backend), soon())
    assert found
    assert (found.state, found.remaining_ms) == (LeaseState.RELEASED, 0)
    assert (found.released_at_ms, found.release_reason) == (outcome.released_at_ms, "ticket 1")
    assert (await backend.create_lease(slot, "reference-2")).status is CreateLeaseStatus.CREATED


async def test_release_lease_repeated_answers_the_same(backend: Backend) -> None:
    """A repeat tells of the first time and its reason, and changes nothing."""
    slot = await backend.slot()
    await backend.create_lease(slot)
    first = await release(backend)
    await backend.create_lease(slot, "reference-2")
    await backend.wait_until(first.released_at_ms + 2)
    before = {key: value for key, (value, _) in (await backend.dump()).items()}

    repeat = await release(backend, reason="another")

    assert repeat == ReleaseLeaseOutcome(Status.REPLAYED, first.released_at_ms, "ticket 1")
    assert {key: value for key, (value, _) in (await backend.dump()).items()} == before


async def test_release_lease_after_expiry_leaves_the_next_holder_untouched(
    backend: Backend,
) -> None:
    """Who comes too late releases nothing that is somebody else's (failure mode 8)."""
    slot = await backend.slot()
    first = await backend.create_lease(slot, for_ms=200)
    await backend.wait_until(first.expires_at_ms + 1)
    await backend.create_lease(slot, "reference-2")

    outcome = await release(backend)

    assert outcome == ReleaseLeaseOutcome(Status.LEASE_EXPIRED)
    assert await backend.owner(slot) == f"lease {ids.lease_suffix('reference-2')}"


async def test_release_lease_after_expiry_is_lease_expired_every_time(backend: Backend) -> None:
    """A hold that has ended by itself was not released, whoever asks how often (failure mode 9)."""
    slot = await backend.slot()
    lease = await backend.create_lease(slot, for_ms=200)
    await backend.wait_until(lease.expires_at_ms + 1)

    answers = [await release(backend) for _ in range(3)]

    assert answers == [ReleaseLeaseOutcome(Status.LEASE_EXPIRED)] * 3
    record = await backend.redis.hgetall(keys.lease_key(backend.merchant, named(backend).suffix))
    assert "released_at_ms" not in record


async def test_release_lease_consumed_is_refused(backend: Backend) -> None:
    """What became a booking is cancelled, not released."""
    slot = await backend.slot()
    await backend.create_lease(slot)
    await book(backend, slot, named(backend))
    owner = await backend.owner(slot)

    assert await release(backend) == ReleaseLeaseOutcome(Status.LEASE_CONSUMED)
    assert await backend.owner(slot) == owner


async def test_release_lease_unknown_is_lease_unknown(backend: Backend) -> None:
    """What nobody remembers cannot be released."""
    assert await release(backend) == ReleaseLeaseOutcome(Status.LEASE_UNKNOWN)
    assert await backend.dump() == {}


async def test_release_lease_ends_what_its_reference_can_do(backend: Backend) -> None:
    """To the partners' API a released lease has expired: neither held again nor booked."""
    slot = await backend.slot()
    await backend.create_lease(slot)
    await release(backend)

    assert (await backend.create_lease(slot)).status is CreateLeaseStatus.LEASE_EXPIRED
    booked = await book(backend, slot, named(backend))
    assert booked.status is CreateBookingStatus.LEASE_EXPIRED


async def test_release_lease_frees_its_own_spot_of_several(backend: Backend) -> None:
    """The other spots of the slot stay with whom they are."""
    slot = await backend.slot()
    await backend.create_lease(slot)
    # The neighbour, as the inventory would have placed it.
    await backend.redis.set(keys.spot_key(slot, 2), "lease other", px=60_000)

    await release(backend)

    assert await backend.redis.get(keys.spot_key(slot, 2)) == "lease other"
    await backend.redis.delete(keys.spot_key(slot, 2))


@pytest.mark.parametrize("after_ms", [-1, 0, 1])
async def test_release_lease_around_the_expiry(fake: Backend, after_ms: int) -> None:
    """Held through its last millisecond, and gone from the first one after."""
    slot = await fake.slot()
    lease = await fake.create_lease(slot)
    await fake.wait_until(lease.expires_at_ms + after_ms)

    outcome = await release(fake)

    assert outcome.status is (Status.LEASE_EXPIRED if after_ms > 0 else Status.RELEASED)


async def test_release_lease_raced_by_a_booking_has_one_winner(backend: Backend) -> None:
    """Either the booking stands or the spot is free, never both."""
    for number in range(20):
        slot, reference = await backend.slot(staff_id=str(number)), f"reference-{number}"
        await backend.create_lease(slot, reference)

        booked, released = await asyncio.gather(
            book(backend, slot, named(backend, reference), token=str(number)),
            release(backend, reference),
        )

        has_booked = booked.status is CreateBookingStatus.CREATED
        assert has_booked is (released.status is Status.LEASE_CONSUMED)
        assert has_booked is not (released.status is Status.RELEASED)
        assert (await backend.owner(slot) is not None) is has_booked


async def test_release_lease_keeps_the_record_for_its_retention(backend: Backend) -> None:
    """The record ends when it would have, so that it can be looked at."""
    lease = await backend.create_lease(await backend.slot(), for_ms=60_000)
    await release(backend)

    remaining_ms = await backend.redis.pttl(keys.lease_key(backend.merchant, named(backend).suffix))

    ends_at_ms = await backend.now_ms() + remaining_ms
    assert abs(ends_at_ms - lease.expires_at_ms - TERMS.retention_ms) < 1000
