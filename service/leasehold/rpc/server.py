"""The gRPC listeners."""

import grpc
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from leasehold.generated.ext.maps.booking.partner.v0 import booking_service_pb2 as v0_pb
from leasehold.generated.ext.maps.booking.partner.v0 import booking_service_pb2_grpc as v0_grpc
from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as v2_pb
from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2_grpc as v2_grpc
from leasehold.generated.leasehold.v1 import inventory_service_pb2 as inventory_pb
from leasehold.generated.leasehold.v1 import inventory_service_pb2_grpc as inventory_grpc
from leasehold.model import checks
from leasehold.rpc.calls import CallInterceptor, Rules
from leasehold.rpc.health import Health
from leasehold.rpc.v0 import servicer as v0_servicer
from leasehold.rpc.v0 import status as v0_status
from leasehold.rpc.v1.inventory import InventoryServicer
from leasehold.rpc.v2 import servicer as v2_servicer
from leasehold.rpc.v2 import status as v2_status

V2 = v2_pb.DESCRIPTOR.services_by_name["BookingService"].full_name
V0 = v0_pb.DESCRIPTOR.services_by_name["BookingService"].full_name
PARTNER_SERVICES = (V2, V0)
INVENTORY = inventory_pb.DESCRIPTOR.services_by_name["InventoryService"].full_name
OPERATOR_SERVICES = (INVENTORY,)
RULES = {
    V2: Rules(checks.MAX_REQUEST_BYTES, v2_status.OVERLOADED),
    V0: Rules(checks.MAX_REQUEST_BYTES, v0_status.OVERLOADED),
    INVENTORY: Rules(checks.MAX_OPERATOR_REQUEST_BYTES, v2_status.OVERLOADED),
}
"""What holds for the calls of each service."""
_HEALTH = "grpc.health.v1.Health"

_OPTIONS = (
    # Two servers on one port would share its calls at random instead of failing.
    ("grpc.so_reuseport", 0),
)


def partner_listener(
    v2: v2_servicer.BookingServicer,
    v0: v0_servicer.BookingServicer,
    health: Health,
    calls: CallInterceptor,
    *,
    reflects: bool,
) -> grpc.aio.Server:
    """Return the listener that partners call; it is not started."""
    server = grpc.aio.server(interceptors=[calls], options=_OPTIONS)
    v2_grpc.add_BookingServiceServicer_to_server(v2, server)
    v0_grpc.add_BookingServiceServicer_to_server(v0, server)
    _add_common(server, health, reflects, PARTNER_SERVICES)
    return server


def operator_listener(
    inventory: InventoryServicer, health: Health, calls: CallInterceptor, *, reflects: bool
) -> grpc.aio.Server:
    """Return the listener for operators; it is not started."""
    # Room for the requests that are refused for their size, so that they get our details.
    room = ("grpc.max_receive_message_length", 2 * checks.MAX_OPERATOR_REQUEST_BYTES)
    server = grpc.aio.server(interceptors=[calls], options=(*_OPTIONS, room))
    inventory_grpc.add_InventoryServiceServicer_to_server(inventory, server)
    _add_common(server, health, reflects, OPERATOR_SERVICES)
    return server


def _add_common(
    server: grpc.aio.Server, health: Health, reflects: bool, services: tuple[str, ...]
) -> None:
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    if reflects:
        names = (*services, _HEALTH, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, server)
