"""Contract 5, and the decisions of 6.2 on bad requests and on trouble, row by row."""

import asyncio
import re
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from tests.backends import LIMITS, TERMS, Backend, real_backend
from tests.calls import booking_request, failure_of, lease_request
from tests.reference_store import ReferenceStore
from tests.rpc.conftest import FrontEnd
from tests.rpc.contract import (
    INVALID_ARGUMENT,
    NOT_FOUND,
    SLOT_FAULTS,
    UNKNOWN_ID,
    UNKNOWN_SUFFIX,
    Cause,
    FailingStore,
    book,
    book_failure,
    booking_id,
    cancel_request,
    count,
    lease,
    lease_failure,
    lease_id,
    spoil,
    update_failure,
    update_request,
)
from tests.servers import running

from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as pb
from leasehold.model.errors import DeadlinePassedError, StoreTrouble, StoreUnavailableError
from leasehold.model.store import LeaseStore
from leasehold.store.link import Link
from leasehold.store.node import Node
from leasehold.store.redis_store import RedisStore

Serve = Callable[[LeaseStore], Any]
DAY_S = 86_400


async def test_v2_check_availability_invalid_argument_names_merchant_service_and_time(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """A bad merchant, service or slot time is INVALID_ARGUMENT in CheckAvailability."""
    request = pb.CheckAvailabilityRequest(slot=lease_request(store.now_ms).lease.slot)
    spoil(request.slot)

    failure = await failure_of(front.v2.CheckAvailability(request))

    assert failure.code is INVALID_ARGUMENT
    assert set(failure.violations) == SLOT_FAULTS


async def test_v2_create_lease_invalid_argument_names_merchant_service_and_time(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """A bad merchant, service or slot time is INVALID_ARGUMENT in CreateLease."""
    request = lease_request(store.now_ms)
    spoil(request.lease.slot)

    failure = await failure_of(front.v2.CreateLease(request))

    assert failure.code is INVALID_ARGUMENT
    assert set(failure.violations) == {f"lease.{field}" for field in SLOT_FAULTS}
    assert store.owners == {}


async def test_v2_create_lease_booking_failure_has_status_ok(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """A business refusal of CreateLease is an answer with status OK."""
    now = store.now_ms
    await lease_id(front, now, for_ms=1000)

    taken = await lease(front, now, reference="reference-2")
    begun = await lease(front, now, reference="reference-3", start_s=now // 1000)
    store.now_ms += 1001
    ended = await lease(front, now)

    assert taken.booking_failure.cause == Cause.SLOT_UNAVAILABLE
    assert begun.booking_failure.cause == Cause.SLOT_UNAVAILABLE
    assert ended.booking_failure.cause == Cause.LEASE_EXPIRED


async def test_v2_create_booking_invalid_argument_names_what_the_user_lacks(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """UserInformation with missing fields is INVALID_ARGUMENT in CreateBooking."""
    request = booking_request(store.now_ms)
    request.user_information.Clear()
    request.user_information.given_name = "A" * 41

    failure = await failure_of(front.v2.CreateBooking(request))

    assert failure.code is INVALID_ARGUMENT
    assert set(failure.violations) == {
        f"user_information.{name}"
        for name in ("user_id", "given_name", "family_name", "telephone", "email")
    }
    assert store.bookings == {}


async def test_v2_create_booking_not_found_for_an_unknown_lease(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """A lease reference whose id the partner does not know is NOT_FOUND."""
    failure = await book_failure(front, store.now_ms, lease_id=UNKNOWN_ID)

    assert (failure.code, failure.reason) == (NOT_FOUND, "LEASE_UNKNOWN")
    assert store.bookings == {}


@pytest.mark.parametrize(
    ("refusal", "cause"),
    [
        ("slot gone", Cause.SLOT_UNAVAILABLE),
        ("lease expired", Cause.LEASE_EXPIRED),
        ("duplicate", Cause.SLOT_ALREADY_BOOKED_BY_USER),
    ],
)
async def test_v2_create_booking_booking_failure_has_status_ok(
    front: FrontEnd, store: ReferenceStore, refusal: str, cause: int
) -> None:
    """A business refusal of CreateBooking is an answer with status OK and no booking."""
    now, held = store.now_ms, None
    if refusal == "slot gone":
        await lease_id(front, now)
    elif refusal == "lease expired":
        held = await lease_id(front, now, for_ms=1000)
        store.now_ms += 1001
    else:
        await booking_id(front, now)

    response = await book(front, now, token="token-2", lease_id=held)

    assert response.booking_failure.cause == cause
    assert not response.HasField("booking")


@pytest.mark.parametrize(
    ("paths", "changes", "field"),
    [
        (["user_information"], {}, "update_mask"),
        (["no.such.field"], {}, "update_mask"),
        (["status"], {"status": 2}, "booking.status"),
        (["slot.start_time"], {}, "booking.slot.start_time"),
        (["slot.duration"], {"slot": {"duration": {"seconds": -1}}}, "booking.slot.duration"),
        (
            ["slot.resources.party_size"],
            {"slot": {"resources": {"party_size": -1}}},
            "booking.slot.resources.party_size",
        ),
    ],
)
async def test_v2_update_booking_invalid_argument_names_mask_or_field(
    front: FrontEnd,
    store: ReferenceStore,
    paths: list[str],
    changes: dict[str, object],
    field: str,
) -> None:
    """A bad mask or a bad value of a field is INVALID_ARGUMENT in UpdateBooking."""
    made = await booking_id(front, store.now_ms)
    before = repr(store.bookings)

    failure = await update_failure(front, update_request(made, *paths, **changes))

    assert failure.code is INVALID_ARGUMENT
    assert list(failure.violations) == [field]
    assert repr(store.bookings) == before


async def test_v2_update_booking_not_found_for_an_unknown_booking(front: FrontEnd) -> None:
    """A booking id that the partner does not know is NOT_FOUND in UpdateBooking."""
    failure = await update_failure(front, cancel_request(UNKNOWN_ID))

    assert (failure.code, failure.reason) == (NOT_FOUND, "BOOKING_UNKNOWN")


async def test_v2_get_booking_status_not_found_for_an_unknown_booking(front: FrontEnd) -> None:
    """A booking id that the partner does not know is NOT_FOUND in GetBookingStatus."""
    request = pb.GetBookingStatusRequest(booking_id=UNKNOWN_ID)

    failure = await failure_of(front.v2.GetBookingStatus(request))

    assert (failure.code, failure.reason) == (NOT_FOUND, "BOOKING_UNKNOWN")


async def test_v2_list_bookings_not_found_for_an_unknown_user(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """A user id that the partner does not know is NOT_FOUND in ListBookings."""
    await booking_id(front, store.now_ms, user="ada")

    failure = await failure_of(front.v2.ListBookings(pb.ListBookingsRequest(user_id="eve")))

    assert (failure.code, failure.reason) == (NOT_FOUND, "USER_UNKNOWN")
    listed = await front.v2.ListBookings(pb.ListBookingsRequest(user_id="ada"))
    assert len(listed.bookings) == 1


@pytest.mark.parametrize(
    ("field", "seconds", "nanos"),
    [
        ("start_time", 1_800_086_400, 1),
        ("duration", 0, 0),
        ("duration", -1, 0),
        ("duration", 1, 1),
        ("duration", 31 * DAY_S + 1, 0),
    ],
)
async def test_slot_times_are_whole_seconds_within_bounds(
    front: FrontEnd, store: ReferenceStore, field: str, seconds: int, nanos: int
) -> None:
    """A time with a fraction, or a duration of nothing or too much, is INVALID_ARGUMENT."""
    held, booked = lease_request(store.now_ms), booking_request(store.now_ms)
    for slot in (held.lease.slot, booked.slot):
        value = getattr(slot, field)
        value.seconds, value.nanos = seconds, nanos
    check = pb.CheckAvailabilityRequest(slot=booked.slot)

    for path, call in (
        ("lease.slot", front.v2.CreateLease(held)),
        ("slot", front.v2.CreateBooking(booked)),
        ("slot", front.v2.CheckAvailability(check)),
    ):
        failure = await failure_of(call)
        assert failure.code is INVALID_ARGUMENT
        assert list(failure.violations) == [f"{path}.{field}"]


@pytest.mark.parametrize(
    ("field", "limit", "may_be_empty"),
    [
        ("slot.merchant_id", 255, False),
        ("slot.service_id", 255, False),
        ("slot.resources.staff_id", 255, True),
        ("slot.resources.room_id", 255, True),
        ("slot.availability_tag", 1024, True),
        ("idempotency_token", 255, False),
        ("user_information.user_id", 255, False),
        ("user_information.telephone", 4096, False),
        ("additional_request", 4096, True),
    ],
)
async def test_ids_and_tokens_have_limits_in_bytes(
    front: FrontEnd, store: ReferenceStore, field: str, limit: int, may_be_empty: bool
) -> None:
    """Every text of a request has its own limit, and the field that exceeds it is named."""
    *path, name = field.split(".")
    fits = "é" * (limit // 2) + "e" * (limit % 2)
    wrong = [fits + "e"] + ([] if may_be_empty else [""])
    if limit == 255:
        wrong.append("a\x1fb")
    for value in [*wrong, fits]:
        request = booking_request(store.now_ms)
        message: Any = request
        for part in path:
            message = getattr(message, part)
        setattr(message, name, value)
        if value == fits:
            assert (await front.v2.CreateBooking(request)).HasField("booking")
        else:
            failure = await failure_of(front.v2.CreateBooking(request))
            assert failure.code is INVALID_ARGUMENT
            assert list(failure.violations) == [field]


async def test_ids_and_tokens_of_a_whole_request_have_a_limit(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """A request may be 64 KiB long, and not a byte more."""
    request = lease_request(store.now_ms)
    request.lease.lease_id = "x" * 65_000
    request.lease.lease_id += "x" * (65_536 - request.ByteSize())
    assert request.ByteSize() == 65_536
    assert (await front.v2.CreateLease(request)).HasField("lease")

    request.lease.lease_id += "x"
    assert (await failure_of(front.v2.CreateLease(request))).code is INVALID_ARGUMENT


@pytest.mark.parametrize(
    "unknown",
    [
        "salon-1",
        f".{UNKNOWN_SUFFIX}",
        f"salon%2D1.{UNKNOWN_SUFFIX}",
        f"salon-1.{UNKNOWN_SUFFIX.lower()}",
        f"salon-1.{UNKNOWN_SUFFIX}A",
        "s" * 900 + f".{UNKNOWN_SUFFIX}",
    ],
)
async def test_lease_and_booking_ids_that_can_be_none_of_ours_ask_no_redis(
    serve: Serve, unknown: str
) -> None:
    """An id of another spelling is NOT_FOUND even when there is no store to ask."""
    front, now = await serve(FailingStore(AssertionError("asked"))), 1_800_000_000_000
    status = pb.GetBookingStatusRequest(booking_id=unknown)

    for failure in (
        await book_failure(front, now, lease_id=unknown),
        await update_failure(front, cancel_request(unknown)),
        await failure_of(front.v2.GetBookingStatus(status)),
    ):
        assert failure.code is NOT_FOUND


async def test_lease_and_booking_ids_may_not_be_empty(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """An empty lease_id in a lease_ref that is present is INVALID_ARGUMENT."""
    failure = await book_failure(front, store.now_ms, lease_id="")

    assert failure.code is INVALID_ARGUMENT
    assert list(failure.violations) == ["lease_ref.lease_id"]


@pytest.mark.parametrize("trouble", StoreTrouble)
async def test_store_trouble_is_unavailable_and_never_a_taken_slot(
    serve: Serve, trouble: StoreTrouble
) -> None:
    """Whatever method meets a store in trouble is UNAVAILABLE, with a time to come back.

    What the message says is right for UpdateBooking too, whose outcome may be unknown.
    """
    front, now = await serve(FailingStore(StoreUnavailableError(trouble))), 1_800_000_000_000
    check = pb.CheckAvailabilityRequest(slot=lease_request(now).lease.slot)
    status = pb.GetBookingStatusRequest(booking_id=UNKNOWN_ID)

    for failure in (
        await lease_failure(front, now),
        await book_failure(front, now),
        await update_failure(front, cancel_request(UNKNOWN_ID)),
        await failure_of(front.v2.CheckAvailability(check)),
        await failure_of(front.v2.GetBookingStatus(status)),
        await failure_of(front.v2.ListBookings(pb.ListBookingsRequest(user_id="ada"))),
    ):
        assert (failure.code, failure.reason) == (grpc.StatusCode.UNAVAILABLE, trouble.value)
        assert failure.detail(error_details_pb2.RetryInfo).retry_delay.seconds > 0
        if trouble is StoreTrouble.LAYOUT_UNKNOWN:
            assert "Nothing was changed." in failure.message
            continue
        assert failure.message == (
            f"The store gave no answer ({trouble.value}). Whether the call was carried out may be"
            " unknown; CreateLease and CreateBooking may be repeated as they are."
        )


async def test_store_trouble_of_a_full_store_lets_a_booking_be_cancelled(serve: Serve) -> None:
    """Out of memory no slot is held, and cancelling still works."""
    with running("valkey9") as server:
        async with real_backend(server) as backend:
            front, now = await serve(backend.store()), await backend.now_ms()
            made = await booking_id(front, now)
            await backend.redis.config_set("maxmemory", "1")

            failure = await lease_failure(front, now, staff="anna")
            cancelled = await front.v2.UpdateBooking(cancel_request(made))

            assert failure.code is grpc.StatusCode.UNAVAILABLE
            assert failure.reason == "STORE_OUT_OF_MEMORY"
            assert cancelled.booking.status == pb.CANCELED
            assert await count(front, now) == 1


async def test_store_trouble_that_outlasts_the_deadline_is_deadline_exceeded(serve: Serve) -> None:
    """A deadline that is spent is DEADLINE_EXCEEDED, and a repeat can help."""
    failure = await lease_failure(await serve(FailingStore(DeadlinePassedError())), 0)

    assert failure.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert failure.has(error_details_pb2.RetryInfo)


async def test_store_trouble_that_is_a_bug_is_internal_without_internal_text(serve: Serve) -> None:
    """A bug is INTERNAL and tells nothing of itself."""
    failure = await lease_failure(await serve(FailingStore(ValueError("inner secret"))), 0)

    assert failure.code is grpc.StatusCode.INTERNAL
    assert "secret" not in str(failure)


@pytest.mark.parametrize(("took_s", "is_grant"), [(0, True), (0.3, False)])
async def test_grant_too_slow_is_unavailable_and_no_lease_that_has_run_out(
    serve: Serve, fake: Backend, took_s: float, is_grant: bool
) -> None:
    """A grant that took longer to arrive than it lasts is UNAVAILABLE."""

    class SlowLink(Link):
        async def run(self, *arguments: Any) -> Any:
            reply = await super().run(*arguments)
            await asyncio.sleep(took_s)
            return reply

    link = SlowLink(Node("fake", fake.redis.connection_pool.make_connection, LIMITS), LIMITS)
    front = await serve(RedisStore(link, TERMS))
    request = lease_request(await fake.now_ms(), for_ms=60_000 if is_grant else 250)

    if is_grant:
        assert (await front.v2.CreateLease(request)).HasField("lease")
    else:
        failure = await failure_of(front.v2.CreateLease(request))
        assert failure.code is grpc.StatusCode.UNAVAILABLE
        assert failure.reason == "STORE_ANSWERED_TOO_LATE"
    await link.close()


async def test_error_details_are_on_every_status(
    front: FrontEnd, serve: Serve, store: ReferenceStore
) -> None:
    """BadRequest names fields, RetryInfo says when, and ErrorInfo stands on every error."""
    now, details = store.now_ms, error_details_pb2
    trouble = FailingStore(StoreUnavailableError(StoreTrouble.LOADING))
    shape = await failure_of(front.v2.CreateLease(pb.CreateLeaseRequest()))
    clock = await lease_failure(front, now, for_ms=-1)
    unknown = await book_failure(front, now, lease_id=UNKNOWN_ID)
    away = await lease_failure(await serve(trouble), now)
    bug = await lease_failure(await serve(FailingStore(ValueError())), now)

    for failure in (shape, clock, unknown, away, bug):
        assert re.fullmatch("[A-Z][A-Z_]+", failure.reason)
        assert failure.has(details.BadRequest) == (failure.code is INVALID_ARGUMENT)
        assert failure.has(details.RetryInfo) == (failure.code is grpc.StatusCode.UNAVAILABLE)
