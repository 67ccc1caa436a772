from typing import Any

import pytest
from tests.feeds import NINE_S, entry, fault_of, faults_in, read, row, taken

from leasehold.feed.members import ENTRY
from leasehold.model.inventory import Doubt, Fault, Scope


def scope_of(**restrictions: Any) -> Scope | Fault | None:
    """Return what an entry without slots speaks of."""
    items = [item for item in read(**restrictions) if not isinstance(item, Doubt)]
    assert len(items) <= 1
    assert not items or isinstance(items[0], Scope | Fault)
    return items[0] if items else None  # type: ignore[return-value]


def test_restrictions_are_what_an_entry_is_complete_for() -> None:
    """Every restriction narrows what the entry speaks of, in numbers or in texts."""
    resources = {"staff_id": "anna", "room_id": "1", "party_size": "4", "staff_name": "Anna"}
    found = scope_of(
        merchant_id_restrict="salon-1",
        service_id_restrict="haircut",
        start_timestamp_restrict=str(NINE_S),
        end_timestamp_restrict=NINE_S + 60,
        duration_restrict_sec="1800",
        resources_restrict=resources,
    )

    assert found == Scope("salon-1", "haircut", NINE_S, NINE_S + 60, 1800, "anna", "1", 4)
    assert scope_of(merchant_id_restrict="salon-1") == Scope("salon-1")


@pytest.mark.parametrize(
    "unset",
    [
        {},
        {"merchant_id_restrict": "", "service_id_restrict": None},
        {"start_timestamp_restrict": 0, "end_timestamp_restrict": "0"},
        {"duration_restrict_sec": "", "resources_restrict": {}},
        {"resources_restrict": {"staff_id": "", "room_id": None, "party_size": "0"}},
        {"resources_restrict": None},
    ],
)
def test_restrictions_unset_are_none(unset: dict[str, Any]) -> None:
    """What producers write for a field without a value restricts nothing."""
    assert scope_of(**unset) is None
    assert read(entry(), **unset) == read(entry())


def test_restrictions_of_ids_that_read_like_nothing_restrict() -> None:
    """An id may be "0": a snapshot of that staff member must not speak of everybody."""
    named = {"merchant_id_restrict": "0", "service_id_restrict": "0"}

    found = scope_of(**named, resources_restrict={"staff_id": "0", "room_id": "0"})
    assert found == Scope("0", "0", staff_id="0", room_id="0")


@pytest.mark.parametrize(
    ("restrictions", "fault"),
    [
        ({"merchant_id_restrict": 5}, "merchant_id_restrict is not a text"),
        ({"merchant_id_restrict": False}, "merchant_id_restrict is not a text"),
        ({"merchant_id_restrict": ["m"]}, "merchant_id_restrict is not a text"),
        ({"merchant_id_restrict": "\n"}, "merchant_id_restrict contains control characters"),
        ({"service_id_restrict": 0}, "service_id_restrict is not a text"),
        ({"service_id_restrict": "s" * 256}, "service_id_restrict is longer than 255 bytes"),
        ({"service_id_restrict": "\udc00"}, "service_id_restrict is not Unicode"),
        ({"start_timestamp_restrict": -1}, "start_timestamp_restrict is not between 0 and"),
        ({"end_timestamp_restrict": 10**12}, "end_timestamp_restrict is not between 0 and"),
        ({"end_timestamp_restrict": False}, "end_timestamp_restrict is not a whole number"),
        (
            {"start_timestamp_restrict": 60, "end_timestamp_restrict": 60},
            "end_timestamp_restrict is not after start_timestamp_restrict",
        ),
        ({"duration_restrict_sec": -1800}, "duration_restrict_sec is not between 0 and"),
        ({"resources_restrict": "anna"}, "resources_restrict is not an object"),
        ({"resources_restrict": ["anna"]}, "resources_restrict is not an object"),
        ({"resources_restrict": {"staff_id": {}}}, "resources_restrict.staff_id is not a text"),
        (
            {"resources_restrict": {"party_size": -4}},
            "resources_restrict.party_size is not between 0 and",
        ),
    ],
)
def test_restrictions_at_fault_refuse_the_entry_with_its_slots(
    restrictions: dict[str, Any], fault: str
) -> None:
    """A restriction that cannot be read is never taken for none, which would speak of more."""
    given = {"merchant_id_restrict": "salon-1", **restrictions}
    refused, *rest = faults_in(read(entry(), entry(), **given))

    assert (refused.place, fault in refused.reason) == ("here", True), refused
    reason = "belongs to an entry that cannot be taken"
    assert rest == [Fault(f"here.availability[{number}]", reason) for number in (0, 1)]


@pytest.mark.parametrize("name", sorted(ENTRY.own - {"merchant_id_restrict"}))
def test_restrictions_without_a_merchant_are_refused(name: str) -> None:
    """A snapshot of a time or a service of nobody in particular would wipe everybody's."""
    wanted = {"resources_restrict": {"party_size": 4}, "service_id_restrict": "haircut"}
    refused, slot = faults_in(read(entry(), **{name: wanted.get(name, NINE_S)}))

    told = "merchant_id_restrict is required beside any other restriction"
    assert refused == Fault("here", told)
    assert slot.reason == "belongs to an entry that cannot be taken"


@pytest.mark.parametrize(
    "outside",
    [
        {"merchant_id_restrict": "salon-2"},
        {"service_id_restrict": "colour"},
        {"start_timestamp_restrict": NINE_S + 1},
        {"end_timestamp_restrict": NINE_S},
        {"duration_restrict_sec": 1801},
        {"resources_restrict": {"staff_id": "anna"}},
        {"resources_restrict": {"room_id": "1"}},
        {"resources_restrict": {"party_size": 2}},
    ],
)
def test_entry_with_a_slot_outside_its_restrictions_is_at_fault(outside: dict[str, Any]) -> None:
    """What an entry lists beyond what it speaks of is a mistake on one of both sides."""
    inside = {"merchant_id_restrict": "salon-1", "start_timestamp_restrict": NINE_S - 60}

    assert taken(entry(), **inside, end_timestamp_restrict=NINE_S + 1).slot.start_s == NINE_S
    told = "lies outside the restrictions of its entry"
    assert fault_of(entry(), **{**inside, **outside}) == told


def test_recurrence_that_leaves_its_restrictions_is_at_fault() -> None:
    """Every slot of a row must lie inside, not only the first."""
    given = {"merchant_id_restrict": "salon-1", "start_timestamp_restrict": NINE_S - 60}

    assert len(list(taken(row(), **given, end_timestamp_restrict=NINE_S + 3601).slots())) == 3
    told = "lies outside the restrictions of its entry"
    assert fault_of(row(), **given, end_timestamp_restrict=NINE_S + 3600) == told
