import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from grpc import ChannelConnectivity
from tests.callers import until
from tests.clients import (
    ADA,
    FIVE_MINUTES,
    asked,
    client_of,
    operators_of,
    port_of,
    slot_of,
)
from tests.proxy import Proxy, proxy_to
from tests.service import Service

from leasehold.client import (
    Booked,
    BookingStatus,
    Client,
    Extended,
    Hold,
    LeaseState,
    NoAnswerError,
    Operators,
    Refused,
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


@asynccontextmanager
async def without_answers(service: Service) -> AsyncIterator[tuple[Client, Proxy]]:
    """Yield a client that gets no answer to its calls, and what keeps its calls to operators."""
    async with proxy_to(port_of(service.told["operator_listen"])) as proxy:
        operators = Operators(f"127.0.0.1:{proxy.port}", timeout_s=30)
        async with (
            proxy_to(port_of(service.address)) as partners,
            Client(f"127.0.0.1:{partners.port}", operators=operators, timeout_s=1) as client,
        ):
            await client.check_availability(slot_of("connected"))
            partners.hold_replies()
            proxy.hold()
            yield client, proxy


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
            proxy.release()
            with pytest.raises(asyncio.CancelledError):
                await asking
            assert (await shown(service, lease.lease_id)).state is LeaseState.RELEASED


async def test_hold_cancelled_while_create_lease_is_on_its_way_holds_nothing(
    service: Service,
) -> None:
    """A release that overtakes the request would be of no use: the request is finished first."""
    slots = [slot_of(staff, "salon-fay") for staff in ("fay", "gil", "hue")]
    async with proxy_to(port_of(service.address)) as proxy:
        partner = f"127.0.0.1:{proxy.port}"
        async with Client(partner, operators=operators_of(service)) as client:
            for slot in slots:
                await client.check_availability(slot)
                proxy.hold()
                asking = asyncio.create_task(client.hold(slot, FIVE_MINUTES).__aenter__())
                await until("the request is on its way", lambda: proxy.waiting > 0)
                asking.cancel()
                await asyncio.sleep(0)
                proxy.release()
                with pytest.raises(asyncio.CancelledError):
                    await asking
                assert await client.check_availability(slot) == 1

    leases = await leases_of(service, "salon-fay")
    assert {lease.state for lease in leases} == {LeaseState.RELEASED}
    assert len(leases) == len(slots)


async def test_hold_cancelled_without_an_answer_ends_within_its_time(service: Service) -> None:
    """CancelledError waits for the release as long as for an answer, and closing for the rest."""
    slot = slot_of("gia", "salon-gia")
    async with without_answers(service) as (client, proxy):
        asking = asyncio.create_task(client.hold(slot, FIVE_MINUTES).__aenter__())
        (lease,) = await leases_of(service, "salon-gia")
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert (await shown(service, lease.lease_id)).state is LeaseState.HELD
        proxy.release()
    assert (await shown(service, lease.lease_id)).state is LeaseState.RELEASED


@pytest.mark.parametrize("is_cancelled", [True, False], ids=["cancelled", "in vain"])
async def test_hold_that_was_never_sent_asks_for_no_release(
    service: Service, *, is_cancelled: bool
) -> None:
    """Where no partner listener answers, the operators' listener is not called."""
    async with proxy_to(port_of(service.told["operator_listen"])) as proxy:
        operators = Operators(f"127.0.0.1:{proxy.port}", timeout_s=30)
        async with Client(NOBODY, operators=operators, timeout_s=0.3) as client:
            asking = asyncio.create_task(client.hold(slot_of("hua"), FIVE_MINUTES).__aenter__())
            if is_cancelled:
                channel = client._connection._channel
                while not channel or channel.get_state() is ChannelConnectivity.IDLE:
                    await asyncio.sleep(0)
                asking.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await asking
            else:
                with pytest.raises(NoAnswerError) as caught:
                    await asking
                assert not caught.value.may_have_arrived
        assert proxy.connections == 0


async def test_hold_without_an_answer_waits_for_no_release(service: Service) -> None:
    """The time of the call is kept: its error comes before the release, which goes on."""
    slot = slot_of("iva", "salon-iva")
    async with without_answers(service) as (client, proxy):
        with pytest.raises(NoAnswerError) as caught:
            await client.hold(slot, FIVE_MINUTES).__aenter__()
        assert caught.value.may_have_arrived
        (lease,) = await leases_of(service, "salon-iva")
        assert lease.state is LeaseState.HELD
        proxy.release()
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


async def run_out(service: Service, hold: Hold) -> None:
    """Wait until a hold has ended by itself."""
    async with asyncio.timeout(20):
        while (await shown(service, hold.lease_id)).state is not LeaseState.EXPIRED:
            await asyncio.sleep(0.01)


async def test_book_after_the_hold_has_run_out_books_a_free_slot_directly(service: Service) -> None:
    """A payment that comes late is no reason to lose the slot; booked twice it is one booking."""
    soon_over = timedelta(seconds=1.5)
    async with client_of(service) as client:
        async with client.hold(slot_of("gwen"), soon_over) as hold:
            await run_out(service, hold)
            booked = await hold.book(ADA)
            assert await hold.book(ADA) == booked
        assert isinstance(booked, Booked)
        assert await client.get_booking_status(booked.booking_id) is BookingStatus.CONFIRMED
        assert await client.check_availability(hold.slot) == 0


async def test_book_after_the_hold_has_run_out_is_refused_when_the_slot_is_taken(
    service: Service,
) -> None:
    """What another caller has got meanwhile stays with that caller."""
    slot, soon_over = slot_of("gail"), timedelta(seconds=1.5)
    async with client_of(service) as client, client.hold(slot, soon_over) as late:
        await run_out(service, late)
        async with client.hold(slot, FIVE_MINUTES):
            refused = await late.book(ADA)
    assert isinstance(refused, Refused)
    assert refused.cause == "SLOT_UNAVAILABLE"
    assert late.booking is None


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
        await run_out(service, hold)


async def test_hold_is_extended(service: Service) -> None:
    """It is held for so long from now, and knows its new end."""
    minute, slot = timedelta(minutes=1), slot_of("kim")
    async with client_of(service) as client, client.hold(slot, minute) as hold:
        before = hold.expires_at
        extended = await hold.extend(FIVE_MINUTES)
        assert isinstance(extended, Extended)
        assert before < hold.expires_at == extended.expires_at
