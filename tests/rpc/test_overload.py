import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import grpc
from google.rpc import error_details_pb2
from tests.backends import TERMS, link_to, real_backend, soon
from tests.calls import lease_request, read_failure
from tests.proxy import proxy_to
from tests.servers import RedisServer

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
