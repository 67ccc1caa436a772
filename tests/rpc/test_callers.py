from collections.abc import Callable
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from structlog.testing import capture_logs
from tests.calls import failure_of, lease_request, read_failure
from tests.reference_store import ReferenceStore
from tests.rpc.conftest import FrontEnd

from leasehold.credentials import parse_tokens
from leasehold.rpc.callers import by_token

GOOD = (("authorization", "Bearer second-token-of-ours"),)


@pytest.fixture
async def front(serve: Callable[..., Any], store: ReferenceStore) -> FrontEnd:
    """A front end that asks for a token."""
    admit = by_token(parse_tokens(b"first-token-of-ours\nsecond-token-of-ours\n").let_in)
    started: FrontEnd = await serve(store, admit=admit)
    return started


@pytest.mark.parametrize(
    "sent",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer third-token-of-ours",
        "second-token-of-ours",
        "Basic second-token-of-ours",
        "Bearer second-token-of-our",
    ],
)
async def test_a_call_without_a_good_token_is_unauthenticated(
    front: FrontEnd, store: ReferenceStore, sent: str | None
) -> None:
    """Whoever has no token is refused before anything is read, and that is logged."""
    metadata = () if sent is None else (("authorization", sent),)

    with capture_logs() as logs:
        failure = await failure_of(
            front.v2.CreateLease(lease_request(store.now_ms), metadata=metadata)
        )

    assert failure.code is grpc.StatusCode.UNAUTHENTICATED
    assert failure.reason == "TOKEN_REQUIRED"
    assert store.leases == {}
    (line,) = [entry for entry in logs if entry["event"] == "call_handled"]
    assert (line["code"], line["reason"]) == ("UNAUTHENTICATED", "TOKEN_REQUIRED")


@pytest.mark.parametrize(
    "sent",
    ["Bearer first-token-of-ours", "Bearer second-token-of-ours", "bearer second-token-of-ours"],
)
async def test_a_call_with_any_of_the_tokens_is_served(
    front: FrontEnd, store: ReferenceStore, sent: str
) -> None:
    """There may be several tokens, so that they can be changed one by one."""
    call = front.v2.CreateLease(lease_request(store.now_ms), metadata=(("authorization", sent),))

    assert (await call).HasField("lease")


async def test_health_and_reflection_ask_who_calls_too(front: FrontEnd) -> None:
    """The services of libraries tell a stranger nothing: each kind of method is guarded."""
    await front.health.follow(ready=True)
    health: Any = health_pb2_grpc.HealthStub(front.channel)
    # The types of reflection know no asyncio.
    reflection: Any = reflection_pb2_grpc
    stub = reflection.ServerReflectionStub(front.channel)
    asked = health_pb2.HealthCheckRequest()
    listing = reflection_pb2.ServerReflectionRequest(list_services="")
    for stream in (health.Watch(asked), stub.ServerReflectionInfo(iter([listing]))):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stream.read()
        assert read_failure(caught.value).reason == "TOKEN_REQUIRED"
    failure = await failure_of(health.Check(asked))
    assert failure.code is grpc.StatusCode.UNAUTHENTICATED

    serving = health_pb2.HealthCheckResponse.SERVING
    assert (await health.Check(asked, metadata=GOOD)).status == serving
    assert (await health.Watch(asked, metadata=GOOD).read()).status == serving
    (answer,) = [
        answer async for answer in stub.ServerReflectionInfo(iter([listing]), metadata=GOOD)
    ]
    assert len(answer.list_services_response.service) == 4
