from enum import StrEnum
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from leasehold.model.booking import BookingStatus, CreateBookingStatus, UpdateBookingStatus
from leasehold.model.inventory import CheckAvailabilityStatus
from leasehold.model.lease import CreateLeaseStatus
from leasehold.rpc import status as errors
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
        (v2.CHECK_AVAILABILITY, CheckAvailabilityStatus),
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


# Written by hand from the contract, 2.4, 5 and 6.2: a cause of v2 by its number, or a code with
# its reason. What is not listed is a grant.
SLOT_UNAVAILABLE, SLOT_ALREADY_BOOKED_BY_USER, LEASE_EXPIRED = 1, 2, 3
BOOKING_ALREADY_CANCELLED, BOOKING_NOT_CANCELLABLE = 10, 11
GONE = ("RESOURCE_EXHAUSTED", "SLOT_UNAVAILABLE")
BOOKED = ("ALREADY_EXISTS", "ALREADY_BOOKED")
FAULT = "INVALID_ARGUMENT"

ANSWERS: dict[tuple[str, str], dict[str, int | tuple[str, str]]] = {
    ("v2", "CHECK_AVAILABILITY"): {
        "start_too_far": (FAULT, "START_TOO_FAR"),
        "merchant_unknown": (FAULT, "MERCHANT_UNKNOWN"),
        "service_unknown": (FAULT, "SERVICE_UNKNOWN"),
    },
    ("v2", "CREATE_LEASE"): {
        "lease_expired": LEASE_EXPIRED,
        "reference_reused": (FAULT, "REFERENCE_REUSED"),
        "expiry_too_soon": (FAULT, "EXPIRY_TOO_SOON"),
        "start_too_soon": SLOT_UNAVAILABLE,
        "start_too_far": (FAULT, "START_TOO_FAR"),
        "merchant_unknown": (FAULT, "MERCHANT_UNKNOWN"),
        "service_unknown": (FAULT, "SERVICE_UNKNOWN"),
        "slot_unknown": SLOT_UNAVAILABLE,
        "slot_unavailable": SLOT_UNAVAILABLE,
    },
    ("v2", "CREATE_BOOKING"): {
        "token_reused": (FAULT, "TOKEN_REUSED"),
        "lease_unknown": ("NOT_FOUND", "LEASE_UNKNOWN"),
        "lease_slot_mismatch": (FAULT, "LEASE_SLOT_MISMATCH"),
        "lease_consumed_by_user": SLOT_ALREADY_BOOKED_BY_USER,
        "lease_consumed": SLOT_UNAVAILABLE,
        "lease_expired": LEASE_EXPIRED,
        "already_booked_by_user": SLOT_ALREADY_BOOKED_BY_USER,
        "start_too_soon": SLOT_UNAVAILABLE,
        "start_too_far": (FAULT, "START_TOO_FAR"),
        "merchant_unknown": (FAULT, "MERCHANT_UNKNOWN"),
        "service_unknown": (FAULT, "SERVICE_UNKNOWN"),
        "slot_unknown": SLOT_UNAVAILABLE,
        "slot_unavailable": SLOT_UNAVAILABLE,
    },
    ("v2", "UPDATE_BOOKING"): {
        "booking_unknown": ("NOT_FOUND", "BOOKING_UNKNOWN"),
        "slot_mismatch": (FAULT, "BOOKING_SLOT_MISMATCH"),
        "already_cancelled": BOOKING_ALREADY_CANCELLED,
        "not_cancellable": BOOKING_NOT_CANCELLABLE,
        "already_booked_by_user": SLOT_ALREADY_BOOKED_BY_USER,
        "duration_too_long": (FAULT, "INVALID_REQUEST"),
        "start_too_soon": SLOT_UNAVAILABLE,
        "start_too_far": (FAULT, "START_TOO_FAR"),
        "slot_unknown": SLOT_UNAVAILABLE,
        "slot_unavailable": SLOT_UNAVAILABLE,
    },
    ("v0", "CREATE_LEASE"): {
        "lease_expired": ("RESOURCE_EXHAUSTED", "LEASE_EXPIRED"),
        "reference_reused": (FAULT, "REFERENCE_REUSED"),
        "expiry_too_soon": (FAULT, "EXPIRY_TOO_SOON"),
        "start_too_soon": GONE,
        "start_too_far": (FAULT, "START_TOO_FAR"),
        "merchant_unknown": (FAULT, "MERCHANT_UNKNOWN"),
        "service_unknown": (FAULT, "SERVICE_UNKNOWN"),
        "slot_unknown": GONE,
        "slot_unavailable": GONE,
    },
    ("v0", "CREATE_BOOKING"): {
        "token_reused": BOOKED,
        "lease_unknown": ("NOT_FOUND", "LEASE_UNKNOWN"),
        "lease_slot_mismatch": GONE,
        "lease_consumed_by_user": BOOKED,
        "lease_consumed": BOOKED,
        "lease_expired": ("NOT_FOUND", "LEASE_UNKNOWN"),
        "already_booked_by_user": BOOKED,
        "start_too_soon": GONE,
        "start_too_far": GONE,
        "merchant_unknown": GONE,
        "service_unknown": GONE,
        "slot_unknown": GONE,
        "slot_unavailable": GONE,
    },
    ("v0", "UPDATE_BOOKING"): {
        "booking_unknown": ("NOT_FOUND", "BOOKING_UNKNOWN"),
        "slot_mismatch": (FAULT, "BOOKING_SLOT_MISMATCH"),
        "already_cancelled": (FAULT, "BOOKING_ALREADY_CANCELLED"),
        "not_cancellable": (FAULT, "BOOKING_NOT_CANCELLABLE"),
        "already_booked_by_user": ("RESOURCE_EXHAUSTED", "ALREADY_BOOKED"),
        "duration_too_long": (FAULT, "INVALID_REQUEST"),
        "start_too_soon": GONE,
        "start_too_far": (FAULT, "START_TOO_FAR"),
        "slot_unknown": GONE,
        "slot_unavailable": GONE,
    },
}
GRANTS = {"created", "replayed", "consumed", "updated", "unchanged", "counted"}
CODES = {code.value[0]: code.name for code in grpc.StatusCode}
VERSIONS: dict[str, Any] = {"v0": v0, "v2": v2}
ROWS = [
    (version, name, outcome)
    for version, name in ANSWERS
    for outcome in getattr(VERSIONS[version], name)
]


def answer(version: str, name: str, outcome: StrEnum) -> int | tuple[str, str] | None:
    """Return what a row of a table says on the wire."""
    table = getattr(VERSIONS[version], name)
    try:
        failure = v2.refusal(table, outcome) if version == "v2" else None
        if version == "v0":
            v0.raise_unless_granted(table, outcome)
    except Exception as error:  # noqa: BLE001 - whatever is raised has its status
        ((_, packed),) = errors.of(error, "request-1", grpc.StatusCode.INTERNAL).trailing_metadata
        status = status_pb2.Status.FromString(packed)
        info = error_details_pb2.ErrorInfo()
        status.details[0].Unpack(info)
        return CODES[status.code], info.reason
    return failure.cause if failure else None


@pytest.mark.parametrize(("version", "name", "outcome"), ROWS)
def test_every_row_says_what_the_contract_says(version: str, name: str, outcome: StrEnum) -> None:
    """Each outcome of each method is a grant, or the cause, or the code and reason pinned here."""
    expected = ANSWERS[version, name].get(outcome.value)

    assert answer(version, name, outcome) == expected
    assert (expected is None) == (outcome.value in GRANTS)


def test_every_row_that_is_pinned_exists() -> None:
    """No answer is pinned for an outcome that there is not."""
    outcomes = {(version, name, str(outcome)) for version, name, outcome in ROWS}
    pinned = {(*table, outcome) for table, rows in ANSWERS.items() for outcome in rows}

    assert pinned <= outcomes
