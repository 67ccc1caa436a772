"""The gRPC listeners."""

from dataclasses import dataclass

import grpc
from google.protobuf import descriptor_pool
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from leasehold.generated.ext.maps.booking.partner.v0 import booking_service_pb2 as v0_pb
from leasehold.generated.ext.maps.booking.partner.v0 import booking_service_pb2_grpc as v0_grpc
from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as v2_pb
from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2_grpc as v2_grpc
from leasehold.generated.leasehold.v1 import feed_service_pb2 as feed_pb
from leasehold.generated.leasehold.v1 import feed_service_pb2_grpc as feed_grpc
from leasehold.generated.leasehold.v1 import inventory_service_pb2 as inventory_pb
from leasehold.generated.leasehold.v1 import inventory_service_pb2_grpc as inventory_grpc
from leasehold.generated.leasehold.v1 import lease_service_pb2 as leases_pb
from leasehold.generated.leasehold.v1 import lease_service_pb2_grpc as leases_grpc
from leasehold.model import checks
from leasehold.rpc.calls import CallInterceptor, Rules
from leasehold.rpc.health import Health
from leasehold.rpc.v0 import servicer as v0_servicer
from leasehold.rpc.v0 import status as v0_status
from leasehold.rpc.v1.feed import FeedServicer
from leasehold.rpc.v1.inventory import InventoryServicer
from leasehold.rpc.v1.leases import LeaseServicer
from leasehold.rpc.v2 import servicer as v2_servicer
from leasehold.rpc.v2 import status as v2_status
from leasehold.telemetry.calls import call_metrics

V2 = v2_pb.DESCRIPTOR.services_by_name["BookingService"].full_name
V0 = v0_pb.DESCRIPTOR.services_by_name["BookingService"].full_name
PARTNER_SERVICES = (V2, V0)
INVENTORY = inventory_pb.DESCRIPTOR.services_by_name["InventoryService"].full_name
LEASES = leases_pb.DESCRIPTOR.services_by_name["LeaseService"].full_name
FEED = feed_pb.DESCRIPTOR.services_by_name["FeedService"].full_name
OPERATOR_SERVICES = (INVENTORY, LEASES, FEED)
RULES = {
    V2: Rules(checks.MAX_REQUEST_BYTES, v2_status.OVERLOADED),
    V0: Rules(checks.MAX_REQUEST_BYTES, v0_status.OVERLOADED),
    INVENTORY: Rules(checks.MAX_OPERATOR_REQUEST_BYTES, v2_status.OVERLOADED),
    LEASES: Rules(checks.MAX_REQUEST_BYTES, v2_status.OVERLOADED),
    FEED: Rules(checks.MAX_REQUEST_BYTES, v2_status.OVERLOADED),
}
"""What holds for the calls of each service."""


@dataclass(frozen=True, slots=True)
class Room:
    """What the calls of one connection may take of a listener, together at most 20 MB."""

    most_message_bytes: int
    """Above our own limit, so that what is refused for its size gets our details."""
    messages: int
    """How many messages are read at a time."""
    streams: int
    """Calls at a time, read or not. While gRPC still frees as many streams as this it refuses new
    ones without details, so callers can rely on half of them."""
    unread_bytes: int
    """What a call may send before its message is read."""


PARTNERS = Room(2 * checks.MAX_REQUEST_BYTES, messages=40, streams=320, unread_bytes=16 * 1024)
OPERATORS = Room(2 * checks.MAX_OPERATOR_REQUEST_BYTES, messages=2, streams=64, unread_bytes=4096)
_HEALTH = "grpc.health.v1.Health"

_MAX_METADATA_BYTES = 16 * 1024
_MAX_PENDING = 8192
_HANDSHAKE_TIMEOUT_MS = 10_000
_KEEPALIVE_MS = 60_000
_KEEPALIVE_TIMEOUT_MS = 20_000
_MIN_PING_INTERVAL_MS = 10_000
_MAX_PING_STRIKES = 2


@dataclass(frozen=True, slots=True)
class Connections:
    """How many connections there may be, and how long they last."""

    most: int
    """gRPC closes those beyond, without a word."""
    max_age_s: float
    """gRPC asks a connection to end at this age, give or take a tenth, and loses no call by it."""
    age_grace_s: float


def partner_listener(
    v2: v2_servicer.BookingServicer,
    v0: v0_servicer.BookingServicer,
    health: Health,
    calls: CallInterceptor,
    connections: Connections,
    *,
    reflects: bool,
) -> grpc.aio.Server:
    """Return the listener that partners call; it is not started."""
    options = channel_options(connections, PARTNERS)
    server = grpc.aio.server(interceptors=[calls], options=options)
    v2_grpc.add_BookingServiceServicer_to_server(v2, server)
    v0_grpc.add_BookingServiceServicer_to_server(v0, server)
    _add_common(server, health, reflects, PARTNER_SERVICES)
    return server


def operator_listener(
    inventory: InventoryServicer,
    leases: LeaseServicer,
    feed: FeedServicer,
    health: Health,
    calls: CallInterceptor,
    connections: Connections,
    *,
    reflects: bool,
) -> grpc.aio.Server:
    """Return the listener for operators; it is not started."""
    options = channel_options(connections, OPERATORS)
    server = grpc.aio.server(interceptors=[calls], options=options)
    inventory_grpc.add_InventoryServiceServicer_to_server(inventory, server)
    leases_grpc.add_LeaseServiceServicer_to_server(leases, server)
    feed_grpc.add_FeedServiceServicer_to_server(feed, server)
    _add_common(server, health, reflects, OPERATOR_SERVICES)
    return server


def channel_options(connections: Connections, room: Room) -> list[tuple[str, int]]:
    """Return what gRPC is told of a listener: everything that has a limit."""
    return [
        # Two servers on one port would share its calls at random instead of failing.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", room.most_message_bytes),
        ("grpc.max_metadata_size", _MAX_METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", _MAX_METADATA_BYTES),
        ("grpc.max_concurrent_streams", room.streams),
        ("grpc.max_allowed_incoming_connections", connections.most),
        # Where gRPC measures the bandwidth, a fast caller may send many megabytes that are not read
        # yet. The window of a message that is being read grows without that.
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", room.unread_bytes),
        # Calls that nobody has looked at yet. What is beyond is reset without a word, so what we
        # can refuse with a word and a time to come back must not be; gRPC's own limit is 1000.
        ("grpc.server.max_pending_requests", _MAX_PENDING),
        ("grpc.server.max_pending_requests_hard_limit", 2 * _MAX_PENDING),
        ("grpc.server_handshake_timeout_ms", _HANDSHAKE_TIMEOUT_MS),
        ("grpc.max_connection_age_ms", round(connections.max_age_s * 1000)),
        ("grpc.max_connection_age_grace_ms", round(connections.age_grace_s * 1000)),
        # A caller that is gone without a word is found out, and so is one that asks too often.
        ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", _MIN_PING_INTERVAL_MS),
        ("grpc.http2.max_ping_strikes", _MAX_PING_STRIKES),
    ]


def _add_common(
    server: grpc.aio.Server, health: Health, reflects: bool, services: tuple[str, ...]
) -> None:
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    for service in services:
        # Alerts ask for an increase, and what appears with its first failure has had none.
        for method in descriptor_pool.Default().FindServiceByName(service).methods:
            call_metrics.of(service, method.name)
    if reflects:
        names = (*services, _HEALTH, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, server)
