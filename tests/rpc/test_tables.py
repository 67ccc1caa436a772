from enum import StrEnum

import pytest

from leasehold.model.booking import BookingStatus, CreateBookingStatus, UpdateBookingStatus
from leasehold.model.lease import CreateLeaseStatus
from leasehold.rpc import stored
from leasehold.rpc.v0 import status as v0
from leasehold.rpc.v2 import status as v2


@pytest.mark.parametrize(
    ("table", "outcomes"),
    [
        (v0.CREATE_LEASE, CreateLeaseStatus),
        (v0.CREATE_BOOKING, CreateBookingStatus),
        (v0.UPDATE_BOOKING, UpdateBookingStatus),
        (stored.V0_NUMBERS, BookingStatus),
        (v2.CREATE_LEASE, CreateLeaseStatus),
        (v2.CREATE_BOOKING, CreateBookingStatus),
        (v2.UPDATE_BOOKING, UpdateBookingStatus),
        (stored.V2_NUMBERS, BookingStatus),
    ],
)
def test_every_outcome_has_its_place_on_the_wire(
    table: dict[object, object], outcomes: type[StrEnum]
) -> None:
    """The tables are total: each outcome of the store is a grant, a refusal or an error."""
    assert set(table) == set(outcomes)
