"""``leasehold lease``: get, list, release, extend."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from rich.table import Column, Table

from leasehold.cli import options
from leasehold.cli.calling import answer_of, granted, show_api_slot, show_api_time
from leasehold.cli.console import UNUSABLE, details, fail, out, print_json
from leasehold.cli.values import parse_duration, parse_time
from leasehold.model.operators import LeaseState
from leasehold.rpc.v1 import client

LeaseId = Annotated[str, typer.Argument(help="Lease id.", metavar="LEASE")]
Reason = Annotated[
    str,
    typer.Option(
        help="Why, for the log and the lease's history: a ticket, say. Nothing about a person."
    ),
]
# A table of more costs minutes, and nobody reads it.
_MOST_ROWS = 1000
Time = Annotated[datetime | None, typer.Option(parser=parse_time, metavar="TIME")]

lease = typer.Typer(
    name="lease",
    help="Leases: look at them, list them, give them back, hold them longer."
    " Calls the operators' listener.",
    no_args_is_help=True,
)


@lease.command()
def get(
    lease_id: LeaseId,
    as_json: options.AsJson = False,
    address: options.OperatorAddress = options.DEFAULT_OPERATOR_ADDRESS,
) -> None:
    """Show a lease, what has become of it, and its history: GetLease.

    Exit code 0: shown; 2: unknown, or at fault; 3: no answer.
    """
    found = answer_of(client.get_lease(address, lease_id))
    if as_json:
        return print_json(found)
    table = details("Lease")
    table.add_row("lease", found["lease_id"])
    for name, value in show_api_slot(found["slot"]):
        table.add_row(name, value)
    table.add_row("spot", str(found["spot"]))
    table.add_row("state", _state(found))
    table.add_row("granted until", show_api_time(found["expire_time"]))
    table.add_row("remaining", found["remaining"])
    if "booking_id" in found:
        table.add_row("booking", found["booking_id"])
    # One whose booking is nobody's any more has none.
    table.add_row("reference", found.get("user_reference", ""))
    for event in found["history"]:
        table.add_row(_event_name(event), _event_text(event))
    out.print(table)
    return None


@lease.command("list")
def list_leases(
    merchant: options.Merchant,
    service: Annotated[str, typer.Option(help="Only this service.")] = "",
    state: Annotated[list[LeaseState] | None, typer.Option(help="Only these states.")] = None,
    starts_from: Time = None,
    starts_before: Time = None,
    expires_from: Time = None,
    expires_before: Time = None,
    expires_within: Annotated[
        timedelta | None,
        typer.Option(
            parser=parse_duration, metavar="DURATION", help="Held, and ending so soon from now."
        ),
    ] = None,
    as_json: options.AsJson = False,
    address: options.OperatorAddress = options.DEFAULT_OPERATOR_ADDRESS,
) -> None:
    """List a merchant's leases that are remembered, by when they end: ListLeases.

    Exit code 0: listed; 2: the request is at fault; 3: no answer.
    """
    states, starts = state or [], (starts_from, starts_before)
    if expires_within is not None:
        if expires_before or state:
            fail("--expires-within says itself which state, and until when.", UNUSABLE)
        states, expires_before = [LeaseState.HELD], datetime.now(UTC) + expires_within
    expires = (expires_from, expires_before)
    found = answer_of(client.list_leases(address, merchant, service, states, starts, expires))
    found.sort(key=lambda each: (datetime.fromisoformat(each["expire_time"]), each["lease_id"]))
    if as_json:
        return print_json(found)
    # Ids are for copying, so they are not cut, and the slot stands below.
    shown = found[:_MOST_ROWS]
    longest = max((len(each["lease_id"]) for each in shown), default=0)
    lease_and_slot = Column("lease, slot", min_width=longest, overflow="fold")
    table = Table(lease_and_slot, "spot", "state", "until", "remaining")
    for each in shown:
        slot = dict(show_api_slot(each["slot"]))
        until = show_api_time(each["expire_time"])
        what = f"{each['lease_id']}\n{slot['service']} {slot['slot']}"
        table.add_row(what, str(each["spot"]), _state(each), until, each["remaining"])
    out.print(table)
    more = len(found) - len(shown)
    out.print(f"Leases: {len(found)}" + (f"; {more} more with --json" if more else ""))
    return None


@lease.command()
def release(
    lease_id: LeaseId,
    reason: Reason,
    as_json: options.AsJson = False,
    address: options.OperatorAddress = options.DEFAULT_OPERATOR_ADDRESS,
) -> None:
    """Give back what a lease holds; it may be repeated: ReleaseLease.

    Exit code 0: the spot is free; 1: refused; 2: unknown, or at fault; 3: no answer.
    """
    done = granted(answer_of(client.release_lease(address, lease_id, reason)), "Not released")
    if as_json:
        return print_json(done)
    table = details("Released")
    table.add_row("lease", lease_id)
    table.add_row("since", show_api_time(done["release_time"]))
    table.add_row("reason", done["reason"])
    out.print(table)
    return None


@lease.command()
def extend(
    lease_id: LeaseId,
    reason: Reason,
    until: Annotated[
        datetime,
        typer.Option(
            parser=parse_time, metavar="TIME", help="The new end, like 2027-03-01T10:00Z."
        ),
    ],
    as_json: options.AsJson = False,
    address: options.OperatorAddress = options.DEFAULT_OPERATOR_ADDRESS,
) -> None:
    """Hold a lease until a later time, and never shorter: ExtendLease.

    Exit code 0: held; 1: refused; 2: unknown, or at fault; 3: no answer.
    """
    call = client.extend_lease(address, lease_id, until, reason)
    done = granted(answer_of(call), "Not extended")
    if as_json:
        return print_json(done)
    table = details("Held")
    table.add_row("lease", lease_id)
    table.add_row("held until", show_api_time(done["expire_time"]))
    renew = done.get("renew_time")
    table.add_row("renew at", show_api_time(renew) if renew else "cannot be extended further")
    table.add_row("at the latest until", show_api_time(done["latest_expire_time"]))
    out.print(table)
    return None


def _state(found: dict[str, Any]) -> str:
    return str(found["state"]).removeprefix("LEASE_STATE_").lower()


def _event_name(event: dict[str, Any]) -> str:
    return str(event["kind"]).removeprefix("LEASE_EVENT_KIND_").lower()


def _event_text(event: dict[str, Any]) -> str:
    time = show_api_time(event["time"]) if "time" in event else "at a time not written down"
    times = f", the last of {event['count']} times" if event["count"] > 1 else ""
    reason = f": {event['reason']}" if "reason" in event else ""
    return f"{time}{times}{reason}"
