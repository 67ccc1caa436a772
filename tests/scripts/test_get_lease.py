"""get_lease.lua, inspect_slot.lua and lists of leases, the same on every store."""

from dataclasses import replace

import pytest
from tests.backends import Backend, soon
from tests.bookings import book
from tests.store_steps import load

from leasehold.model import ids
from leasehold.model.operators import (
    InspectSlotOutcome,
    InspectSlotStatus,
    LeaseFilter,
    LeaseState,
    ReleaseLease,
    Span,
    Spot,
)
from leasehold.model.slot import Slot
from leasehold.store import keys


def named(backend: Backend, reference: str = "reference-1") -> ids.Reference:
    """Name the lease of a reference."""
    return ids.Reference(backend.merchant, ids.lease_suffix(reference))


def wire_id(reference: ids.Reference) -> str:
    """Write a reference as on the wire."""
    return ids.wire_id(reference.merchant_id, reference.suffix)


async def test_get_lease_held_tells_grant_remaining_time_and_creation(backend: Backend) -> None:
    """What is remembered of a held lease is what CreateLease was asked and has granted."""
    slot, before_ms = await backend.slot(staff_id="anna"), await backend.now_ms()
    lease = await backend.create_lease(slot, for_ms=60_000)

    found = await backend.leases().get_lease(named(backend), soon())

    assert found
    assert (found.lease_id, found.slot, found.spot) == (wire_id(named(backend)), slot, 1)
    assert (found.state, found.reference) == (LeaseState.HELD, "reference-1")
    assert found.expires_at_ms == lease.expires_at_ms
    assert 0 <= lease.expires_at_ms - found.remaining_ms - before_ms < 5000
    assert found.created_at_ms
    assert before_ms <= found.created_at_ms <= await backend.now_ms()


async def test_get_lease_expired_has_no_time_left(backend: Backend) -> None:
    """A hold that has ended is expired, although somebody else has the spot."""
    slot = await backend.slot()
    lease = await backend.create_lease(slot, for_ms=200)
    await backend.wait_until(lease.expires_at_ms + 1)
    await backend.create_lease(slot, "reference-2")

    found = await backend.leases().get_lease(named(backend), soon())

    assert found
    assert (found.state, found.remaining_ms) == (LeaseState.EXPIRED, 0)
    assert found.expires_at_ms == lease.expires_at_ms


async def test_get_lease_consumed_names_the_booking(backend: Backend) -> None:
    """What a lease became can be looked up."""
    slot = await backend.slot()
    await backend.create_lease(slot)
    await book(backend, slot, named(backend))

    found = await backend.leases().get_lease(named(backend), soon())

    assert found
    assert (found.state, found.remaining_ms) == (LeaseState.CONSUMED, 0)
    assert found.booking_id == f"{backend.merchant}.{ids.booking_suffix('v2', 'token-1')}"
    assert found.consumed_at_ms
    assert found.consumed_at_ms <= await backend.now_ms()


async def test_get_lease_unknown_is_none(backend: Backend) -> None:
    """Nothing is remembered of what never was."""
    assert await backend.leases().get_lease(named(backend), soon()) is None


async def test_inspect_slot_tells_of_every_spot_who_has_it(backend: Backend) -> None:
    """A free slot has a spot that is nobody's, a held one the lease, a booked one the booking."""
    slot = await backend.slot()
    free = await backend.leases().inspect_slot(slot, soon())
    lease = await backend.create_lease(slot)
    held = await backend.leases().inspect_slot(slot, soon())
    await book(backend, slot, named(backend))
    booked = await backend.leases().inspect_slot(slot, soon())

    assert free == InspectSlotOutcome(InspectSlotStatus.INSPECTED, free.now_ms, 1, (Spot(1),))
    (spot,) = held.spots
    assert (spot.lease_id, spot.booking_id) == (wire_id(named(backend)), "")
    assert abs(spot.ends_at_ms - lease.expires_at_ms) <= 1
    assert abs(held.now_ms - await backend.now_ms()) < 5000
    (spot,) = booked.spots
    assert spot.booking_id == f"{backend.merchant}.{ids.booking_suffix('v2', 'token-1')}"
    assert spot.lease_id == ""


async def test_inspect_slot_of_a_strict_inventory_tells_what_is_not_there(
    backend: Backend,
) -> None:
    """An unknown merchant, service or slot is named as such; spots that are there are listed."""
    backend.is_strict = True
    slot, status = await backend.slot(), InspectSlotStatus
    inspect = backend.leases().inspect_slot
    await load(backend.inventory(), replace(slot, merchant_id=f"beside {backend.merchant}"))
    assert (await inspect(slot, soon())).status is status.MERCHANT_UNKNOWN
    day = keys.slot_text(slot).split(":", 1)[1].partition("T")[0]
    await backend.redis.hset(keys.inventory_key(backend.merchant), "service:shave", "1")
    await backend.redis.expire(keys.inventory_key(backend.merchant), 60)
    assert (await inspect(slot, soon())).status is status.SERVICE_UNKNOWN
    await backend.redis.hset(keys.inventory_key(backend.merchant), "service:haircut", "1")
    assert (await inspect(slot, soon())).status is status.SLOT_UNKNOWN
    spots_key = keys.spots_prefix(backend.merchant) + day
    await backend.redis.hset(spots_key, keys.slot_text(slot), "2 3")
    await backend.redis.expire(spots_key, 60)
    await backend.create_lease(slot)

    found = await inspect(slot, soon())

    assert (found.status, found.spot_count) == (status.INSPECTED, 2)
    assert [spot.number for spot in found.spots] == [1, 2, 3]
    assert [bool(spot.lease_id) for spot in found.spots] == [True, False, False]


async def shop(backend: Backend) -> tuple[dict[str, int], dict[str, Slot]]:
    """Make a lease of each state, and one of somebody else; return expiries and slots."""
    slots = {
        name: await backend.slot(staff_id=name) for name in ("gone", "held", "booked", "given")
    }
    slots["shave"] = await backend.slot(service_id="shave")
    # The shortest comes last, so that the others are long made when it ends.
    expiries = {}
    for name in ("held", "booked", "given", "shave", "gone"):
        for_ms = 300 if name == "gone" else 60_000
        lease = await backend.create_lease(slots[name], name, for_ms=for_ms)
        expiries[name] = lease.expires_at_ms
    await book(backend, slots["booked"], named(backend, "booked"))
    await backend.leases().release_lease(ReleaseLease(named(backend, "given"), "x"), soon())
    await backend.wait_until(expiries["gone"] + 1)
    return expiries, slots


async def listed(backend: Backend, **wanted: object) -> set[str]:
    """Return the references of all leases that a filter takes, over all pages."""
    found, cursor = set(), 0
    while True:
        wanted_here = LeaseFilter(backend.merchant, **wanted)  # type: ignore[arg-type]
        page = await backend.leases().list_leases(wanted_here, 1, cursor, soon())
        found |= {lease.reference for lease in page.leases}
        if page.next_cursor is None:
            return found
        cursor = page.next_cursor


async def test_list_leases_takes_merchant_service_states_and_times(backend: Backend) -> None:
    """Each condition leaves out what does not meet it; none leaves out nothing."""
    expiries, slots = await shop(backend)
    start_ms = slots["held"].start_ms

    assert await listed(backend) == {"held", "booked", "given", "shave", "gone"}
    assert await listed(backend, service_id="shave") == {"shave"}
    states = {LeaseState.HELD, LeaseState.EXPIRED}
    assert await listed(backend, states=states) == {"held", "shave", "gone"}
    assert await listed(backend, states={LeaseState.RELEASED}) == {"given"}
    assert await listed(backend, states={LeaseState.CONSUMED}) == {"booked"}
    assert await listed(backend, expires=Span(end_ms=expiries["gone"] + 1)) == {"gone"}
    assert await listed(backend, expires=Span(end_ms=expiries["gone"])) == set()
    assert await listed(backend, starts=Span(end_ms=start_ms - 60_000)) == set()
    assert "held" in await listed(backend, starts=Span(begin_ms=start_ms))


@pytest.mark.parametrize("other", ["{}-2", "x{}", "{}*", "{}[a]"])
async def test_list_leases_names_no_lease_of_another_merchant(backend: Backend, other: str) -> None:
    """Merchants whose ids resemble each other do not see each other's leases."""
    mine, theirs = backend.merchant, other.format(backend.merchant)
    await backend.create_lease(await backend.slot(), "mine")
    backend.merchant = theirs
    await backend.create_lease(await backend.slot(merchant_id=theirs), "theirs")

    assert await listed(backend) == {"theirs"}
    backend.merchant = mine
    assert await listed(backend) == {"mine"}


async def test_list_leases_by_pages_finds_every_lease(fake: Backend) -> None:
    """All pages together name every lease that was there all the time."""
    for number in range(30):
        await fake.create_lease(await fake.slot(staff_id=str(number)), f"reference-{number}")

    assert await listed(fake) == {f"reference-{number}" for number in range(30)}
