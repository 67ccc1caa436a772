import string
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.feeds import (
    CASES,
    DAY_S,
    GONE,
    MAX_SLOT_S,
    MIDNIGHT_S,
    NINE_S,
    entry,
    fault_of,
    faults_in,
    read,
    row,
    taken,
)

from leasehold.feed.entries import Entries
from leasehold.feed.files import Feed
from leasehold.feed.members import ENTRY
from leasehold.model.inventory import Availability, Doubt, Fault, Scope
from leasehold.model.slot import Slot
from leasehold.store import keys

LAST_SECOND = 253_402_300_799


def starts(values: Any) -> dict[int, int]:
    """Return the minutes after nine at which the slots of a row start, and if they are open."""
    return {(it.start_s - NINE_S) // 60: is_open for it, _, is_open in taken(values).slots()}


def test_entry_good_is_a_slot_and_its_spots() -> None:
    """An entry names a slot in the feed's words; without restrictions its merchant is complete."""
    resources = {"staff_id": "anna", "staff_name": "Anna", "room_id": "1", "party_size": 4}
    values = entry(resources=resources, availability_tag="x", confirmation_mode=2, more=[{}])

    slot = Slot("salon-1", "haircut", NINE_S, 1800, "anna", "1", 4)
    assert read(values) == [Scope("salon-1"), Availability("here.availability[0]", slot, 2, 1)]


def test_entry_numbers_as_texts_are_numbers() -> None:
    """int64 values come as JSON numbers or as texts, which mean the same."""
    names = ("start_sec", "duration_sec", "spots_total", "spots_open")
    texts = {name: str(entry()[name]) for name in names}
    recurrence = {"repeat_every_sec": "1800", "repeat_until_sec": str(NINE_S + 3600)}
    closed = {"begin_sec": str(NINE_S), "end_sec": str(NINE_S + 60)}

    assert taken(entry(**texts)) == taken(entry())
    assert taken(entry(resources={"party_size": "4"})).slot.party_size == 4
    as_text = row(recurrence=recurrence, schedule_exception=[{"time_range": closed}])
    assert starts(as_text) == {0: 0, 30: 1, 60: 1}


@pytest.mark.parametrize("write", [float, "{}.0".format, "{}.000000000".format, "{}e0".format])
def test_entry_whole_numbers_with_a_fraction_of_zero_are_numbers(
    write: Callable[[int], object],
) -> None:
    """What protobuf JSON takes for an integer, a file takes: as a number or a text, 5, 5.0, 5e0."""
    names = ("start_sec", "duration_sec", "spots_total", "spots_open")
    recurrence = {"repeat_every_sec": write(1800), "repeat_until_sec": write(NINE_S + 3600)}
    limits = {"start_timestamp_restrict": write(NINE_S), "duration_restrict_sec": write(1800)}

    assert taken(entry(**{name: write(entry()[name]) for name in names})) == taken(entry())
    assert taken(entry(resources={"party_size": write(4)})).slot.party_size == 4
    assert taken(row(recurrence=recurrence)) == taken(row())
    restricted = read(entry(), merchant_id_restrict="salon-1", **limits)
    assert restricted[0] == Scope("salon-1", from_s=NINE_S, duration_s=1800)


@pytest.mark.parametrize(
    ("total", "spots_open", "expected"),
    [
        (3, GONE, (3, 0)),
        (3, None, (3, 0)),
        (0, GONE, (0, 0)),
        (GONE, 0, (0, 0)),
        (0, 0, (0, 0)),
        (1000, 1000, (1000, 1000)),
    ],
)
def test_entry_absent_spots_are_none(total: Any, spots_open: Any, expected: object) -> None:
    """Protobuf JSON leaves out a number that is 0, so absent open spots are no open spots."""
    found = taken(entry(spots_total=total, spots_open=spots_open))

    assert (found.spots_total, found.spots_open) == expected


@pytest.mark.parametrize("empty", [None, {}])
def test_entry_absent_resources_are_empty_ones(empty: Any) -> None:
    """A slot without resources, with empty ones or with null is the same slot."""
    assert taken(entry(resources=empty)) == taken(entry())


FAULTS = [
    ({"merchant_id": GONE}, "merchant_id is required"),
    ({"merchant_id": ""}, "merchant_id is required"),
    ({"merchant_id": 5}, "merchant_id is not a text"),
    ({"merchant_id": "m" * 256}, "merchant_id is longer than 255 bytes of UTF-8"),
    ({"merchant_id": "m" * 10_000}, "merchant_id is longer than 255 bytes of UTF-8"),
    ({"merchant_id": "a\nb"}, "merchant_id contains control characters"),
    ({"merchant_id": "\ud800"}, "merchant_id is not Unicode"),
    ({"service_id": None}, "service_id is required"),
    ({"service_id": ["haircut"]}, "service_id is not a text"),
    ({"service_id": "\x00"}, "service_id contains control characters"),
    ({"start_sec": GONE}, "start_sec is required"),
    ({"start_sec": "soon"}, "start_sec is not a whole number"),
    ({"start_sec": -1}, "start_sec is not a time between 1970 and 9999"),
    ({"start_sec": LAST_SECOND + 1}, "start_sec is not a time between 1970 and 9999"),
    ({"start_sec": 10**400}, "start_sec has more than 64 bits"),
    ({"start_sec": "9" * 19}, "start_sec has more than 64 bits"),
    ({"start_sec": "9" * 5000}, "start_sec is not a whole number"),
    ({"duration_sec": GONE}, "duration_sec must be longer than zero"),
    ({"duration_sec": 1800.5}, "duration_sec is not a whole number"),
    ({"duration_sec": 1e300}, "duration_sec is not a whole number"),
    ({"duration_sec": float("nan")}, "duration_sec is not a whole number"),
    ({"duration_sec": float("inf")}, "duration_sec is not a whole number"),
    ({"duration_sec": True}, "duration_sec is not a whole number"),
    ({"duration_sec": "1800.5"}, "duration_sec is not a whole number"),
    ({"duration_sec": "18e-2"}, "duration_sec is not a whole number"),
    ({"duration_sec": "9e99"}, "duration_sec has more than 64 bits"),
    ({"duration_sec": "1_800"}, "duration_sec is not a whole number"),
    ({"duration_sec": "\u0661"}, "duration_sec is not a whole number"),
    ({"duration_sec": ""}, "duration_sec is not a whole number"),
    ({"duration_sec": -5}, "duration_sec must be longer than zero"),
    ({"duration_sec": MAX_SLOT_S + 1}, "duration_sec must be at most 2678400 seconds"),
    ({"spots_total": 1001}, "spots_total is not between 0 and 1000"),
    ({"spots_total": {}}, "spots_total is not a whole number"),
    ({"spots_total": GONE, "spots_open": GONE}, "spots_total and spots_open are missing"),
    ({"spots_total": GONE}, "spots_total is missing beside spots_open"),
    ({"spots_open": 3}, "spots_open is not between 0 and spots_total"),
    ({"spots_open": -1}, "spots_open is not between 0 and spots_total"),
    ({"resources": "anna"}, "resources is not an object"),
    ({"resources": ["anna"]}, "resources is not an object"),
    ({"resources": {"staff_id": 1}}, "resources.staff_id is not a text"),
    ({"resources": {"room_id": "\x7f"}}, "resources.room_id contains control characters"),
    ({"resources": {"party_size": -1}}, "resources.party_size must not be negative"),
    ({"resources": {"party_size": 2**31}}, "resources.party_size is above 2147483647"),
    ({"resources": {"party_size": [4]}}, "resources.party_size is not a whole number"),
    ({"recurrence": 5}, "recurrence is not an object"),
    ({"schedule_exception": [{}]}, "schedule_exception needs a recurrence"),
    ({"schedule_exception": 5}, "schedule_exception is not a list"),
]


@pytest.mark.parametrize(("change", "fault"), FAULTS)
def test_entry_at_fault_is_told_by_name(change: dict[str, Any], fault: str) -> None:
    """Each fault is told once, by the name of the member, and never by its value."""
    reasons = fault_of(entry(**change)).split("; ")

    assert fault in reasons
    names = [reason.partition(" ")[0] for reason in reasons]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("values", [5, "x", True, 1.5, [], [entry()], None])
def test_entry_that_is_no_object_is_one_fault(values: Any) -> None:
    """What is no entry at all is told in one word, not member by member."""
    assert fault_of(values) == "is not an object"


def test_entry_with_many_faults_names_all_of_them_at_once() -> None:
    """Whoever mends a feed sees everything that is wrong with an entry in one go."""
    recurrence = {"repeat_every_sec": 59, "repeat_until_sec": NINE_S - 1}
    closed = [{"time_range": {"begin_sec": 5, "end_sec": 5}}, {"time_range": 5}, 5]
    values = row(
        merchant_id=[],
        service_id="",
        duration_sec=0,
        spots_total=2,
        resources={"staff_id": "\n", "room_id": {}, "party_size": "-1"},
        recurrence=recurrence,
        schedule_exception=closed,
    )

    assert fault_of(values).split("; ") == [
        "merchant_id is not a text",
        "resources.room_id is not a text",
        "service_id is required",
        "duration_sec must be longer than zero",
        "resources.staff_id contains control characters",
        "resources.party_size must not be negative",
        "recurrence.repeat_every_sec must be at least 60",
        "recurrence.repeat_until_sec is not within 25 hours from start_sec",
        "schedule_exception[2] is not an object",
        "schedule_exception[0].time_range.end_sec is not after begin_sec",
        "schedule_exception[1].time_range is not an object",
        "spots_total and spots_open must be 1 with a recurrence",
    ]


def test_recurrence_of_the_contract_yields_each_slot_up_to_the_last() -> None:
    """Slots of 20 minutes every 30, one spot each; repeat_until is itself the last start."""
    assert starts(row()) == {0: 1, 30: 1, 60: 1}
    until = {"repeat_every_sec": 1800, "repeat_until_sec": NINE_S + 3599}
    assert starts(row(recurrence=until)) == {0: 1, 30: 1}
    once = {"repeat_every_sec": 1800, "repeat_until_sec": NINE_S}
    assert starts(row(recurrence=once)) == {0: 1}
    assert [total for _, total, _ in taken(row()).slots()] == [1, 1, 1]


def test_recurrence_of_a_day_of_25_hours_is_taken_up_to_its_last_slot() -> None:
    """Clocks are set back once a year: half hours from midnight to half past eleven are 50."""
    items = list(Feed([CASES / "day-of-25-hours.json"], MAX_SLOT_S).items())

    assert faults_in(items) == []
    rows = [len(list(item.slots())) for item in items if isinstance(item, Availability)]
    assert rows == [50, 48]


@pytest.mark.parametrize(("hours_s", "is_taken"), [(25 * 3600, True), (25 * 3600 + 1, False)])
def test_recurrence_goes_on_for_25_hours_at_most(hours_s: int, is_taken: bool) -> None:
    """repeat_until lies at most as long after the first start as the longest day lasts."""
    values = row(recurrence={"repeat_every_sec": 3600, "repeat_until_sec": NINE_S + hours_s})

    if is_taken:
        assert len(list(taken(values).slots())) == 26
    else:
        told = "recurrence.repeat_until_sec is not within 25 hours from start_sec"
        assert fault_of(values) == told


def test_recurrence_over_midnight_utc_lies_on_two_days() -> None:
    """A row is cut by no calendar: what starts after midnight belongs to the next UTC day."""
    late_s = MIDNIGHT_S + 23 * 3600
    values = row(
        start_sec=late_s,
        recurrence={"repeat_every_sec": 1800, "repeat_until_sec": late_s + 2 * 3600},
    )

    days = [keys.slot_text(slot).split(":", 1)[1][:10] for slot, *_ in taken(values).slots()]
    assert days == ["2030-03-18"] * 2 + ["2030-03-19"] * 3


def test_recurrence_knows_no_daylight_saving() -> None:
    """In the night in which Europe's clocks go forward a row goes on, half hour by half hour."""
    one_s = MIDNIGHT_S + 13 * DAY_S + 3600
    before_s = one_s - 3600
    repeats = {"repeat_every_sec": 1800, "repeat_until_sec": one_s + 3600}

    found = taken(row(start_sec=before_s, recurrence=repeats))

    assert [slot.start_s - before_s for slot, *_ in found.slots()] == [0, 1800, 3600, 5400, 7200]


@pytest.mark.parametrize(
    ("closed", "open_minutes"),
    [
        ((30, 50), {0, 60}),
        ((20, 30), {0, 30, 60}),
        ((19, 31), {60}),
        ((49, 50), {0, 60}),
        ((50, 60), {0, 30, 60}),
        ((-100, 1000), set()),
        ((-10, 0), {0, 30, 60}),
    ],
)
def test_schedule_exception_closes_what_it_overlaps(
    closed: tuple[int, int], open_minutes: set[int]
) -> None:
    """An exception is half-open: touching a slot closes nothing, a cut through one closes it."""
    begin_s, end_s = (NINE_S + 60 * minute for minute in closed)
    exception = {"time_range": {"begin_sec": begin_s, "end_sec": end_s}}

    found = starts(row(schedule_exception=[exception]))
    assert set(found) == {0, 30, 60}
    assert {minute for minute, is_open in found.items() if is_open} == open_minutes


def test_schedule_exceptions_add_up_where_they_overlap() -> None:
    """Several exceptions close what any of them does; an empty list closes nothing."""
    ranges = [(0, 40), (35, 45), (0, 1)]
    exceptions = [
        {"time_range": {"begin_sec": NINE_S + 60 * begin, "end_sec": NINE_S + 60 * end}}
        for begin, end in ranges
    ]

    assert starts(row(schedule_exception=exceptions)) == {0: 0, 30: 0, 60: 1}
    assert starts(row(schedule_exception=[])) == {0: 1, 30: 1, 60: 1}
    assert taken(entry(schedule_exception=[])) == taken(entry())


def test_recurrence_with_spots_of_its_own_is_refused() -> None:
    """Each slot of a row counts as 1 of 1, so a row cannot say otherwise."""
    assert starts(row(spots_total=1, spots_open="1")) == {0: 1, 30: 1, 60: 1}
    for total, spots_open in ((2, 2), (1, 0), (20, 20), (0, 0)):
        told = fault_of(row(spots_total=total, spots_open=spots_open))
        assert told == "spots_total and spots_open must be 1 with a recurrence"


def test_entries_name_each_merchant_once_before_its_first_slot() -> None:
    """A merchant is complete by being in the feed; an entry at fault makes nobody complete."""
    slots = [entry(merchant_id="a"), entry(merchant_id="b", duration_sec=0), entry()]
    items = list(
        Entries(MAX_SLOT_S).read_all([{"availability": slots}, {"availability": slots}, {}])
    )

    assert [item for item in items if isinstance(item, Scope)] == [Scope("a"), Scope("salon-1")]
    assert items[0] == Scope("a")
    assert [item for item in items if isinstance(item, Doubt)] == [Doubt("b"), Doubt("b")]
    places = [item.place for item in items if isinstance(item, Availability | Fault)]
    assert places == [
        f"service_availability[{e}].availability[{s}]" for e in (0, 1) for s in range(3)
    ]


members = st.sampled_from(
    [
        *entry(),
        *ENTRY.own,
        *("resources", "staff_id", "room_id", "party_size"),
        *("recurrence", "repeat_until_sec", "schedule_exception", "time_range"),
        *("begin_sec", "end_sec"),
    ]
)
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(0, 5)
    | st.sampled_from([NINE_S, str(NINE_S), NINE_S + 3600, 10**400, 1800, "", "0", "salon-1"])
    | st.floats()
    | st.text(st.characters(), max_size=5)
    | st.text(string.digits, max_size=25),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(members, values, max_size=5),
    max_leaves=12,
)
changes = st.dictionaries(members, anything, max_size=4)


@given(changes, st.lists(anything | changes.map(lambda it: row(**it)), max_size=3))
def test_entry_of_anything_is_a_fault_or_can_be_stored(
    restrictions: dict[str, Any], slots: list[Any]
) -> None:
    """Whatever JSON holds: nothing is raised, each entry has one verdict, the good have keys."""
    given_ones = {name: value for name, value in restrictions.items() if name in ENTRY.own}

    items = read(*slots, **given_ones)

    for item in items:
        if isinstance(item, Availability):
            assert all(keys.slot_text(slot) for slot, *_ in item.slots())
        elif isinstance(item, Scope):
            assert item.merchant_id
        elif isinstance(item, Fault):
            assert item.reason
    places = [
        item.place
        for item in items
        if isinstance(item, Fault) or (isinstance(item, Availability) and not item.is_ceiling)
    ]
    expected = [f"here.availability[{number}]" for number in range(len(slots))]
    assert [place for place in places if place != "here"] == expected
