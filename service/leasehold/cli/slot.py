"""``leasehold slot``: inspect."""

from leasehold.cli import options
from leasehold.cli.calling import ask_operators
from leasehold.cli.sheet import Sheet, remark, show_answer
from leasehold.cli.times import show_time


def inspect(
    merchant: options.Merchant,
    service: options.Service,
    start: options.Start,
    duration: options.Duration,
    staff: options.Staff = "",
    room: options.Room = "",
    party_size: options.PartySize = 0,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    zone: options.Zone = options.DEFAULT_ZONE,
    address: options.OperatorAddress = options.DEFAULT_OPERATOR_ADDRESS,
) -> None:
    """Show who has each spot of a slot, and until when: InspectSlot.

    Exit code 0: shown; 2: the inventory does not have it, or the request is at fault; 3: no answer.
    """
    wanted = options.slot_of(merchant, service, start, duration, staff, room, party_size)
    found = ask_operators(address, lambda operators: operators.inspect_slot(wanted))
    sheet = Sheet("spot", "state", "until", ("lease or booking",), zone=zone)
    for spot in found.spots:
        state = "held" if spot.lease_id else "booked" if spot.booking_id else "free"
        until = spot.ends_at or ""
        sheet.add_row(spot.number, state, until, (spot.lease_id or spot.booking_id,))
    ids = [each.lease_id or each.booking_id for each in found.spots]
    show_answer(sheet, found.json(), filter(None, ids), as_json=as_json, quiet=quiet)
    if not (as_json or quiet):
        remark(f"Spots: {found.spot_count}, at {show_time(found.read_at, zone)}")
