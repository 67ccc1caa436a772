import asyncio
import time
from collections.abc import Iterator

import grpc
import pytest
from tests.callers import until
from tests.clients import ADA, asked, client_of, logged, port_of, slot_of, soon
from tests.proxy import Proxy, proxy_to
from tests.servers import RedisServer, free_port, running
from tests.service import Service, serving

from leasehold.client import Booked, CallError, Client, Held, NoAnswerError, Refused
from leasehold.client.connection import wait_before_retry_s


@pytest.fixture
def store() -> Iterator[RedisServer]:
    """A store that is not started yet."""
    store = RedisServer("valkey9")
    yield store
    store.__exit__(None, None, None)


@pytest.fixture
def without_store(store: RedisServer) -> Iterator[Service]:
    """A service that waits for its store: it asks callers to come back after a second."""
    with serving(REDIS_URL=store.url) as service:
        yield service


def client_by(proxy: Proxy, timeout_s: float) -> Client:
    """Return a client of the partner listener behind a proxy."""
    return Client(f"127.0.0.1:{proxy.port}", timeout_s=timeout_s)


@pytest.mark.parametrize("operation", ["CreateLease", "CreateBooking"])
async def test_a_lost_reply_is_asked_for_again_with_the_same_name(
    service: Service, operation: str
) -> None:
    """The connection breaks after the grant: the repeat gets it, and nothing is held twice."""
    slot = slot_of("anna", f"salon-{operation}")
    async with proxy_to(port_of(service.address)) as proxy, client_by(proxy, 20) as client:
        await client.check_availability(slot)
        before = len(logged(service, operation))
        proxy.hold_replies()
        asking: asyncio.Task[object] = asyncio.create_task(
            client.create_lease(slot, soon())
            if operation == "CreateLease"
            else client.create_booking(slot, ADA)
        )
        await until("it is granted", lambda: len(logged(service, operation)) > before)
        proxy.cut()
        proxy.release()
        answer = await asking

    await until("both are logged", lambda: len(logged(service, operation)) == before + 2)
    first, second = logged(service, operation)[before:]
    assert (first["outcome"], second["outcome"]) == ("created", "replayed")
    assert isinstance(answer, (Held, Booked))
    assert first["lease_id" if operation == "CreateLease" else "booking_id"] in str(answer)


async def test_a_broken_connection_is_replaced(service: Service) -> None:
    """A client outlives its connections."""
    async with proxy_to(port_of(service.address)) as proxy:
        async with client_by(proxy, 5) as client:
            for staff in ("bo", "cy", "dee"):
                assert isinstance(await client.create_lease(slot_of(staff), soon()), Held)
                proxy.cut()
        assert proxy.connections >= 3


async def test_a_service_that_comes_back_is_found_within_the_deadline(valkey: RedisServer) -> None:
    """Nobody listens at first: the call is tried until somebody does."""
    port = free_port()
    async with Client(f"127.0.0.1:{port}", timeout_s=30) as client:
        asking = asyncio.create_task(client.create_lease(slot_of("eve"), soon()))
        await asyncio.sleep(0)
        with serving(REDIS_URL=valkey.url, LISTEN=f"127.0.0.1:{port}"):
            assert isinstance(await asking, Held)


async def test_a_call_that_the_service_ends_is_asked_again() -> None:
    """A drain that runs out of time cancels calls; that is no cancellation of the caller's."""
    port = free_port()
    settings = {"LISTEN": f"127.0.0.1:{port}", "REDIS_TIMEOUT_S": "30", "CALL_TIMEOUT_S": "30"}
    with running("valkey9") as store:
        async with Client(f"127.0.0.1:{port}", timeout_s=30) as client:
            with serving(REDIS_URL=store.url, DRAIN_GRACE_S="0", **settings) as service:
                await client.check_availability(slot_of("flo"))
                store.pause()
                asking = asyncio.create_task(client.create_lease(slot_of("flo"), soon()))
                await until("it is asked", lambda: asked(service, "CreateLease") == 1)
                await asyncio.to_thread(service.stop)
                assert logged(service, "CreateLease")[-1]["code"] == "CANCELLED"
            store.resume()
            with serving(REDIS_URL=store.url, **settings):
                assert isinstance(await asking, Held)


async def test_a_full_service_is_asked_again_when_it_says() -> None:
    """RESOURCE_EXHAUSTED with RetryInfo is no answer yet: both callers get their slots."""
    settings = {"MAX_CONCURRENT_CALLS": "1", "REDIS_TIMEOUT_S": "30", "CALL_TIMEOUT_S": "30"}
    with running("valkey9") as store, serving(REDIS_URL=store.url, **settings) as service:
        async with client_of(service, timeout_s=30) as client:
            store.pause()
            first = asyncio.create_task(client.create_lease(slot_of("leo"), soon()))
            await until("one is handled", lambda: asked(service, "CreateLease") == 1)
            second = asyncio.create_task(client.create_lease(slot_of("mia"), soon()))
            await until("one is refused", lambda: '"OVERLOADED"' in service.log_text())
            assert not second.done()
            store.resume()
            assert isinstance(await first, Held)
            assert isinstance(await second, Held)


async def test_the_time_that_the_service_asks_for_is_waited(without_store: Service) -> None:
    """RetryInfo says a second: in 2.9 seconds there are three tries, and no more."""
    async with client_of(without_store, timeout_s=2.9) as client:
        with pytest.raises(NoAnswerError) as caught:
            await client.create_lease(slot_of("gus"), soon())

    assert caught.value.reason == "STORE_UNREACHABLE"
    assert asked(without_store, "CreateLease") in (2, 3)


async def test_a_wait_beyond_the_deadline_is_not_begun(
    without_store: Service, store: RedisServer
) -> None:
    """The last error is raised at once, and tells when and with what name to come back."""
    async with client_of(without_store, timeout_s=0.9) as client:
        with pytest.raises(NoAnswerError) as caught:
            await client.create_lease(slot_of("hal"), soon())
    assert asked(without_store, "CreateLease") == 1
    assert caught.value.retry_after_s == 1

    store.start()
    async with client_of(without_store, timeout_s=20) as client:
        held = await client.create_lease(slot_of("hal"), soon(), reference=caught.value.reference)
    assert isinstance(held, Held)
    assert held.reference == caught.value.reference


async def test_the_deadline_is_kept_when_nobody_answers(service: Service) -> None:
    """A network that has gone dark costs the time of one call, and no more."""
    slot = slot_of("kim")
    async with proxy_to(port_of(service.address)) as proxy, client_by(proxy, 0.5) as client:
        await client.check_availability(slot)
        proxy.hold()
        started_at_s = time.monotonic()
        with pytest.raises(NoAnswerError) as caught:
            await client.check_availability(slot)
    assert caught.value.code == "DEADLINE_EXCEEDED"
    assert time.monotonic() - started_at_s < 3


async def test_an_answer_is_asked_for_once(service: Service) -> None:
    """A refusal of business and a request at fault are answers."""
    slot = slot_of("ida")
    async with client_of(service) as client:
        await client.create_lease(slot, soon())
        before = asked(service, "CreateLease")
        assert isinstance(await client.create_lease(slot, soon()), Refused)
        with pytest.raises(CallError):
            await client.create_lease(slot, soon(), reference="a\nb")
    assert asked(service, "CreateLease") - before == 2


async def test_a_change_of_a_booking_is_asked_once_and_a_cancellation_again(
    without_store: Service,
) -> None:
    """Repeated, a change would undo somebody else's; a cancellation changes nothing more."""
    booking_id = "salon-1.0000000000000000000000000A"
    async with client_of(without_store, timeout_s=2.5) as client:
        with pytest.raises(NoAnswerError):
            await client.update_booking(booking_id, start=soon().replace(microsecond=0))
        assert asked(without_store, "UpdateBooking") == 1
        with pytest.raises(NoAnswerError):
            await client.cancel_booking(booking_id)
        assert asked(without_store, "UpdateBooking") > 2


@pytest.mark.parametrize("code", grpc.StatusCode)
def test_what_is_asked_again(code: grpc.StatusCode) -> None:
    """Trouble that passes, always; a full queue and lost time, when the service says when."""
    error = CallError("", code.name)
    waits = [wait_before_retry_s(error, attempt) for attempt in range(2000)]
    error.retry_after_s = 3.0
    asked = wait_before_retry_s(error, 0)

    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
        assert all(wait is not None and 0.02 < wait <= 1 for wait in waits)
    else:
        assert set(waits) == {None}
    if code.name in ("UNAVAILABLE", "CANCELLED", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"):
        assert asked is not None
        assert 3 <= asked <= 3.5
    else:
        assert asked is None
