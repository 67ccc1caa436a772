"""What a feed still says where something of it is at fault: slots close rather than open."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.feeds import CASES, DAY_S, GONE, MAX_SLOT_S, MIDNIGHT_S, NINE_S, entry, faults_in, read
from tests.feeds import row as good_row

from leasehold.feed.files import Feed
from leasehold.model.inventory import Availability, Doubt, Fault, FeedItem, Remark, Scope

OF_THE_DAY = Scope("salon-1", from_s=MIDNIGHT_S, to_s=MIDNIGHT_S + DAY_S)


def doubts_in(items: list[FeedItem]) -> set[str]:
    """Return the merchants that are only lowered."""
    return {item.merchant_id for item in items if isinstance(item, Doubt)}


def bounds_in(items: list[FeedItem]) -> list[tuple[int, int, int]]:
    """Return the minutes after nine of slots that are only bounded, with the bounds."""
    return [
        ((slot.start_s - NINE_S) // 60, total, spots_open)
        for item in items
        if isinstance(item, Availability) and item.is_ceiling
        for slot, total, spots_open in item.slots()
    ]


def items_of(name: str) -> list[FeedItem]:
    """Return what a file says."""
    return list(Feed([CASES / name], MAX_SLOT_S).items())


def test_feed_whose_every_entry_is_at_fault_names_all_of_them() -> None:
    """Rows of ten spots are four faults, each with its file, its place and its reason."""
    items = items_of("all-entries-at-fault.json")

    place = f"{CASES / 'all-entries-at-fault.json'}: service_availability[0].availability"
    reason = "spots_total and spots_open must be 1 with a recurrence"
    assert faults_in(items) == [Fault(f"{place}[{number}]", reason) for number in range(4)]
    assert [item for item in items if isinstance(item, Scope)] == [Scope("merch-1")]


@pytest.mark.parametrize(
    ("spots", "bound"),
    [
        ({"spots_total": 1, "spots_open": 2}, (1, 1)),
        ({"spots_total": 3, "spots_open": -1}, (3, 0)),
        ({"spots_total": 3, "spots_open": "some"}, (3, 3)),
        ({"spots_total": [], "spots_open": 2}, (1000, 2)),
        ({"spots_total": 1001, "spots_open": 1001}, (1000, 1000)),
        ({"spots_total": -5, "spots_open": 1}, (0, 0)),
        ({"spots_total": GONE, "spots_open": 2}, (1000, 2)),
        ({"spots_total": GONE, "spots_open": GONE}, (1000, 1000)),
    ],
)
def test_slot_of_impossible_spots_is_bounded_by_what_is_possible(
    spots: dict[str, Any], bound: tuple[int, int]
) -> None:
    """A slot that can be read stays, with no more spots than it has and than its entry says."""
    items = read(entry(**spots), entry(start_sec=NINE_S + 3600))

    assert len(faults_in(items)) == 1
    assert bounds_in(items) == [(0, *bound)]
    assert doubts_in(items) == set()
    assert items[0] == Scope("salon-1")


def test_row_of_impossible_spots_is_bounded_slot_by_slot() -> None:
    """A row gives no slot more than one spot, and none where it is closed or says zero."""
    closed = {"time_range": {"begin_sec": NINE_S, "end_sec": NINE_S + 60}}

    of_ten = read(good_row(spots_total=10, spots_open=10, schedule_exception=[closed]))
    of_none = read(good_row(spots_total=1, spots_open=0))

    assert bounds_in(of_ten) == [(0, 1, 0), (30, 1, 1), (60, 1, 1)]
    assert bounds_in(of_none) == [(0, 1, 0), (30, 1, 0), (60, 1, 0)]


@pytest.mark.parametrize(
    "change",
    [
        {"start_sec": GONE},
        {"service_id": ""},
        {"duration_sec": "long"},
        {"resources": {"party_size": -1}},
        {"recurrence": {"repeat_every_sec": 1}},
        {"schedule_exception": [{}]},
    ],
)
def test_slot_that_cannot_be_read_is_a_doubt_about_its_merchant(change: dict[str, Any]) -> None:
    """Which slot was meant is unknown, so any of that merchant's may be the one."""
    items = read(entry(**change), entry(merchant_id="salon-2"))

    assert len(faults_in(items)) == 1
    assert doubts_in(items) == {"salon-1"}
    assert bounds_in(items) == []


@pytest.mark.parametrize("slot", [None, 5, [], entry(merchant_id=GONE), entry(merchant_id="\n")])
def test_slot_of_no_readable_merchant_is_a_doubt_about_the_entrys(slot: Any) -> None:
    """An entry that names its merchant is a doubt about that one, any other about all."""
    assert doubts_in(read(slot)) == {""}
    without = entry(merchant_id=GONE)
    assert doubts_in(read(slot, merchant_id_restrict="salon-9")) == (
        set() if slot == without else {"salon-9"}
    )


def test_entry_at_fault_only_lowers_its_slots() -> None:
    """Its restriction is unknown, so nothing is removed; lower numbers that can be read apply."""
    items = read(
        entry(),
        entry(merchant_id="salon-2", spots_open=5),
        merchant_id_restrict="salon-1",
        until="noon",
    )

    outside = (
        "lies outside the restrictions of its entry; spots_open is not between 0 and spots_total"
    )
    assert [fault.reason for fault in faults_in(items)] == [
        "until is not a member that is known here",
        "belongs to an entry that cannot be taken",
        f"belongs to an entry that cannot be taken; {outside}",
    ]
    assert doubts_in(items) == {"salon-1", "salon-2"}
    assert bounds_in(items) == [(0, 2, 1), (0, 2, 2)]
    scopes = [item for item in items if isinstance(item, Scope)]
    assert all(scope.from_s == OF_THE_DAY.from_s for scope in scopes)
    assert all(scope.to_s == OF_THE_DAY.to_s for scope in scopes)


def test_slot_outside_its_entrys_restrictions_only_lowers() -> None:
    """Whether the slot or the restriction is the mistake is unknown, so nothing is removed."""
    limits = {"merchant_id_restrict": "salon-1", "end_timestamp_restrict": NINE_S}

    scope, fault, *more = read(entry(), **limits)

    assert scope == Scope("salon-1", to_s=NINE_S)
    told = "lies outside the restrictions of its entry"
    assert fault == Fault("here.availability[0]", told)
    assert doubts_in(more) == {"salon-1"}
    assert OF_THE_DAY in more
    assert bounds_in(more) == [(0, 2, 1)]


def test_missing_open_spots_are_remarked_on_once_a_feed(tmp_path: Path) -> None:
    """A warning says where the first one is; a row, and a slot that says so itself, need none."""
    slots = [entry(), good_row(), *[entry(spots_open=GONE, start_sec=NINE_S + n) for n in (1, 2)]]
    entries = [{"availability": slots}, {"availability": slots}]
    path = tmp_path / "feed.json"
    metadata = {"generation_timestamp": 5}
    path.write_text(json.dumps({"metadata": metadata, "service_availability": entries}))

    items = list(Feed([path], MAX_SLOT_S).items())

    assert faults_in(items) == []
    (remark,) = (item for item in items if isinstance(item, Remark))
    assert remark.place == f"{path}: service_availability[0].availability[2]"
    assert "spots_open" in remark.text
