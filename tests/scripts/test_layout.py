"""Records that a later release has written: read by nothing, changed by nothing, on every store."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.backends import EVENTFUL, Backend, soon
from tests.bookings import book
from tests.scripts.test_beat import CLOCK_STEP_MS
from tests.scripts.test_inventory import load

from leasehold.model import ids
from leasehold.model.booking import BookingStatus, UpdateBooking, UpdateBookingStatus
from leasehold.model.errors import StoreTrouble, StoreUnavailableError
from leasehold.model.events import EventKind, ListEvents
from leasehold.model.lease import CreateLeaseStatus
from leasehold.model.operators import ExtendLease, LeaseFilter, ReleaseLease
from leasehold.store import keys, scripts
from leasehold.store.eraser import Eraser
from leasehold.store.hooks import tell_nobody
from leasehold.store.redis_leases import RedisLeases
from leasehold.store.redis_store import RedisStore

Call = Callable[[], Awaitable[Any]]


@pytest.fixture
async def backend(backend: Backend) -> AsyncIterator[Backend]:
    """Every store; nothing stays that another test, which looks at all merchants, cannot read."""
    yield backend
    for key in await backend.dump():
        await backend.redis.delete(key)


of_any_kind = pytest.mark.parametrize("others", ["kept", "renamed"])
"""Whether the other fields of the record are those that this release knows."""


def lease_of(backend: Backend, reference: str = "reference-1") -> ids.Reference:
    """Name the lease of a reference."""
    return ids.Reference(backend.merchant, ids.lease_suffix(reference))


def booking_of(backend: Backend, token: str = "token-1") -> ids.Reference:
    """Name the booking of a token."""
    return ids.Reference(backend.merchant, ids.booking_suffix("v2", token))


def wire_id(lease: ids.Reference) -> str:
    """Write an id as it is on the wire."""
    return ids.wire_id(lease.merchant_id, lease.suffix)


def user_of(backend: Backend) -> str:
    """Return a user of this test alone."""
    return f"ada-of-{backend.merchant}"


def key_of_lease(lease: ids.Reference) -> str:
    """Return the key of its record."""
    return keys.lease_key(lease.merchant_id, lease.suffix)


def key_of_booking(booking: ids.Reference) -> str:
    """Return the key of its record."""
    return keys.booking_key(booking.merchant_id, booking.suffix)


async def rewrite(backend: Backend, key: str, others: str = "kept", v: str = "2") -> None:
    """Let a record be as a later release has written it."""
    if others == "renamed":
        names = await backend.redis.hkeys(key)
        remaining_ms = await backend.redis.pttl(key)
        await backend.redis.hset(key, mapping={"v": v, "place": "elsewhere"})
        await backend.redis.hdel(key, *(name for name in names if name != "v"))
        await backend.redis.pexpire(key, remaining_ms)
    assert await backend.redis.exists(key)
    await backend.redis.hset(key, "v", v)


async def values(backend: Backend) -> dict[str, Any]:
    """Return every key of this test's merchant with its value."""
    return {key: value for key, (value, _) in (await backend.dump()).items()}


async def refused(backend: Backend, **calls: Call) -> None:
    """Make calls that only a later release can answer: each is told so, and changes nothing."""
    before = await values(backend)
    for name, call in calls.items():
        with pytest.raises(StoreUnavailableError) as raised:
            await call()
        assert raised.value.trouble is StoreTrouble.LAYOUT_UNKNOWN, name
        assert await values(backend) == before, name


@of_any_kind
async def test_call_about_a_lease_of_a_later_release_is_layout_unknown_and_changes_nothing(
    backend: Backend, others: str
) -> None:
    """A repeat, a booking, a release, an extension and a look: none guesses what is meant (83)."""
    slot = await backend.slot()
    lease, leases = lease_of(backend), backend.leases()
    assert (await backend.create_lease(slot)).status is CreateLeaseStatus.CREATED
    await rewrite(backend, key_of_lease(lease), others)

    await refused(
        backend,
        create_lease=lambda: backend.create_lease(slot),
        create_lease_of_another_slot=lambda: backend.create_lease(replace(slot, duration_s=60)),
        create_booking=lambda: book(backend, slot, lease, user=user_of(backend)),
        get_lease=lambda: leases.get_lease(lease, soon()),
        release_lease=lambda: leases.release_lease(ReleaseLease(lease, "why"), soon()),
        extend_lease=lambda: leases.extend_lease(ExtendLease(lease, 2**52, "why"), soon()),
    )


@of_any_kind
async def test_call_about_a_booking_of_a_later_release_is_layout_unknown_and_changes_nothing(
    backend: Backend, others: str
) -> None:
    """Repeats by token and by reference, a look, every change, and forgetting its user (83)."""
    slot, user, booking = await backend.slot(), user_of(backend), booking_of(backend)
    await backend.create_lease(slot)
    assert (await book(backend, slot, lease_of(backend), user=user)).status == "created"
    await rewrite(backend, key_of_booking(booking), others)
    store, eraser = backend.store(), Eraser(backend.link, lambda *_: b"anonymous")

    def update(**changes: Any) -> Call:
        return lambda: store.update_booking(UpdateBooking(booking, **changes), soon())

    await refused(
        backend,
        create_booking=lambda: book(backend, slot, lease_of(backend), user=user),
        create_booking_of_another_user=lambda: book(backend, slot, user="bob"),
        create_booking_by_the_same_lease=lambda: book(
            backend, slot, lease_of(backend), token="token-2", user=user
        ),
        create_lease_again=lambda: backend.create_lease(slot),
        get_booking=lambda: store.get_booking(booking, soon()),
        cancel=update(status=BookingStatus.CANCELED),
        no_show=update(status=BookingStatus.NO_SHOW),
        move=update(start_s=slot.start_s + 3600),
        nothing=update(),
        forget_user=lambda: eraser.forget_user(user, tell_nobody),
        forget_user_thoroughly=lambda: eraser.forget_user(user, tell_nobody, is_thorough=True),
        forget_booking=lambda: eraser.forget_whoever_made(booking),
    )


@of_any_kind
async def test_call_that_changes_a_lease_of_a_later_release_beside_its_booking_is_layout_unknown(
    backend: Backend, others: str
) -> None:
    """A move and forgetting write the lease, too: neither begins. A cancel goes on (83)."""
    slot, user, booking = await backend.slot(), user_of(backend), booking_of(backend)
    await backend.create_lease(slot)
    await book(backend, slot, lease_of(backend), user=user)
    await rewrite(backend, key_of_lease(lease_of(backend)), others)
    store, eraser = backend.store(), Eraser(backend.link, lambda *_: b"anonymous")
    move = UpdateBooking(booking, start_s=slot.start_s + 3600)

    await refused(
        backend,
        move=lambda: store.update_booking(move, soon()),
        forget_user=lambda: eraser.forget_user(user, tell_nobody),
    )
    cancelled = await store.update_booking(UpdateBooking(booking, BookingStatus.CANCELED), soon())
    assert cancelled.status is UpdateBookingStatus.UPDATED


@of_any_kind
async def test_call_about_an_inventory_of_a_later_release_is_layout_unknown_and_changes_nothing(
    backend: Backend, others: str
) -> None:
    """Neither a caller nor a feed is told that merchant or service are unknown (83)."""
    backend.is_strict = True
    slot = await backend.slot()
    unlisted = replace(slot, duration_s=60)
    await load(backend, {slot: 1})
    await rewrite(backend, keys.inventory_key(backend.merchant), others)
    inventory = backend.inventory()

    await refused(
        backend,
        create_lease=lambda: backend.create_lease(unlisted),
        create_booking=lambda: book(backend, unlisted, user=user_of(backend)),
        check_availability=lambda: backend.store().check_availability(unlisted, soon()),
        inspect_slot=lambda: backend.leases().inspect_slot(unlisted, soon()),
        describe=lambda: inventory.describe(backend.merchant),
    )
    inventory_key = keys.inventory_key(backend.merchant)
    before = await backend.redis.hgetall(inventory_key)
    for change in (load(backend, {slot: 2}), inventory.drop(backend.merchant)):
        with pytest.raises(StoreUnavailableError, match="STORE_LAYOUT_UNKNOWN"):
            await change
        assert await backend.redis.hgetall(inventory_key) == before


async def test_feed_counts_a_booking_of_a_later_release_as_made_since(backend: Backend) -> None:
    """What cannot be read takes a spot beside those that the feed calls taken, never gives one."""
    backend.is_strict = True
    slot = await backend.slot()
    await load(backend, {slot: 2})
    await book(backend, slot, user=user_of(backend))
    await load(backend, {slot: (2, 1)})
    assert (await backend.store().check_availability(slot, soon())).count == 1
    await rewrite(backend, key_of_booking(booking_of(backend)))

    await load(backend, {slot: (2, 1)})

    assert (await backend.store().check_availability(slot, soon())).count == 0


async def test_list_bookings_and_leases_go_on_without_records_of_a_later_release(
    backend: Backend,
) -> None:
    """They hold what can be read, count what cannot, and the user's index keeps its name (83)."""
    slot, user, left_out = await backend.slot(), user_of(backend), list[int]()
    for number in range(2):
        await backend.create_lease(replace(slot, duration_s=60), f"reference-{number}")
    later = replace(slot, start_s=slot.start_s + 3600)
    for token, wanted in (("token-1", slot), ("token-2", later)):
        assert (await book(backend, wanted, token=token, user=user)).status == "created"
    await rewrite(backend, key_of_booking(booking_of(backend)), "renamed")
    await rewrite(backend, key_of_lease(lease_of(backend, "reference-0")), "renamed")
    store = RedisStore(backend.link, backend.terms, on_left_out=left_out.append)
    leases = RedisLeases(backend.link, backend.terms, is_strict=False, on_left_out=left_out.append)

    for _ in range(2):
        listed = await store.list_bookings(user, soon())
        assert [record.slot for record in listed or []] == [later]
    await rewrite(backend, key_of_booking(booking_of(backend, "token-2")), "renamed")
    assert await store.list_bookings(user, soon()) == []
    assert left_out == [1, 1, 2]
    await backend.redis.delete(key_of_lease(lease_of(backend)))
    page = await leases.list_leases(LeaseFilter(backend.merchant), 100, 0, soon())
    assert page.leases == []
    assert left_out == [1, 1, 2, 1]


async def test_list_events_puts_off_the_end_of_a_lease_of_a_later_release(fake: Backend) -> None:
    """Other ends are noted meanwhile, and new leases granted; this one when it can be read (83)."""
    fake.terms = EVENTFUL
    slot, key = await fake.slot(), key_of_lease(lease_of(fake))
    held = await fake.create_lease(slot)
    await fake.create_lease(replace(slot, duration_s=60), "reference-2")
    await rewrite(fake, key)
    await fake.wait_until(held.expires_at_ms + 1)

    async def expired() -> list[str]:
        command = ListEvents(fake.merchant, "", 100)
        page = await fake.events().list_events(command, soon())
        return [event.lease_id for event in page.events if event.kind is EventKind.EXPIRED]

    others = [wire_id(lease_of(fake, "reference-2"))]
    assert await expired() == others
    later = replace(slot, duration_s=120)
    assert (await fake.create_lease(later, "reference-3")).status is CreateLeaseStatus.CREATED
    assert await expired() == others
    await rewrite(fake, key, v="1")
    await fake.wait_until(held.expires_at_ms + 60_002)
    assert await expired() == [*others, wire_id(lease_of(fake))]


async def test_beat_of_a_marker_of_a_later_release_is_layout_unknown(fake: Backend) -> None:
    """A process takes no marker of a later release for a loss, and leaves it alone (83)."""
    key = keys.marker_key("")
    await fake.redis.hset(key, mapping={"v": "2", "name": "other"})

    async def beat() -> None:
        arguments: list[str | int] = ["p", "new", "", 0, 0, CLOCK_STEP_MS]
        await fake.link.run(scripts.load("beat"), [key], arguments, soon())

    with pytest.raises(StoreUnavailableError, match="STORE_LAYOUT_UNKNOWN"):
        await beat()
    assert await fake.redis.hgetall(key) == {"v": "2", "name": "other"}


async def test_record_with_a_field_that_only_a_later_release_knows_is_read_and_keeps_it(
    backend: Backend,
) -> None:
    """Fields are added without raising the layout: every call goes on, and none drops them (83)."""
    slot, user, booking = await backend.slot(), user_of(backend), booking_of(backend)
    records = [key_of_lease(lease_of(backend)), key_of_booking(booking)]
    await backend.create_lease(slot)
    await backend.redis.hset(records[0], "colour", "red")
    assert (await backend.create_lease(slot)).status is CreateLeaseStatus.REPLAYED
    assert (await book(backend, slot, lease_of(backend), user=user)).status == "created"
    await backend.redis.hset(records[1], "colour", "red")

    assert (await book(backend, slot, lease_of(backend), user=user)).status == "replayed"
    assert (await backend.create_lease(slot)).status is CreateLeaseStatus.CONSUMED
    move = UpdateBooking(booking, start_s=slot.start_s + 3600)
    assert (await backend.store().update_booking(move, soon())).status == "updated"
    listed = await backend.store().list_bookings(user, soon())
    assert [record.slot.start_s for record in listed or []] == [slot.start_s + 3600]
    forgotten = await Eraser(backend.link, lambda *_: b"").forget_user(user, tell_nobody)
    assert len(forgotten.booking_ids) == 1
    for key in records:
        assert await backend.redis.hget(key, "colour") == "red"
