"""The front end on a real channel, over the reference store."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from tests.backends import TERMS
from tests.reference_store import ReferenceStore

from leasehold.generated.ext.maps.booking.partner.v0 import booking_service_pb2_grpc as v0_grpc
from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2_grpc as pb_grpc
from leasehold.model.store import LeaseStore
from leasehold.rpc import server
from leasehold.rpc.calls import CallInterceptor
from leasehold.rpc.health import Health
from leasehold.rpc.v0 import servicer as v0_servicer
from leasehold.rpc.v2 import servicer as v2_servicer

CALL_TIMEOUT_S = 60


@dataclass
class FrontEnd:
    """A listener on 127.0.0.1 and a channel to it."""

    channel: grpc.aio.Channel
    health: Health

    @property
    def v2(self) -> Any:
        """Return a stub of BookingService v2."""
        return pb_grpc.BookingServiceStub(self.channel)

    @property
    def v0(self) -> Any:
        """Return a stub of BookingService v0."""
        return v0_grpc.BookingServiceStub(self.channel)

    def raw(self, path: str) -> Any:
        """Return a method that sends and receives bytes as they are."""
        return self.channel.unary_unary(path)


@pytest.fixture
def store() -> ReferenceStore:
    """The store behind the front end."""
    return ReferenceStore(TERMS, now_ms=1_800_000_000_000)


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[LeaseStore], Any]]:
    """Start front ends over stores of the test's choice."""
    opened: list[Any] = []

    async def start(store: LeaseStore) -> FrontEnd:
        health = Health(server.PARTNER_SERVICES)
        limits = {"max_slot_s": 31 * 86_400, "call_timeout_s": CALL_TIMEOUT_S}
        listener = server.partner_listener(
            v2_servicer.BookingServicer(store, **limits),
            v0_servicer.BookingServicer(store, **limits),
            health,
            CallInterceptor(server.RULES),
            reflects=True,
        )
        port = listener.add_insecure_port("127.0.0.1:0")
        await listener.start()
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        opened.extend([channel.close(), listener.stop(None)])
        return FrontEnd(channel, health)

    yield start
    for closing in opened:
        await closing


@pytest.fixture
async def front(serve: Callable[[LeaseStore], Any], store: ReferenceStore) -> FrontEnd:
    """A front end over the reference store."""
    started: FrontEnd = await serve(store)
    return started
