from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.clients import ADA, FIVE_MINUTES, client_of, operators_of, slot_of
from tests.service import Service, serving

from leasehold.client import Booked, EventKind, EventPage, EventSpot, Refused


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A service that keeps events."""
    with serving("--embedded", EMBEDDED_DIR=str(tmp_path), FEED_MAX_EVENTS="100") as service:
        yield service


async def test_list_events_tells_what_has_happened_from_a_token_on(service: Service) -> None:
    """Kinds, places and times are plain values, and a token leads to what came after."""
    slot = slot_of("anna")
    async with client_of(service) as client, operators_of(service) as operators:
        empty = await operators.list_events("salon-1")
        assert isinstance(empty, EventPage)
        assert not empty.events
        assert empty.token
        async with client.hold(slot, FIVE_MINUTES) as hold:
            booked = await hold.book(ADA)
        assert isinstance(booked, Booked)
        page = await operators.list_events("salon-1")
        assert isinstance(page, EventPage)
        held, consumed, made = page.events
        assert await operators.list_events("salon-1", empty.token) == page
        rest = await operators.list_events("salon-1", held.token)
        none = await operators.list_events("salon-1", page.token)

    assert held.kind is EventKind.HELD
    assert (held.lease_id, held.expires_at) == (hold.lease_id, hold.expires_at)
    assert (held.spot, held.old_spot) == (EventSpot(slot, 1), None)
    assert (consumed.kind, consumed.booking_id) == (EventKind.CONSUMED, booked.booking_id)
    assert (made.kind, made.at >= held.at) == (EventKind.BOOKING_CREATED, True)
    assert held.json()["kind"] == "EVENT_KIND_HELD"
    assert rest == EventPage((consumed, made), made.token)
    assert none == EventPage((), made.token)


async def test_list_events_that_may_be_missed_is_a_refusal(service: Service) -> None:
    """A token that is kept no more: what came after it may be lost."""
    async with operators_of(service) as operators:
        missed = await operators.list_events("salon-1", "1-1")
    assert isinstance(missed, Refused)
    assert missed.cause == "EVENTS_MISSED"
