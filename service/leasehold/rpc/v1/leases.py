"""LeaseService: translate, ask the store, translate back."""

from typing import Any

import grpc

from leasehold.generated.leasehold.v1 import lease_service_pb2 as pb
from leasehold.generated.leasehold.v1 import lease_service_pb2_grpc as pb_grpc
from leasehold.model.deadline import Deadline
from leasehold.model.errors import NotFoundError
from leasehold.model.operators import OperatorStore
from leasehold.rpc.calls import note_outcome, tell
from leasehold.rpc.faults import Faults
from leasehold.rpc.v1 import status, translate

# The names of the methods are the API's own.
# ruff: noqa: N802

_API = "v1"


class LeaseServicer(pb_grpc.LeaseServiceServicer):
    """Shows leases and changes single ones; whoever changes one leaves a reason in the log."""

    def __init__(self, store: OperatorStore, *, call_timeout_s: float) -> None:
        self._store = store
        self._call_timeout_s = call_timeout_s

    async def GetLease(
        self, request: pb.GetLeaseRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.GetLeaseResponse:
        """Tell what is remembered of a lease."""
        faults = Faults()
        reference = translate.lease_reference(request.lease_id, faults)
        lease = await self._store.get_lease(
            translate.known(reference, faults), self._deadline(context)
        )
        if not lease:
            raise NotFoundError("lease")
        tell(lease_id=request.lease_id)
        return pb.GetLeaseResponse(lease=translate.lease_message(lease))

    async def ListLeases(
        self, request: pb.ListLeasesRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.ListLeasesResponse:
        """List a page of a merchant's leases."""
        wanted, page_size, cursor = translate.lease_filter(request)
        deadline = self._deadline(context)
        page = await self._store.list_leases(wanted, page_size, cursor, deadline)
        return translate.page_message(page)

    async def ReleaseLease(
        self, request: pb.ReleaseLeaseRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.ReleaseLeaseResponse:
        """Give back what a lease holds."""
        command = translate.release_command(request)
        tell(lease_id=request.lease_id, given_reason=command.reason)
        outcome = await self._store.release_lease(command, self._deadline(context))
        note_outcome(_API, "release_lease", outcome.status)
        status.raise_unless_answered(status.RELEASE_LEASE, outcome.status)
        return translate.release_message(outcome)

    async def ExtendLease(
        self, request: pb.ExtendLeaseRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.ExtendLeaseResponse:
        """Hold a lease longer, and never shorter."""
        command = translate.extend_command(request)
        tell(lease_id=request.lease_id, given_reason=command.reason)
        outcome = await self._store.extend_lease(command, self._deadline(context))
        note_outcome(_API, "extend_lease", outcome.status)
        status.raise_unless_answered(status.EXTEND_LEASE, outcome.status)
        tell(expires_at_ms=outcome.expires_at_ms)
        return translate.extend_message(outcome)

    async def InspectSlot(
        self, request: pb.InspectSlotRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.InspectSlotResponse:
        """Tell who has each spot of a slot."""
        slot = translate.inspected_slot(request)
        outcome = await self._store.inspect_slot(slot, self._deadline(context))
        status.raise_unless_answered(status.INSPECT_SLOT, outcome.status)
        return translate.inspection_message(outcome)

    def _deadline(self, context: grpc.aio.ServicerContext[Any, Any]) -> Deadline:
        return Deadline.within(self._call_timeout_s, context.time_remaining())
