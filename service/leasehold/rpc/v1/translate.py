"""LeaseService: requests into commands with every fault of shape at once, and outcomes back."""

from google.protobuf.message import Message

from leasehold.generated.leasehold.v1 import lease_service_pb2 as pb
from leasehold.model import checks, ids
from leasehold.model.errors import NotFoundError
from leasehold.model.operators import (
    ExtendLease,
    ExtendLeaseOutcome,
    InspectSlotOutcome,
    LeaseFilter,
    LeasePage,
    LeaseRecord,
    LeaseState,
    ReleaseLease,
    ReleaseLeaseOutcome,
    Span,
)
from leasehold.model.slot import Slot
from leasehold.rpc.faults import Faults

_DEFAULT_PAGE = 100
_LARGEST_PAGE = 1000
_LARGEST_CURSOR = 2**64
_STATES = {
    LeaseState.HELD: pb.LEASE_STATE_HELD,
    LeaseState.CONSUMED: pb.LEASE_STATE_CONSUMED,
    LeaseState.RELEASED: pb.LEASE_STATE_RELEASED,
    LeaseState.EXPIRED: pb.LEASE_STATE_EXPIRED,
}
_NAMED = {number: state for state, number in _STATES.items()}


def lease_reference(lease_id: str, faults: Faults) -> ids.Reference | None:
    """Read a lease id; None for one that is missing, or can be none of ours."""
    faults.note("lease_id", None if lease_id else "is required")
    return ids.parse_wire_id(lease_id) if lease_id else None


def known(lease: ids.Reference | None, faults: Faults) -> ids.Reference:
    """Return a lease that may exist; raise for faults of shape first, then NotFoundError."""
    faults.raise_if_any()
    if not lease:
        raise NotFoundError("lease")
    return lease


def release_command(request: pb.ReleaseLeaseRequest) -> ReleaseLease:
    """Read a request, or raise InvalidRequestError or NotFoundError."""
    faults = Faults()
    lease = lease_reference(request.lease_id, faults)
    faults.note("reason", checks.reason_fault(request.reason))
    return ReleaseLease(known(lease, faults), request.reason)


def extend_command(request: pb.ExtendLeaseRequest) -> ExtendLease:
    """Read a request, or raise InvalidRequestError or NotFoundError."""
    faults = Faults()
    lease = lease_reference(request.lease_id, faults)
    faults.note("reason", checks.reason_fault(request.reason))
    asked_ms = 0
    if faults.present(request, "expire_time", "expire_time"):
        asked_ms = faults.timestamp_ms(request.expire_time, "expire_time")
    return ExtendLease(known(lease, faults), asked_ms, request.reason)


def lease_filter(request: pb.ListLeasesRequest) -> tuple[LeaseFilter, int, int]:
    """Read which leases are wanted, how many and from where, or raise InvalidRequestError."""
    faults = Faults()
    faults.note("merchant_id", checks.id_fault(request.merchant_id))
    faults.note("service_id", checks.optional_id_fault(request.service_id))
    states = {_NAMED.get(number) for number in request.states} - {None}
    if len(states) < len(set(request.states)):
        faults.note("states", "names a state that no lease is in")
    if not 0 <= request.page_size <= _LARGEST_PAGE:
        faults.note("page_size", f"must be between 0 and {_LARGEST_PAGE}")
    token = request.page_token
    is_number = token.isascii() and token.isdecimal() and len(token) <= len(str(_LARGEST_CURSOR))
    if token and not (is_number and int(token) < _LARGEST_CURSOR):
        faults.note("page_token", "is none that an answer has given")
    wanted = LeaseFilter(
        merchant_id=request.merchant_id,
        service_id=request.service_id,
        states=frozenset(state for state in states if state),
        starts=_span(request.starts, "starts", faults),
        expires=_span(request.expires, "expires", faults),
    )
    faults.raise_if_any()
    return wanted, request.page_size or _DEFAULT_PAGE, int(token or 0)


def _span(message: pb.TimeSpan, path: str, faults: Faults) -> Span:
    def read(name: str) -> int | None:
        there = message.HasField(name)
        return faults.timestamp_ms(getattr(message, name), f"{path}.{name}") if there else None

    return Span(read("begin_time"), read("end_time"))


def inspected_slot(request: pb.InspectSlotRequest) -> Slot:
    """Read a slot, or raise InvalidRequestError."""
    faults, slot = Faults(), request.slot
    faults.present(request, "slot", "slot")
    faults.note("slot.merchant_id", checks.id_fault(slot.merchant_id))
    faults.note("slot.service_id", checks.id_fault(slot.service_id))
    start_s = duration_s = 0
    if faults.present(slot, "start_time", "slot.start_time"):
        faults.timestamp_ms(slot.start_time, "slot.start_time")
        start_s = faults.whole_seconds(slot.start_time, "slot.start_time")
    if faults.present(slot, "duration", "slot.duration"):
        duration_s = faults.whole_seconds(slot.duration, "slot.duration")
        faults.note("slot.duration", checks.duration_fault(duration_s, checks.LONGEST_SLOT_S))
    faults.note("slot.staff_id", checks.optional_id_fault(slot.staff_id))
    faults.note("slot.room_id", checks.optional_id_fault(slot.room_id))
    faults.note("slot.party_size", checks.party_size_fault(slot.party_size))
    faults.raise_if_any()
    return Slot(
        merchant_id=slot.merchant_id,
        service_id=slot.service_id,
        start_s=start_s,
        duration_s=duration_s,
        staff_id=slot.staff_id,
        room_id=slot.room_id,
        party_size=slot.party_size,
    )


def lease_message(lease: LeaseRecord) -> pb.Lease:
    """Show a lease with its history."""
    message = pb.Lease(
        lease_id=lease.lease_id,
        slot=_slot_message(lease.slot),
        spot=lease.spot,
        state=_STATES[lease.state],
        user_reference=lease.reference,
        booking_id=lease.booking_id,
        history=_history(lease),
    )
    set_ms(message, "expire_time", lease.expires_at_ms)
    message.remaining.FromMilliseconds(lease.remaining_ms)
    return message


def page_message(page: LeasePage) -> pb.ListLeasesResponse:
    """Show some leases, and where to go on."""
    return pb.ListLeasesResponse(
        leases=map(lease_message, page.leases),
        next_page_token=str(page.next_cursor or ""),
    )


def release_message(outcome: ReleaseLeaseOutcome) -> pb.ReleaseLeaseResponse:
    """Tell since when a spot is free, and why."""
    message = pb.ReleaseLeaseResponse(reason=outcome.reason)
    set_ms(message, "release_time", outcome.released_at_ms)
    return message


def extend_message(outcome: ExtendLeaseOutcome) -> pb.ExtendLeaseResponse:
    """Tell how long a lease is held, and when to ask again."""
    message = pb.ExtendLeaseResponse()
    set_ms(message, "expire_time", outcome.expires_at_ms)
    set_ms(message, "renew_time", outcome.renew_at_ms)
    set_ms(message, "latest_expire_time", max(outcome.latest_ms, outcome.expires_at_ms))
    message.remaining.FromMilliseconds(outcome.remaining_ms)
    return message


def inspection_message(outcome: InspectSlotOutcome) -> pb.InspectSlotResponse:
    """Show a slot and who is on it."""
    message = pb.InspectSlotResponse(spot_count=outcome.spot_count)
    set_ms(message, "read_time", outcome.now_ms)
    for each in outcome.spots:
        spot = message.spots.add(number=each.number)
        if each.lease_id:
            spot.lease_id = each.lease_id
        elif each.booking_id:
            spot.booking_id = each.booking_id
        set_ms(spot, "end_time", each.ends_at_ms or None)
    return message


def _slot_message(slot: Slot) -> pb.Slot:
    message = pb.Slot(
        merchant_id=slot.merchant_id,
        service_id=slot.service_id,
        staff_id=slot.staff_id,
        room_id=slot.room_id,
        party_size=slot.party_size,
    )
    message.start_time.seconds, message.duration.seconds = slot.start_s, slot.duration_s
    return message


def _history(lease: LeaseRecord) -> list[pb.LeaseEvent]:
    """Say what has happened to a lease, oldest first."""
    found = [_event(pb.LEASE_EVENT_KIND_CREATED, lease.created_at_ms)]
    if lease.extensions:
        kind, reason = pb.LEASE_EVENT_KIND_EXTENDED, lease.extend_reason
        found.append(_event(kind, lease.extended_at_ms, reason, lease.extensions))
    match lease.state:
        case LeaseState.CONSUMED:
            found.append(_event(pb.LEASE_EVENT_KIND_CONSUMED, lease.consumed_at_ms))
        case LeaseState.RELEASED:
            kind, reason = pb.LEASE_EVENT_KIND_RELEASED, lease.release_reason
            found.append(_event(kind, lease.released_at_ms, reason))
        case LeaseState.EXPIRED:
            found.append(_event(pb.LEASE_EVENT_KIND_EXPIRED, lease.expires_at_ms))
        case LeaseState.HELD:
            pass
    return found


def _event(
    kind: pb.LeaseEventKind, at_ms: int | None, reason: str = "", count: int = 1
) -> pb.LeaseEvent:
    event = pb.LeaseEvent(kind=kind, reason=reason, count=count)
    set_ms(event, "time", at_ms)
    return event


def set_ms(message: Message, name: str, at_ms: int | None) -> None:
    """Write a time, or leave it out."""
    if at_ms is not None:
        getattr(message, name).FromMilliseconds(at_ms)
