"""``leasehold hold``."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.table import Table

from leasehold.cli.console import REFUSED, UNAVAILABLE, UNUSABLE, fail, out
from leasehold.cli.values import parse_duration, parse_time
from leasehold.model.slot import Slot
from leasehold.rpc.v2 import client

_TIMEOUT_S = 5


def hold(
    merchant: Annotated[str, typer.Option(help="Merchant id.")],
    service: Annotated[str, typer.Option(help="Service id.")],
    start: Annotated[
        datetime, typer.Option(parser=parse_time, metavar="TIME", help="Like 2027-03-01T10:00Z.")
    ],
    duration: Annotated[
        timedelta, typer.Option(parser=parse_duration, metavar="DURATION", help="Like 30m.")
    ],
    length: Annotated[
        timedelta,
        typer.Option("--for", parser=parse_duration, metavar="DURATION", help="How long to hold."),
    ],
    staff: Annotated[str, typer.Option(help="Staff id.")] = "",
    room: Annotated[str, typer.Option(help="Room id.")] = "",
    party_size: Annotated[int, typer.Option(help="Seats asked for.")] = 0,
    reference: Annotated[
        str, typer.Option(help="Names this hold: the same one finds it again. Default: a new one.")
    ] = "",
    address: Annotated[
        str, typer.Option(envvar="LEASEHOLD_LISTEN", help="The partner listener to call.")
    ] = "127.0.0.1:50051",
) -> None:
    """Hold a slot, as a partner's client does: CreateLease.

    Exit code 0: held; 1: refused; 2: the request is at fault; 3: no answer.
    """
    slot = Slot(
        merchant_id=merchant,
        service_id=service,
        start_s=int(start.timestamp()),
        duration_s=int(duration.total_seconds()),
        staff_id=staff,
        room_id=room,
        party_size=party_size,
    )
    wanted_until = datetime.now(UTC) + length
    try:
        answer = asyncio.run(
            client.create_lease(
                address, slot, reference or str(uuid.uuid4()), wanted_until, _TIMEOUT_S
            )
        )
    except client.CallError as error:
        fail(str(error), UNUSABLE if error.is_callers_fault else UNAVAILABLE)
    if isinstance(answer, client.Refused):
        fail(f"Not held: {answer.cause}. {answer.description}", REFUSED)
    out.print(_lease_table(answer, slot, start, duration, wanted_until))


def _lease_table(
    held: client.Held, slot: Slot, start: datetime, duration: timedelta, wanted_until: datetime
) -> Table:
    table = Table(title="Held", title_justify="left", show_header=False)
    table.add_row("lease", held.lease_id)
    table.add_row("merchant", slot.merchant_id)
    table.add_row("service", slot.service_id)
    table.add_row("slot", f"{_show(start)} for {duration}")
    resources = [("staff", slot.staff_id), ("room", slot.room_id), ("party", slot.party_size)]
    for label, value in resources:
        if value:
            table.add_row(label, str(value))
    table.add_row("held until", _show(held.expires_at) + _compared(held.expires_at, wanted_until))
    table.add_row("reference", held.reference)
    return table


def _show(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"


def _compared(granted: datetime, wanted: datetime) -> str:
    # The store keeps milliseconds, so anything nearer is the expiry asked for.
    if abs(granted - wanted) <= timedelta(milliseconds=1):
        return ""
    return f" (asked for: {_show(wanted)})"
