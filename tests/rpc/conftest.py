"""The front end on a real channel, over the reference store."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from tests.backends import TERMS
from tests.reference_leases import ReferenceLeases
from tests.reference_store import ReferenceStore

from leasehold.generated.ext.maps.booking.partner.v0 import booking_service_pb2_grpc as v0_grpc
from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2_grpc as pb_grpc
from leasehold.generated.leasehold.v1 import feed_service_pb2_grpc as feed_grpc
from leasehold.generated.leasehold.v1 import inventory_service_pb2_grpc as inventory_grpc
from leasehold.generated.leasehold.v1 import lease_service_pb2_grpc as leases_grpc
from leasehold.model.events import EventStore
from leasehold.model.inventory import InventoryStore
from leasehold.model.operators import OperatorStore
from leasehold.model.store import LeaseStore
from leasehold.rpc import server
from leasehold.rpc.callers import Admit
from leasehold.rpc.calls import CallInterceptor
from leasehold.rpc.health import Health
from leasehold.rpc.reading import Reader
from leasehold.rpc.v0 import servicer as v0_servicer
from leasehold.rpc.v1.feed import FeedServicer
from leasehold.rpc.v1.inventory import InventoryServicer
from leasehold.rpc.v1.leases import LeaseServicer
from leasehold.rpc.v2 import servicer as v2_servicer

CALL_TIMEOUT_S = 60
CONNECTIONS = server.Connections(most=512, max_age_s=3600, age_grace_s=3600)


@dataclass
class FrontEnd:
    """A listener on 127.0.0.1 and a channel to it."""

    address: str
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

    @property
    def inventory(self) -> Any:
        """Return a stub of InventoryService."""
        return inventory_grpc.InventoryServiceStub(self.channel)

    @property
    def leases(self) -> Any:
        """Return a stub of LeaseService."""
        return leases_grpc.LeaseServiceStub(self.channel)

    @property
    def feed(self) -> Any:
        """Return a stub of FeedService."""
        return feed_grpc.FeedServiceStub(self.channel)

    def raw(self, path: str) -> Any:
        """Return a method that sends and receives bytes as they are."""
        return self.channel.unary_unary(path)


@pytest.fixture
def store() -> ReferenceStore:
    """The store behind the front end."""
    return ReferenceStore(TERMS, now_ms=1_800_000_000_000)


class Opener:
    """Starts listeners and ends them again."""

    def __init__(self) -> None:
        self._opened: list[Any] = []

    async def open(self, listener: grpc.aio.Server, health: Health) -> FrontEnd:
        """Start a listener and connect to it."""
        port = listener.add_insecure_port("127.0.0.1:0")
        await listener.start()
        address = f"127.0.0.1:{port}"
        channel = grpc.aio.insecure_channel(address)
        self._opened.extend([channel.close(), listener.stop(None)])
        return FrontEnd(address, channel, health)

    async def close(self) -> None:
        """Close channels and listeners."""
        for closing in self._opened:
            await closing


@pytest.fixture
async def opener() -> AsyncIterator[Opener]:
    """Ends with the test what it opens."""
    opener = Opener()
    yield opener
    await opener.close()


@pytest.fixture
def serve(opener: Opener) -> Callable[..., Any]:
    """Start front ends over stores of the test's choice, for whom and how many it wants."""

    async def start(
        store: LeaseStore,
        *,
        max_concurrent_calls: int = 4096,
        admit: Admit | None = None,
        read_timeout_s: float = 10,
    ) -> FrontEnd:
        health = Health(server.PARTNER_SERVICES)
        limits = {"max_slot_s": 31 * 86_400, "call_timeout_s": CALL_TIMEOUT_S}
        listener = server.partner_listener(
            v2_servicer.BookingServicer(store, **limits),
            v0_servicer.BookingServicer(store, **limits),
            health,
            CallInterceptor(
                server.RULES,
                max_concurrent_calls=max_concurrent_calls,
                reader=Reader(read_timeout_s, server.PARTNERS.messages),
                admit=admit,
            ),
            CONNECTIONS,
            reflects=True,
        )
        return await opener.open(listener, health)

    return start


@pytest.fixture
def serve_operators(opener: Opener, store: ReferenceStore) -> Callable[[InventoryStore], Any]:
    """Start operators' listeners over stores of the test's choice."""

    async def start(
        inventory: InventoryStore,
        leases: OperatorStore | None = None,
        events: EventStore | None = None,
        read_timeout_s: float = 10,
    ) -> FrontEnd:
        health = Health(server.OPERATOR_SERVICES)
        listener = server.operator_listener(
            InventoryServicer(inventory, max_slot_s=31 * 86_400, max_closed_share=0.2),
            LeaseServicer(leases or ReferenceLeases(store), call_timeout_s=CALL_TIMEOUT_S),
            FeedServicer(events, call_timeout_s=CALL_TIMEOUT_S),
            health,
            CallInterceptor(
                server.RULES,
                max_concurrent_calls=4096,
                reader=Reader(read_timeout_s, server.OPERATORS.messages),
            ),
            CONNECTIONS,
            reflects=True,
        )
        return await opener.open(listener, health)

    return start


@pytest.fixture
async def front(serve: Callable[[LeaseStore], Any], store: ReferenceStore) -> FrontEnd:
    """A front end over the reference store."""
    started: FrontEnd = await serve(store)
    return started
