"""What members of a feed may be called, and what happens to those that mean nothing."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.feeds import CASES, MAX_SLOT_S, NINE_S, entry, faults_in, read, row, taken

from leasehold.feed.files import Feed
from leasehold.feed.members import spellings
from leasehold.model.inventory import Availability, Fault, FeedError, FeedItem, Scope

DAY_IN_MARCH_S = 1_803_859_200
"""2027-03-01T00:00Z."""
NINE = "2030-03-18T09:00:00Z"


def camel(values: Any) -> Any:
    """Return values of a feed with every name in camel case."""
    if isinstance(values, dict):
        return {spellings(name)[1]: camel(value) for name, value in values.items()}
    return [camel(value) for value in values] if isinstance(values, list) else values


def items_of(path: Path) -> list[FeedItem]:
    """Return what a file says."""
    return list(Feed([path], MAX_SLOT_S).items())


def write(folder: Path, *entries: Any, name: str = "service_availability") -> Path:
    """Write a feed file."""
    path = folder / "feed.json"
    path.write_text(json.dumps({"metadata": {"generation_timestamp": 5}, name: [*entries]}))
    return path


def test_feed_restricted_in_real_time_names_is_complete_for_its_day_only() -> None:
    """An entry of the first day under the real-time API's names leaves the second day alone."""
    scope, slot = items_of(CASES / "first-day-in-real-time-names.json")

    assert scope == Scope("cb", from_s=DAY_IN_MARCH_S, to_s=DAY_IN_MARCH_S + 86_400)
    assert isinstance(slot, Availability)


def test_feed_in_camel_case_is_the_feed_in_snake_case(tmp_path: Path) -> None:
    """Protobuf JSON allows two spellings of each name, everywhere in a file."""
    scope, slot = items_of(CASES / "camel-case.json")
    assert scope == Scope("cc")
    assert isinstance(slot, Availability)
    closed = {"time_range": {"begin_sec": NINE_S, "end_sec": NINE_S + 60}}
    resources = {"staff_id": "anna", "room_id": "1", "party_size": 4}
    limits = {
        "merchant_id_restrict": "salon-1",
        "service_id_restrict": "haircut",
        "start_timestamp_restrict": NINE_S,
        "end_timestamp_restrict": NINE_S + 7200,
        "duration_restrict_sec": 1200,
        "resources_restrict": resources,
    }
    slots = [row(resources=resources, schedule_exception=[closed])]
    whole = {
        "metadata": {"generation_timestamp": 5, "shard_number": 1, "total_shards": 1},
        "service_availability": [{**limits, "availability": slots}, {"availability": [entry()]}],
    }
    path = tmp_path / "feed.json"
    path.write_text(json.dumps(whole))
    expected = items_of(path)
    path.write_text(json.dumps(camel(whole)))

    assert items_of(path) == expected
    kinds = [type(item).__name__ for item in expected]
    assert kinds == ["Scope", "Availability", "Scope", "Availability"]


@pytest.mark.parametrize("is_camel", [False, True])
def test_entry_in_real_time_names_restricts_and_lists_as_in_those_of_the_feed(
    is_camel: bool,
) -> None:
    """Times are RFC 3339, durations seconds with an s; slots are of the entry's service."""
    restrictions = {
        "merchant_id": "salon-1",
        "service_id": "haircut",
        "start_time_restrict": NINE,
        "end_time_restrict": "2030-03-18T12:00:00.5+01:00",
        "duration_restrict": "1200s",
        "resources_restrict": {"staff_id": "anna"},
    }
    recurrence = {"repeat_every": "1800s", "repeat_until": "2030-03-18T10:00:00Z"}
    closed = {"time_range": {"start_time": NINE, "end_time": "2030-03-18T09:10:00Z"}}
    slot = {
        "start_time": NINE,
        "duration": "1200s",
        "resources": {"staff_id": "anna"},
        "recurrence": recurrence,
        "schedule_exception": [closed],
    }
    if is_camel:
        restrictions, slot = camel(restrictions), camel(slot)

    scope, found = read(slot, **restrictions)

    until_s = NINE_S + 7201
    assert scope == Scope("salon-1", "haircut", NINE_S, until_s, 1200, staff_id="anna")
    in_seconds = {"time_range": {"begin_sec": NINE_S, "end_sec": NINE_S + 600}}
    same = row(resources={"staff_id": "anna"}, schedule_exception=[in_seconds])
    assert found == taken(same)


@pytest.mark.parametrize(
    ("member", "fault"),
    [
        ({"start_time_restriction": NINE}, "start_time_restriction is not a member"),
        ({"startTimestampRestriction": 0}, "startTimestampRestriction is not a member"),
        ({"MERCHANT_ID_RESTRICT": None}, "MERCHANT_ID_RESTRICT is not a member"),
        ({"a\nb" + "c" * 100: {}}, r"a\nb" + "c" * 57 + " is not a member"),
        ({"resources_restrict": {"staff": "anna"}}, "resources_restrict.staff is not a member"),
        ({"start_time_restrict": "soon"}, "(given as start_time_restrict) is not a time like"),
        ({"startTimeRestrict": NINE_S}, "(given as startTimeRestrict) is not a time like"),
        ({"end_time_restrict": "1970-01-01T00:00:00Z"}, "end_timestamp_restrict (given as"),
        ({"end_time_restrict": "2030-02-30T00:00:00Z"}, "end_timestamp_restrict (given as"),
        ({"duration_restrict": "0s"}, "(given as duration_restrict) is not a duration of whole"),
        ({"durationRestrict": "30m"}, "(given as durationRestrict) is not a duration of whole"),
        ({"durationRestrict": 1800}, "(given as durationRestrict) is not a duration of whole"),
        ({"merchant_id": "salon-2"}, "merchant_id_restrict is given twice, each time with another"),
        ({"serviceId": 5}, "service_id_restrict is not a text"),
    ],
)
def test_entry_with_what_may_be_meant_to_restrict_it_is_at_fault(
    tmp_path: Path, member: dict[str, Any], fault: str
) -> None:
    """A restriction that means nothing must not make an entry complete for more than it meant."""
    given = {"merchant_id_restrict": "salon-1", **member}

    for faults in (
        read(entry(), **given),
        items_of(write(tmp_path, {"availability": [entry()], **given})),
    ):
        assert isinstance(faults[0], Fault)
        assert fault in faults[0].reason
        assert not [item for item in faults if isinstance(item, Scope) and item.from_s is None]


def test_entry_of_unknown_members_without_end_is_one_fault(tmp_path: Path) -> None:
    """However many members an entry has, a few of them are enough to refuse it."""
    members = {f"member-{number}": number for number in range(100_000)}

    fault, _ = faults_in(items_of(write(tmp_path, {**members, "availability": [entry()]})))

    assert fault.reason.startswith("member-0 is not a member that is known here; member-1 is")
    assert len(fault.reason) < 5_000


def test_entry_members_in_both_spellings_may_agree() -> None:
    """A member that is given twice counts once where both say the same."""
    agreed = {"merchantIdRestrict": "salon-1", "merchant_id": "salon-1"}
    assert read(**agreed) == [Scope("salon-1")]
    assert taken(entry(startSec=NINE_S)) == taken(entry())
    (fault,) = (item for item in read(entry(startSec=NINE_S + 1)) if isinstance(item, Fault))
    assert fault.reason == "start_sec is given twice, each time with another value"


def test_availability_members_that_mean_nothing_are_not_looked_at() -> None:
    """Booking windows, payments and names for people change no slot."""
    more = {"noShowFee": {}, "ticket_type_id": ["x"], "spotsLeft": 0, "tag": None}

    assert taken(entry(**more, resources={"staffName": "Anna"})) == taken(entry())


def test_feed_with_its_list_in_both_spellings_is_refused(tmp_path: Path) -> None:
    """Which of two lists is the feed would be a guess."""
    path = write(tmp_path, {"availability": [entry()]})
    both = json.loads(path.read_text()) | {"serviceAvailability": []}
    path.write_text(json.dumps(both))

    with pytest.raises(FeedError, match="has the list service_availability in both spellings"):
        items_of(path)
