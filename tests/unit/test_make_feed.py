from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests import make_feed
from tests.feeds import DAY_S, MAX_SLOT_S, MIDNIGHT_S

from leasehold.feed.files import Feed
from leasehold.model.inventory import Availability, Scope


def entries(seed: int = 1, merchants: int = 10, days: int = 2) -> list[dict[str, Any]]:
    """Return what is made of ten merchants and two days."""
    return list(make_feed.entries(merchants, days, MIDNIGHT_S, seed))


def test_make_feed_is_the_same_for_the_same_seed() -> None:
    """A measurement can be repeated: the seed alone decides who is free."""
    assert entries(seed=7) == entries(seed=7)
    assert entries(seed=7) != entries(seed=8)

    def without_spots(seed: int) -> list[dict[str, Any]]:
        return [{**entry, "spots_open": None} for entry in entries(seed)]

    assert without_spots(7) == without_spots(8)


def test_make_feed_has_salons_studios_and_restaurants() -> None:
    """Of ten merchants two are salons, three have classes of 20, and five tables by party size."""
    by_merchant = Counter[str]()
    kinds: dict[str, str] = {}
    for entry in entries():
        merchant, service = entry["merchant_id"], entry["service_id"]
        by_merchant[merchant] += 1
        kinds[merchant] = {"yoga": "studio", "pilates": "studio", "table": "restaurant"}.get(
            service, "salon"
        )
        resources, total = entry["resources"], entry["spots_total"]
        if kinds[merchant] == "studio":
            assert total == 20
            assert resources["room_id"] in ("upstairs", "downstairs")
        elif kinds[merchant] == "restaurant":
            assert total == 8 - resources["party_size"]
        else:
            assert total == 1
            assert resources["staff_id"] in ("staff-0", "staff-1", "staff-2")
        assert 0 <= entry["spots_open"] <= total

    assert Counter(kinds.values()) == {"salon": 2, "studio": 3, "restaurant": 5}
    assert {kinds[merchant]: count for merchant, count in by_merchant.items()} == {
        "salon": 2 * 108,
        "studio": 2 * 56,
        "restaurant": 2 * 64,
    }


def test_make_feed_of_its_usual_size_lists_a_million_slots() -> None:
    """500 merchants and 30 days, as the benchmark loads them."""
    a_day = [len(entries(merchants=10, days=1)), len(entries(merchants=10, days=3)) / 3]

    assert a_day[0] == a_day[1]
    assert 1_000_000 < a_day[0] * 50 * 30 < 1_300_000


@pytest.mark.parametrize("name", ["feed.json", "feed.json.gz"])
def test_make_feed_writes_a_feed_without_a_fault(tmp_path: Path, name: str) -> None:
    """What is written can be loaded as it is: every slot once, and each on its day."""
    count = make_feed.write(tmp_path / name, merchants=10, days=2, first_s=MIDNIGHT_S, seed=1)

    feed = Feed([tmp_path / name], MAX_SLOT_S)
    items = list(feed.items())

    assert feed.count == count == len(entries())
    assert len([item for item in items if isinstance(item, Scope)]) == 10
    slots = [item.slot for item in items if isinstance(item, Availability)]
    assert len(set(slots)) == count
    assert all(MIDNIGHT_S <= slot.start_s < MIDNIGHT_S + 2 * DAY_S for slot in slots)
