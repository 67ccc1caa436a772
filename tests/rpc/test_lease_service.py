"""LeaseService on a real channel."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from tests.backends import soon
from tests.calls import failure_of
from tests.reference_store import ReferenceStore

from leasehold.generated.leasehold.v1 import lease_service_pb2 as pb
from leasehold.model import ids
from leasehold.model.booking import CreateBooking
from leasehold.model.events import ListEventsStatus
from leasehold.model.inventory import InventoryStore
from leasehold.model.lease import CreateLease
from leasehold.model.operators import (
    ExtendLeaseStatus,
    InspectSlotStatus,
    ReleaseLeaseStatus,
)
from leasehold.model.slot import Slot
from leasehold.rpc.status import RefusalError
from leasehold.rpc.v1 import status

NEVER = "salon-1.0000000000000000000000000A"


@pytest.fixture
async def leases(serve_operators: Callable[[InventoryStore | None], Any]) -> Any:
    """A stub of the service over the reference store."""
    return (await serve_operators(None)).leases


def a_slot(store: ReferenceStore) -> Slot:
    """Return a slot that starts in a day."""
    return Slot("salon-1", "haircut", store.now_ms // 1000 + 86_400, 1800, "anna")


async def hold(store: ReferenceStore, reference: str = "r-1", for_ms: int = 60_000) -> str:
    """Make a lease and return its id."""
    command = CreateLease(a_slot(store), reference, store.now_ms + for_ms)
    assert (await store.create_lease(command, soon())).status == "created"
    return command.lease_id


def request_of(kind: Any, lease_id: str, until_ms: int = 0, **fields: Any) -> Any:
    """Return a request that names a lease and a reason."""
    request = kind(lease_id=lease_id, **{"reason": "INC-1", **fields})
    if until_ms:
        request.expire_time.FromMilliseconds(until_ms)
    return request


async def test_get_lease_shows_slot_state_time_and_history(
    store: ReferenceStore, leases: Any
) -> None:
    """The answer has what was asked for and granted, and what has happened since."""
    lease_id, created_at_ms = await hold(store), store.now_ms
    store.now_ms += 10_000
    until_ms = created_at_ms + 90_000
    await leases.ExtendLease(request_of(pb.ExtendLeaseRequest, lease_id, until_ms))

    lease = (await leases.GetLease(pb.GetLeaseRequest(lease_id=lease_id))).lease

    assert (lease.lease_id, lease.state, lease.spot) == (lease_id, pb.LEASE_STATE_HELD, 1)
    assert (lease.slot.merchant_id, lease.slot.staff_id) == ("salon-1", "anna")
    assert lease.slot.start_time.seconds == a_slot(store).start_s - 10
    assert lease.user_reference == "r-1"
    assert lease.expire_time.ToMilliseconds() == until_ms
    assert lease.remaining.ToMilliseconds() == 80_000
    assert [(event.kind, event.time.ToMilliseconds(), event.reason) for event in lease.history] == [
        (pb.LEASE_EVENT_KIND_CREATED, created_at_ms, ""),
        (pb.LEASE_EVENT_KIND_EXTENDED, store.now_ms, "INC-1"),
    ]


async def test_release_lease_repeated_answers_the_same(store: ReferenceStore, leases: Any) -> None:
    """The first time and the first reason stand."""
    lease_id, released_at_ms = await hold(store), store.now_ms
    first = await leases.ReleaseLease(request_of(pb.ReleaseLeaseRequest, lease_id))
    store.now_ms += 5000

    repeat = request_of(pb.ReleaseLeaseRequest, lease_id, reason="other")
    assert await leases.ReleaseLease(repeat) == first
    assert (first.release_time.ToMilliseconds(), first.reason) == (released_at_ms, "INC-1")
    lease = (await leases.GetLease(pb.GetLeaseRequest(lease_id=lease_id))).lease
    assert lease.state == pb.LEASE_STATE_RELEASED
    assert (lease.history[-1].kind, lease.history[-1].reason) == (
        pb.LEASE_EVENT_KIND_RELEASED,
        "INC-1",
    )


async def test_extend_lease_says_when_to_renew(store: ReferenceStore, leases: Any) -> None:
    """With a third of the hold left, as long as there is more to be had."""
    lease_id, now_ms = await hold(store), store.now_ms

    answer = await leases.ExtendLease(request_of(pb.ExtendLeaseRequest, lease_id, now_ms + 90_000))

    assert answer.expire_time.ToMilliseconds() == now_ms + 90_000
    assert answer.remaining.ToMilliseconds() == 90_000
    assert answer.renew_time.ToMilliseconds() == now_ms + 60_000
    assert answer.latest_expire_time.ToMilliseconds() == now_ms + store.terms.max_life_ms
    # All of its life: the last renewals can add no more.
    for _ in range(5):
        last = await leases.ExtendLease(request_of(pb.ExtendLeaseRequest, lease_id, 10**14))
        if not last.HasField("renew_time"):
            break
        store.now_ms += 850_000
    assert last.expire_time.ToMilliseconds() == now_ms + store.terms.max_life_ms


@pytest.mark.parametrize(
    ("method", "kind"),
    [("ReleaseLease", pb.ReleaseLeaseRequest), ("ExtendLease", pb.ExtendLeaseRequest)],
)
async def test_changing_a_lease_that_is_not_held_is_failed_precondition(
    store: ReferenceStore, leases: Any, method: str, kind: Any
) -> None:
    """Expired, consumed or given back: each has its reason, and nothing changes."""
    far_ms = store.now_ms + 600_000 if method == "ExtendLease" else 0
    expired = await hold(store, for_ms=1000)
    store.now_ms += 1001
    consumed = await hold(store, "r-2")
    booking = CreateBooking(
        None, "t", "v2", "ada", b"", ids.Reference("salon-1", consumed.rpartition(".")[2])
    )
    await store.create_booking(booking, soon())

    for lease_id, reason in ((expired, "LEASE_EXPIRED"), (consumed, "LEASE_CONSUMED")):
        failure = await failure_of(getattr(leases, method)(request_of(kind, lease_id, far_ms)))
        assert (failure.code, failure.reason) == (grpc.StatusCode.FAILED_PRECONDITION, reason)


@pytest.mark.parametrize("lease_id", [NEVER, "nonsense", "salon-1.x"])
async def test_naming_a_lease_that_nobody_remembers_is_not_found(
    store: ReferenceStore, leases: Any, lease_id: str
) -> None:
    """Ids that are unknown and ids that can be none are told alike."""
    for call in (
        leases.GetLease(pb.GetLeaseRequest(lease_id=lease_id)),
        leases.ReleaseLease(request_of(pb.ReleaseLeaseRequest, lease_id)),
        leases.ExtendLease(request_of(pb.ExtendLeaseRequest, lease_id, store.now_ms + 1)),
    ):
        failure = await failure_of(call)
        assert (failure.code, failure.reason) == (grpc.StatusCode.NOT_FOUND, "LEASE_UNKNOWN")


async def test_faults_of_shape_are_named_all_at_once(leases: Any) -> None:
    """Every field at fault by its path, and no value."""
    failure = await failure_of(leases.ExtendLease(pb.ExtendLeaseRequest()))
    assert set(failure.violations) == {"lease_id", "reason", "expire_time"}

    failure = await failure_of(leases.InspectSlot(pb.InspectSlotRequest()))
    assert set(failure.violations) == {
        "slot",
        "slot.merchant_id",
        "slot.service_id",
        "slot.start_time",
        "slot.duration",
    }
    failure = await failure_of(
        leases.ListLeases(
            pb.ListLeasesRequest(states=["LEASE_STATE_UNSPECIFIED"], page_size=1001, page_token="x")
        )
    )
    assert set(failure.violations) == {"merchant_id", "states", "page_size", "page_token"}


@pytest.mark.parametrize(
    ("reason", "fault"),
    [
        ("", "is required"),
        ("  ", "is blank"),
        ("\u200b\u3164", "is blank"),
        ("\u202eTIDE", "contains characters that change the direction of text"),
        ("a\nb", "contains control characters"),
        ("x" * 201, "is longer than 200 bytes of UTF-8"),
        ("asked by ada@example.com", "holds what looks like an e-mail address"),
    ],
)
async def test_a_reason_is_one_short_line_that_names_nobody(
    store: ReferenceStore, leases: Any, reason: str, fault: str
) -> None:
    """It goes into the log and into the history, so its shape is checked."""
    lease_id = await hold(store)

    failure = await failure_of(
        leases.ReleaseLease(request_of(pb.ReleaseLeaseRequest, lease_id, reason=reason))
    )

    assert failure.violations == {"reason": fault}


async def test_changes_leave_their_reason_in_the_log(
    store: ReferenceStore, leases: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One event for each call, with lease, reason and outcome, refused or not."""
    events = []
    monkeypatch.setattr(
        "leasehold.rpc.calls._log.log", lambda _level, name, **facts: events.append((name, facts))
    )
    lease_id = await hold(store)
    await leases.ExtendLease(request_of(pb.ExtendLeaseRequest, lease_id, store.now_ms + 90_000))
    await leases.ReleaseLease(request_of(pb.ReleaseLeaseRequest, lease_id))
    await failure_of(
        leases.ExtendLease(request_of(pb.ExtendLeaseRequest, lease_id, store.now_ms + 95_000))
    )

    assert [(name, it["outcome"], it["given_reason"], it["lease_id"]) for name, it in events] == [
        ("call_handled", "extended", "INC-1", lease_id),
        ("call_handled", "released", "INC-1", lease_id),
        ("call_handled", "lease_released", "INC-1", lease_id),
    ]


async def test_list_leases_goes_through_all_pages(store: ReferenceStore, leases: Any) -> None:
    """Each page says where the next one begins; the last one does not."""
    slots = [Slot("salon-1", "haircut", store.now_ms // 1000 + 86_400 + n, 60) for n in range(5)]
    for number, slot in enumerate(slots):
        command = CreateLease(slot, f"r-{number}", store.now_ms + 1000 * (number + 10))
        await store.create_lease(command, soon())
    request = pb.ListLeasesRequest(merchant_id="salon-1", page_size=2)
    request.states.append(pb.LEASE_STATE_HELD)
    request.expires.end_time.FromMilliseconds(store.now_ms + 13_000)
    pages, found = 0, []
    while True:
        answer = await leases.ListLeases(request)
        pages += 1
        found += [lease.user_reference for lease in answer.leases]
        request.page_token = answer.next_page_token
        if not answer.next_page_token:
            break

    assert (pages, sorted(found)) == (2, ["r-0", "r-1", "r-2"])


async def test_inspect_slot_names_lease_and_booking(store: ReferenceStore, leases: Any) -> None:
    """Who has a spot is named by the id that other calls take."""
    request = pb.InspectSlotRequest()
    slot = a_slot(store)
    request.slot.merchant_id, request.slot.service_id = slot.merchant_id, slot.service_id
    request.slot.start_time.seconds, request.slot.duration.seconds = slot.start_s, slot.duration_s
    request.slot.staff_id = "anna"
    free = await leases.InspectSlot(request)
    assert (free.spot_count, free.spots[0].WhichOneof("owner")) == (1, None)
    assert not free.spots[0].HasField("end_time")

    lease_id = await hold(store)

    held = await leases.InspectSlot(request)
    assert held.read_time.ToMilliseconds() == store.now_ms
    assert held.spots[0].lease_id == lease_id
    assert held.spots[0].end_time.ToMilliseconds() == store.now_ms + 60_000


@pytest.mark.parametrize(
    ("table", "outcomes"),
    [
        (status.RELEASE_LEASE, ReleaseLeaseStatus),
        (status.EXTEND_LEASE, ExtendLeaseStatus),
        (status.INSPECT_SLOT, InspectSlotStatus),
        (status.LIST_EVENTS, ListEventsStatus),
    ],
)
def test_every_outcome_has_its_place_on_the_wire(table: status.Table, outcomes: Any) -> None:
    """The tables are total: an answer, NOT_FOUND, or a refusal whose reason is the outcome."""
    assert set(table) == set(outcomes)
    for outcome, entry in table.items():
        if isinstance(entry, status.Refusal):
            assert entry.reason == outcome.upper()
            with pytest.raises(RefusalError):
                status.raise_unless_answered(table, outcome)
