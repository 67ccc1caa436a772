"""FeedService on a real channel."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from tests.backends import EVENTFUL, Backend, FakeClock, link_to, soon
from tests.bookings import book
from tests.calls import failure_of
from tests.servers import free_port

from leasehold.generated.leasehold.v1 import feed_service_pb2 as pb
from leasehold.model import ids
from leasehold.model.booking import UpdateBooking
from leasehold.model.events import EventKind
from leasehold.model.inventory import InventoryStore
from leasehold.model.operators import ReleaseLease
from leasehold.rpc.v1 import feed as feed_module
from leasehold.store import keys
from leasehold.store.redis_events import RedisEvents


@pytest.fixture
async def feed(fake: Backend, serve_operators: Callable[..., Any]) -> Any:
    """A stub of the service over a store that keeps events."""
    fake.terms = EVENTFUL
    return (await serve_operators(fake.inventory(), None, fake.events())).feed


async def listed(feed: Any, backend: Backend, token: str = "", size: int = 0) -> Any:
    """Return one page."""
    request = pb.ListEventsRequest(merchant_id=backend.merchant, page_token=token, page_size=size)
    return await feed.ListEvents(request)


async def test_list_events_shows_what_happened_and_where_to_go_on(
    fake: Backend, fake_clock: FakeClock, feed: Any
) -> None:
    """Kind, ids, spot, times and reason of each event; the token leads to what comes next."""
    slot = await fake.slot(staff_id="anna")
    lease = await fake.create_lease(slot)
    named = ids.Reference(fake.merchant, ids.lease_suffix("reference-1"))

    first = await listed(feed, fake)

    (held,) = first.events
    assert held.kind == pb.EVENT_KIND_HELD
    assert held.lease_id == ids.wire_id(named.merchant_id, named.suffix)
    assert (held.spot.merchant_id, held.spot.service_id) == (fake.merchant, "haircut")
    assert (held.spot.staff_id, held.spot.number) == ("anna", 1)
    assert (held.spot.start_time.seconds, held.spot.duration.seconds) == (slot.start_s, 1800)
    assert held.expire_time.ToMilliseconds() == lease.expires_at_ms
    assert held.time.ToMilliseconds() == fake_clock.now_ms
    assert not held.HasField("old_spot")
    assert first.next_page_token == held.token

    await fake.leases().release_lease(ReleaseLease(named, "INC-1"), soon())
    await book(fake, slot)
    booking = ids.Reference(fake.merchant, ids.booking_suffix("v2", "token-1"))
    await fake.store().update_booking(UpdateBooking(booking, start_s=slot.start_s + 60), soon())
    rest = await listed(feed, fake, first.next_page_token)

    released, created, moved = rest.events
    assert (released.kind, released.reason) == (pb.EVENT_KIND_RELEASED, "INC-1")
    assert not released.HasField("expire_time")
    assert created.booking_id == moved.booking_id == ids.wire_id(fake.merchant, booking.suffix)
    assert moved.spot.start_time.seconds == slot.start_s + 60
    assert (moved.old_spot.start_time.seconds, moved.old_spot.number) == (slot.start_s, 1)
    last = await listed(feed, fake, rest.next_page_token)
    assert (list(last.events), last.next_page_token) == ([], rest.next_page_token)


async def test_list_events_of_a_merchant_without_any_is_empty(fake: Backend, feed: Any) -> None:
    """The token stands for the moment: what happens from then on comes after it."""
    empty = await listed(feed, fake)
    assert empty == pb.ListEventsResponse(next_page_token=empty.next_page_token)
    assert empty.next_page_token

    await fake.create_lease(await fake.slot())
    (held,) = (await listed(feed, fake, empty.next_page_token)).events
    assert held.kind == pb.EVENT_KIND_HELD


async def test_list_events_after_one_that_is_gone_is_out_of_range(fake: Backend, feed: Any) -> None:
    """Whoever may have missed something is told so, and can begin again without a token."""
    await fake.create_lease(await fake.slot())
    token = (await listed(feed, fake)).next_page_token
    await fake.redis.delete(keys.events_key(fake.merchant))

    failure = await failure_of(listed(feed, fake, token))

    assert (failure.code, failure.reason) == (grpc.StatusCode.OUT_OF_RANGE, "EVENTS_MISSED")
    assert "begin again without a page_token" in failure.message
    assert list((await listed(feed, fake)).events) == []


async def test_list_events_gives_a_hundred_at_a_time_or_fewer_if_that_is_asked(
    fake: Backend, feed: Any
) -> None:
    """Pages are bounded, whatever has happened."""
    for number in range(101):
        await fake.create_lease(await fake.slot(staff_id=str(number)), f"r-{number}")

    assert len((await listed(feed, fake)).events) == 100
    assert len((await listed(feed, fake, size=7)).events) == 7


async def test_list_events_where_none_are_kept_is_failed_precondition(
    fake: Backend, serve_operators: Callable[[InventoryStore], Any]
) -> None:
    """The answer names the setting that would keep some."""
    front = await serve_operators(fake.inventory())

    failure = await failure_of(listed(front.feed, fake))

    assert (failure.code, failure.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "FEED_OFF")
    assert "LEASEHOLD_FEED_MAX_EVENTS" in failure.message


@pytest.mark.parametrize(
    "token",
    ["x", "1", "1-", "-1", "01-0", "1-0 ", "1-0\n", "1-1-1", "\u0661-0", "9" * 20 + "-0", "+1-0"],
)
async def test_list_events_names_all_faults_of_shape(feed: Any, token: str) -> None:
    """Every field at fault by its path; a token has one spelling."""
    failure = await failure_of(
        feed.ListEvents(pb.ListEventsRequest(page_size=101, page_token=token))
    )

    assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
    assert set(failure.violations) == {"merchant_id", "page_size", "page_token"}


async def test_list_events_shows_kinds_of_a_newer_release_as_unspecified(
    fake: Backend, feed: Any
) -> None:
    """Two releases share a store during a rollout; the older one leaves out what it cannot say."""
    await fake.create_lease(await fake.slot())
    place = f"{keys.slot_text(await fake.slot())}#1"
    fields: Any = {"kind": "sung_to", "spot": place, "song": "la"}
    await fake.redis.xadd(keys.events_key(fake.merchant), fields)

    _, event = (await listed(feed, fake)).events

    assert (event.kind, event.spot.number) == (pb.EVENT_KIND_UNSPECIFIED, 1)


def test_every_kind_of_event_has_its_place_on_the_wire() -> None:
    """Both lists of kinds have the same members, under the same names."""
    names = {
        kind: pb.EventKind.Name(number).removeprefix("EVENT_KIND_").lower()
        for kind, number in feed_module.KINDS.items()
    }

    assert set(names) == set(EventKind)
    assert names.pop(EventKind.UNKNOWN) == "unspecified"
    assert all(str(kind) == name for kind, name in names.items())
    assert set(feed_module.KINDS.values()) == set(pb.EventKind.values())


async def test_list_events_without_its_store_is_unavailable(
    fake: Backend, serve_operators: Callable[..., Any]
) -> None:
    """Trouble of the store is trouble, with a time to come back, and no loss of events."""
    async with link_to(f"redis://127.0.0.1:{free_port()}/0") as link:
        front = await serve_operators(fake.inventory(), None, RedisEvents(link, EVENTFUL))
        failure = await failure_of(listed(front.feed, fake))

    assert (failure.code, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNREACHABLE")
    assert failure.has(error_details_pb2.RetryInfo)
