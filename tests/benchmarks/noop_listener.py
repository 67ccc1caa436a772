"""The listener of the no-op: ours, with one method that answers the same to everybody."""

# ruff: noqa: N802 - the names of the methods are the API's own

from collections.abc import Callable
from typing import Any

import grpc

from leasehold.bootstrap import Serving
from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as pb
from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2_grpc as pb_grpc
from leasehold.model.address import Address
from leasehold.rpc import server
from leasehold.settings import Settings

_ANSWER = pb.CreateLeaseResponse()
_ANSWER.lease.lease_id = "salon-00001.66FRC23CKS4DCCY84CW777AE4H"
_ANSWER.lease.user_reference = "00000000-0000-4000-8000-000000000001"
_ANSWER.lease.lease_expiration_time.seconds = 1_800_000_000
_ANSWER.lease.slot.merchant_id = "salon-00001"
_ANSWER.lease.slot.service_id = "haircut"
_ANSWER.lease.slot.start_time.seconds = 1_800_000_000
_ANSWER.lease.slot.duration.seconds = 1800


class _NoOp(pb_grpc.BookingServiceServicer):
    async def CreateLease(
        self, _request: pb.CreateLeaseRequest, _context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.CreateLeaseResponse:
        """Answer; gRPC has parsed the request and writes the answer anew, as it does for us."""
        return _ANSWER


async def serve(settings: Settings, redis_url: str, announce: Callable[[Serving], None]) -> None:
    """Serve until killed, in the place of ``bootstrap.serve``."""
    del redis_url  # It asks no store.
    connections = server.Connections(
        settings.max_connections,
        settings.max_connection_age_s,
        settings.max_connection_age_grace_s,
    )
    options = server.channel_options(connections, server.PARTNERS)
    listener = grpc.aio.server(options=options)
    pb_grpc.add_BookingServiceServicer_to_server(_NoOp(), listener)
    wanted = settings.address("listen")
    at = Address(wanted.host, listener.add_insecure_port(str(wanted)))
    await listener.start()
    announce(Serving(partners=at, operators=at, ops=at))
    await listener.wait_for_termination()
