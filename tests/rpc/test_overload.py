import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import grpc
from google.rpc import error_details_pb2
from tests.backends import TERMS, link_to, real_backend, soon
from tests.calls import failure_of, lease_request, read_failure
from tests.proxy import proxy_to
from tests.reference_store import ReferenceStore
from tests.servers import RedisServer

from leasehold.generated.ext.maps.booking.partner.v0 import booking_service_pb2 as v0_pb
from leasehold.model.deadline import Deadline
from leasehold.model.lease import CreateLease
from leasehold.model.store import LeaseStore
from leasehold.store.redis_store import RedisStore

LIMIT = 20


async def test_calls_ten_times_the_queue_limit_are_served_up_to_it_and_told_to_come_back(
    serve: Callable[[LeaseStore], Any], valkey: RedisServer
) -> None:
    """Up to the limit there is no error; whoever is beyond it gets RESOURCE_EXHAUSTED at once."""
    async with (
        real_backend(valkey) as direct,
        proxy_to(valkey.port) as proxy,
        link_to(proxy.url, max_in_flight=LIMIT, timeout_s=20) as link,
    ):
        front = await serve(RedisStore(link, TERMS))
        now = await direct.now_ms()
        await link.ping(soon())
        proxy.hold_replies()
        requests = [
            lease_request(now, merchant=direct.merchant, reference=f"r-{n}", staff=f"{n}")
            for n in range(10 * LIMIT)
        ]
        calls = [asyncio.ensure_future(front.v2.CreateLease(request)) for request in requests]
        async with asyncio.timeout(20):
            while sum(call.done() for call in calls) < 9 * LIMIT:
                await asyncio.sleep(0.005)
        proxy.release()
        answers: list[Any] = await asyncio.gather(*calls, return_exceptions=True)

    ends: Counter[Any] = Counter()
    for answer in answers:
        if isinstance(answer, grpc.aio.AioRpcError):
            failure = read_failure(answer)
            assert failure.detail(error_details_pb2.RetryInfo).retry_delay.seconds > 0
            ends[failure.code, failure.reason] += 1
        else:
            ends["granted" if answer.HasField("lease") else answer] += 1
    assert ends == {
        "granted": LIMIT,
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED"): 9 * LIMIT,
    }


async def test_calls_beyond_the_concurrent_ones_are_told_to_come_back(
    serve: Callable[..., Any], store: ReferenceStore
) -> None:
    """So many calls are handled at a time; more get RESOURCE_EXHAUSTED, in v0 UNAVAILABLE."""
    entered, go_on = asyncio.Semaphore(0), asyncio.Event()

    class SlowStore(ReferenceStore):
        async def create_lease(self, command: CreateLease, deadline: Deadline) -> Any:
            entered.release()
            await go_on.wait()
            return await super().create_lease(command, deadline)

    front = await serve(SlowStore(store.terms, store.now_ms), max_concurrent_calls=2)
    requests = [lease_request(store.now_ms, reference=f"r-{n}", staff=f"{n}") for n in range(3)]
    running = [asyncio.ensure_future(front.v2.CreateLease(each)) for each in requests[:2]]
    for _ in running:
        await entered.acquire()

    refused = await failure_of(front.v2.CreateLease(requests[2], timeout=10))
    refused_v0 = await failure_of(front.v0.CreateLease(v0_pb.CreateLeaseRequest(), timeout=10))
    go_on.set()

    assert (refused.code, refused.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
    assert (refused_v0.code, refused_v0.reason) == (grpc.StatusCode.UNAVAILABLE, "OVERLOADED")
    for failure in (refused, refused_v0):
        assert failure.detail(error_details_pb2.RetryInfo).retry_delay.seconds > 0
    for call in running:
        assert (await call).HasField("lease")
    assert (await front.v2.CreateLease(requests[2])).HasField("lease")
