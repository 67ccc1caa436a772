"""``leasehold slot``: inspect."""

import typer
from rich.table import Table

from leasehold.cli import options
from leasehold.cli.calling import answer_of, show_api_time
from leasehold.cli.console import out, print_json
from leasehold.rpc.v1 import client

slot = typer.Typer(
    name="slot", help="Slots: who is on them. Calls the operators' listener.", no_args_is_help=True
)


@slot.callback()
def _slot() -> None:
    """Keep `inspect` a command of its own, although it is the only one."""


@slot.command()
def inspect(
    merchant: options.Merchant,
    service: options.Service,
    start: options.Start,
    duration: options.Duration,
    staff: options.Staff = "",
    room: options.Room = "",
    party_size: options.PartySize = 0,
    as_json: options.AsJson = False,
    address: options.OperatorAddress = options.DEFAULT_OPERATOR_ADDRESS,
) -> None:
    """Show who has each spot of a slot, and until when: InspectSlot.

    Exit code 0: shown; 2: the inventory does not have it, or the request is at fault; 3: no answer.
    """
    wanted = options.slot_of(merchant, service, start, duration, staff, room, party_size)
    found = answer_of(client.inspect_slot(address, wanted))
    if as_json:
        return print_json(found)
    table = Table("spot", "state", "until")
    table.add_column("lease or booking", no_wrap=True)
    for spot in found.get("spots", ()):
        state = "held" if "lease_id" in spot else "booked" if "booking_id" in spot else "free"
        until = show_api_time(spot["end_time"]) if "end_time" in spot else ""
        owner = spot.get("lease_id") or spot.get("booking_id", "")
        table.add_row(str(spot["number"]), state, until, owner)
    out.print(table)
    out.print(f"Spots: {found.get('spot_count', 0)}, at {show_api_time(found['read_time'])}")
    return None
