"""v0 messages to commands, and outcomes back to v0 messages; protobuf stops here."""

from leasehold.generated.ext.maps.booking.partner.v0 import booking_service_pb2 as pb
from leasehold.model import checks, ids
from leasehold.model.booking import BookingRecord, BookingStatus, CreateBooking, UpdateBooking
from leasehold.model.errors import NotFoundError
from leasehold.model.lease import CreateLease
from leasehold.model.slot import Slot
from leasehold.rpc.faults import Faults, readable_bytes
from leasehold.rpc.people import check_client
from leasehold.rpc.slots import read_duration_s, read_slot, read_start_s
from leasehold.rpc.stored import V0_NUMBERS, as_v0

API = "v0"
_STATES = {number: state for state, number in V0_NUMBERS.items()}
_CHANGEABLE = frozenset({"status", "start_time", "duration"})
_CHANGEABLE_TEXT = ", ".join(sorted(_CHANGEABLE))


def create_lease_command(request: pb.CreateLeaseRequest, max_slot_s: float) -> CreateLease:
    """Read a CreateLease, or raise InvalidRequestError naming every field at fault.

    A ``lease_id`` in the request is ignored. Source: contract 3, 6.1 L2, 6.2.
    """
    faults = Faults()
    lease = request.lease
    faults.present(request, "lease", "lease")
    slot = read_slot(lease, "lease", max_slot_s, faults)
    faults.note("lease.client_reference", checks.new_id_fault(lease.client_reference))
    asked_expires_ms = faults.required_timestamp_ms(lease, "lease_expiration_time", "lease")
    faults.raise_if_any()
    return CreateLease(slot, lease.client_reference, asked_expires_ms, lease.availability_tag)


def granted(
    request: pb.CreateLeaseRequest, lease_id: str, expires_at_ms: int
) -> pb.CreateLeaseResponse:
    """Echo the lease asked for, with its id and the granted expiry. Source: contract 6.1 L3, L4."""
    response = pb.CreateLeaseResponse(lease=request.lease)
    response.lease.lease_id = lease_id
    response.lease.lease_expiration_time.FromMilliseconds(expires_at_ms)
    return response


def create_booking_command(request: pb.CreateBookingRequest) -> CreateBooking:
    """Read a CreateBooking: the lease names the slot, and its id is the token.

    Raises InvalidRequestError naming every field at fault, and NotFoundError for a lease id that
    can be none of ours. Source: contract 3, 6.2.
    """
    faults = Faults()
    lease_id, client = request.lease_ref.lease_id, request.client_information
    faults.note("lease_ref.lease_id", None if lease_id else "is required")
    faults.present(request, "client_information", "client_information")
    check_client(client, "client_information", faults)
    faults.note_texts(request.payment_information, "payment_information")
    faults.raise_if_any()
    lease = ids.parse_wire_id(lease_id)
    if not lease:
        raise NotFoundError("lease")
    booking = _booked(request, lease)
    readable_bytes(pb.CreateBookingResponse(booking=booking))
    return CreateBooking(
        slot=None,
        token=lease_id,
        api=API,
        user_id=None,
        original=booking.SerializeToString(),
        lease=lease,
    )


def _booked(request: pb.CreateBookingRequest, lease: ids.Reference) -> pb.Booking:
    """Write the booking as far as the request tells it; its slot is known to the store."""
    suffix = ids.booking_suffix(API, request.lease_ref.lease_id)
    booking = pb.Booking(booking_id=ids.wire_id(lease.merchant_id, suffix))
    booking.client_information.CopyFrom(request.client_information)
    if request.HasField("payment_information"):
        booking.payment_information.CopyFrom(request.payment_information)
    return booking


def booked(original: bytes, slot: Slot) -> pb.CreateBookingResponse:
    """Answer with the booking as it was made."""
    record = BookingRecord(API, original, BookingStatus.CONFIRMED, slot)
    return pb.CreateBookingResponse(booking=as_v0(record))


def update_booking_command(request: pb.UpdateBookingRequest) -> UpdateBooking:
    """Read an UpdateBooking, or raise InvalidRequestError naming every field at fault.

    Raises NotFoundError for a booking id that can be none of ours. Source: contract 3, 6.2.
    """
    faults = Faults()
    wanted, paths = request.booking, set(request.update_mask.paths)
    status = start_s = duration_s = None
    if not paths or paths - _CHANGEABLE:
        faults.note("update_mask", f"must name what to change, of: {_CHANGEABLE_TEXT}")
    if "status" in paths:
        status = _STATES.get(wanted.status)
        faults.note("booking.status", None if status else "is not a state of a booking")
    if status is BookingStatus.CANCELED:
        # What is cancelled has no slot, so whatever times come along are not looked at.
        paths = {"status"}
    if "start_time" in paths:
        start_s = read_start_s(wanted, "booking", faults)
    if "duration" in paths:
        # The booking may have been made when slots could be longer, so the store judges.
        duration_s = read_duration_s(wanted, "booking", checks.LONGEST_SLOT_S, faults)
    faults.note("booking.booking_id", None if wanted.booking_id else "is required")
    faults.raise_if_any()
    reference = ids.parse_wire_id(wanted.booking_id)
    if not reference:
        raise NotFoundError("booking")
    return UpdateBooking(reference, status, start_s, duration_s)
