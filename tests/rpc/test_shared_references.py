"""References of leases are shared by v0 and v2 at a merchant, as docs/api.md#v0 says."""

from typing import Any

import pytest
from tests.calls import booking_request, failure_of, lease_request
from tests.reference_store import ReferenceStore
from tests.rpc import legacy
from tests.rpc.conftest import FrontEnd

from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as v2


@pytest.fixture(params=["v0", "v2"])
def first(request: pytest.FixtureRequest) -> str:
    """The version that asks first."""
    return str(request.param)


def asking(front: FrontEnd, now_ms: int, **changes: Any) -> dict[str, Any]:
    """Return the same CreateLease of each version, to be awaited once or not at all."""
    later_s = changes.pop("later_s", 0)
    new, old = lease_request(now_ms, **changes), legacy.lease_request(now_ms, **changes)
    new.lease.slot.start_time.seconds += later_s
    old.lease.start_time.seconds += later_s
    return {"v0": lambda: front.v0.CreateLease(old), "v2": lambda: front.v2.CreateLease(new)}


async def test_same_reference_of_v0_and_v2_for_the_same_slot_is_one_lease(
    front: FrontEnd, store: ReferenceStore, first: str
) -> None:
    """Whichever version asks second gets the first one's lease and expiry; one spot is held."""
    calls = asking(front, store.now_ms)
    lease = (await calls.pop(first)()).lease
    (second,) = calls.values()
    again = (await second()).lease

    assert again.lease_id == lease.lease_id
    assert again.lease_expiration_time == lease.lease_expiration_time
    assert len(store.owners) == 1


async def test_same_reference_of_v0_and_v2_for_another_slot_is_reference_reused(
    front: FrontEnd, store: ReferenceStore, first: str
) -> None:
    """The first lease stays as it is; at another merchant the name is free."""
    lease = (await asking(front, store.now_ms)[first]()).lease
    other = "v0" if first == "v2" else "v2"

    failure = await failure_of(asking(front, store.now_ms, later_s=3600)[other]())
    assert (failure.code.name, failure.reason) == ("INVALID_ARGUMENT", "REFERENCE_REUSED")
    assert len(store.owners) == 1
    elsewhere = (await asking(front, store.now_ms, merchant="salon-2")[other]()).lease
    assert elsewhere.lease_id != lease.lease_id


async def test_lease_shared_by_v0_and_v2_becomes_one_booking(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """The second to book it is refused, in the words of its version; tokens are not shared."""
    lease_id = (await asking(front, store.now_ms)["v0"]()).lease.lease_id
    await front.v0.CreateBooking(legacy.booking_request(lease_id))

    request = booking_request(store.now_ms, token=lease_id, lease_id=lease_id)
    response = await front.v2.CreateBooking(request)
    assert response.booking_failure.cause == v2.BookingFailure.SLOT_UNAVAILABLE
    assert len(store.bookings) == 1
