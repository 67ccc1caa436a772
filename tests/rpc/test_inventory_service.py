from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.protobuf import json_format
from tests.backends import Backend, soon
from tests.calls import failure_of
from tests.rpc.conftest import FrontEnd

from leasehold.generated.leasehold.v1 import inventory_service_pb2 as pb
from leasehold.model.inventory import InventoryStore
from leasehold.model.slot import Slot
from leasehold.store import keys

DAY_S = 86_400
ServeOperators = Callable[[InventoryStore], Any]


class Operator:
    """Changes the inventory of this test's merchant by the API, and looks at it in the store."""

    def __init__(self, backend: Backend, front: FrontEnd, tomorrow_s: int) -> None:
        self.backend = backend
        self.front = front
        self.tomorrow_s = tomorrow_s

    def at(self, hour: float, day: int = 0) -> int:
        """Return an hour of tomorrow, or of some days later, in epoch seconds."""
        return int(self.tomorrow_s + day * DAY_S + hour * 3600)

    def slot(self, hour: float, spots: int = 1, **changes: Any) -> dict[str, Any]:
        """Return a slot of half an hour as the feed's JSON has it."""
        given = {
            "merchant_id": self.backend.merchant,
            "service_id": "haircut",
            "start_sec": self.at(hour),
            "duration_sec": 1800,
            "spots_total": spots,
            "spots_open": spots,
        }
        return {**given, **changes}

    def request(
        self, *slots: dict[str, Any], generated_s: int = 0, **restrictions: Any
    ) -> pb.ReplaceAvailabilityRequest:
        """Return a request with one entry."""
        feed = {
            "metadata": {"generation_timestamp": generated_s},
            "service_availability": [{"availability": [*slots], **restrictions}],
        }
        return json_format.ParseDict(feed, pb.ReplaceAvailabilityRequest())

    def limits(self, **more: Any) -> dict[str, Any]:
        """Return restrictions to this test's merchant and more."""
        return {"merchant_id_restrict": self.backend.merchant, **more}

    async def replace(self, *slots: dict[str, Any], **more: Any) -> pb.ReplaceAvailabilityResponse:
        """Replace what one entry speaks of."""
        request = self.request(*slots, **more)
        response: pb.ReplaceAvailabilityResponse = await self.front.inventory.ReplaceAvailability(
            request
        )
        return response

    async def refusal(self, *slots: dict[str, Any], **more: Any) -> Any:
        """Return how a request is refused."""
        request = self.request(*slots, **more)
        return await failure_of(self.front.inventory.ReplaceAvailability(request))

    async def spots(self, day: int = 0) -> dict[str, int]:
        """Return the spots of a day's slots, by service, time and resources."""
        found = await self.backend.inventory().slots(self.backend.merchant, self.date(day))
        return {self.name(it.slot, day): it.spots for it in found}

    def name(self, slot: Slot, day: int = 0) -> str:
        """Return a slot's service, hour and resources."""
        hour = (slot.start_s - self.at(0, day)) / 3600
        resources = f"{slot.staff_id}{slot.room_id}{slot.party_size or ''}"
        return f"{slot.service_id} {hour:g} {resources}".rstrip()

    def date(self, day: int = 0) -> str:
        """Return a UTC day as keys have it."""
        return keys.start_text(self.at(0, day)).partition("T")[0]


@pytest.fixture
async def operator(backend: Backend, serve_operators: ServeOperators) -> Operator:
    """An operator of a service on every store at hand."""
    front = await serve_operators(backend.inventory())
    tomorrow_s = (await backend.now_ms() // 1000 // DAY_S + 1) * DAY_S
    return Operator(backend, front, tomorrow_s)


async def test_replace_availability_makes_the_inventory_what_it_says(operator: Operator) -> None:
    """Slots and rows are there from now on, each with its spots, and others are unknown."""
    row: dict[str, Any] = {
        "recurrence": {"repeat_every_sec": 3600, "repeat_until_sec": operator.at(25)}
    }
    closed = {"begin_sec": operator.at(24), "end_sec": operator.at(24.25)}
    response = await operator.replace(
        operator.slot(9, spots=20),
        operator.slot(10, spots=0),
        operator.slot(9, resources={"staff_id": "anna", "room_id": "1", "party_size": 4}),
        operator.slot(23, **row, schedule_exception=[{"time_range": closed}]),
    )

    assert response == pb.ReplaceAvailabilityResponse(slots=6, days=2)
    assert await operator.spots() == {
        "haircut 9": 20,
        "haircut 9 anna14": 1,
        "haircut 10": 0,
        "haircut 23": 1,
    }
    assert await operator.spots(day=1) == {"haircut 0": 0, "haircut 1": 1}
    operator.backend.is_strict = True
    slot = Slot(operator.backend.merchant, "haircut", operator.at(9), 1800)
    found = await operator.backend.store().check_availability(slot, soon())
    assert found.count == 20


@pytest.mark.parametrize("write", [float, "{}.0".format])
async def test_replace_availability_takes_a_day_of_25_hours_and_whole_floats(
    operator: Operator, write: Callable[[int], Any]
) -> None:
    """The request's JSON is that of a feed: half hours of a long day are 50, 1800 is 1800.0."""
    repeats = {"repeat_every_sec": write(1800), "repeat_until_sec": write(operator.at(24.5))}
    row = operator.slot(0, start_sec=write(operator.at(0)), recurrence=repeats)

    response = await operator.replace({**row, "duration_sec": write(1800)})

    assert response == pb.ReplaceAvailabilityResponse(slots=50, days=2)


async def test_replace_availability_may_be_repeated(operator: Operator) -> None:
    """A request sent again changes nothing more, whether its time is given or not."""
    slots = [operator.slot(hour) for hour in (9, 10, 11)]
    generated_s = await operator.backend.now_ms() // 1000
    await operator.replace(operator.slot(8))

    first = await operator.replace(*slots)
    before = await operator.spots()
    again = await operator.replace(*slots)

    assert (first.removed, again.removed) == (1, 0)
    assert (first.slots, first.days) == (again.slots, again.days) == (3, 1)
    assert await operator.spots() == before
    for _ in range(2):
        later = await operator.replace(*slots, generated_s=generated_s + 60)
        assert (later.removed, later.days) == (0, 1)


async def test_replace_availability_at_fault_names_every_fault_and_changes_nothing(
    operator: Operator,
) -> None:
    """All that is wrong is told by its place, of all entries at once; the rest is not taken."""
    await operator.replace(operator.slot(9))
    request = operator.request(
        operator.slot(10),
        operator.slot(11, spots_open=2, resources={"staff_id": "\n"}),
        operator.slot(12, duration_sec=0),
    )
    request.service_availability.add(service_id_restrict="haircut").availability.add()

    failure = await failure_of(operator.front.inventory.ReplaceAvailability(request))

    assert (failure.code, failure.reason) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_REQUEST",
    )
    first = "service_availability[0].availability"
    told = "merchant_id_restrict is required beside any other restriction"
    of_it = (
        "belongs to an entry that cannot be taken; merchant_id is required;"
        " service_id is required; start_sec is required; duration_sec must be longer than zero"
    )
    assert failure.violations == {
        f"{first}[1]": "resources.staff_id contains control characters;"
        " spots_open is not between 0 and spots_total",
        f"{first}[2]": "duration_sec must be longer than zero",
        "service_availability[1]": told,
        "service_availability[1].availability[0]": of_it,
    }
    assert await operator.spots() == {"haircut 9": 1}


async def test_replace_availability_with_thousands_of_faults_is_still_answered(
    operator: Operator,
) -> None:
    """GRPC drops a status that is too long, so as many faults are named as it can carry."""
    failure = await operator.refusal(*[operator.slot(9, duration_sec=0)] * 5000)

    assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
    *named, rest = failure.violations.items()
    places = [f"service_availability[0].availability[{number}]" for number in range(len(named))]
    assert [place for place, _ in named] == places
    assert rest == ("", f"and {5000 - len(named)} more entries are at fault")
    assert len(named) > 10


@pytest.mark.parametrize("apart", [1, 150, 2000])
async def test_replace_availability_that_repeats_a_slot_is_refused(
    operator: Operator, apart: int
) -> None:
    """Two entries for one slot are a mistake, however many lie between them."""
    slots = [operator.slot(number / 200) for number in range(apart)]
    failure = await operator.refusal(*slots, operator.slot(0, spots=2))

    assert failure.violations == {
        f"service_availability[0].availability[{apart}]": "repeats the slot of an earlier entry"
    }
    assert await operator.spots() == {}


async def test_replace_availability_that_cannot_be_taken_as_a_whole_is_refused(
    operator: Operator,
) -> None:
    """It says nothing, comes from the future, or restricts one day to more than can be judged."""
    now_s = await operator.backend.now_ms() // 1000
    nothing = await operator.refusal()
    future = await operator.refusal(operator.slot(9), generated_s=now_s + 7200)
    narrow = pb.ReplaceAvailabilityRequest()
    for number in range(101):
        narrow.service_availability.add(
            **operator.limits(start_timestamp_restrict=operator.at(1) + number)
        )
    await operator.replace(operator.slot(9))
    many = await failure_of(operator.front.inventory.ReplaceAvailability(narrow))

    for failure in (nothing, future, many):
        assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
        assert failure.reason == "FEED_REFUSED"
    assert "lists no slots and restricts to nothing" in nothing.message
    assert "made in the future" in future.message
    assert "to 101 things; at most 100 are taken at once" in many.message
    assert await operator.spots() == {"haircut 9": 1}
    del narrow.service_availability[0]
    assert (await operator.front.inventory.ReplaceAvailability(narrow)).removed == 1


async def test_replace_availability_before_1970_is_refused(operator: Operator) -> None:
    """A time that no feed can have been made at is a fault like others."""
    failure = await operator.refusal(operator.slot(9), generated_s=-1)

    assert failure.violations == {"metadata.generation_timestamp": "must not be negative"}


@pytest.mark.parametrize(
    ("restriction", "gone"),
    [
        ({"service_id_restrict": "colour"}, {"colour 9"}),
        ({"duration_restrict_sec": 3600}, {"cut 9"}),
        ({"resources_restrict": {"staff_id": "anna"}}, {"haircut 9 anna"}),
        ({"resources_restrict": {"room_id": "1"}}, {"haircut 9 1"}),
        ({"resources_restrict": {"party_size": 4}}, {"haircut 9 4"}),
        ({"resources_restrict": {"staff_id": "anna", "party_size": 4}}, set()),
        ({"start": 10}, {"haircut 10"}),
        ({"end": 9}, {"haircut 8"}),
        ({"start": 8, "end": 8.5}, {"haircut 8"}),
        ({"start": 8.25, "end": 9}, set()),
        ({}, {"haircut 8", "haircut 9", "haircut 10", "haircut 9 anna", "haircut 9 1"}),
    ],
)
async def test_replace_availability_with_restrictions_touches_only_what_they_speak_of(
    operator: Operator, restriction: dict[str, Any], gone: set[str]
) -> None:
    """What meets every restriction and is not listed is gone; all else stays as it was."""
    hours = {"start": "start_timestamp_restrict", "end": "end_timestamp_restrict"}
    limits = {
        hours.get(name, name): operator.at(value) if name in hours else value
        for name, value in restriction.items()
    }
    await operator.replace(
        *(operator.slot(hour) for hour in (8, 9, 10)),
        operator.slot(9, service_id="colour"),
        operator.slot(9, service_id="cut", duration_sec=3600),
        operator.slot(9, resources={"staff_id": "anna"}),
        operator.slot(9, resources={"room_id": "1"}),
        operator.slot(9, resources={"party_size": 4}),
    )
    before = set(await operator.spots())

    response = await operator.replace(**operator.limits(**limits))

    if not restriction:
        gone = before
    assert set(await operator.spots()) == before - gone
    assert (response.removed, response.slots) == (len(gone), 0)


async def test_replace_availability_of_one_slot_leaves_the_other_days(operator: Operator) -> None:
    """A time restriction speaks of its own days only, and of the end not at all."""
    next_day = operator.slot(9, start_sec=operator.at(9, day=1))
    await operator.replace(operator.slot(9), next_day)

    first = operator.limits(
        start_timestamp_restrict=operator.at(0), end_timestamp_restrict=operator.at(24)
    )
    response = await operator.replace(operator.slot(11, spots=3), **first)

    assert (response.days, response.removed) == (1, 1)
    assert await operator.spots() == {"haircut 11": 3}
    assert await operator.spots(day=1) == {"haircut 9": 1}


async def test_replace_availability_made_earlier_leaves_the_days_known_from_later(
    operator: Operator,
) -> None:
    """What was said last stays, of all days; the answer names the days that it left."""
    now_s = await operator.backend.now_ms() // 1000
    next_day = operator.slot(9, start_sec=operator.at(9, day=1))
    await operator.replace(operator.slot(9, spots=5), generated_s=now_s - 10)

    late = await operator.replace(operator.slot(9), next_day, generated_s=now_s - 11)

    assert late == pb.ReplaceAvailabilityResponse(
        slots=2,
        days_newer=[f"{operator.backend.merchant} {operator.date(day)}" for day in (0, 1)],
    )
    assert await operator.spots() == {"haircut 9": 5}
    assert await operator.spots(day=1) == {}
    assert (await operator.replace(operator.slot(9), generated_s=now_s - 10)).days == 1


async def test_replace_availability_of_days_that_have_passed_counts_them(
    operator: Operator,
) -> None:
    """What is over is no fault: it is counted and forgotten."""
    past = operator.slot(9, start_sec=operator.at(9, day=-5))
    response = await operator.replace(past, operator.slot(9))

    assert (response.days, response.days_over) == (1, 1)
    assert await operator.spots(day=-5) == {}


@pytest.mark.parametrize("is_nested", [False, True])
async def test_replace_availability_with_an_unknown_restriction_is_refused(
    operator: Operator, *, is_nested: bool
) -> None:
    """A field of a later release may restrict an entry, so it is not ignored."""
    await operator.replace(operator.slot(9), operator.slot(10))
    request = operator.request(operator.slot(9), **operator.limits())
    entry = request.service_availability[0]
    (entry.resources_restrict if is_nested else entry).MergeFromString(b"\x98\x06\x01")

    refused = await failure_of(operator.front.inventory.ReplaceAvailability(request))

    path = "resources_restrict.field 99" if is_nested else "field 99"
    told = f"{path} is not a member that is known here"
    assert refused.violations["service_availability[0]"] == told
    assert await operator.spots() == {"haircut 9": 1, "haircut 10": 1}


@pytest.fixture
async def crowd(fake: Backend, serve_operators: ServeOperators) -> Operator:
    """An operator of five merchants with a slot each, alone on a store."""
    tomorrow_s = (await fake.now_ms() // 1000 // DAY_S + 1) * DAY_S
    operator = Operator(fake, await serve_operators(fake.inventory()), tomorrow_s)
    await operator.replace(*(operator.slot(9, merchant_id=f"m-{n}") for n in range(5)))
    return operator


def complete(operator: Operator, count: int) -> pb.ReplaceAvailabilityRequest:
    """Return a complete feed of the first so many merchants."""
    request = operator.request(*(operator.slot(9, merchant_id=f"m-{n}") for n in range(count)))
    request.metadata.processing_instruction = "PROCESS_AS_COMPLETE"
    return request


async def test_replace_availability_that_says_complete_closes_who_is_not_listed(
    crowd: Operator,
) -> None:
    """One merchant that is left out is closed and named; without the instruction none is."""
    piece = complete(crowd, 4)
    piece.metadata.processing_instruction = ""
    replace = crowd.front.inventory.ReplaceAvailability
    assert list((await replace(piece)).closed_merchants) == []

    response = await replace(complete(crowd, 4))

    assert list(response.closed_merchants) == ["m-4"]
    assert response.removed == 1


async def test_replace_availability_that_leaves_out_many_wants_confirmation(
    crowd: Operator,
) -> None:
    """FAILED_PRECONDITION gives the number and the first names, and nothing has changed."""
    request = complete(crowd, 2)

    refused = await failure_of(crowd.front.inventory.ReplaceAvailability(request))

    assert (refused.code, refused.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "MANY_LEFT_OUT",
    )
    assert "3 of the 5 merchants" in refused.message
    assert "m-2, m-3, m-4." in refused.message
    request.confirm_closing = True
    response = await crowd.front.inventory.ReplaceAvailability(request)
    assert list(response.closed_merchants) == ["m-2", "m-3", "m-4"]


async def test_replace_availability_with_another_instruction_is_refused(crowd: Operator) -> None:
    """What is neither complete nor silent is not guessed at."""
    request = complete(crowd, 4)
    request.metadata.processing_instruction = "PROCESS_AS_INCREMENTAL"

    refused = await failure_of(crowd.front.inventory.ReplaceAvailability(request))

    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    told = {"metadata.processing_instruction": "is not PROCESS_AS_COMPLETE"}
    assert refused.violations == told
