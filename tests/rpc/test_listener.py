import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from prometheus_client import REGISTRY
from structlog.testing import capture_logs
from tests.calls import SERVICE, failure_of, lease_request
from tests.reference_store import ReferenceStore
from tests.rpc.conftest import CALL_TIMEOUT_S, FrontEnd

from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as v2_pb
from leasehold.model.deadline import Deadline
from leasehold.model.errors import (
    ClockSteppedError,
    DeadlinePassedError,
    QuarantinedError,
    StoreTrouble,
    StoreUnavailableError,
)
from leasehold.model.lease import CreateLease, CreateLeaseOutcome
from leasehold.model.store import LeaseStore

Serve = Callable[[LeaseStore], Any]


class FailingStore(ReferenceStore):
    """A store that gives no answer, and keeps the deadline it was given."""

    error: Exception
    deadline: Deadline

    async def create_lease(self, _command: CreateLease, deadline: Deadline) -> CreateLeaseOutcome:
        """Fail as told."""
        self.deadline = deadline
        raise self.error


@pytest.fixture
def failing(store: ReferenceStore) -> FailingStore:
    """A store whose ``error`` the test sets."""
    return FailingStore(store.terms, store.now_ms)


@pytest.mark.parametrize("trouble", StoreTrouble)
async def test_trouble_of_the_store_is_unavailable_with_retry_info(
    serve: Serve, failing: FailingStore, trouble: StoreTrouble
) -> None:
    """Trouble of the store has its own reason and a time to come back, and is no refusal."""
    failing.error = StoreUnavailableError(trouble)
    front = await serve(failing)

    failure = await failure_of(front.v2.CreateLease(lease_request(failing.now_ms)))

    assert failure.code is grpc.StatusCode.UNAVAILABLE
    assert failure.reason == trouble.value
    assert failure.detail(error_details_pb2.RetryInfo).retry_delay.seconds == 1


async def test_quarantine_is_unavailable_until_it_ends(serve: Serve, failing: FailingStore) -> None:
    """A loss of data is no taken slot, and RetryInfo says when grants go on."""
    failing.error = QuarantinedError(899.5)
    front = await serve(failing)

    failure = await failure_of(front.v2.CreateLease(lease_request(failing.now_ms)))

    assert (failure.code, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_QUARANTINED")
    delay = failure.detail(error_details_pb2.RetryInfo).retry_delay
    assert (delay.seconds, delay.nanos) == (899, 500_000_000)


async def test_step_of_the_stores_clock_is_unavailable_until_it_is_over(
    serve: Serve, failing: FailingStore
) -> None:
    """A clock that is wrong is no fault of the caller; RetryInfo says how long it lasts."""
    failing.error = ClockSteppedError(899.5)
    front = await serve(failing)

    failure = await failure_of(front.v2.CreateLease(lease_request(failing.now_ms)))

    assert (failure.code, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_CLOCK")
    delay = failure.detail(error_details_pb2.RetryInfo).retry_delay
    assert (delay.seconds, delay.nanos) == (899, 500_000_000)


async def test_lost_time_is_deadline_exceeded(serve: Serve, failing: FailingStore) -> None:
    """A deadline that passes before the store has answered says so."""
    failing.error = DeadlinePassedError()
    front = await serve(failing)

    failure = await failure_of(front.v2.CreateLease(lease_request(failing.now_ms)))

    assert failure.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert failure.reason == "DEADLINE_PASSED"


async def test_a_bug_is_internal_and_says_nothing_more(serve: Serve, failing: FailingStore) -> None:
    """The text of an unexpected error reaches neither the caller nor the log."""
    failing.error = ValueError("Ada Lovelace, ada@example.com")
    front = await serve(failing)

    with capture_logs() as logs:
        failure = await failure_of(front.v2.CreateLease(lease_request(failing.now_ms)))

    assert failure.code is grpc.StatusCode.INTERNAL
    assert (failure.message, failure.reason) == ("Internal error.", "INTERNAL")
    assert "Lovelace" not in str(failure) + str(logs)


async def test_the_callers_deadline_counts_when_it_is_the_nearer_one(
    serve: Serve, failing: FailingStore
) -> None:
    """The store gets the time that the caller has left, at most our own."""
    failing.error = DeadlinePassedError()
    front = await serve(failing)

    await failure_of(front.v2.CreateLease(lease_request(failing.now_ms), timeout=5))
    assert failing.deadline.remaining_s() < 10

    await failure_of(front.v2.CreateLease(lease_request(failing.now_ms), timeout=1000))
    assert 10 < failing.deadline.remaining_s() <= CALL_TIMEOUT_S


@pytest.mark.parametrize(
    ("sent", "taken_over"),
    [("abc-DEF_1", True), ("ada@example.com", False), ("x" * 65, False), ("", False)],
)
async def test_a_request_id_is_taken_over_when_it_can_only_be_an_id(
    front: FrontEnd, sent: str, taken_over: bool
) -> None:
    """Errors name the request; a caller's own id is used unless it could be something else."""
    failure = await failure_of(
        front.v2.CreateLease(v2_pb.CreateLeaseRequest(), metadata=(("x-request-id", sent),))
    )

    request_id = failure.detail(error_details_pb2.RequestInfo).request_id
    assert (request_id == sent) == taken_over
    assert request_id


async def test_a_call_leaves_one_log_line(front: FrontEnd, store: ReferenceStore) -> None:
    """One event a call, with what an operator asks for first."""
    request_id = (("x-request-id", "abc"),)
    with capture_logs() as logs:
        response = await front.v2.CreateLease(lease_request(store.now_ms), metadata=request_id)

    (line,) = [entry for entry in logs if entry["event"] == "call_handled"]
    assert line["service"] == SERVICE
    assert line["method"] == "CreateLease"
    assert line["code"] == "OK"
    assert line["outcome"] == "created"
    assert line["request_id"] == "abc"
    assert line["lease_id"] == response.lease.lease_id
    assert line["duration_ms"] >= 0


async def test_a_call_leaves_nothing_in_the_log_of_the_next(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """What one call noted does not stick to another."""
    await front.v2.CreateLease(lease_request(store.now_ms))
    with capture_logs() as logs:
        await failure_of(front.v2.CreateLease(v2_pb.CreateLeaseRequest()))

    (line,) = [entry for entry in logs if entry["event"] == "call_handled"]
    assert line["reason"] == "INVALID_REQUEST"
    assert "lease.user_reference" in line["fields"]
    assert "lease_id" not in line
    assert "outcome" not in line


async def test_calls_are_counted_by_the_names_of_the_field(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """grpc_server_* count as go-grpc-middleware does, and outcomes are counted beside them."""

    def read(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(name, labels) or 0

    method = {"grpc_type": "unary", "grpc_service": SERVICE, "grpc_method": "CreateLease"}
    outcome = {"api": "v2", "operation": "create_lease", "outcome": "created"}

    def counts() -> list[float]:
        return [
            read("grpc_server_started_total", **method),
            read("grpc_server_msg_received_total", **method),
            read("grpc_server_msg_sent_total", **method),
            read("grpc_server_handling_seconds_count", **method),
            read("grpc_server_handled_total", **method, grpc_code="OK"),
            read("grpc_server_handled_total", **method, grpc_code="InvalidArgument"),
            read("leasehold_outcomes_total", **outcome),
        ]

    before = counts()
    await front.v2.CreateLease(lease_request(store.now_ms))
    await failure_of(front.v2.CreateLease(v2_pb.CreateLeaseRequest()))

    assert [now - then for now, then in zip(counts(), before, strict=True)] == [2, 2, 1, 2, 1, 1, 1]


async def test_health_answers_for_the_server_and_for_each_service(front: FrontEnd) -> None:
    """Health follows readiness under the empty name and the full names; others are unknown."""
    stub: Any = health_pb2_grpc.HealthStub(front.channel)

    async def check(name: str) -> Any:
        return (await stub.Check(health_pb2.HealthCheckRequest(service=name))).status

    for ready, expected in ((False, "NOT_SERVING"), (True, "SERVING"), (False, "NOT_SERVING")):
        await front.health.follow(ready)
        status = health_pb2.HealthCheckResponse.ServingStatus.Value(expected)
        assert await check("") == status
        assert await check(SERVICE) == status
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await check("no.such.Service")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_health_is_not_serving_until_the_store_has_answered(front: FrontEnd) -> None:
    """A process that has found nothing out yet wants no calls."""
    stub: Any = health_pb2_grpc.HealthStub(front.channel)

    response = await stub.Check(health_pb2.HealthCheckRequest())

    assert response.status == health_pb2.HealthCheckResponse.NOT_SERVING


async def test_reflection_lists_the_published_services(front: FrontEnd) -> None:
    """A tool like grpcurl finds out by itself what can be called."""
    # The types of reflection know no asyncio.
    reflection: Any = reflection_pb2_grpc
    stub = reflection.ServerReflectionStub(front.channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")

    (answer,) = [answer async for answer in stub.ServerReflectionInfo(iter([request]))]

    names = {service.name for service in answer.list_services_response.service}
    assert {
        SERVICE,
        "ext.maps.booking.partner.v0.BookingService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    } == names


async def test_a_cancelled_call_is_counted_as_canceled(serve: Serve, store: ReferenceStore) -> None:
    """A caller that goes away ends its call on the server, which says so in its counts."""
    entered, left = asyncio.Event(), asyncio.Event()

    class SlowStore(ReferenceStore):
        async def create_lease(self, _command: CreateLease, _deadline: Deadline) -> Any:
            entered.set()
            try:
                await asyncio.Event().wait()
            finally:
                left.set()

    front = await serve(SlowStore(store.terms, store.now_ms))
    call = front.v2.CreateLease(lease_request(store.now_ms))
    await entered.wait()

    with capture_logs() as logs:
        call.cancel()
        await asyncio.wait_for(left.wait(), 5)
        await asyncio.sleep(0)

    assert [entry["code"] for entry in logs if entry["event"] == "call_handled"] == ["CANCELLED"]
