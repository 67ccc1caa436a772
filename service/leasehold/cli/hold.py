"""``leasehold hold``."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from leasehold.cli import options
from leasehold.cli.calling import add_slot, ask_partners, granted, show_time
from leasehold.cli.console import details, out
from leasehold.cli.values import parse_duration
from leasehold.client import Held


def hold(
    merchant: options.Merchant,
    service: options.Service,
    start: options.Start,
    duration: options.Duration,
    length: Annotated[
        timedelta,
        typer.Option("--for", parser=parse_duration, metavar="DURATION", help="How long to hold."),
    ],
    staff: options.Staff = "",
    room: options.Room = "",
    party_size: options.PartySize = 0,
    reference: Annotated[
        str, typer.Option(help="Names this hold: the same one finds it again. Default: a new one.")
    ] = "",
    address: options.Address = options.DEFAULT_ADDRESS,
) -> None:
    """Hold a slot, as a partner's client does: CreateLease.

    Exit code 0: held; 1: refused; 2: the request is at fault; 3: no answer.
    """
    slot = options.slot_of(merchant, service, start, duration, staff, room, party_size)
    wanted_until = datetime.now(UTC) + length
    answer = ask_partners(
        address, lambda client: client.create_lease(slot, wanted_until, reference=reference)
    )
    held = granted(answer, "Not held")
    table = details("Held")
    table.add_row("lease", held.lease_id)
    add_slot(table, slot)
    table.add_row("held until", show_time(held.expires_at) + _compared(held, wanted_until))
    table.add_row("reference", held.reference)
    out.print(table)


def _compared(held: Held, wanted_until: datetime) -> str:
    # The store keeps milliseconds, so anything nearer is the expiry asked for.
    if abs(held.expires_at - wanted_until) <= timedelta(milliseconds=1):
        return ""
    return f" (asked for: {show_time(wanted_until)})"
