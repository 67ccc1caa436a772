"""``leasehold hold``."""

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Annotated

import typer

from leasehold.cli import options
from leasehold.cli.calling import add_slot, ask_partners, granted
from leasehold.cli.sheet import details, show_answer
from leasehold.cli.times import show_time
from leasehold.cli.values import parse_duration
from leasehold.client import Held
from leasehold.client.rendering import lease_json


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
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    zone: options.Zone = options.DEFAULT_ZONE,
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
    sheet = details("Held", zone)
    sheet.add_row("lease", held.lease_id)
    add_slot(sheet, slot)
    sheet.add_row(
        "held until", show_time(held.expires_at, zone) + _compared(held, wanted_until, zone)
    )
    sheet.add_row("reference", held.reference)
    show_answer(sheet, lease_json(held, slot), [held.lease_id], as_json=as_json, quiet=quiet)


def _compared(held: Held, wanted_until: datetime, zone: tzinfo) -> str:
    # The store keeps milliseconds, so anything nearer is the expiry asked for.
    if abs(held.expires_at - wanted_until) <= timedelta(milliseconds=1):
        return ""
    return f" (asked for: {show_time(wanted_until, zone)})"
