from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from tests.backends import TERMS
from tests.calls import CREATE_LEASE, failure_of, lease_request
from tests.reference_store import ReferenceStore
from tests.rpc.conftest import FrontEnd

from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as pb
from leasehold.model import ids

INVALID_ARGUMENT = grpc.StatusCode.INVALID_ARGUMENT


async def test_create_lease_echoes_the_request_with_id_and_expiry(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """The response is the request's lease with lease_id set and the granted expiry."""
    request = lease_request(store.now_ms, staff="anna", for_ms=60_000)
    request.lease.slot.availability_tag = "tag \x00 🎈"

    response = await front.v2.CreateLease(request)

    expected = pb.CreateLeaseResponse(lease=request.lease)
    expected.lease.lease_id = ids.wire_id("salon-1", ids.lease_suffix("reference-1"))
    assert response == expected


async def test_create_lease_echoes_absent_resources_as_absent(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """Resources that were not sent do not come back."""
    response = await front.v2.CreateLease(lease_request(store.now_ms))

    assert not response.lease.slot.HasField("resources")


async def test_create_lease_echoes_empty_resources_as_present(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """Resources that were sent empty come back empty."""
    response = await front.v2.CreateLease(lease_request(store.now_ms, staff=""))

    assert response.lease.slot.HasField("resources")
    assert response.lease.slot.resources == pb.Resources()


async def test_create_lease_absent_and_empty_resources_are_one_slot(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """To the slot it makes no difference whether resources are absent or empty."""
    await front.v2.CreateLease(lease_request(store.now_ms, reference="r-1"))

    response = await front.v2.CreateLease(lease_request(store.now_ms, reference="r-2", staff=""))

    assert response.booking_failure.cause == pb.BookingFailure.SLOT_UNAVAILABLE


async def test_create_lease_ignores_a_lease_id_in_the_request(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """The partner chooses the id; what the request says is not looked at."""
    request = lease_request(store.now_ms)
    request.lease.lease_id = "\x00" * 1000

    response = await front.v2.CreateLease(request)

    assert response.lease.lease_id == ids.wire_id("salon-1", ids.lease_suffix("reference-1"))


async def test_create_lease_shows_the_expiry_that_was_granted(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """Of a request for too long the response carries what the store keeps, to the millisecond."""
    store.now_ms += 7
    response = await front.v2.CreateLease(lease_request(store.now_ms, for_ms=10**9))

    granted_ms = response.lease.lease_expiration_time.ToMilliseconds()
    assert granted_ms == store.now_ms + TERMS.max_lease_ms


async def test_create_lease_repeated_gets_the_same_answer(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """A retry gets the lease it already has, even once the expiry it asks for has passed."""
    request = lease_request(store.now_ms, for_ms=TERMS.max_lease_ms)
    first = await front.v2.CreateLease(request)
    request.lease.lease_expiration_time.FromMilliseconds(store.now_ms - 1)

    assert await front.v2.CreateLease(request) == first


async def test_create_lease_of_a_taken_slot_is_refused_in_band(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """A business failure is an answer with status OK, without a lease."""
    await front.v2.CreateLease(lease_request(store.now_ms, reference="r-1"))

    response = await front.v2.CreateLease(lease_request(store.now_ms, reference="r-2"))

    assert response.booking_failure.cause == pb.BookingFailure.SLOT_UNAVAILABLE
    assert not response.HasField("lease")


async def test_create_lease_repeated_after_expiry_is_lease_expired_in_band(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """A reference whose lease has lapsed is told so."""
    request = lease_request(store.now_ms, for_ms=1000)
    await front.v2.CreateLease(request)
    store.now_ms += 1001

    response = await front.v2.CreateLease(request)

    assert response.booking_failure.cause == pb.BookingFailure.LEASE_EXPIRED
    assert not response.HasField("lease")


async def test_create_lease_of_a_past_slot_is_slot_unavailable(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """A slot that has begun is not the client's mistake, it is gone."""
    response = await front.v2.CreateLease(lease_request(store.now_ms, start_s=0))

    assert response.booking_failure.cause == pb.BookingFailure.SLOT_UNAVAILABLE


async def test_create_lease_of_nothing_names_every_missing_field(front: FrontEnd) -> None:
    """An empty request is told everything it lacks, at once."""
    failure = await failure_of(front.v2.CreateLease(pb.CreateLeaseRequest()))

    assert failure.code is INVALID_ARGUMENT
    assert failure.violations == dict.fromkeys(
        [
            "lease",
            "lease.slot",
            "lease.slot.merchant_id",
            "lease.slot.service_id",
            "lease.slot.start_time",
            "lease.slot.duration",
            "lease.user_reference",
            "lease.lease_expiration_time",
        ],
        "is required",
    )


async def test_create_lease_names_every_faulty_field_and_repeats_no_value(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """All faults of shape come together; the values, which may be personal, stay out."""
    request = lease_request(store.now_ms, merchant="secret\n", reference="secret" * 50)
    slot = request.lease.slot
    slot.service_id = "secret\x7f"
    slot.start_time.nanos = 1
    slot.duration.seconds = -5
    slot.availability_tag = "secret" * 200
    slot.resources.staff_id = "secret\x00"
    slot.resources.room_id = "é" * 128
    slot.resources.party_size = -1
    request.lease.lease_expiration_time.nanos = -1

    failure = await failure_of(front.v2.CreateLease(request))

    assert failure.code is INVALID_ARGUMENT
    assert failure.reason == "INVALID_REQUEST"
    assert failure.violations == {
        "lease.slot.merchant_id": "contains control characters",
        "lease.slot.service_id": "contains control characters",
        "lease.slot.start_time": "must be in whole seconds",
        "lease.slot.duration": "must be longer than zero",
        "lease.slot.availability_tag": "is longer than 1024 bytes of UTF-8",
        "lease.slot.resources.staff_id": "contains control characters",
        "lease.slot.resources.room_id": "is longer than 255 bytes of UTF-8",
        "lease.slot.resources.party_size": "must not be negative",
        "lease.user_reference": "is longer than 255 bytes of UTF-8",
        "lease.lease_expiration_time": "is not a timestamp between the years 0001 and 9999",
    }
    assert "secret" not in failure.message
    assert store.owners == {}


@pytest.mark.parametrize(
    ("seconds", "nanos"),
    [
        (253_402_300_800, 0),
        (-62_135_596_801, 0),
        (2**63 - 1, 0),
        (-(2**63), 0),
        (1_800_000_100, -1),
        (1_800_000_100, 1_000_000_000),
        (1_800_000_100, 2**31 - 1),
    ],
)
@pytest.mark.parametrize("field", ["lease_expiration_time", "slot.start_time"])
async def test_create_lease_with_a_time_that_is_none_names_the_field(
    front: FrontEnd, store: ReferenceStore, field: str, seconds: int, nanos: int
) -> None:
    """A timestamp that overflows, or whose nanos do, is a fault of shape."""
    request = lease_request(store.now_ms)
    timestamp: Any = request.lease
    for name in field.split("."):
        timestamp = getattr(timestamp, name)
    timestamp.seconds, timestamp.nanos = seconds, nanos

    failure = await failure_of(front.v2.CreateLease(request))

    assert failure.code is INVALID_ARGUMENT
    assert f"lease.{field}" in failure.violations


@pytest.mark.parametrize(
    ("seconds", "nanos"),
    [(0, 0), (-1, 0), (0, 1), (1, 1), (1, -1), (31 * 86_400 + 1, 0), (2**63 - 1, 0), (-(2**63), 0)],
)
async def test_create_lease_with_a_duration_that_is_none_names_the_field(
    front: FrontEnd, store: ReferenceStore, seconds: int, nanos: int
) -> None:
    """A slot is longer than nothing, in whole seconds, and at most as long as is allowed."""
    request = lease_request(store.now_ms)
    request.lease.slot.duration.seconds = seconds
    request.lease.slot.duration.nanos = nanos

    failure = await failure_of(front.v2.CreateLease(request))

    assert failure.code is INVALID_ARGUMENT
    assert list(failure.violations) == ["lease.slot.duration"]


async def test_create_lease_asking_for_the_past_names_the_expiry(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """A fault of the clock is found by the store, and named alone."""
    failure = await failure_of(front.v2.CreateLease(lease_request(store.now_ms, for_ms=-1)))

    assert failure.code is INVALID_ARGUMENT
    assert failure.reason == "EXPIRY_TOO_SOON"
    assert list(failure.violations) == ["lease.lease_expiration_time"]


async def test_create_lease_too_far_ahead_names_the_start(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """A slot beyond the longest advance is a fault of the request."""
    far_s = (store.now_ms + TERMS.max_advance_ms) // 1000 + 1
    failure = await failure_of(front.v2.CreateLease(lease_request(store.now_ms, start_s=far_s)))

    assert failure.reason == "START_TOO_FAR"
    assert list(failure.violations) == ["lease.slot.start_time"]


async def test_create_lease_with_a_reused_reference_says_so(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """The same reference for another slot is the client's mistake, with a reason of its own."""
    await front.v2.CreateLease(lease_request(store.now_ms))

    failure = await failure_of(front.v2.CreateLease(lease_request(store.now_ms, staff="anna")))

    assert failure.code is INVALID_ARGUMENT
    assert failure.reason == "REFERENCE_REUSED"
    assert list(failure.violations) == ["lease.user_reference"]


async def test_create_lease_of_the_longest_ids_is_granted(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """Every limit may be reached: 255 bytes of ids, 1024 of tag."""
    request = lease_request(store.now_ms, merchant="é" * 127 + "e", reference="🎈" * 63 + "abc")
    request.lease.slot.service_id = "s" * 255
    request.lease.slot.availability_tag = "t" * 1024
    request.lease.slot.resources.staff_id = " " * 255
    request.lease.slot.resources.party_size = 2**31 - 1

    response = await front.v2.CreateLease(request)

    assert response.lease.user_reference == request.lease.user_reference


async def test_create_lease_of_too_many_bytes_is_invalid_argument(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """The whole request has a limit, and what is over it is told so."""
    request = lease_request(store.now_ms)
    request.lease.lease_id = "x" * 65_536

    failure = await failure_of(front.v2.CreateLease(request))

    assert failure.code is INVALID_ARGUMENT
    assert "at most 65536" in failure.message


@pytest.mark.parametrize(
    "garbage", [b"\xff", b"\x0a\xff", b"\x0a\x04\x1a\x02\xc3\x28", b"\x00" * 9]
)
async def test_create_lease_of_garbage_is_invalid_argument(front: FrontEnd, garbage: bytes) -> None:
    """Bytes that are no request are the caller's fault, never INTERNAL."""
    failure = await failure_of(front.raw(CREATE_LEASE)(garbage))

    assert failure.code is INVALID_ARGUMENT
    assert failure.has(error_details_pb2.BadRequest)
