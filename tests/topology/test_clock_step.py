"""The store's clock steps while it serves: nothing that depends on time is answered wrongly."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
from tests.backends import TERMS, Backend, real_backend, soon
from tests.clocks import ClockedServer, clocked
from tests.servers import REAL_SERVERS

from leasehold.model import ids
from leasehold.model.booking import BookingStatus, CreateBooking, UpdateBooking
from leasehold.model.errors import ClockSteppedError, QuarantinedError
from leasehold.model.lease import CreateLease
from leasehold.model.operators import ExtendLease
from leasehold.store.markers import Guard, Markers
from leasehold.store.redis_leases import RedisLeases
from leasehold.store.redis_store import RedisStore

HOLD_MS = 900_000
HOUR_S = 3600


@pytest.fixture(params=REAL_SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[ClockedServer]:
    """A server of this test's own, whose clock the test sets."""
    with clocked(request.param) as server:
        yield server


@pytest.fixture
async def backend(server: ClockedServer) -> AsyncIterator[Backend]:
    """The store on that server."""
    async with real_backend(server) as backend:
        yield backend


@dataclass
class Pod:
    """What one process has, with quarantine or without."""

    markers: Markers
    store: RedisStore
    leases: RedisLeases


def pod(backend: Backend, hold_ms: int = HOLD_MS, *, has_quarantine: bool = False) -> Pod:
    """Start one more process."""
    link = backend.link
    markers = Markers(link, hold_ms, on_loss=lambda: None)
    steady = Guard(link, markers.check_clock)
    taking = Guard(link, markers.admit) if has_quarantine else steady
    leases = RedisLeases(link, TERMS, is_strict=False, promising=steady)
    return Pod(markers, RedisStore(link, TERMS, taking=taking), leases)


async def lease(backend: Backend, reference: str = "r-1") -> CreateLease:
    """Return a command that a store in order grants."""
    return CreateLease(await backend.slot(), reference, await backend.now_ms() + 300_000)


def booking(command: CreateLease, token: str, *, by_lease: bool) -> CreateBooking:
    """Book the slot of a command, by its lease or directly."""
    named = ids.Reference(command.slot.merchant_id, command.lease_suffix) if by_lease else None
    return CreateBooking(command.slot, token, "v2", "ada", b"", named)


def is_trusted(one: Pod) -> bool:
    """Tell whether a process has no doubt about the clock, as its finding says."""
    return one.markers.step.state == "ok"


@pytest.mark.parametrize("ahead_s", [90, -HOUR_S])
async def test_clock_step_refuses_what_takes_or_promises_time_until_the_clock_is_back(
    server: ClockedServer, backend: Backend, ahead_s: int
) -> None:
    """Forward no caller is blamed, back none is promised what has passed (failure mode 55).

    What needs no clock goes on: a held lease is booked, a booking cancelled.
    """
    one = pod(backend)
    await one.markers.beat(soon())
    held = await lease(backend)
    await one.store.create_lease(held, soon())
    named = ids.Reference(held.slot.merchant_id, held.lease_suffix)
    server.step_to(ahead_s)
    await one.markers.beat(soon())

    made = await one.store.create_booking(booking(held, "t-1", by_lease=True), soon())
    assert made.status == "created"
    booked = ids.Reference(held.slot.merchant_id, ids.booking_suffix("v2", "t-1"))
    other = await lease(backend, "r-2")
    for refused in (
        one.store.create_lease(other, soon()),
        one.store.create_booking(booking(other, "t-2", by_lease=False), soon()),
        one.store.check_availability(other.slot, soon()),
        one.store.update_booking(UpdateBooking(booked, duration_s=60), soon()),
        one.leases.extend_lease(ExtendLease(named, other.asked_expires_ms, "INC-1"), soon()),
    ):
        with pytest.raises(ClockSteppedError) as caught:
            await refused
        assert 0 < caught.value.retry_after_s <= HOLD_MS / 1000
    cancelled = await one.store.update_booking(
        UpdateBooking(booked, BookingStatus.CANCELED), soon()
    )
    assert cancelled.status == "updated"
    assert not is_trusted(one)

    server.step_to(0)
    await one.markers.beat(soon())
    command = await lease(backend, "r-3")
    assert (await one.store.create_lease(command, soon())).status == "created"
    assert is_trusted(one)


async def test_clock_step_that_stays_is_over_after_one_longest_lease(
    server: ClockedServer, backend: Backend
) -> None:
    """Then the clock counts as it is, and grants are told by it."""
    one = pod(backend, hold_ms=400)
    await one.markers.beat(soon())
    server.step_to(-HOUR_S)
    await one.markers.beat(soon())
    with pytest.raises(ClockSteppedError) as caught:
        await one.store.create_lease(await lease(backend), soon())
    refused_at_s = time.monotonic()

    await backend.wait_until(await backend.now_ms() + 400)
    command = await lease(backend)
    granted = await one.store.create_lease(command, soon())
    assert (granted.status, granted.expires_at_ms) == ("created", command.asked_expires_ms)
    assert time.monotonic() - refused_at_s >= caught.value.retry_after_s
    await one.markers.beat(soon())
    assert is_trusted(one)


async def test_clock_step_back_is_learned_by_new_processes_and_a_gap_forward_is_none(
    server: ClockedServer, backend: Backend
) -> None:
    """The last beat may not be ahead; while nobody beats any time may pass."""
    await pod(backend).markers.beat(soon())
    server.step_to(-HOUR_S)
    # The second one finds beats of the first, by the clock as it is now.
    for new in (pod(backend), pod(backend)):
        await new.markers.beat(soon())
        with pytest.raises(ClockSteppedError):
            await new.store.create_lease(await lease(backend), soon())

    server.step_to(HOUR_S)
    late = pod(backend)
    await late.markers.beat(soon())
    command = await lease(backend)
    assert (await late.store.create_lease(command, soon())).status == "created"


async def test_clock_of_a_store_that_was_paused_has_not_stepped(
    server: ClockedServer, backend: Backend
) -> None:
    """An answer that took long may be of any moment of that time."""
    markers = Markers(backend.link, HOLD_MS, on_loss=lambda: None, clock_step_ms=100)
    await markers.beat(soon())
    server.pause()
    beat = asyncio.create_task(markers.beat(soon()))
    _, waiting = await asyncio.wait({beat}, timeout=0.3)
    server.resume()
    assert waiting
    await beat
    assert markers.clock_step_remaining_s == 0
    await markers.beat(soon())
    assert markers.clock_step_remaining_s == 0


async def test_quarantine_lasts_no_longer_than_the_longest_lease_however_the_clock_steps(
    server: ClockedServer, backend: Backend
) -> None:
    """Its end is set by this process' own clock, once: neither step makes it longer or shorter."""
    careful = pod(backend, hold_ms=2_000, has_quarantine=True)
    await careful.markers.beat(soon())
    await backend.redis.flushall()
    await careful.markers.beat(soon())
    ends_s = time.monotonic() + careful.markers.quarantine_remaining_s
    for ahead_s in (-HOUR_S, HOUR_S, 0):
        server.step_to(ahead_s)
        await careful.markers.beat(soon())
        assert abs(time.monotonic() + careful.markers.quarantine_remaining_s - ends_s) < 0.5

    with pytest.raises(QuarantinedError):
        await careful.store.create_lease(await lease(backend), soon())
    server.step_to(-HOUR_S)
    new = pod(backend, hold_ms=2_000, has_quarantine=True)
    await new.markers.beat(soon())
    assert new.markers.quarantine_remaining_s <= 2
