import asyncio
from datetime import timedelta

import pytest
from tests.clients import (
    ADA,
    FIVE_MINUTES,
    asked,
    client_of,
    operators_of,
    port_of,
    slot_of,
)
from tests.proxy import proxy_to
from tests.service import Service

from leasehold.client import (
    Booked,
    BookingStatus,
    Client,
    Extended,
    LeaseState,
    NoAnswerError,
    Operators,
    RefusedError,
    ShownLease,
)

NOBODY = "127.0.0.1:1"


async def shown(service: Service, lease_id: str) -> ShownLease:
    """Return what has become of a lease."""
    async with operators_of(service) as operators:
        return await operators.get_lease(lease_id)


async def leases_of(service: Service, merchant: str) -> list[ShownLease]:
    """Return the leases of a merchant of the test's own, once there are any."""
    async with operators_of(service) as operators, asyncio.timeout(20):
        while not (found := [each async for each in operators.list_leases(merchant)]):
            await asyncio.sleep(0.01)
    return found


async def test_hold_is_given_back_on_leaving(service: Service) -> None:
    """The slot is held inside the block and free after it, and the history says why."""
    slot = slot_of("anna")
    async with client_of(service) as client:
        async with client.hold(slot, FIVE_MINUTES) as hold:
            assert await client.check_availability(slot) == 0
        assert await client.check_availability(slot) == 1

    lease = await shown(service, hold.lease_id)
    assert lease.state is LeaseState.RELEASED
    assert lease.history[-1].reason == "its holder left without booking"
    assert hold.release_error is None


async def test_hold_is_given_back_when_the_block_raises(service: Service) -> None:
    """The block's own exception comes out, and the slot is free."""
    async with client_of(service) as client:
        with pytest.raises(KeyError, match="card"):
            async with client.hold(slot_of("bo"), FIVE_MINUTES) as hold:
                raise KeyError("card")

    assert (await shown(service, hold.lease_id)).state is LeaseState.RELEASED


async def test_hold_is_given_back_when_the_block_is_cancelled(service: Service) -> None:
    """A customer who leaves is a task that is cancelled: the slot is free at once."""
    holding: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with client_of(service) as client:

        async def wait_for_the_customer() -> None:
            async with client.hold(slot_of("cy"), FIVE_MINUTES) as hold:
                holding.set_result(hold.lease_id)
                await asyncio.Event().wait()

        task = asyncio.create_task(wait_for_the_customer())
        lease_id = await holding
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await shown(service, lease_id)).state is LeaseState.RELEASED


async def test_hold_is_given_back_even_when_leaving_is_cancelled(service: Service) -> None:
    """A second cancellation ends the wait, not the release; closing the client waits for it."""
    holding: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with proxy_to(port_of(service.told["operator_listen"])) as proxy:
        operators = Operators(f"127.0.0.1:{proxy.port}", timeout_s=20)
        async with Client(service.address, operators=operators) as client:

            async def wait_for_the_customer() -> None:
                async with client.hold(slot_of("dee"), FIVE_MINUTES) as hold:
                    holding.set_result(hold.lease_id)
                    await asyncio.Event().wait()

            task = asyncio.create_task(wait_for_the_customer())
            lease_id = await holding
            proxy.hold()
            task.cancel()
            async with asyncio.timeout(20):
                while not proxy.open:
                    await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert (await shown(service, lease_id)).state is LeaseState.HELD
            proxy.release()
        assert (await shown(service, lease_id)).state is LeaseState.RELEASED


async def test_hold_cancelled_before_its_answer_is_given_back(service: Service) -> None:
    """Whoever leaves while the grant is on its way holds nothing either."""
    slot = slot_of("eve", "salon-eve")
    async with proxy_to(port_of(service.address)) as proxy:
        partner = f"127.0.0.1:{proxy.port}"
        async with Client(partner, operators=operators_of(service)) as client:
            await client.check_availability(slot)
            proxy.hold_replies()
            asking = asyncio.create_task(client.hold(slot, FIVE_MINUTES).__aenter__())
            (lease,) = await leases_of(service, "salon-eve")
            assert lease.state is LeaseState.HELD
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            assert (await shown(service, lease.lease_id)).state is LeaseState.RELEASED


async def test_hold_without_an_answer_is_given_back(service: Service) -> None:
    """What may have been granted all the same is not left to hold the slot until its expiry."""
    slot = slot_of("ivy", "salon-ivy")
    async with proxy_to(port_of(service.address)) as proxy:
        partner = f"127.0.0.1:{proxy.port}"
        async with Client(partner, operators=operators_of(service), timeout_s=1) as client:
            await client.check_availability(slot)
            proxy.hold_replies()
            with pytest.raises(NoAnswerError):
                await client.hold(slot, FIVE_MINUTES).__aenter__()

    (lease,) = await leases_of(service, "salon-ivy")
    assert lease.state is LeaseState.RELEASED


async def test_a_booked_hold_is_not_given_back(service: Service) -> None:
    """The booking stands after leaving; booked twice it is the same one."""
    slot, released = slot_of("flo"), asked(service, "ReleaseLease")
    async with client_of(service) as client:
        async with client.hold(slot, FIVE_MINUTES) as hold:
            booked = await hold.book(ADA)
            assert await hold.book(ADA) == booked
        assert isinstance(booked, Booked)
        assert await client.get_booking_status(booked.booking_id) is BookingStatus.CONFIRMED
        assert hold.booking == booked

    assert asked(service, "ReleaseLease") == released
    lease = await shown(service, hold.lease_id)
    assert (lease.state, lease.booking_id) == (LeaseState.CONSUMED, booked.booking_id)


async def test_a_hold_whose_booking_had_no_answer_keeps_the_booking(service: Service) -> None:
    """What the block does not know to be booked is released, which leaves a booking alone."""
    async with proxy_to(port_of(service.address)) as proxy:
        operators = operators_of(service)
        partner = f"127.0.0.1:{proxy.port}"
        async with (
            Client(partner, operators=operators, timeout_s=1) as client,
            client.hold(slot_of("gus"), FIVE_MINUTES) as hold,
        ):
            proxy.hold_replies()
            with pytest.raises(NoAnswerError) as caught:
                await hold.book(ADA)
            assert hold.booking is None
    assert caught.value.reference
    assert (await shown(service, hold.lease_id)).state is LeaseState.CONSUMED


async def test_hold_of_a_taken_slot_raises_its_refusal(service: Service) -> None:
    """There is nothing to hold, so the block is not entered."""
    slot = slot_of("hal")
    async with client_of(service) as client, client.hold(slot, FIVE_MINUTES) as hold:
        with pytest.raises(RefusedError, match="SLOT_UNAVAILABLE") as caught:
            async with client.hold(slot, FIVE_MINUTES):
                pytest.fail("held twice")
        assert caught.value.refused.cause == "SLOT_UNAVAILABLE"
        assert (await shown(service, hold.lease_id)).state is LeaseState.HELD


async def test_hold_that_cannot_be_given_back_hides_no_exception(service: Service) -> None:
    """The block's exception comes out; why the slot is held until its expiry can be looked up."""
    operators = Operators(NOBODY, timeout_s=0.3)
    async with Client(service.address, operators=operators) as client:
        with pytest.raises(KeyError):
            async with client.hold(slot_of("ida"), FIVE_MINUTES) as hold:
                raise KeyError
        assert isinstance(hold.release_error, NoAnswerError)


async def test_hold_without_operators_ends_by_itself(service: Service) -> None:
    """Who may not release leaves the slot to its expiry."""
    async with Client(service.address) as client:
        async with client.hold(slot_of("jo"), timedelta(seconds=1.5)) as hold:
            pass
        assert (await shown(service, hold.lease_id)).state is LeaseState.HELD
        async with asyncio.timeout(20):
            while (await shown(service, hold.lease_id)).state is not LeaseState.EXPIRED:
                await asyncio.sleep(0.01)


async def test_hold_is_extended(service: Service) -> None:
    """It is held for so long from now, and knows its new end."""
    minute, slot = timedelta(minutes=1), slot_of("kim")
    async with client_of(service) as client, client.hold(slot, minute) as hold:
        before = hold.expires_at
        extended = await hold.extend(FIVE_MINUTES)
        assert isinstance(extended, Extended)
        assert before < hold.expires_at == extended.expires_at
