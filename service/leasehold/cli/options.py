"""Options that several commands have."""

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Annotated

import typer

from leasehold.cli.values import complete_zone, parse_duration, parse_time, parse_zone
from leasehold.client import Slot, slot_at
from leasehold.client_settings import TIME_ZONE

Merchant = Annotated[str, typer.Option(help="Merchant id.")]
Service = Annotated[str, typer.Option(help="Service id.")]
Start = Annotated[
    datetime, typer.Option(parser=parse_time, metavar="TIME", help="Like 2027-03-01T10:00Z.")
]
Duration = Annotated[
    timedelta, typer.Option(parser=parse_duration, metavar="DURATION", help="Like 30m.")
]
Staff = Annotated[str, typer.Option(help="Staff id.")]
Room = Annotated[str, typer.Option(help="Room id.")]
PartySize = Annotated[int, typer.Option(help="Seats asked for.")]
_WITH = " TLS and tokens: LEASEHOLD_CLIENT_CA_FILE and others, see docs/security.md."
Address = Annotated[
    str, typer.Option(envvar="LEASEHOLD_LISTEN", help=f"The partner listener to call.{_WITH}")
]
DEFAULT_ADDRESS = "127.0.0.1:50051"
OperatorAddress = Annotated[
    str,
    typer.Option(
        "--address",
        envvar="LEASEHOLD_OPERATOR_LISTEN",
        help=f"The operators' listener to call.{_WITH}",
    ),
]
DEFAULT_OPERATOR_ADDRESS = "127.0.0.1:50052"


def _one_form(context: typer.Context, wanted: bool) -> bool:
    if wanted and (context.params.get("as_json") or context.params.get("quiet")):
        raise typer.BadParameter("use --json or --quiet, not both")
    return wanted


AsJson = Annotated[
    bool, typer.Option("--json", callback=_one_form, help="Print JSON, as the API has it.")
]
AsRecords = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Zone = Annotated[
    tzinfo,
    typer.Option(
        "--tz",
        envvar=TIME_ZONE,
        parser=parse_zone,
        autocompletion=complete_zone,
        metavar="ZONE",
        help="Time zone of the times shown, like Europe/Berlin. JSON has UTC.",
    ),
]
DEFAULT_ZONE = UTC
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", callback=_one_form, help="Print the id alone.")
]


def slot_of(
    merchant: str,
    service: str,
    start: datetime,
    duration: timedelta,
    staff: str,
    room: str,
    party_size: int,
) -> Slot:
    """Return the slot that a command line names."""
    return slot_at(
        merchant,
        service,
        start,
        duration,
        staff_id=staff,
        room_id=room,
        party_size=party_size,
    )
