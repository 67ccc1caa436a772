"""Many commands in flight on few connections: order, limits, deadlines, scripts."""

import asyncio
import random
import tempfile
import time
from collections import Counter
from typing import Any, cast

import pytest
from tests.backends import Backend, Counts, link_to, real_backend, soon
from tests.proxy import Proxy
from tests.servers import PROBER, RedisServer, as_prober, running
from tests.topology.conftest import TIMEOUT_S, through, until

from leasehold.model.deadline import Deadline
from leasehold.model.errors import DeadlinePassedError, OverloadedError, StoreUnavailableError
from leasehold.model.lease import CreateLease, CreateLeaseOutcome, CreateLeaseStatus
from leasehold.store.link import Link

Status = CreateLeaseStatus


async def echo(link: Link, text: str, deadline: Deadline | None = None) -> Any:
    """Ask for something to which only one answer is right."""
    return await link.read("ECHO", text, deadline=deadline or soon())


async def a_command(direct: Backend) -> CreateLease:
    """Return a command that leaves something behind if it is sent but once, and to the end."""
    await direct.create_lease(await direct.slot(merchant_id="warm-up"))
    return CreateLease(await direct.slot(), "r", await direct.now_ms() + 60_000)


async def test_link_commands_of_one_turn_are_written_in_one_go(direct: Backend) -> None:
    """What one turn of the event loop asks reaches Redis in one read, on one connection."""
    await direct.link.ping(soon())
    before = (await direct.redis.info("stats"))["total_reads_processed"]

    answers = await asyncio.gather(*(echo(direct.link, f"{number}") for number in range(100)))

    after = (await direct.redis.info("stats"))["total_reads_processed"]
    assert answers == [f"{number}" for number in range(100)]
    # One for the hundred, one for the question itself.
    assert after - before == 2


@pytest.mark.parametrize("connections", [1, 3])
async def test_link_more_callers_than_connections_share_them(connections: int) -> None:
    """However many callers there are, the connections are as many as the setting says."""
    with running("valkey9") as server:
        async with link_to(as_prober(server.url), connections=connections) as link:
            answers = await asyncio.gather(*(echo(link, f"{number}") for number in range(500)))
            assert len(server.links()) == connections

    assert answers == [f"{number}" for number in range(500)]


async def test_link_cancelled_at_random_through_a_slow_proxy_keeps_replies_in_step(
    proxy: Proxy, direct: Backend
) -> None:
    """Callers leave at any moment, or run out of time: every other one gets its own answer."""
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    print(f"seed {seed}")
    proxy.slow_down(chance)
    async with through(proxy, direct, connections=2, timeout_s=20, connect_timeout_s=20) as behind:

        async def call(number: int) -> Any:
            for _ in range(chance.randrange(20)):
                await asyncio.sleep(0)
            time_s = chance.choice((0.01, 0.03, 20, 20))
            return await echo(behind.link, f"answer {number}", Deadline.within(time_s, None))

        ends: Counter[str] = Counter()
        for first in range(0, 1000, 100):
            tasks = {n: asyncio.create_task(call(n)) for n in range(first, first + 100)}
            for task in tasks.values():
                if chance.random() < 0.3:
                    asyncio.get_running_loop().call_later(chance.uniform(0, 0.05), task.cancel)
            await asyncio.wait(tasks.values())
            for number, task in tasks.items():
                if task.cancelled():
                    ends["cancelled"] += 1
                elif isinstance(task.exception(), DeadlinePassedError):
                    ends["late"] += 1
                else:
                    assert task.result() == f"answer {number}"
                    ends["answered"] += 1

    print(ends)
    assert min(ends["cancelled"], ends["late"], ends["answered"]) > 50


async def test_link_cancelled_calls_leave_the_grants_of_others_alone(
    proxy: Proxy, direct: Backend
) -> None:
    """Callers that leave while their leases are on the way shift nobody else's lease."""
    slots = [await direct.slot(room_id=str(number)) for number in range(24)]
    until_ms = await direct.now_ms() + 60_000
    async with through(proxy, direct, timeout_s=20) as behind:

        async def ask(number: int) -> CreateLeaseOutcome:
            command = CreateLease(slots[number], f"r-{number}", until_ms + number)
            return await behind.store().create_lease(command, soon())

        # The store learns the script, so that the answers held back are the script's own.
        await direct.create_lease(await direct.slot(merchant_id="warm-up"))
        for first in range(0, 24, 4):
            await behind.link.ping(soon())
            proxy.hold_replies()
            numbers = range(first, first + 4)
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


async def test_link_cancelled_change_is_found_again_by_its_reference(
    proxy: Proxy, direct: Backend
) -> None:
    """A caller that leaves in mid-change wedges nothing: its reference finds what was made."""
    slot = await direct.slot()
    command = CreateLease(slot, "r", await direct.now_ms() + 60_000)
    async with through(proxy, direct, timeout_s=20) as behind:
        await direct.create_lease(await direct.slot(merchant_id="warm-up"))
        await behind.link.ping(soon())
        proxy.hold_replies()
        asked = asyncio.create_task(behind.store().create_lease(command, soon()))
        async with asyncio.timeout(10):
            while not await direct.owner(slot):
                await asyncio.sleep(0.001)
        asked.cancel()
        await asyncio.wait({asked})
        proxy.release()

        repeat = await behind.store().create_lease(command, soon())

    assert repeat == CreateLeaseOutcome(Status.REPLAYED, command.asked_expires_ms)
    assert len(await direct.dump()) == 2


async def test_link_ten_times_the_queue_limit_is_served_up_to_it_and_refused_beyond(
    proxy: Proxy, direct: Backend
) -> None:
    """Up to the limit nobody meets an error; beyond it callers are refused at once."""
    async with through(proxy, direct, max_in_flight=50, timeout_s=20) as behind:
        await behind.link.ping(soon())
        proxy.hold_replies()
        tasks = [asyncio.create_task(echo(behind.link, f"{n}")) for n in range(500)]
        await until(lambda: sum(task.done() for task in tasks) == 450)
        assert behind.link.in_flight == 50
        # Readiness must be able to tell a full queue from a dead store.
        pinged = asyncio.create_task(behind.link.ping(soon()))
        proxy.release()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        await pinged

        assert outcomes[:50] == [f"{number}" for number in range(50)]
        assert {type(outcome) for outcome in outcomes[50:]} == {OverloadedError}
        assert behind.link.in_flight == 0
        assert await echo(behind.link, "after") == "after"


async def test_link_callers_gone_keep_their_places_until_the_store_has_answered(
    proxy: Proxy, direct: Backend
) -> None:
    """A caller that leaves makes no room: its command is still in flight."""
    async with through(proxy, direct, max_in_flight=5, timeout_s=20) as behind:
        await behind.link.ping(soon())
        proxy.hold_replies()
        tasks = [asyncio.create_task(echo(behind.link, f"{n}")) for n in range(5)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

        with pytest.raises(OverloadedError):
            await echo(behind.link, "one too many")

        proxy.release()
        await until(lambda: behind.link.in_flight == 0)
        assert await echo(behind.link, "after") == "after"


async def test_link_deadline_passed_in_the_queue_is_never_sent(
    proxy: Proxy, direct: Backend
) -> None:
    """What nobody waits for any more when the connection is there changes nothing."""
    command = await a_command(direct)
    async with through(proxy, direct, connect_timeout_s=20) as behind:
        proxy.hold()
        late = asyncio.create_task(
            behind.store().create_lease(command, Deadline.within(0.05, None))
        )
        gone = asyncio.create_task(behind.store().create_lease(command, soon()))
        patient = asyncio.create_task(echo(behind.link, "patient"))
        with pytest.raises(DeadlinePassedError):
            await late
        gone.cancel()
        proxy.release()

        assert await patient == "patient"

    assert await direct.dump() == {}


async def test_link_deadline_passed_while_our_loop_stood_still_is_never_sent(
    direct: Backend,
) -> None:
    """A deadline is looked at when the command is written, not when its timer comes to run."""
    command = await a_command(direct)
    await direct.link.ping(soon())
    late = asyncio.create_task(direct.store().create_lease(command, Deadline.within(0.05, None)))
    await asyncio.sleep(0)
    time.sleep(0.1)  # noqa: ASYNC251 - the loop shall stand still

    with pytest.raises(DeadlinePassedError):
        await late

    await direct.link.ping(soon())
    assert await direct.dump() == {}


async def test_link_deadline_passed_behind_full_buffers_is_never_sent(
    proxy: Proxy, direct: Backend
) -> None:
    """While the other side takes nothing, what waits is still ours, and dropped in time."""
    command = await a_command(direct)
    async with through(proxy, direct, timeout_s=20) as behind:
        await behind.link.ping(soon())
        proxy.hold()
        # More than the buffers on the way take.
        heavy = asyncio.create_task(echo(behind.link, "x" * 20_000_000))
        await until(lambda: behind.link.in_flight == 1)
        with pytest.raises(DeadlinePassedError):
            await behind.store().create_lease(command, Deadline.within(0.1, None))
        proxy.release()
        await heavy
        await behind.link.ping(soon())

    assert await direct.dump() == {}


@pytest.mark.parametrize("left_s", [0, -1])
async def test_link_deadline_passed_before_the_call_is_never_sent(
    direct: Backend, left_s: float
) -> None:
    """What is already too late changes nothing in the store."""
    command = await a_command(direct)

    with pytest.raises(DeadlinePassedError):
        await direct.store().create_lease(command, Deadline.within(left_s, None))

    assert await direct.dump() == {}


async def test_link_scripts_flushed_between_any_two_calls_are_loaded_again(direct: Backend) -> None:
    """SCRIPT FLUSH, again and again, beside calls from many callers: nobody notices."""
    store = direct.store()
    until_ms = await direct.now_ms() + 60_000
    slots = [await direct.slot(room_id=str(number)) for number in range(40)]

    async def ask(number: int) -> CreateLeaseOutcome:
        if number % 2:
            await direct.redis.script_flush()
        return await store.create_lease(CreateLease(slots[number], f"r-{number}", until_ms), soon())

    outcomes = await asyncio.gather(*(ask(number) for number in range(40)))

    assert {outcome.status for outcome in outcomes} == {Status.CREATED}


async def test_link_script_flushed_is_sent_whole_once_and_then_by_its_sha() -> None:
    """After a flush the next call carries the source, those that follow only its name."""
    with running("valkey9") as server:
        async with real_backend(server) as backend:
            for flush in range(3):
                await backend.redis.script_flush()
                for number in range(4):
                    slot = await backend.slot(room_id=f"{flush}-{number}")
                    await backend.create_lease(slot, f"r-{flush}-{number}", for_ms=500)
            calls = await backend.redis.info("commandstats")

    assert calls["cmdstat_eval"]["calls"] == 3
    assert calls["cmdstat_evalsha"]["calls"] == 12


async def test_link_tells_for_how_long_each_answer_was_awaited(
    proxy: Proxy, direct: Backend, behind: Backend, counts: Counts
) -> None:
    """The seconds are those until the answer came; a try that got none is not among them."""
    command = await a_command(direct)
    await behind.link.ping(soon())
    proxy.drop_replies(1)
    await behind.store().create_lease(command, soon())
    assert [script for _, script in counts.answers] == ["create_lease"]

    proxy.hold_replies()
    asked_at_s = time.monotonic()
    asking = asyncio.create_task(behind.store().check_availability(command.slot, soon()))
    while time.monotonic() < asked_at_s + TIMEOUT_S / 3:
        await asyncio.sleep(0.002)
    proxy.release()
    await asking
    (first_s, _), (held_s, script) = counts.answers
    assert script == "check_availability"
    assert first_s < TIMEOUT_S < held_s * 3 + 0.01


async def test_link_through_a_unix_socket_is_a_link_like_any_other() -> None:
    """The URL of a socket file works, too."""
    with tempfile.TemporaryDirectory() as directory:
        socket = f"{directory}/store"
        with running("valkey9", "--unixsocket", socket):
            async with link_to(f"unix://{PROBER}:{PROBER}@{socket}?db=0") as link:
                assert await echo(link, "here") == "here"


async def test_link_value_that_is_no_text_harms_nobody_else(
    behind: Backend, direct: Backend, counts: Counts
) -> None:
    """A foreign value with bytes that are no UTF-8 is read as it is; the connection stays."""
    key = f"booking:{{{direct.merchant}}}:foreign"
    await direct.redis.hset(key, "field", cast("str", b"\xff\xfe"))
    await direct.redis.pexpire(key, 5000)

    answers = await asyncio.gather(
        behind.link.read("HMGET", key, "field", deadline=soon()), echo(behind.link, "mine")
    )

    assert list(answers) == [["\udcff\udcfe"], "mine"]
    assert counts.reconnects == 0


async def test_link_closed_fails_what_is_in_flight_and_takes_no_more(
    proxy: Proxy, direct: Backend
) -> None:
    """Nobody waits for a link that has been closed."""
    async with through(proxy, direct, timeout_s=20) as behind:
        await behind.link.ping(soon())
        proxy.hold_replies()
        asked = asyncio.create_task(echo(behind.link, "asked"))
        await until(lambda: behind.link.in_flight == 1)

        await behind.link.close()
        proxy.release()

        for call in (asked, echo(behind.link, "too late")):
            with pytest.raises(StoreUnavailableError):
                await call
        assert behind.link.in_flight == 0


async def test_link_of_our_own_loop_that_stood_still_breaks_no_connection(
    valkey: RedisServer, counts: Counts
) -> None:
    """Answers that came while our own loop stood still are no silence of the store."""
    loop = asyncio.get_running_loop()
    async with link_to(as_prober(valkey.url), counts, timeout_s=TIMEOUT_S) as link:
        await link.ping(soon())
        await asyncio.sleep(TIMEOUT_S / 2)
        soon_s = str(TIMEOUT_S * 0.8)
        asked = asyncio.create_task(link.read("BLPOP", "nothing", soon_s, deadline=soon()))
        for _ in range(10):
            await asyncio.sleep(0)
        # The loop stands still when the watch is due, and again before the watch comes to look.
        loop.call_later(TIMEOUT_S / 10, loop.call_soon, time.sleep, TIMEOUT_S)
        time.sleep(TIMEOUT_S * 0.6)  # noqa: ASYNC251 - the loop shall stand still

        assert await asked is None
        await link.ping(soon())

    assert counts == Counts()
