"""What a listener may say, and ours says too seldom to wait for it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from leasehold.client import CallError, NoAnswerError, Operators
from leasehold.generated.leasehold.v1 import lease_service_pb2 as pb
from leasehold.generated.leasehold.v1 import lease_service_pb2_grpc as pb_grpc

Behaviour = Callable[[Any, Any], Awaitable[Any]]


@asynccontextmanager
async def listener(**methods: Behaviour) -> AsyncIterator[str]:
    """Run an operators' listener with methods of the test's own."""
    servicer = type("Servicer", (pb_grpc.LeaseServiceServicer,), {})()
    for name, behave in methods.items():
        setattr(servicer, name, behave)
    server = grpc.aio.server()
    pb_grpc.add_LeaseServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(None)


def lease(suffix: str) -> pb.Lease:
    """Return a held lease."""
    return pb.Lease(lease_id=f"salon-1.{suffix}", state=pb.LEASE_STATE_HELD)


async def test_a_call_that_the_other_side_cancels_is_asked_again() -> None:
    """That is trouble that passes, and no cancellation of the caller's."""
    calls = 0

    async def get_lease(_request: Any, context: Any) -> pb.GetLeaseResponse:
        nonlocal calls
        calls += 1
        if calls < 3:
            await context.abort(grpc.StatusCode.CANCELLED, "draining")
        return pb.GetLeaseResponse(lease=lease("A"))

    async with listener(GetLease=get_lease) as address:
        async with Operators(address) as operators:
            assert (await operators.get_lease("A")).lease_id == "salon-1.A"
        calls = -1000
        async with Operators(address, timeout_s=0.3) as operators:
            with pytest.raises(NoAnswerError, match="answered CANCELLED"):
                await operators.get_lease("A")


async def test_list_leases_yields_a_lease_of_two_pages_once() -> None:
    """A listing that goes on while the store grows may meet a lease again."""

    async def list_leases(request: pb.ListLeasesRequest, _context: Any) -> pb.ListLeasesResponse:
        if not request.page_token:
            return pb.ListLeasesResponse(leases=[lease("A"), lease("B")], next_page_token="7")
        assert request.page_token == "7"
        return pb.ListLeasesResponse(leases=[lease("B"), lease("C")])

    async with listener(ListLeases=list_leases) as address, Operators(address) as operators:
        found = [each.lease_id async for each in operators.list_leases("salon-1")]

    assert found == ["salon-1.A", "salon-1.B", "salon-1.C"]


async def test_a_status_without_details_is_told_as_it_is() -> None:
    """What stands between us and the service may answer for it, and knows nothing of details."""

    async def get_lease(_request: Any, context: Any) -> Any:
        await context.abort(grpc.StatusCode.PERMISSION_DENIED, "not from here")

    async with listener(GetLease=get_lease) as address, Operators(address) as operators:
        with pytest.raises(CallError, match="not from here") as caught:
            await operators.get_lease("A")

    error = caught.value
    assert (error.code, error.reason, error.violations) == ("PERMISSION_DENIED", "", ())
    assert error.retry_after_s is None
