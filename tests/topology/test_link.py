"""The link to a store that is slow, cut off, or forgetful."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from tests.backends import TERMS, Backend, client_of, soon
from tests.proxy import Proxy
from tests.servers import RedisServer

from leasehold.model import ids
from leasehold.model.deadline import Deadline
from leasehold.model.errors import DeadlinePassedError, StoreTrouble, StoreUnavailableError
from leasehold.model.lease import CreateLease, CreateLeaseOutcome, CreateLeaseStatus
from leasehold.store.link import Link
from leasehold.store.redis_store import RedisStore

TIMEOUT_S = 0.3


@pytest.fixture
async def patient(proxy: Proxy, direct: Backend) -> AsyncIterator[Backend]:
    """The store through the proxy, with all the time in the world."""
    client = client_of(proxy.url)
    yield replace(direct, redis=client)
    await client.aclose()


@pytest.fixture
async def behind(proxy: Proxy, direct: Backend) -> AsyncIterator[Backend]:
    """The store as the service sees it through the proxy, with one repeat."""
    client = client_of(proxy.url, timeout_s=TIMEOUT_S)
    yield replace(direct, redis=client, retries=1)
    await client.aclose()


async def warm_up(backend: Backend) -> None:
    """Connect, and let the store learn the script, so that the next reply is the script's own."""
    await backend.create_lease(await backend.slot(merchant_id="warm-up"), for_ms=200)


async def test_lost_reply_is_asked_for_again_and_finds_its_lease(
    proxy: Proxy, direct: Backend, behind: Backend
) -> None:
    """A reply lost after the script has run: the repeat gets the same lease, and one key stands."""
    slot = await direct.slot()
    command = CreateLease(slot, "r", await direct.now_ms() + 60_000)
    await warm_up(behind)
    proxy.drop_replies(1)

    outcome = await behind.store().create_lease(command, soon())

    assert outcome == CreateLeaseOutcome(CreateLeaseStatus.REPLAYED, command.asked_expires_ms)
    assert len(await direct.dump()) == 2
    assert await direct.owner(slot) == f"lease {ids.lease_suffix('r')}"


async def test_lost_reply_without_repeats_leaves_the_lease_to_its_reference(
    proxy: Proxy, direct: Backend, behind: Backend
) -> None:
    """When nobody asks again at once, the lease waits for its own reference to come back."""
    slot = await direct.slot()
    command = CreateLease(slot, "r", await direct.now_ms() + 60_000)
    once = replace(behind, retries=0)
    await warm_up(once)
    proxy.drop_replies(1)

    with pytest.raises(StoreUnavailableError) as caught:
        await once.store().create_lease(command, soon())
    assert caught.value.trouble is StoreTrouble.UNREACHABLE

    repeat = await once.store().create_lease(command, soon())
    assert repeat == CreateLeaseOutcome(CreateLeaseStatus.REPLAYED, command.asked_expires_ms)


async def test_a_store_gone_dark_is_given_up_within_the_budget(
    proxy: Proxy, direct: Backend, behind: Backend
) -> None:
    """Commands that get no answer end as UNREACHABLE once every try has had its time."""
    command = CreateLease(await direct.slot(), "r", await direct.now_ms() + 60_000)
    await behind.store().ping(soon())
    proxy.hold()
    started_s = time.monotonic()

    with pytest.raises(StoreUnavailableError) as caught:
        await behind.store().create_lease(command, soon())

    assert caught.value.trouble is StoreTrouble.UNREACHABLE
    # Two tries, each with its time to connect and its time to answer, and a pause.
    assert time.monotonic() - started_s < 2 * 2 * TIMEOUT_S + 1


async def test_the_deadline_cuts_a_call_short(
    proxy: Proxy, direct: Backend, behind: Backend
) -> None:
    """The time that the caller has left ends the wait before our own limits do."""
    command = CreateLease(await direct.slot(), "r", await direct.now_ms() + 60_000)
    await behind.store().ping(soon())
    proxy.hold()
    started_s = time.monotonic()

    with pytest.raises(DeadlinePassedError):
        await behind.store().create_lease(command, Deadline.within(0.1, None))

    assert time.monotonic() - started_s < TIMEOUT_S


async def test_a_call_whose_deadline_has_passed_is_not_sent(
    direct: Backend, behind: Backend
) -> None:
    """What is already too late changes nothing in the store."""
    command = CreateLease(await direct.slot(), "r", await direct.now_ms() + 60_000)

    with pytest.raises(DeadlinePassedError):
        await behind.store().create_lease(command, Deadline.within(0, None))

    assert await direct.dump() == {}


async def test_a_grant_that_has_run_out_on_its_way_is_no_grant(
    proxy: Proxy, direct: Backend, patient: Backend
) -> None:
    """A hold shorter than its own answer took is reported as trouble, not as a lease."""
    slot = await direct.slot()
    command = CreateLease(slot, "r", await direct.now_ms() + 250)
    store = patient.store()
    await store.ping(soon())
    proxy.hold_replies()
    asked = asyncio.create_task(store.create_lease(command, soon()))
    await direct.wait_until(command.asked_expires_ms + 1)
    proxy.release()

    with pytest.raises(StoreUnavailableError) as caught:
        await asked

    assert caught.value.trouble is StoreTrouble.ANSWERED_TOO_LATE


async def test_cancelled_calls_never_shift_the_replies_of_others(
    proxy: Proxy, direct: Backend
) -> None:
    """Callers that leave while their answers are on the way leave every other one its own."""
    connections = 4
    client = client_of(proxy.url, connections=connections)
    store = RedisStore(Link(client, retries=0), TERMS)
    slots = [await direct.slot(room_id=str(number)) for number in range(24)]
    until_ms = await direct.now_ms() + 60_000

    async def ask(number: int) -> CreateLeaseOutcome:
        command = CreateLease(slots[number], f"r-{number}", until_ms + number)
        return await store.create_lease(command, soon())

    for first in range(0, 24, connections):
        # Few connections, all of them open: a reply left behind would meet the next caller.
        await asyncio.gather(*(store.ping(soon()) for _ in range(connections)))
        proxy.hold_replies()
        numbers = range(first, first + connections)
        tasks = [asyncio.create_task(ask(number)) for number in numbers]
        async with asyncio.timeout(10):
            while None in [await direct.owner(slots[number]) for number in numbers]:
                await asyncio.sleep(0.001)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.sleep(0)
        proxy.release()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        for number, outcome in zip(numbers[1::2], outcomes[1::2], strict=True):
            assert isinstance(outcome, CreateLeaseOutcome)
            assert outcome.expires_at_ms == until_ms + number

    again = await asyncio.gather(*(ask(number) for number in range(24)))
    assert [outcome.expires_at_ms - until_ms for outcome in again] == list(range(24))
    await client.aclose()


async def test_more_callers_than_connections_wait_their_turn(
    valkey: RedisServer, direct: Backend
) -> None:
    """Ten times as many callers as connections are all served."""
    client = client_of(valkey.url, connections=4)
    store = RedisStore(Link(client, retries=0), TERMS)
    until_ms = await direct.now_ms() + 60_000
    slot = await direct.slot()

    outcomes = await asyncio.gather(
        *(store.create_lease(CreateLease(slot, f"r-{n}", until_ms), soon()) for n in range(200))
    )
    await client.aclose()

    assert [outcome.status for outcome in outcomes].count(CreateLeaseStatus.CREATED) == 1


async def test_scripts_flushed_between_any_two_calls_are_loaded_again(direct: Backend) -> None:
    """SCRIPT FLUSH, again and again, beside calls from many callers: nobody notices."""
    store = direct.store()
    until_ms = await direct.now_ms() + 60_000
    slots = [await direct.slot(room_id=str(number)) for number in range(40)]

    async def ask(number: int) -> CreateLeaseOutcome:
        if number % 2:
            await direct.redis.script_flush()
        return await store.create_lease(CreateLease(slots[number], f"r-{number}", until_ms), soon())

    outcomes = await asyncio.gather(*(ask(number) for number in range(40)))

    assert {outcome.status for outcome in outcomes} == {CreateLeaseStatus.CREATED}
