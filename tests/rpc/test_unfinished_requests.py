"""Calls whose message does not come, or comes twice."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2
from prometheus_client import REGISTRY
from structlog.testing import capture_logs
from tests.calls import CREATE_LEASE, SERVICE, Failure, failure_of, lease_request, read_failure
from tests.reference_store import ReferenceStore
from tests.rpc.conftest import FrontEnd

from leasehold.credentials import parse_tokens
from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as v2_pb
from leasehold.rpc.callers import by_token

HEALTH_CHECK = "/grpc.health.v1.Health/Check"
HEALTH_WATCH = "/grpc.health.v1.Health/Watch"
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
METHODS = (
    CREATE_LEASE,
    "/ext.maps.booking.partner.v0.BookingService/CreateBooking",
    HEALTH_CHECK,
    HEALTH_WATCH,
    REFLECTION,
)
Serve = Callable[..., Any]


async def nothing() -> AsyncIterator[bytes]:
    """Send no message, and no end."""
    await asyncio.Event().wait()
    yield b""


async def each(*messages: bytes) -> AsyncIterator[bytes]:
    """Send messages, then the end."""
    for message in messages:
        yield message


def begin(front: FrontEnd, path: str, messages: AsyncIterator[bytes], **more: Any) -> Any:
    """Begin a call that sends its messages one by one."""
    method: Any = front.channel.stream_stream(path)
    return method(messages, **more)


def started(path: str) -> float:
    """Return how many calls of a method have begun."""
    service, method = path.removeprefix("/").split("/")
    labels = {"grpc_type": "unary", "grpc_service": service, "grpc_method": method}
    return REGISTRY.get_sample_value("grpc_server_started_total", labels) or 0


async def begun(path: str, count: float) -> None:
    """Wait until so many calls of a method have begun."""
    async with asyncio.timeout(10):
        while started(path) < count:
            await asyncio.sleep(0.005)


async def failed(call: Any) -> Failure:
    """Return how a call ends that must fail."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await asyncio.wait_for(call.read(), 10)
    return read_failure(caught.value)


@pytest.mark.parametrize("path", METHODS)
async def test_a_caller_without_a_token_is_refused_before_any_message(
    serve: Serve, store: ReferenceStore, path: str
) -> None:
    """A caller is judged when the call begins: the answer waits for no byte of a message."""
    front = await serve(store, admit=by_token(parse_tokens(b"good-token-of-ours\n").let_in))

    failure = await failed(begin(front, path, nothing()))

    assert (failure.code, failure.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_REQUIRED")


@pytest.mark.parametrize("path", METHODS)
async def test_an_unfinished_request_is_ended_after_the_read_timeout(
    serve: Serve, store: ReferenceStore, path: str
) -> None:
    """The message of every method has its time (failure mode 56)."""
    front = await serve(store, read_timeout_s=0.1)

    failure = await failed(begin(front, path, nothing()))

    assert failure.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert failure.reason == "REQUEST_UNFINISHED"
    assert failure.has(error_details_pb2.RetryInfo)
    assert store.leases == {}


async def test_an_unfinished_request_is_counted_and_logged_once(
    serve: Serve, store: ReferenceStore
) -> None:
    """The call counts from its beginning, its message does not."""
    front = await serve(store, read_timeout_s=0.1)
    method = {"grpc_type": "unary", "grpc_service": SERVICE, "grpc_method": "CreateLease"}

    def counts() -> list[float]:
        names = {"started": {}, "msg_received": {}, "handled": {"grpc_code": "DeadlineExceeded"}}
        return [
            REGISTRY.get_sample_value(f"grpc_server_{name}_total", method | more) or 0
            for name, more in names.items()
        ]

    before = counts()
    with capture_logs() as logs:
        await failed(begin(front, CREATE_LEASE, nothing()))

    assert [now - then for now, then in zip(counts(), before, strict=True)] == [1, 0, 1]
    (line,) = [entry for entry in logs if entry["event"] == "call_handled"]
    assert (line["code"], line["reason"]) == ("DEADLINE_EXCEEDED", "REQUEST_UNFINISHED")


async def test_an_unfinished_request_takes_a_place_until_it_is_ended(
    serve: Serve, store: ReferenceStore
) -> None:
    """LEASEHOLD_MAX_CONCURRENT_CALLS counts calls whose message still comes."""
    front = await serve(store, read_timeout_s=0.5, max_concurrent_calls=1)
    before = started(CREATE_LEASE)
    unfinished = begin(front, CREATE_LEASE, nothing())
    await begun(CREATE_LEASE, before + 1)

    request = lease_request(store.now_ms)
    assert (await failure_of(front.v2.CreateLease(request))).reason == "OVERLOADED"
    assert (await failed(unfinished)).reason == "REQUEST_UNFINISHED"

    assert (await front.v2.CreateLease(request)).HasField("lease")


@pytest.mark.parametrize("path", [CREATE_LEASE, HEALTH_CHECK, HEALTH_WATCH])
@pytest.mark.parametrize(
    ("messages", "fault"), [((), "is missing"), ((b"", b""), "is followed by another message")]
)
async def test_a_call_has_one_message(
    front: FrontEnd, path: str, messages: tuple[bytes, ...], fault: str
) -> None:
    """None or two are the caller's fault, and say so."""
    failure = await failed(begin(front, path, each(*messages)))

    assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
    assert failure.violations == {"": fault}


async def test_a_call_cancelled_before_its_message_is_counted_as_canceled(
    front: FrontEnd,
) -> None:
    """A caller that goes away is at no fault."""
    before = started(CREATE_LEASE)
    with capture_logs() as logs:
        call = begin(front, CREATE_LEASE, nothing(), metadata=(("x-request-id", "gone"),))
        await begun(CREATE_LEASE, before + 1)
        call.cancel()
        async with asyncio.timeout(10):
            while not any(entry.get("request_id") == "gone" for entry in logs):
                await asyncio.sleep(0.01)

    (line,) = [entry for entry in logs if entry.get("request_id") == "gone"]
    assert line["code"] == "CANCELLED"


async def test_a_message_that_comes_in_pieces_is_served(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """Whole calls of health and of ours work as before, whatever the kind of their handler."""
    await front.health.follow(ready=True)
    checked = health_pb2.HealthCheckResponse.FromString(await front.raw(HEALTH_CHECK)(b""))
    assert checked.status == health_pb2.HealthCheckResponse.SERVING
    request = lease_request(store.now_ms).SerializeToString()
    call = begin(front, CREATE_LEASE, each(request))
    assert v2_pb.CreateLeaseResponse.FromString(await call.read()).HasField("lease")
    assert await call.code() is grpc.StatusCode.OK


async def test_no_more_than_two_messages_of_an_operators_connection_are_read_at_a_time(
    serve_operators: Callable[..., Any],
) -> None:
    """A third waits until one of them has ended; another connection does not."""
    front = await serve_operators(None)
    path = "/leasehold.v1.LeaseService/GetLease"
    before = started(path)
    unfinished = [begin(front, path, nothing()) for _ in range(2)]
    await begun(path, before + 2)
    third = asyncio.ensure_future(failed(begin(front, path, each(b""))))
    options = (("grpc.use_local_subchannel_pool", 1),)
    async with grpc.aio.insecure_channel(front.address, options) as other:
        call: Any = other.unary_unary(path)
        await failure_of(call(b"", timeout=10))
    await begun(path, before + 4)
    assert not third.done()

    unfinished[0].cancel()

    assert (await third).code is grpc.StatusCode.INVALID_ARGUMENT
    unfinished[1].cancel()
