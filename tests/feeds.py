"""Entries of availability feeds, good ones to change, and what is read of them."""

from pathlib import Path
from typing import Any

from leasehold.feed.entries import Entries
from leasehold.model.inventory import Availability, Fault, FeedItem

CASES = Path(__file__).parent / "data" / "feeds"
"""Feeds as producers have written them, with invented names."""
DAY_S = 86_400
MAX_SLOT_S = 31 * DAY_S
MIDNIGHT_S = 1_900_022_400
"""2030-03-18T00:00Z."""
NINE_S = MIDNIGHT_S + 9 * 3600
GONE: Any = object()
"""What a test writes for a member that it leaves out."""


def entry(**changes: Any) -> dict[str, Any]:
    """Return a good availability with other members, or without those that are GONE."""
    good = {
        "merchant_id": "salon-1",
        "service_id": "haircut",
        "start_sec": NINE_S,
        "duration_sec": 1800,
        "spots_total": 2,
        "spots_open": 1,
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not GONE}


def row(**changes: Any) -> dict[str, Any]:
    """Return a good availability that repeats: slots of 20 minutes every half hour for an hour."""
    recurrence = {"repeat_every_sec": 1800, "repeat_until_sec": NINE_S + 3600}
    values = {"duration_sec": 1200, "spots_total": GONE, "spots_open": GONE}
    return entry(**{**values, "recurrence": recurrence, **changes})


def read(*slots: Any, **restrictions: Any) -> list[FeedItem]:
    """Read one entry."""
    return list(Entries(MAX_SLOT_S).read(restrictions, slots, "here"))


def faults_in(items: list[FeedItem]) -> list[Fault]:
    """Return what is wrong."""
    return [item for item in items if isinstance(item, Fault)]


def fault_of(values: Any, **restrictions: Any) -> str:
    """Return what is wrong with an availability, whose slots may only be bounded by it."""
    items = read(values, **restrictions)
    (fault,) = faults_in(items)
    assert all(item.is_ceiling for item in items if isinstance(item, Availability))
    assert fault.place == "here.availability[0]"
    return fault.reason


def taken(values: Any, **restrictions: Any) -> Availability:
    """Return the one availability that is read, and nothing is wrong with."""
    items = read(values, **restrictions)
    assert faults_in(items) == []
    (found,) = (item for item in items if isinstance(item, Availability))
    return found
