"""Callers who keep calling while something happens, and never repeat a call that failed."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
from tests.calls import lease_request
from tests.servers import poll
from tests.service import Service, now_ms
from tests.tls import ALONE, NO_PROXY, NO_RETRIES

from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2_grpc as pb_grpc

OPTIONS = (NO_PROXY, NO_RETRIES, ALONE)


class Load:
    """Callers who never repeat a call that failed; each holds slots of its own."""

    def __init__(self, merchant: str) -> None:
        # Another test may have called for this merchant, by the same references, on the same store.
        self._merchant = f"{merchant}-{secrets.token_hex(4)}"
        self.served = 0
        self.failures: list[str] = []

    async def call(self, channel: grpc.aio.Channel, name: str) -> None:
        """Call until cancelled, one call after the other."""
        stub: Any = pb_grpc.BookingServiceStub(channel)
        number = 0
        while True:
            number += 1
            reference = f"{name}-{number}"
            request = lease_request(
                now_ms(), merchant=self._merchant, reference=reference, staff=reference
            )
            try:
                answer = await stub.CreateLease(request, timeout=10)
                assert answer.HasField("lease")
                self.served += 1
            except grpc.aio.AioRpcError as error:
                self.failures.append(f"{error.code().name}: {error.details()}")
            await asyncio.sleep(0.002)


@asynccontextmanager
async def load(
    address: str,
    merchant: str,
    credentials: grpc.ChannelCredentials | None = None,
    *,
    count: int = 8,
    options: Sequence[tuple[str, Any]] = OPTIONS,
) -> AsyncIterator[Load]:
    """Run callers, each on a connection of its own."""
    callers = Load(merchant)
    channels = [
        grpc.aio.secure_channel(address, credentials, options)
        if credentials
        else grpc.aio.insecure_channel(address, options)
        for _ in range(count)
    ]
    calling = [
        asyncio.create_task(callers.call(channel, str(number)))
        for number, channel in enumerate(channels)
    ]
    try:
        yield callers
    finally:
        for each in calling:
            each.cancel()
        await asyncio.gather(*calling, return_exceptions=True)
        for channel in channels:
            await channel.close()


async def until(what: str, condition: Any, timeout_s: float = 20) -> None:
    """Wait until a condition holds, and let everything else go on meanwhile."""
    await asyncio.to_thread(poll, what, condition, timeout_s)


def calls_of(service: Service) -> float:
    """Return how many calls of CreateLease a process has begun to handle."""
    return sum(
        float(line.rpartition(" ")[2])
        for line in service.http("/metrics")[1].splitlines()
        if line.startswith("grpc_server_started_total{") and 'grpc_method="CreateLease"' in line
    )
