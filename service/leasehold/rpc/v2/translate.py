"""v2 messages to commands, and outcomes back to v2 messages; protobuf stops here."""

from dataclasses import replace

from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as pb
from leasehold.model import checks, ids
from leasehold.model.booking import BookingRecord, BookingStatus, CreateBooking, UpdateBooking
from leasehold.model.errors import InvalidRequestError, NotFoundError, Violation
from leasehold.model.lease import CreateLease
from leasehold.model.slot import Slot
from leasehold.rpc.faults import Faults, readable_bytes
from leasehold.rpc.people import check_user
from leasehold.rpc.slots import read_duration_s, read_slot, read_start_s
from leasehold.rpc.stored import V2_NUMBERS, as_v2

API = "v2"
HasSlot = pb.Lease | pb.CreateBookingRequest | pb.CheckAvailabilityRequest

_STATES = {number: state for state, number in V2_NUMBERS.items()}

# What else differs is another booking: cancel and book again. Source: contract 7 T9.
_CHANGEABLE = frozenset({"status", "slot.start_time", "slot.duration", "slot.resources.party_size"})
# What a path of these means is merged, as field masks are: what the request leaves out stays.
_PARENTS = frozenset({"slot", "slot.resources"})
_MASK_TEXT = ", ".join(sorted(_CHANGEABLE | _PARENTS))


def create_lease_command(request: pb.CreateLeaseRequest, max_slot_s: float) -> CreateLease:
    """Read a CreateLease, or raise InvalidRequestError naming every field at fault.

    A ``lease_id`` in the request is ignored. Source: contract 2.1, 6.1 L2, 6.2.
    """
    faults = Faults()
    lease = request.lease
    faults.present(request, "lease", "lease")
    slot = _slot(lease, "lease.slot", max_slot_s, faults)
    faults.note("lease.user_reference", checks.new_id_fault(lease.user_reference))
    asked_expires_ms = faults.required_timestamp_ms(lease, "lease_expiration_time", "lease")
    faults.raise_if_any()
    return CreateLease(slot, lease.user_reference, asked_expires_ms, lease.slot.availability_tag)


def create_booking_command(request: pb.CreateBookingRequest, max_slot_s: float) -> CreateBooking:
    """Read a CreateBooking, or raise InvalidRequestError naming every field at fault.

    Raises NotFoundError for a lease id that can be none of ours. Source: contract 2.3, 2.5, 6.2.
    """
    faults = Faults()
    is_stored = request.HasField("lease_ref")
    slot = _slot(request, "slot", max_slot_s, faults, is_stored=is_stored)
    faults.note("idempotency_token", checks.new_id_fault(request.idempotency_token))
    faults.note("additional_request", checks.words_fault(request.additional_request))
    if faults.present(request, "user_information", "user_information"):
        check_user(request.user_information, "user_information", faults)
    faults.note_texts(request.payment_information, "payment_information")
    if request.HasField("lease_ref") and not request.lease_ref.lease_id:
        faults.note("lease_ref.lease_id", "is required")
    faults.raise_if_any()
    lease = None
    if request.HasField("lease_ref"):
        lease = ids.parse_wire_id(request.lease_ref.lease_id)
        if not lease:
            raise NotFoundError("lease")
    return CreateBooking(
        slot=slot,
        token=request.idempotency_token,
        api=API,
        user_id=request.user_information.user_id,
        original=readable_bytes(_booked(request, slot)),
        lease=lease,
        additional_request=request.additional_request,
    )


def _booked(request: pb.CreateBookingRequest, slot: Slot) -> pb.CreateBookingResponse:
    suffix = ids.booking_suffix(API, request.idempotency_token)
    response = pb.CreateBookingResponse()
    booking = response.booking
    booking.booking_id = ids.wire_id(slot.merchant_id, suffix)
    booking.slot.CopyFrom(request.slot)
    booking.user_information.CopyFrom(request.user_information)
    booking.status = pb.CONFIRMED
    if request.HasField("payment_information"):
        booking.payment_information.CopyFrom(request.payment_information)
    return response


def booked(original: bytes) -> pb.CreateBookingResponse:
    """Return the response to the request that made a booking."""
    return pb.CreateBookingResponse.FromString(original)


def checked_slot(request: pb.CheckAvailabilityRequest, max_slot_s: float) -> Slot:
    """Read the slot of a CheckAvailability, or raise InvalidRequestError."""
    faults = Faults()
    slot = _slot(request, "slot", max_slot_s, faults)
    faults.raise_if_any()
    return slot


def counted(request: pb.CheckAvailabilityRequest, count: int) -> pb.CheckAvailabilityResponse:
    """Answer with the slot as it was sent and its free spots."""
    return pb.CheckAvailabilityResponse(slot=request.slot, count_available=count)


def booking_reference(booking_id: str) -> ids.Reference:
    """Read a booking id; raises InvalidRequestError for none, NotFoundError for none of ours."""
    if not booking_id:
        raise InvalidRequestError([Violation("booking_id", "is required")])
    reference = ids.parse_wire_id(booking_id)
    if not reference:
        raise NotFoundError("booking")
    return reference


def booking_status(booking_id: str, record: BookingRecord) -> pb.GetBookingStatusResponse:
    """Answer with the state of a booking and of its payment."""
    booking = as_v2(record)
    return pb.GetBookingStatusResponse(
        booking_id=booking_id,
        booking_status=booking.status,
        prepayment_status=booking.payment_information.prepayment_status,
    )


def update_booking_command(request: pb.UpdateBookingRequest) -> UpdateBooking:
    """Read an UpdateBooking, or raise InvalidRequestError naming every field at fault.

    Without a mask, what the booking of the request carries is to be changed; so it is of what a
    parent in the mask names. What else the request says there of its slot, and cannot change, must
    agree with the booking. Raises NotFoundError for a booking id that can be none of ours.
    Source: contract 2.3, 6.2, 7 T9.
    """
    faults = Faults()
    wanted, slot = request.booking, request.booking.slot
    paths = _read_mask(request, faults)
    status = start_s = duration_s = party_size = None
    if "status" in paths:
        status = _STATES.get(wanted.status)
        faults.note("booking.status", None if status else "is not a state of a booking")
    if status is BookingStatus.CANCELED:
        # What is cancelled has no slot, so whatever slot comes along is not looked at.
        paths = {"status"}
    if "slot.start_time" in paths:
        start_s = read_start_s(slot, "booking.slot", faults)
    if "slot.duration" in paths:
        # The booking may have been made when slots could be longer, so the store judges.
        duration_s = read_duration_s(slot, "booking.slot", checks.LONGEST_SLOT_S, faults)
    if "slot.resources.party_size" in paths:
        party_size = slot.resources.party_size
        fault = checks.party_size_fault(party_size)
        faults.note("booking.slot.resources.party_size", fault)
    faults.note("booking.booking_id", None if wanted.booking_id else "is required")
    faults.raise_if_any()
    reference = ids.parse_wire_id(wanted.booking_id)
    if not reference:
        raise NotFoundError("booking")
    command = UpdateBooking(reference, status, start_s, duration_s, party_size)
    if status is BookingStatus.CANCELED:
        return command
    return _agreeing(command, request)


def _read_mask(request: pb.UpdateBookingRequest, faults: Faults) -> set[str]:
    """Return the fields to change: those named, and of parents those that the booking carries."""
    named = set(request.update_mask.paths)
    if named - _CHANGEABLE - _PARENTS:
        faults.note("update_mask", f"may name only: {_MASK_TEXT}")
    prefixes = tuple(f"{parent}." for parent in named & _PARENTS) if named else ("",)
    paths = named - _PARENTS
    paths |= {path for path in _carried(request.booking) if path.startswith(prefixes)}
    if not paths:
        which = "names only parents" if named else "is missing"
        faults.note("update_mask", f"{which}, and the booking carries nothing to change")
    return paths


def _agreeing(command: UpdateBooking, request: pb.UpdateBookingRequest) -> UpdateBooking:
    """Add what the booking must agree with: what is named as a whole, and cannot be changed.

    Raises InvalidRequestError for another merchant, which the booking's id tells already.
    """
    named, slot = set(request.update_mask.paths), request.booking.slot
    if named and "slot" not in named:
        slot = pb.Slot(resources=slot.resources if "slot.resources" in named else None)
    if slot.merchant_id not in ("", command.booking.merchant_id):
        violation = Violation("booking.slot.merchant_id", "is not the merchant of the booking")
        raise InvalidRequestError([violation], "BOOKING_SLOT_MISMATCH")
    return replace(
        command,
        service_id=slot.service_id or None,
        staff_id=slot.resources.staff_id or None,
        room_id=slot.resources.room_id or None,
    )


def _carried(wanted: pb.Booking) -> set[str]:
    slot = wanted.slot
    carried = {
        "status": wanted.status != pb.BOOKING_STATUS_UNSPECIFIED,
        "slot.start_time": slot.HasField("start_time"),
        "slot.duration": slot.HasField("duration"),
        "slot.resources.party_size": slot.resources.party_size != 0,
    }
    return {path for path, is_there in carried.items() if is_there}


def user_id(request: pb.ListBookingsRequest) -> str:
    """Read the user of a ListBookings, or raise InvalidRequestError."""
    faults = Faults()
    faults.note("user_id", checks.id_fault(request.user_id))
    faults.raise_if_any()
    return request.user_id


def granted(
    request: pb.CreateLeaseRequest, lease_id: str, expires_at_ms: int
) -> pb.CreateLeaseResponse:
    """Echo the lease asked for, with its id and the granted expiry.

    A copy keeps what was present and what was absent, ``resources`` included. Source: contract
    6.1 L3, L4.
    """
    response = pb.CreateLeaseResponse(lease=request.lease)
    response.lease.lease_id = lease_id
    response.lease.lease_expiration_time.FromMilliseconds(expires_at_ms)
    return response


def _slot(
    request: HasSlot, path: str, max_slot_s: float, faults: Faults, *, is_stored: bool = False
) -> Slot:
    faults.present(request, "slot", path)
    return read_slot(request.slot, path, max_slot_s, faults, is_stored=is_stored)
