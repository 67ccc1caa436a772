"""Connections that break, fall silent or lie: what is sent again, and what never is."""

import asyncio
import contextlib
import sys
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from tests.backends import Backend, Counts, soon
from tests.proxy import Proxy
from tests.topology.conftest import TIMEOUT_S, through, until

from leasehold.model import ids
from leasehold.model.booking import (
    BookingStatus,
    CreateBooking,
    CreateBookingStatus,
    UpdateBooking,
    UpdateBookingStatus,
)
from leasehold.model.deadline import Deadline
from leasehold.model.errors import (
    DeadlinePassedError,
    OverloadedError,
    StoreTrouble,
    StoreUnavailableError,
)
from leasehold.model.lease import CreateLease, CreateLeaseOutcome, CreateLeaseStatus
from leasehold.store.link import Link


async def echo(link: Link, text: str, within_s: float = 20) -> Any:
    """Ask for something to which only one answer is right."""
    return await link.read("ECHO", text, deadline=Deadline.within(within_s, None))


async def a_minute(backend: Backend) -> int:
    """Return a minute from now."""
    return await backend.now_ms() + 60_000


async def warm_up(backend: Backend) -> None:
    """Connect, and let the store learn the script, so that the next reply is the script's own."""
    await backend.create_lease(await backend.slot(merchant_id="warm-up"), for_ms=200)


async def test_link_lost_reply_is_asked_for_again_and_finds_its_lease(
    proxy: Proxy, direct: Backend, behind: Backend, counts: Counts
) -> None:
    """A reply lost after the script has run: the repeat gets the same lease, and one key stands."""
    slot = await direct.slot()
    command = CreateLease(slot, "r", await a_minute(direct))
    await warm_up(behind)
    proxy.drop_replies(1)

    outcome = await behind.store().create_lease(command, soon())

    assert outcome == CreateLeaseOutcome(CreateLeaseStatus.REPLAYED, command.asked_expires_ms)
    assert len(await direct.dump()) == 2
    assert await direct.owner(slot) == f"lease {ids.lease_suffix('r')}"
    assert counts == Counts(resent=1, reconnects=1)


async def test_link_lost_reply_without_repeats_leaves_the_lease_to_its_reference(
    proxy: Proxy, direct: Backend
) -> None:
    """When nobody asks again at once, the lease waits for its own reference to come back."""
    command = CreateLease(await direct.slot(), "r", await a_minute(direct))
    async with through(proxy, direct, retries=0) as once:
        await warm_up(once)
        proxy.drop_replies(1)

        with pytest.raises(StoreUnavailableError) as caught:
            await once.store().create_lease(command, soon())
        repeat = await once.store().create_lease(command, soon())

    assert caught.value.trouble is StoreTrouble.UNREACHABLE
    assert repeat == CreateLeaseOutcome(CreateLeaseStatus.REPLAYED, command.asked_expires_ms)


@pytest.mark.parametrize("bytes_passed", [1, 5, 14, 30])
async def test_link_half_written_reply_is_asked_for_again(
    proxy: Proxy, direct: Backend, behind: Backend, counts: Counts, bytes_passed: int
) -> None:
    """A connection cut within an answer: no caller gets a piece of one, or another's."""
    command = CreateLease(await direct.slot(), "r", await a_minute(direct))
    await warm_up(behind)
    proxy.cut_within_replies(bytes_passed)

    outcome, echoed = await asyncio.gather(
        behind.store().create_lease(command, soon()), echo(behind.link, "mine")
    )

    assert outcome == CreateLeaseOutcome(CreateLeaseStatus.REPLAYED, command.asked_expires_ms)
    assert echoed == "mine"
    assert counts.reconnects == 1


async def test_link_cut_with_many_in_flight_sends_all_of_them_again(
    proxy: Proxy, behind: Backend, counts: Counts
) -> None:
    """Whatever was in flight on a broken connection gets its answer on the next."""
    await behind.link.ping(soon())
    proxy.hold_replies()
    tasks = [asyncio.create_task(echo(behind.link, f"{number}")) for number in range(200)]
    await until(lambda: behind.link.in_flight == 200)
    proxy.cut()
    proxy.release()

    assert await asyncio.gather(*tasks) == [f"{number}" for number in range(200)]
    assert counts == Counts(resent=200, reconnects=1)


@pytest.mark.parametrize(
    "lie",
    [b"+OK\r\n", b"this is no answer\r\n", b"+one\r\n+two\r\n"],
    ids=["one", "garbage", "two"],
)
async def test_link_answer_that_nobody_asked_for_breaks_the_connection(
    proxy: Proxy, behind: Backend, counts: Counts, lie: bytes
) -> None:
    """A connection out of step is given up before anybody gets another's answer."""
    await behind.link.ping(soon())
    proxy.answer(lie)
    await until(lambda: proxy.open == 0)

    assert await echo(behind.link, "mine") == "mine"
    assert counts.reconnects == 1


async def test_link_answer_too_many_to_the_handshake_is_nobodys(
    proxy: Proxy, behind: Backend, counts: Counts
) -> None:
    """What came unasked before the first command is not taken for its answer."""
    proxy.add_to_reply(b"$5\r\nyours\r\n")

    assert await echo(behind.link, "mine") == "mine"
    assert proxy.connections == 2
    assert counts == Counts()


async def booked(backend: Backend) -> ids.Reference:
    """Book a slot for nobody in particular."""
    command = CreateBooking(await backend.slot(), "token", "v2", None, b"original")
    made = await backend.store().create_booking(command, soon())
    assert made.status is CreateBookingStatus.CREATED
    return ids.Reference(backend.merchant, command.suffix)


async def start_of(backend: Backend, booking: ids.Reference) -> int:
    """Return when a booking starts now."""
    record = await backend.store().get_booking(booking, soon())
    assert record
    return record.slot.start_s


async def test_link_move_whose_reply_is_lost_is_never_sent_again(
    proxy: Proxy, direct: Backend, behind: Backend, counts: Counts
) -> None:
    """Somebody else's move may have come in between, so only the caller may ask again."""
    booking = await booked(direct)
    start_s = await start_of(direct, booking)
    mine = UpdateBooking(booking, start_s=start_s + 3600)
    theirs = UpdateBooking(booking, start_s=start_s + 7200)
    await direct.store().update_booking(UpdateBooking(booking, start_s=start_s + 60), soon())
    await behind.link.ping(soon())
    # The move is carried out, and its answer held back.
    proxy.hold_replies(after=0)
    lost = asyncio.create_task(behind.store().update_booking(mine, soon()))
    async with asyncio.timeout(10):
        while await start_of(direct, booking) != start_s + 3600:
            await asyncio.sleep(0.001)
    await direct.store().update_booking(theirs, soon())
    proxy.cut()
    proxy.release()

    with pytest.raises(StoreUnavailableError) as caught:
        await lost
    await behind.link.ping(soon())

    assert caught.value.trouble is StoreTrouble.UNREACHABLE
    assert await start_of(direct, booking) == start_s + 7200
    assert counts == Counts(resent=0, reconnects=1)


async def test_link_change_that_was_never_sent_is_sent_on_the_next_connection(
    proxy: Proxy, direct: Backend, behind: Backend, counts: Counts
) -> None:
    """What has certainly not left this process cannot be done twice, whatever it is."""
    booking = await booked(direct)
    proxy.refuse(1)

    change = UpdateBooking(booking, status=BookingStatus.NO_SHOW)
    outcome = await behind.store().update_booking(change, soon())

    assert outcome.status is UpdateBookingStatus.UPDATED
    assert proxy.connections == 2
    assert counts == Counts()


async def test_link_change_behind_full_buffers_survives_a_cut(
    proxy: Proxy, direct: Backend
) -> None:
    """What waits while the other side takes nothing goes to the next connection by itself."""
    booking = await booked(direct)
    async with through(proxy, direct, retries=0, timeout_s=20) as behind:
        await behind.link.ping(soon())
        proxy.hold()
        # More than the buffers on the way take.
        heavy = asyncio.create_task(echo(behind.link, "x" * 20_000_000))
        await until(lambda: behind.link.in_flight == 1)
        change = UpdateBooking(booking, status=BookingStatus.NO_SHOW)
        changing = asyncio.create_task(behind.store().update_booking(change, soon()))
        await until(lambda: behind.link.in_flight == 2)
        proxy.cut()
        proxy.release()

        with pytest.raises(StoreUnavailableError):
            await heavy
        assert (await changing).status is UpdateBookingStatus.UPDATED


async def test_link_silent_store_is_given_up_within_the_budget(
    proxy: Proxy, direct: Backend, behind: Backend
) -> None:
    """Commands that get no answer end as UNREACHABLE once every try has had its time."""
    command = CreateLease(await direct.slot(), "r", await a_minute(direct))
    await behind.link.ping(soon())
    proxy.hold()
    started_s = time.monotonic()

    with pytest.raises(StoreUnavailableError) as caught:
        await behind.store().create_lease(command, soon())

    assert caught.value.trouble is StoreTrouble.UNREACHABLE
    # One silence, one connection that cannot be opened, and a pause.
    assert TIMEOUT_S < time.monotonic() - started_s < 2 * TIMEOUT_S + 0.5


async def test_link_silent_store_does_not_outlast_the_deadline(
    proxy: Proxy, direct: Backend, behind: Backend
) -> None:
    """The time that the caller has left ends the wait before our own limits do."""
    command = CreateLease(await direct.slot(), "r", await a_minute(direct))
    await behind.link.ping(soon())
    proxy.hold()
    started_s = time.monotonic()

    with pytest.raises(DeadlinePassedError):
        await behind.store().create_lease(command, Deadline.within(0.1, None))

    assert time.monotonic() - started_s < TIMEOUT_S


async def test_link_slow_store_that_still_answers_is_waited_for(
    proxy: Proxy, behind: Backend, counts: Counts
) -> None:
    """Answers that take longer than the limit altogether are none of a silent store."""
    await behind.link.ping(soon())
    proxy.hold_replies()
    started_s = time.monotonic()
    tasks = [asyncio.create_task(echo(behind.link, f"{number}")) for number in range(8)]
    await until(lambda: behind.link.in_flight == 8)

    for number in range(8):
        # The slowness itself.
        await asyncio.sleep(TIMEOUT_S / 3)
        proxy.answer(b"$1\r\n%d\r\n" % number)

    assert await asyncio.gather(*tasks) == [f"{number}" for number in range(8)]
    assert time.monotonic() - started_s > 2 * TIMEOUT_S
    assert counts == Counts()


async def test_link_silent_store_keeps_memory_flat(proxy: Proxy, direct: Backend) -> None:
    """Whoever asks a store gone dark is refused; what waits is bounded, and then let go."""
    text = "x" * 20_000
    async with through(proxy, direct, max_in_flight=50) as behind:
        await behind.link.ping(soon())
        proxy.hold()
        tracemalloc.start()
        try:
            refused = 0
            for _ in range(40):
                # Callers with less patience than the link, so that others come before it gives up.
                calls = [echo(behind.link, text, TIMEOUT_S / 10) for _ in range(50)]
                outcomes = await asyncio.gather(*calls, return_exceptions=True)
                refused += sum(isinstance(outcome, OverloadedError) for outcome in outcomes)
                assert behind.link.in_flight <= 50
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert refused > 500
    # 2000 calls brought 40 MB; 50 of them may wait, as they are and packed for the socket.
    assert peak_bytes < 5 * 50 * len(text)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts files of /proc")
async def test_link_silent_connections_leave_no_socket_behind(
    proxy: Proxy, direct: Backend
) -> None:
    """A connection whose other side takes nothing more is closed at once, unsent bytes or not."""
    async with through(proxy, direct, retries=0, timeout_s=0.05) as behind:
        for _ in range(5):
            await behind.link.ping(soon())
            ours = sockets_to(proxy.port)
            proxy.hold()
            with contextlib.suppress(StoreUnavailableError):
                # More than the buffers on the way take.
                await echo(behind.link, "x" * 20_000_000)
            assert ours == 1
            assert sockets_to(proxy.port) == 0
            proxy.cut()
            proxy.release()


def sockets_to(port: int) -> int:
    """Count the sockets that this process has open to a port."""
    ours = set()
    for each in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # That of the folder itself is gone by then.
            ours.add(str(each.readlink()))
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[2].endswith(f":{port:04X}") and f"socket:[{row[9]}]" in ours for row in rows)


async def test_link_a_grant_that_has_run_out_on_its_way_is_no_grant(
    proxy: Proxy, direct: Backend
) -> None:
    """A hold shorter than its own answer took is reported as trouble, not as a lease."""
    # So that the store has the script, and it is asked for once.
    await direct.create_lease(await direct.slot(service_id="another"))
    command = CreateLease(await direct.slot(), "r", await direct.now_ms() + 250)
    async with through(proxy, direct, timeout_s=20) as patient:
        await patient.link.ping(soon())
        proxy.hold_replies()
        asked = asyncio.create_task(patient.store().create_lease(command, soon()))
        await direct.wait_until(command.asked_expires_ms + 1)
        proxy.release()

        with pytest.raises(StoreUnavailableError) as caught:
            await asked

    assert caught.value.trouble is StoreTrouble.ANSWERED_TOO_LATE
