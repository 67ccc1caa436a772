"""What callers read of a refusal: the words of docs/api.md, and nothing of anybody else."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from tests.calls import booking_request, failure_of, lease_request
from tests.feeds import DAY_S
from tests.reference_inventory import ReferenceInventory
from tests.reference_store import ReferenceStore
from tests.rpc import legacy
from tests.rpc.conftest import FrontEnd

from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as pb
from leasehold.model.errors import InvalidRequestError, NotFoundError
from leasehold.model.inventory import Availability, FeedItem, Scope
from leasehold.model.lease import CreateLease, CreateLeaseOutcome, CreateLeaseStatus
from leasehold.model.slot import Slot
from leasehold.rpc import expiry
from leasehold.rpc.status import RefusalError
from leasehold.rpc.v0 import status as v0
from leasehold.rpc.v2 import status as v2

API = Path(__file__).parents[2] / "docs" / "api.md"
METHODS = {
    "CheckAvailability": "CHECK_AVAILABILITY",
    "CreateBooking": "CREATE_BOOKING",
    "CreateLease": "CREATE_LEASE",
    "UpdateBooking": "UPDATE_BOOKING",
}
TABLES: list[tuple[str, str, Mapping[StrEnum, Any]]] = [
    (name, method, getattr(version, table))
    for name, version in (("v0", v0), ("v2", v2))
    for method, table in METHODS.items()
    if hasattr(version, table)
]
STORE_TIME_MS = 1_803_895_200_000
SLOT = Slot("salon-1", "haircut", 1_900_000_000, 1800, staff_id="anna")


def words(version: str, table: Mapping[StrEnum, Any], outcome: StrEnum) -> tuple[str, str] | None:
    """Return the answer to an outcome and what that says, or None for a grant."""
    addition = ""
    if outcome is CreateLeaseStatus.EXPIRY_TOO_SOON:
        asked = CreateLease(SLOT, "r", STORE_TIME_MS - 12_000)
        found = CreateLeaseOutcome(CreateLeaseStatus(outcome), store_time_ms=STORE_TIME_MS)
        addition = expiry.distance(asked, found)
    try:
        if version == "v0":
            v0.raise_unless_granted(table, outcome, addition)
            return None
        failure = v2.refusal(table, outcome, addition)
    except InvalidRequestError as error:
        return error.reason, error.violations[0].description
    except (RefusalError, NotFoundError) as error:
        return error.reason, str(error)
    return (pb.BookingFailure.Cause.Name(failure.cause), failure.description) if failure else None


def test_what_refusals_say_is_in_the_document() -> None:
    """One table has every answer that is no grant, its words, and the methods that give it."""
    methods: dict[tuple[str, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for version, method, table in TABLES:
        for found in filter(None, {words(version, table, outcome) for outcome in table}):
            methods[found][version].append(method)
    rows = [
        f"| `{answer}` | {text} | "
        + "; ".join(f"{version}: {', '.join(names)}" for version, names in of.items())
        + " |"
        for (answer, text), of in sorted(methods.items())
    ]

    text = API.read_text(encoding="utf-8")
    shown = text.partition("<!-- refusals: begin -->")[2].partition("<!-- refusals: end -->")[0]
    assert shown.strip().splitlines()[2:] == rows


@pytest.mark.parametrize(
    ("ahead_ms", "distance"), [(500, "0.500 s after"), (-90_000, "90.000 s before")]
)
async def test_create_lease_too_soon_tells_the_stores_time_and_the_difference(
    front: FrontEnd, store: ReferenceStore, ahead_ms: int, distance: str
) -> None:
    """A caller whose clock is wrong learns by how much, in both versions."""
    store.terms = replace(store.terms, min_lease_ms=1000)
    expected = f": it is {distance} the store's time, 2027-01-15T08:00:00.000Z"

    for call in (
        front.v2.CreateLease(lease_request(store.now_ms, for_ms=ahead_ms)),
        front.v0.CreateLease(legacy.lease_request(store.now_ms, for_ms=ahead_ms)),
    ):
        failure = await failure_of(call)
        assert failure.reason == "EXPIRY_TOO_SOON"
        assert failure.violations["lease.lease_expiration_time"].endswith(expected)


@pytest.fixture
def only(store: ReferenceStore) -> Slot:
    """The only slot of a strict inventory, a day ahead."""
    slot = Slot("salon-1", "haircut", store.now_ms // 1000 + DAY_S, 1800)
    store.inventory = ReferenceInventory(store.terms.retention_ms)
    items: list[FeedItem] = [Scope("salon-1"), Availability("here", slot, 1, 1)]
    store.inventory.replace(store, items, store.now_ms)
    return slot


@pytest.mark.parametrize(
    "changes", [{"start": 3600}, {"duration": 1_798_200}, {"staff": "anna"}, {"party_size": 2}]
)
async def test_slot_that_is_not_in_the_inventory_reads_otherwise_than_one_that_is_taken(
    front: FrontEnd, store: ReferenceStore, only: Slot, changes: dict[str, Any]
) -> None:
    """A wrong start, duration, staff member or party size is found by its words."""
    assert only.start_s == lease_request(store.now_ms).lease.slot.start_time.seconds

    def changed(slot: pb.Slot) -> None:
        slot.start_time.seconds += changes.get("start", 0)
        slot.duration.seconds += changes.get("duration", 0)
        slot.resources.staff_id = changes.get("staff", "")
        slot.resources.party_size = changes.get("party_size", 0)

    async def descriptions() -> list[str]:
        lease = lease_request(store.now_ms, reference="other")
        booking = booking_request(store.now_ms, token="other", user="bob")
        for request in (lease.lease, booking):
            changed(request.slot)
        answers = [await front.v2.CreateLease(lease), await front.v2.CreateBooking(booking)]
        return [answer.booking_failure.description for answer in answers]

    assert await descriptions() == ["The slot is not in the inventory."] * 2
    await front.v2.CreateLease(lease_request(store.now_ms))
    changes.clear()
    assert await descriptions() == ["The slot is held or booked."] * 2
