"""list_events.lua, and the events that the other scripts note, the same on every store."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from tests.backends import EVENTFUL, TERMS, Backend, FakeClock, soon
from tests.bookings import book
from tests.events import kinds, read_events

from leasehold.model import ids
from leasehold.model.booking import BookingStatus, UpdateBooking
from leasehold.model.events import EventKind, ListEvents, ListEventsOutcome, ListEventsStatus
from leasehold.model.operators import ExtendLease, ReleaseLease
from leasehold.store import keys


@pytest.fixture
def backend(backend: Backend) -> Backend:
    """Every store, by terms that keep events."""
    backend.terms = EVENTFUL
    return backend


@pytest.fixture
def fake(fake: Backend) -> Backend:
    """The fake, by the same terms."""
    fake.terms = EVENTFUL
    return fake


def lease_of(backend: Backend, reference: str = "reference-1") -> ids.Reference:
    """Name the lease of a reference."""
    return ids.Reference(backend.merchant, ids.lease_suffix(reference))


def wire(reference: ids.Reference) -> str:
    """Write an id as it is on the wire."""
    return ids.wire_id(reference.merchant_id, reference.suffix)


def booking_of(backend: Backend, token: str = "token-1") -> ids.Reference:
    """Name the booking of a token."""
    return ids.Reference(backend.merchant, ids.booking_suffix("v2", token))


async def update(backend: Backend, **changes: object) -> str:
    """Change the booking."""
    command = UpdateBooking(booking_of(backend), **changes)  # type: ignore[arg-type]
    return str((await backend.store().update_booking(command, soon())).status)


async def release(backend: Backend, reference: str = "reference-1") -> str:
    """Give a lease back."""
    command = ReleaseLease(lease_of(backend, reference), "INC-2")
    return str((await backend.leases().release_lease(command, soon())).status)


async def extend(backend: Backend, until_ms: int, reference: str = "reference-1") -> str:
    """Hold a lease longer."""
    command = ExtendLease(lease_of(backend, reference), until_ms, "INC-1")
    return str((await backend.leases().extend_lease(command, soon())).status)


async def listed(backend: Backend, after: str = "", most: int = 100) -> ListEventsOutcome:
    """Ask for one page."""
    command = ListEvents(backend.merchant, after, most)
    return await backend.events().list_events(command, soon())


async def test_list_events_tells_of_a_lease_that_becomes_a_booking(backend: Backend) -> None:
    """Held, extended, consumed, booked: in order, with ids, slot, spot and times."""
    slot, before_ms = await backend.slot(staff_id="anna"), await backend.now_ms()
    lease = await backend.create_lease(slot)
    until_ms = lease.expires_at_ms + 1000
    assert await extend(backend, until_ms) == "extended"
    await book(backend, slot, lease_of(backend))

    held, extended, consumed, booked = await read_events(backend)

    lease_id, booking_id = wire(lease_of(backend)), wire(booking_of(backend))
    assert (held.kind, held.lease_id) == (EventKind.HELD, lease_id)
    assert held.expires_at_ms == lease.expires_at_ms
    assert (extended.kind, extended.lease_id) == (EventKind.EXTENDED, lease_id)
    assert (extended.expires_at_ms, extended.reason) == (until_ms, "INC-1")
    assert (consumed.kind, consumed.lease_id) == (EventKind.CONSUMED, lease_id)
    assert (booked.kind, booked.lease_id) == (EventKind.BOOKING_CREATED, "")
    assert consumed.booking_id == booked.booking_id == booking_id
    for event in (held, extended, consumed, booked):
        assert (event.slot, event.spot) == (slot, 1)
        assert before_ms <= event.at_ms <= await backend.now_ms()


async def test_list_events_tells_what_becomes_of_a_booking(backend: Backend) -> None:
    """Moved, with the slot before; no-show, confirmed again, cancelled; a move with a new state."""
    slot = await backend.slot()
    await book(backend, slot)
    later = replace(slot, start_s=slot.start_s + 3600)
    await update(backend, start_s=later.start_s)
    await update(backend, status=BookingStatus.NO_SHOW)
    await update(backend, status=BookingStatus.NO_SHOW_PENALIZED, start_s=slot.start_s)
    await update(backend, status=BookingStatus.CONFIRMED)
    await update(backend, status=BookingStatus.CANCELED)

    created, *changes = await read_events(backend)

    assert (created.slot, created.old_slot) == (slot, None)
    assert [(str(it.kind), it.slot, it.old_slot) for it in changes] == [
        ("booking_moved", later, slot),
        ("booking_no_show", later, None),
        ("booking_moved", slot, later),
        ("booking_no_show_penalized", slot, None),
        ("booking_confirmed", slot, None),
        ("booking_canceled", slot, None),
    ]
    assert {it.booking_id for it in changes} == {created.booking_id}


async def test_list_events_tells_of_a_release_with_its_reason(backend: Backend) -> None:
    """Who reads learns why, as the operator said."""
    await backend.create_lease(await backend.slot())
    await release(backend)

    events = await read_events(backend)

    assert kinds(events) == ["held", "released"]
    assert events[1].reason == "INC-2"


async def test_repeats_and_refusals_note_nothing(backend: Backend) -> None:
    """One event for one change, however often it is asked for."""
    slot, other = await backend.slot(), await backend.slot(staff_id="bo")
    lease = await backend.create_lease(slot)
    await backend.create_lease(slot)
    await backend.create_lease(slot, "reference-2")
    await extend(backend, lease.expires_at_ms)
    await book(backend, other)
    await book(backend, other)
    await book(backend, other, token="token-2", user="user-2")
    await book(backend, slot, lease_of(backend), token="token-3")
    await book(backend, slot, lease_of(backend), token="token-3")
    await release(backend)
    for _ in range(2):
        await update(backend, status=BookingStatus.CANCELED)
    await update(backend, status=BookingStatus.CONFIRMED)

    assert kinds(await read_events(backend)) == [
        "held",
        "booking_created",
        "consumed",
        "booking_created",
        "booking_canceled",
    ]


async def test_without_events_nothing_is_written(backend: Backend) -> None:
    """Off is off: neither of the two keys comes into being, and nothing else differs."""
    slot = await backend.slot()
    backend.terms = TERMS
    lease = await backend.create_lease(slot)
    await extend(backend, lease.expires_at_ms + 1000)
    await book(backend, slot, lease_of(backend))
    await update(backend, status=BookingStatus.CANCELED)
    await backend.create_lease(slot, "reference-2")
    await release(backend, "reference-2")

    assert {key.partition(":")[0] for key in await backend.dump()} == {"lease", "booking"}


async def test_expiry_is_noticed_once_whoever_reads(backend: Backend) -> None:
    """Readers at the same instant make one event of it, with the time when the hold ended."""
    slot = await backend.slot()
    lease = await backend.create_lease(slot, for_ms=200)
    assert kinds(await read_events(backend)) == ["held"]
    await backend.wait_until(lease.expires_at_ms + 2)

    readers = await asyncio.gather(*(read_events(backend) for _ in range(10)))

    assert [kinds(found) for found in readers] == [["held", "expired"]] * 10
    assert len({found[1].token for found in readers}) == 1
    expired = readers[0][1]
    assert (expired.lease_id, expired.slot, expired.spot) == (wire(lease_of(backend)), slot, 1)
    assert expired.expires_at_ms == lease.expires_at_ms <= expired.at_ms
    assert await backend.redis.zcard(keys.expiring_key(backend.merchant)) == 0


async def test_expiry_of_an_extended_lease_is_noticed_at_its_later_end(backend: Backend) -> None:
    """As long as a lease is held, it has not expired."""
    lease = await backend.create_lease(await backend.slot(), for_ms=200)
    await extend(backend, lease.expires_at_ms + 400)
    waiting: Any = await backend.redis.zrange(
        keys.expiring_key(backend.merchant), 0, -1, withscores=True
    )
    assert [score for _, score in waiting] == [lease.expires_at_ms + 400]
    await backend.wait_until(lease.expires_at_ms + 2)
    assert kinds(await read_events(backend)) == ["held", "extended"]

    await backend.wait_until(lease.expires_at_ms + 402)

    events = await read_events(backend)
    assert kinds(events) == ["held", "extended", "expired"]
    assert events[2].expires_at_ms == lease.expires_at_ms + 400


async def test_lease_that_ended_otherwise_never_expires(backend: Backend) -> None:
    """What was booked or given back is not told as expired when its time would have come."""
    slots = [await backend.slot(staff_id=str(number)) for number in range(2)]
    ends_ms = [
        (await backend.create_lease(slot, f"r-{number}", for_ms=400)).expires_at_ms
        for number, slot in enumerate(slots)
    ]
    await book(backend, slots[0], lease_of(backend, "r-0"))
    await release(backend, "r-1")
    assert not await backend.redis.exists(keys.expiring_key(backend.merchant))
    await backend.wait_until(max(ends_ms) + 2)

    assert EventKind.EXPIRED not in {event.kind for event in await read_events(backend)}


async def test_processes_that_note_nothing_make_no_false_expiries(backend: Backend) -> None:
    """While only some processes note events, what the others book or extend has not expired."""
    slots = [await backend.slot(staff_id=str(number)) for number in range(4)]
    ends_ms = [
        (await backend.create_lease(slot, f"r-{number}", for_ms=400)).expires_at_ms
        for number, slot in enumerate(slots)
    ]
    backend.terms = TERMS
    await book(backend, slots[0], lease_of(backend, "r-0"))
    await release(backend, "r-1")
    await extend(backend, max(ends_ms) + 300, "r-2")
    backend.terms = EVENTFUL
    await backend.wait_until(max(ends_ms) + 2)

    first = await read_events(backend)
    assert await backend.redis.pttl(keys.expiring_key(backend.merchant)) > 0
    await backend.wait_until(max(ends_ms) + 302)
    second = await read_events(backend, first[-1].token)

    assert kinds(first) == ["held"] * 4 + ["expired"]
    assert [event.lease_id for event in (first[-1], *second)] == [
        wire(lease_of(backend, "r-3")),
        wire(lease_of(backend, "r-2")),
    ]
    assert kinds(second) == ["expired"]


@pytest.mark.parametrize("most", [1, 2, 3, 100])
async def test_pages_go_on_where_the_last_one_ended(backend: Backend, most: int) -> None:
    """Whatever the size of the pages, every event is told once and in order."""
    for number in range(5):
        await backend.create_lease(await backend.slot(staff_id=str(number)), f"r-{number}")

    events = await read_events(backend, most=most)

    expected = [wire(lease_of(backend, f"r-{number}")) for number in range(5)]
    assert [event.lease_id for event in events] == expected
    assert [it.lease_id for it in await read_events(backend, events[2].token)] == expected[3:]
    assert (await listed(backend, events[4].token)).events == ()


@pytest.mark.parametrize("most", [1, 100])
async def test_page_without_events_has_a_token_of_its_moment(backend: Backend, most: int) -> None:
    """What happens after it is told, from it and from the beginning; the moment itself is not."""
    empty = await listed(backend, most=most)
    assert empty == ListEventsOutcome(ListEventsStatus.LISTED, (), empty.token)
    assert empty.token
    for after in ("", empty.token):
        assert await listed(backend, after, most) == empty
    assert await backend.redis.xlen(keys.events_key(backend.merchant)) == 1

    await backend.create_lease(await backend.slot())
    await release(backend)
    for after in ("", empty.token):
        assert kinds(await read_events(backend, after, most=most)) == ["held", "released"]


async def test_moment_that_was_trimmed_past_is_missed(backend: Backend) -> None:
    """Whoever has seen no event yet is told, too, that the first ones are gone."""
    backend.terms = replace(EVENTFUL, max_events=1)
    moment, slot = (await listed(backend)).token, await backend.slot()
    for number in range(120):
        await backend.create_lease(slot, f"r-{number}")
        await release(backend, f"r-{number}")

    assert (await listed(backend, moment)).status is ListEventsStatus.EVENTS_MISSED
    await backend.redis.delete(keys.events_key(backend.merchant))
    again = (await listed(backend)).token
    await backend.redis.delete(keys.events_key(backend.merchant))
    assert (await listed(backend, again)).status is ListEventsStatus.EVENTS_MISSED


async def test_events_that_were_trimmed_away_are_missed(backend: Backend) -> None:
    """The stream is bounded; who comes back after too many events is told so."""
    backend.terms = replace(EVENTFUL, max_events=1)
    slot = await backend.slot()
    await backend.create_lease(slot, "r-0")
    (first,) = await read_events(backend)
    for number in range(1, 150):
        await release(backend, f"r-{number - 1}")
        await backend.create_lease(slot, f"r-{number}")

    assert (await listed(backend, first.token)).status is ListEventsStatus.EVENTS_MISSED
    kept = await read_events(backend)
    assert kept[-1].lease_id == wire(lease_of(backend, "r-149"))
    # A node of the stream is let go as a whole.
    assert 1 <= len(kept) <= 101


async def test_reading_that_pushes_its_own_token_out_says_so(backend: Backend) -> None:
    """Noticed expiries are noted before the page is read, so nothing goes missing in between."""
    backend.terms = replace(EVENTFUL, max_events=1)
    until_ms = await backend.now_ms() + 60_000
    for number in range(70):
        slot = await backend.slot(staff_id=str(number))
        await backend.create_lease(slot, f"r-{number}", until_ms=until_ms)
        # As if all of them had ended at once.
        await backend.redis.delete(keys.spot_key(slot, 1))
        hold = f"{ids.lease_suffix(f'r-{number}')} {keys.slot_text(slot)}#1"
        await backend.redis.zadd(keys.expiring_key(backend.merchant), {hold: until_ms - 59_000})
    stream: Any = await backend.redis.xrange(keys.events_key(backend.merchant))
    await backend.wait_until(until_ms - 58_900)

    assert (await listed(backend, stream[0][0])).status is ListEventsStatus.EVENTS_MISSED


async def test_events_lost_with_their_store_are_missed(backend: Backend) -> None:
    """A token of before the loss is known no more, whatever has happened since."""
    await backend.create_lease(await backend.slot())
    (held,) = await read_events(backend)
    await backend.redis.delete(keys.events_key(backend.merchant))

    assert (await listed(backend, held.token)).status is ListEventsStatus.EVENTS_MISSED
    await backend.wait_until(held.at_ms + 2)
    await backend.create_lease(await backend.slot(staff_id="bo"), "reference-2")
    assert (await listed(backend, held.token)).status is ListEventsStatus.EVENTS_MISSED
    assert kinds(await read_events(backend)) == ["held"]


async def test_events_last_a_retention_after_they_were_noted_or_read(
    fake: Backend, fake_clock: FakeClock
) -> None:
    """A merchant with whom nothing happens keeps its events while somebody reads them."""
    await fake.create_lease(await fake.slot())
    (held,) = await read_events(fake)
    await release(fake)
    retention_ms = EVENTFUL.event_retention_ms
    for _ in range(8):
        fake_clock.now_ms += retention_ms * 2 // 3
        assert len(await read_events(fake, held.token)) == 1

    fake_clock.now_ms += retention_ms + 1

    assert (await listed(fake, held.token)).status is ListEventsStatus.EVENTS_MISSED
    assert (await listed(fake)).events == ()


async def test_holds_that_nobody_reads_of_do_not_pile_up(
    fake: Backend, fake_clock: FakeClock
) -> None:
    """Each new lease notices two that have ended, so what waits to be noticed does not grow."""
    waiting = []
    for number in range(50):
        fake_clock.now_ms += 150
        await fake.create_lease(await fake.slot(), f"r-{number}", for_ms=100)
        waiting.append(await fake.redis.zcard(keys.expiring_key(fake.merchant)))

    assert max(waiting) == 1
    assert kinds(await read_events(fake))[:4] == ["held", "expired", "held", "expired"]


async def test_holds_that_have_piled_up_are_noticed_two_at_a_time(
    fake: Backend, fake_clock: FakeClock
) -> None:
    """Each new lease adds one that waits, and takes away two."""
    for number in range(5):
        await fake.create_lease(await fake.slot(staff_id=str(number)), f"r-{number}", for_ms=100)
    fake_clock.now_ms += 200

    for number, waiting in enumerate((4, 3, 3)):
        await fake.create_lease(await fake.slot(staff_id=f"next-{number}"), f"n-{number}")
        assert await fake.redis.zcard(keys.expiring_key(fake.merchant)) == waiting
        fake_clock.now_ms += 1


async def test_reference_that_makes_a_second_lease_has_ended_its_first(
    fake: Backend, fake_clock: FakeClock
) -> None:
    """Even if nobody noticed in time: the first hold ends among the events before the second."""
    fake.terms = replace(EVENTFUL, event_retention_ms=10 * EVENTFUL.retention_ms)
    first = await fake.slot()
    for number in range(3):
        slot = first if number == 2 else await fake.slot(staff_id=str(number))
        await fake.create_lease(slot, f"r-{number}", for_ms=100 + number)
    fake_clock.now_ms += EVENTFUL.retention_ms + 200

    await fake.create_lease(first, "r-2")

    told = [(str(it.kind), it.lease_id[-26:]) for it in await read_events(fake)]
    again = ids.lease_suffix("r-2")
    assert [kind for kind, lease in told if lease == again] == ["held", "expired", "held"]
    assert [kind for kind, _ in told].count("expired") == 3


async def test_reference_that_makes_its_second_lease_elsewhere_has_ended_its_first(
    fake: Backend, fake_clock: FakeClock
) -> None:
    """What becomes of the second says nothing of the first, whose end nobody had noticed."""
    fake.terms = replace(EVENTFUL, event_retention_ms=10 * EVENTFUL.retention_ms)
    for number in range(3):
        slot = await fake.slot(staff_id=str(number))
        await fake.create_lease(slot, f"r-{number}", for_ms=100 + number)
    fake_clock.now_ms += EVENTFUL.retention_ms + 200
    elsewhere = await fake.slot(staff_id="elsewhere")
    await fake.create_lease(elsewhere, "r-2")
    await book(fake, elsewhere, lease_of(fake, "r-2"))

    expired = [it for it in await read_events(fake) if it.kind is EventKind.EXPIRED]

    assert [it.slot.staff_id for it in expired] == ["0", "1", "2"]


async def test_events_and_what_awaits_its_end_last_equally_long(
    fake: Backend, fake_clock: FakeClock
) -> None:
    """Whoever finds the events again has missed no end of a hold, however short the retention."""
    fake.terms = replace(EVENTFUL, event_retention_ms=60_000)
    lease = await fake.create_lease(await fake.slot(), for_ms=900_000)
    (held,) = await read_events(fake)
    for number in range(8):
        fake_clock.now_ms += 59_999
        await book(fake, await fake.slot(staff_id=str(number)), token=f"t-{number}")
    while fake_clock.now_ms <= lease.expires_at_ms:
        fake_clock.now_ms += 31_000
        await read_events(fake, held.token)

    assert kinds(await read_events(fake, held.token)) == ["booking_created"] * 8 + ["expired"]
