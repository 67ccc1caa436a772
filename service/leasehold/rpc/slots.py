"""How slots are read: the fields have the same names in a v2 Slot and in a v0 Lease."""

from leasehold.generated.ext.maps.booking.partner.v0 import booking_service_pb2 as v0
from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as v2
from leasehold.model import checks
from leasehold.model.slot import Slot
from leasehold.rpc.faults import Faults

HasTimes = v2.Slot | v0.Lease | v0.Booking


def read_slot(
    message: v2.Slot | v0.Lease,
    path: str,
    max_slot_s: float,
    faults: Faults,
    *,
    is_stored: bool = False,
) -> Slot:
    """Read a slot, noting every fault; ``path`` is where the request has it.

    A slot that ``is_stored`` has to be that of a lease, which may be older than today's limits.
    """
    id_fault, optional_id_fault = checks.new_id_fault, checks.new_optional_id_fault
    if is_stored:
        id_fault, optional_id_fault = checks.id_fault, checks.optional_id_fault
        max_slot_s = checks.LONGEST_SLOT_S
    faults.note(f"{path}.merchant_id", id_fault(message.merchant_id))
    faults.note(f"{path}.service_id", id_fault(message.service_id))
    start_s = read_start_s(message, path, faults)
    duration_s = read_duration_s(message, path, max_slot_s, faults)
    faults.note(f"{path}.availability_tag", checks.tag_fault(message.availability_tag))
    resources = message.resources
    faults.note(f"{path}.resources.staff_id", optional_id_fault(resources.staff_id))
    faults.note(f"{path}.resources.room_id", optional_id_fault(resources.room_id))
    # v0 knows no parties.
    party_size = resources.party_size if isinstance(resources, v2.Resources) else 0
    faults.note(f"{path}.resources.party_size", checks.party_size_fault(party_size))
    return Slot(
        merchant_id=message.merchant_id,
        service_id=message.service_id,
        start_s=start_s,
        duration_s=duration_s,
        staff_id=resources.staff_id,
        room_id=resources.room_id,
        party_size=party_size,
    )


def read_start_s(message: HasTimes, path: str, faults: Faults) -> int:
    """Read a start in whole epoch seconds."""
    path = f"{path}.start_time"
    if not faults.present(message, "start_time", path):
        return 0
    faults.timestamp_ms(message.start_time, path)
    return faults.whole_seconds(message.start_time, path)


def read_duration_s(message: HasTimes, path: str, max_slot_s: float, faults: Faults) -> int:
    """Read a duration in whole seconds."""
    path = f"{path}.duration"
    if not faults.present(message, "duration", path):
        return 0
    duration_s = faults.whole_seconds(message.duration, path)
    faults.note(path, checks.duration_fault(duration_s, max_slot_s))
    return duration_s
