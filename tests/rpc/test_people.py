"""What must be known of the person who books, in either version."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.calls import Failure, booking_request, failure_of
from tests.reference_store import ReferenceStore
from tests.rpc.conftest import FrontEnd
from tests.rpc.contract import INVALID_ARGUMENT, UNKNOWN_ID

from leasehold.generated.ext.maps.booking.partner.v0 import booking_service_pb2 as v0

REQUIRED_OF_ADDRESSES = (
    "address_country",
    "address_locality",
    "address_region",
    "postal_code",
    "street_address",
)
ADDRESS = dict.fromkeys(REQUIRED_OF_ADDRESSES, "x")
FITS = "é" * 2048
TOO_LONG = "is longer than 4096 bytes of UTF-8"

Ask = Callable[[dict[str, Any]], Awaitable[dict[str, str]]]


async def violations_of(call: Any) -> dict[str, str]:
    """Return the faults of a call, without the path of the person; none for one that booked."""
    failure: Failure = await failure_of(call)
    if failure.reason == "LEASE_UNKNOWN":
        return {}
    assert failure.code is INVALID_ARGUMENT
    return {field.partition(".")[2]: fault for field, fault in failure.violations.items()}


@pytest.fixture(params=["v2", "v0"])
def ask(request: pytest.FixtureRequest, front: FrontEnd, store: ReferenceStore) -> Ask:
    """Book for a person who differs in some fields, and return what is wrong with these.

    The lease is unknown, which is found only after the shape.
    """

    async def ask_v2(changes: dict[str, Any]) -> dict[str, str]:
        wanted = booking_request(store.now_ms, lease_id=UNKNOWN_ID)
        for name, value in changes.items():
            wanted.user_information.ClearField(name)
            wanted.user_information.MergeFrom(type(wanted.user_information)(**{name: value}))
        return await violations_of(front.v2.CreateBooking(wanted))

    async def ask_v0(changes: dict[str, Any]) -> dict[str, str]:
        wanted = v0.CreateBookingRequest(lease_ref={"lease_id": UNKNOWN_ID})
        wanted.client_information.MergeFrom(v0.ClientInformation(**{"telephone": "1", **changes}))
        return await violations_of(front.v0.CreateBooking(wanted))

    return ask_v2 if request.param == "v2" else ask_v0


async def test_create_booking_of_somebody_without_an_address_is_fine(ask: Ask) -> None:
    """No address is required, and a whole one needs no post office box."""
    assert await ask({}) == {}
    assert await ask({"address": ADDRESS}) == {}
    assert await ask({"address": {**ADDRESS, "post_office_box_number": FITS}}) == {}


async def test_create_booking_with_an_address_names_what_it_lacks(ask: Ask) -> None:
    """An address that is there has all its parts but the post office box."""
    lacking = {f"address.{name}": "is required" for name in REQUIRED_OF_ADDRESSES}

    assert await ask({"address": {}}) == lacking
    assert await ask({"address": {"post_office_box_number": "1"}}) == lacking
    for name in REQUIRED_OF_ADDRESSES:
        violations = await ask({"address": {**ADDRESS, name: ""}})
        assert violations == {f"address.{name}": "is required"}


@pytest.mark.parametrize("name", [*REQUIRED_OF_ADDRESSES, "post_office_box_number"])
async def test_create_booking_with_too_long_an_address_names_the_part(ask: Ask, name: str) -> None:
    """Every part of an address has the limit of texts."""
    assert await ask({"address": {**ADDRESS, name: FITS}}) == {}
    violations = await ask({"address": {**ADDRESS, name: FITS + "x"}})
    assert violations == {f"address.{name}": TOO_LONG}
