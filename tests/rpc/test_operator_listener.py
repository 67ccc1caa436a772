import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from tests.backends import TERMS, Backend, link_to
from tests.calls import failure_of, lease_request
from tests.rpc.conftest import FrontEnd
from tests.servers import free_port

from leasehold.generated.leasehold.v1 import inventory_service_pb2 as pb
from leasehold.model.inventory import InventoryStore
from leasehold.rpc.v1.inventory import InventoryServicer
from leasehold.store.redis_inventory import RedisInventory

SERVICE = "leasehold.v1.InventoryService"
FOUR_MIB = 4 * 1024 * 1024


@pytest.fixture
async def operators(fake: Backend, serve_operators: Callable[[InventoryStore], Any]) -> FrontEnd:
    """The operators' listener over a store."""
    front: FrontEnd = await serve_operators(fake.inventory())
    return front


async def request_of(backend: Backend, size: int) -> pb.ReplaceAvailabilityRequest:
    """Return a good request of so many bytes: few slots with long tags, which nobody looks at."""
    start_s = await backend.now_ms() // 1000 + 86_400
    request = pb.ReplaceAvailabilityRequest()
    entry = request.service_availability.add()
    for number in range(10):
        entry.availability.add(
            merchant_id=backend.merchant,
            service_id="haircut",
            start_sec=start_s + 60 * number,
            duration_sec=1800,
            spots_total=1,
            spots_open=1,
        )
    for availability in entry.availability:
        availability.availability_tag = "x" * ((size - request.ByteSize()) // 20)
    last = entry.availability[-1]
    while missing := size - request.ByteSize():
        last.availability_tag += "x" * (missing // 2 + 1 if missing > 64 else 1)
        assert missing > 0
    return request


@pytest.mark.parametrize("size", [64 * 1024 + 1, FOUR_MIB])
async def test_replace_availability_of_up_to_4_mib_is_taken(
    fake: Backend, operators: FrontEnd, size: int
) -> None:
    """A feed may be larger than what partners may send."""
    request = await request_of(fake, size)
    assert request.ByteSize() == size

    assert (await operators.inventory.ReplaceAvailability(request)).slots == 10


async def test_replace_availability_of_more_than_4_mib_is_refused(
    fake: Backend, operators: FrontEnd
) -> None:
    """A larger one is not read; nothing has changed, and the service goes on."""
    request = await request_of(fake, FOUR_MIB + 1)

    failure = await failure_of(operators.inventory.ReplaceAvailability(request))

    assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "bytes long" in failure.violations[""]
    assert await fake.dump() == {}
    smaller = await request_of(fake, 100_000)
    assert (await operators.inventory.ReplaceAvailability(smaller)).slots == 10


async def test_garbage_for_replace_availability_is_invalid_argument(operators: FrontEnd) -> None:
    """Bytes that are no message are the caller's fault."""
    failure = await failure_of(operators.raw(f"/{SERVICE}/ReplaceAvailability")(b"\xff\xff"))

    assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
    assert failure.violations == {"": "is not a message of this method"}


async def test_replace_availability_is_not_for_partners(
    front: FrontEnd, operators: FrontEnd
) -> None:
    """Each listener serves its own: no partner changes the inventory, no operator holds slots."""
    for call in (
        front.inventory.ReplaceAvailability(pb.ReplaceAvailabilityRequest()),
        operators.v2.CreateLease(lease_request(0)),
        operators.raw("/ext.maps.booking.partner.v0.BookingService/CreateLease")(b""),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_reflection_of_the_operators_listener_lists_its_services(
    operators: FrontEnd,
) -> None:
    """A tool like grpcurl finds the operators' API, and nothing of the partners'."""
    # The types of reflection know no asyncio.
    reflection: Any = reflection_pb2_grpc
    stub = reflection.ServerReflectionStub(operators.channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")

    (answer,) = [answer async for answer in stub.ServerReflectionInfo(iter([request]))]

    names = {service.name for service in answer.list_services_response.service}
    assert names == {
        SERVICE,
        "leasehold.v1.LeaseService",
        "leasehold.v1.FeedService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }


async def test_replace_availability_without_its_store_is_unavailable(
    fake: Backend, serve_operators: Callable[[InventoryStore], Any]
) -> None:
    """Trouble of the store is trouble, with a time to come back, and no fault of the feed."""
    request = await request_of(fake, 10_000)
    async with link_to(f"redis://127.0.0.1:{free_port()}/0") as link:
        front = await serve_operators(RedisInventory(link, TERMS.retention_ms))
        failure = await failure_of(front.inventory.ReplaceAvailability(request))

    assert failure.code is grpc.StatusCode.UNAVAILABLE
    assert failure.reason == "STORE_UNREACHABLE"
    assert failure.has(error_details_pb2.RetryInfo)


async def test_replace_availability_lets_others_be_served_while_it_reads(fake: Backend) -> None:
    """Reading a long request takes seconds, in which callers still get their leases."""
    servicer = InventoryServicer(fake.inventory(), max_slot_s=86_400, max_closed_share=0.2)
    request = pb.ReplaceAvailabilityRequest()
    entry = request.service_availability.add()
    for _ in range(10_000):
        entry.availability.add()
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count_turns())
    with pytest.raises(Exception, match="merchant_id is required"):
        await servicer.ReplaceAvailability(request, None)  # type: ignore[arg-type]
    counting.cancel()

    assert turns >= 100
