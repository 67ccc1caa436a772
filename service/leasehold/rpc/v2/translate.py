"""v2 messages to commands, and outcomes back to v2 messages; protobuf stops here."""

from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as pb
from leasehold.model import checks
from leasehold.model.lease import CreateLease
from leasehold.model.slot import Slot
from leasehold.rpc.faults import Faults


def create_lease_command(request: pb.CreateLeaseRequest, max_slot_s: float) -> CreateLease:
    """Read a CreateLease, or raise InvalidRequestError naming every field at fault.

    A ``lease_id`` in the request is ignored. Source: contract 2.1, 6.1 L2, 6.2.
    """
    faults = Faults()
    lease = request.lease
    faults.present(request, "lease", "lease")
    slot = _slot(lease, max_slot_s, faults)
    faults.note("lease.user_reference", checks.id_fault(lease.user_reference))
    asked_expires_ms = 0
    if faults.present(lease, "lease_expiration_time", "lease.lease_expiration_time"):
        asked_expires_ms = faults.timestamp_ms(
            lease.lease_expiration_time, "lease.lease_expiration_time"
        )
    faults.raise_if_any()
    return CreateLease(slot, lease.user_reference, asked_expires_ms, lease.slot.availability_tag)


def _slot(lease: pb.Lease, max_slot_s: float, faults: Faults) -> Slot:
    path = "lease.slot"
    slot = lease.slot
    faults.present(lease, "slot", path)
    faults.note(f"{path}.merchant_id", checks.id_fault(slot.merchant_id))
    faults.note(f"{path}.service_id", checks.id_fault(slot.service_id))
    if faults.present(slot, "start_time", f"{path}.start_time"):
        faults.timestamp_ms(slot.start_time, f"{path}.start_time")
        faults.whole_seconds(slot.start_time, f"{path}.start_time")
    if faults.present(slot, "duration", f"{path}.duration"):
        duration_s = faults.whole_seconds(slot.duration, f"{path}.duration")
        faults.note(f"{path}.duration", checks.duration_fault(duration_s, max_slot_s))
    faults.note(f"{path}.availability_tag", checks.tag_fault(slot.availability_tag))
    resources = slot.resources
    faults.note(f"{path}.resources.staff_id", checks.optional_id_fault(resources.staff_id))
    faults.note(f"{path}.resources.room_id", checks.optional_id_fault(resources.room_id))
    faults.note(f"{path}.resources.party_size", checks.party_size_fault(resources.party_size))
    return Slot(
        merchant_id=slot.merchant_id,
        service_id=slot.service_id,
        start_s=slot.start_time.seconds,
        duration_s=slot.duration.seconds,
        staff_id=resources.staff_id,
        room_id=resources.room_id,
        party_size=resources.party_size,
    )


def granted(
    request: pb.CreateLeaseRequest, lease_id: str, expires_at_ms: int
) -> pb.CreateLeaseResponse:
    """Echo the lease asked for, with its id and the granted expiry.

    A copy keeps what was present and what was absent, ``resources`` included. Source: contract
    6.1 L3, L4.
    """
    response = pb.CreateLeaseResponse(lease=request.lease)
    response.lease.lease_id = lease_id
    seconds, milliseconds = divmod(expires_at_ms, 1000)
    response.lease.lease_expiration_time.seconds = seconds
    response.lease.lease_expiration_time.nanos = milliseconds * 1_000_000
    return response


def refused(failure: pb.BookingFailure) -> pb.CreateLeaseResponse:
    """Answer with a business failure and no lease. Source: contract 6.1 L6."""
    return pb.CreateLeaseResponse(booking_failure=failure)
