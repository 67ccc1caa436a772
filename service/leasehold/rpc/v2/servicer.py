"""BookingService v2: translate, ask the store once, translate back."""

import grpc
import structlog

from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as pb
from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2_grpc as pb_grpc
from leasehold.model.deadline import Deadline
from leasehold.model.store import LeaseStore
from leasehold.rpc.v2 import status, translate
from leasehold.telemetry import metrics


class BookingServicer(pb_grpc.BookingServiceServicer):
    """The RPCs that are built; the others answer UNIMPLEMENTED by the generated base."""

    def __init__(self, store: LeaseStore, *, max_slot_s: float, call_timeout_s: float) -> None:
        self._store = store
        self._max_slot_s = max_slot_s
        self._call_timeout_s = call_timeout_s

    async def CreateLease(  # noqa: N802 - the API's own name
        self,
        request: pb.CreateLeaseRequest,
        context: grpc.aio.ServicerContext[pb.CreateLeaseRequest, pb.CreateLeaseResponse],
    ) -> pb.CreateLeaseResponse:
        """Hold the slot of the request until the granted expiry.

        Business refusals travel in the response with status OK. Source: contract 5, 6.
        """
        deadline = Deadline.within(self._call_timeout_s, context.time_remaining())
        command = translate.create_lease_command(request, self._max_slot_s)
        structlog.contextvars.bind_contextvars(lease_id=command.lease_id)
        outcome = await self._store.create_lease(command, deadline)
        structlog.contextvars.bind_contextvars(outcome=outcome.status.value)
        metrics.outcomes.labels("v2", "create_lease", outcome.status.value).inc()
        if outcome.status in status.GRANTS:
            return translate.granted(request, command.lease_id, outcome.expires_at_ms)
        if outcome.status in status.REFUSALS:
            return translate.refused(status.REFUSALS[outcome.status])
        raise status.fault(outcome.status)
