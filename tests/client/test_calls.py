import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from tests.clients import ADA, BOB, FIVE_MINUTES, client_of, operators_of, slot_of, soon
from tests.servers import poll
from tests.service import Service

from leasehold.client import (
    Booked,
    BookingStatus,
    CallError,
    Extended,
    Held,
    LeaseState,
    NoAnswerError,
    Refused,
    Released,
    Span,
    Spot,
    slot_at,
)


async def test_create_lease_and_create_booking_return_plain_values(service: Service) -> None:
    """A lease tells its id, its expiry and its reference; a booking its id, slot and state."""
    slot, until = slot_of("anna"), soon()
    async with client_of(service) as client:
        assert await client.check_availability(slot) == 1
        held = await client.create_lease(slot, until)
        assert isinstance(held, Held)
        assert held.lease_id.startswith("salon-1.")
        assert abs(held.expires_at - until) <= timedelta(milliseconds=1)
        assert await client.check_availability(slot) == 0

        booked = await client.create_booking(slot, ADA, lease_id=held.lease_id)

    assert isinstance(booked, Booked)
    assert (booked.slot, booked.status) == (slot, BookingStatus.CONFIRMED)


async def test_create_lease_of_a_taken_slot_returns_a_refusal(service: Service) -> None:
    """A refusal of business is a value with its cause; the same reference gets the same lease."""
    slot = slot_of("bo")
    async with client_of(service) as client:
        first = await client.create_lease(slot, soon(), reference="r-bo")
        other = await client.create_lease(slot, soon())
        again = await client.create_lease(slot, soon(), reference="r-bo")

    assert isinstance(other, Refused)
    assert other.cause == "SLOT_UNAVAILABLE"
    assert again == first


async def test_bookings_are_listed_moved_and_cancelled(service: Service) -> None:
    """Update changes what is given, and nothing else; a cancelled booking is not listed."""
    slot = slot_of("cy")
    later = datetime.fromtimestamp(slot.start_s, UTC) + timedelta(hours=1)
    async with client_of(service) as client:
        booked = await client.create_booking(slot, BOB, additional_request="By the window")
        assert isinstance(booked, Booked)
        assert await client.list_bookings("bob") == [booked]

        moved = await client.update_booking(booked.booking_id, start=later, party_size=2)
        assert isinstance(moved, Booked)
        assert moved.slot.start_s == slot.start_s + 3600
        assert (moved.slot.party_size, moved.slot.duration_s) == (2, 1800)
        cancelled = await client.cancel_booking(booked.booking_id)
        assert isinstance(cancelled, Booked)
        assert await client.get_booking_status(booked.booking_id) is BookingStatus.CANCELED
        refused = await client.update_booking(booked.booking_id, status=BookingStatus.NO_SHOW)
        assert isinstance(refused, Refused)
        assert refused.cause == "BOOKING_ALREADY_CANCELLED"


async def test_operators_look_extend_and_release(service: Service) -> None:
    """A lease is shown, held longer and given back; what cannot be any more is a refusal."""
    slot = slot_of("dee")
    async with client_of(service) as client, operators_of(service) as operators:
        held = await client.create_lease(slot, soon(timedelta(minutes=1)))
        assert isinstance(held, Held)
        shown = await operators.get_lease(held.lease_id)
        assert (shown.slot, shown.spot, shown.state) == (slot, 1, LeaseState.HELD)
        assert (shown.reference, shown.expires_at) == (held.reference, held.expires_at)
        assert timedelta(seconds=30) < shown.remaining <= timedelta(minutes=1)
        assert shown.json()["lease_id"] == held.lease_id
        inspected = await operators.inspect_slot(slot)
        assert inspected.spot_count == 1
        assert inspected.spots == (Spot(1, held.lease_id, "", held.expires_at),)

        extended = await operators.extend_lease(held.lease_id, soon(), "INC-1")
        assert isinstance(extended, Extended)
        assert extended.expires_at > held.expires_at
        assert extended.renew_at
        assert extended.renew_at < extended.expires_at < extended.latest_expires_at
        released = await operators.release_lease(held.lease_id, "INC-2")
        again = await operators.release_lease(held.lease_id, "INC-3")
        assert isinstance(released, Released)
        assert (again, released.reason) == (released, "INC-2")
        refused = await operators.extend_lease(held.lease_id, soon(), "INC-4")
        assert refused == Refused("LEASE_RELEASED", "The lease was given back.")

        (found,) = [
            it async for it in operators.list_leases("salon-1", states=[LeaseState.RELEASED])
        ]
        kinds = [(event.kind, event.reason) for event in found.history]
        assert kinds == [("created", ""), ("extended", "INC-1"), ("released", "INC-2")]


async def test_list_leases_yields_those_of_all_pages_once(service: Service) -> None:
    """Several pages are one iteration, and a range of expiries limits it."""
    count = 700
    async with client_of(service, timeout_s=30) as client, operators_of(service) as operators:
        slots = [slot_of(f"s-{number}", "salon-2") for number in range(count)]
        await asyncio.gather(*(client.create_lease(slot, soon()) for slot in slots))

        leases = [lease async for lease in operators.list_leases("salon-2")]
        asked = operators.list_leases("salon-2", expires=Span(soon(2 * FIVE_MINUTES)))
        late = [lease async for lease in asked]

    assert len({lease.lease_id for lease in leases}) == len(leases) == count
    assert late == []


async def test_a_request_at_fault_raises_every_field_and_the_reason(service: Service) -> None:
    """The error carries the server's reason, its details and the id of the request in its log."""
    async with client_of(service) as client:
        with pytest.raises(CallError) as caught:
            await client.create_lease(slot_of("e\tf", "x" * 256), soon())
        with pytest.raises(CallError, match="No such lease is remembered") as unknown:
            await client.create_booking(slot_of("eve"), ADA, lease_id="salon-1.nothing")

    error = caught.value
    assert (error.code, error.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
    assert {violation.field for violation in error.violations} == {
        "lease.slot.merchant_id",
        "lease.slot.resources.staff_id",
    }
    assert error.request_id
    poll("it is logged", lambda: error.request_id in service.log_text())
    assert (unknown.value.code, unknown.value.reason) == ("NOT_FOUND", "LEASE_UNKNOWN")
    assert error.is_callers_fault
    assert unknown.value.is_callers_fault
    assert not isinstance(error, NoAnswerError)
    for text in (str(unknown.value), repr(ADA), service.log_text()):
        assert ADA.email not in text
        assert ADA.given_name not in text


async def test_a_time_without_a_zone_is_refused(service: Service) -> None:
    """It is no moment: this machine's zone and UTC would both be guesses."""
    naive = datetime.now(UTC).replace(tzinfo=None)
    async with client_of(service) as client:
        with pytest.raises(ValueError, match="needs its zone"):
            await client.create_lease(slot_of("flo"), naive)
    with pytest.raises(ValueError, match="needs its zone"):
        slot_at("salon-1", "haircut", naive, FIVE_MINUTES)
    with pytest.raises(ValueError, match="whole seconds"):
        slot_at("salon-1", "haircut", soon().replace(microsecond=1), FIVE_MINUTES)


async def test_a_client_outside_async_with_says_so(service: Service) -> None:
    """A channel is opened on entering and closed on leaving."""
    client = client_of(service)
    with pytest.raises(RuntimeError, match="inside `async with`"):
        await client.list_bookings("ada")
    async with client:
        pass
    with pytest.raises(RuntimeError, match="inside `async with`"):
        await client.list_bookings("ada")
