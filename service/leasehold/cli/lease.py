"""``leasehold lease``: get, list, release, extend."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.table import Column, Table

from leasehold.cli import options
from leasehold.cli.calling import add_slot, ask_operators, granted, show_place, show_time
from leasehold.cli.console import UNUSABLE, details, fail, out, print_json
from leasehold.cli.values import parse_duration, parse_time
from leasehold.client import LeaseEvent, LeaseState, Operators, ShownLease, Span

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
    found = ask_operators(address, lambda operators: operators.get_lease(lease_id))
    if as_json:
        return print_json(found.json())
    table = details("Lease")
    table.add_row("lease", found.lease_id)
    add_slot(table, found.slot)
    table.add_row("spot", str(found.spot))
    table.add_row("state", found.state)
    table.add_row("granted until", show_time(found.expires_at))
    table.add_row("remaining", _show_remaining(found))
    if found.booking_id:
        table.add_row("booking", found.booking_id)
    table.add_row("reference", found.reference)
    for event in found.history:
        table.add_row(event.kind, _show_event(event))
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
    states, starts = state or [], Span(starts_from, starts_before)
    if expires_within is not None:
        if expires_before or state:
            fail("--expires-within says itself which state, and until when.", UNUSABLE)
        states, expires_before = [LeaseState.HELD], datetime.now(UTC) + expires_within
    expires = Span(expires_from, expires_before)

    async def ask(operators: Operators) -> list[ShownLease]:
        leases = operators.list_leases(
            merchant, service_id=service, states=states, starts=starts, expires=expires
        )
        return [each async for each in leases]

    found = ask_operators(address, ask)
    found.sort(key=lambda each: (each.expires_at, each.lease_id))
    if as_json:
        return print_json([each.json() for each in found])
    # Ids are for copying, so they are not cut, and the slot stands below. With the remaining time
    # below the expiry, the usual ids leave room in 80 columns.
    shown = found[:_MOST_ROWS]
    longest = max((len(each.lease_id) for each in shown), default=0)
    lease_and_slot = Column("lease, slot", min_width=longest, overflow="fold")
    table = Table(lease_and_slot, "state", Column("until", no_wrap=True))
    for each in shown:
        what = f"{each.lease_id}\n{show_place(each.slot, each.spot)}"
        left = f"\n{_show_remaining(each)} left" if each.state is LeaseState.HELD else ""
        table.add_row(what, each.state, show_time(each.expires_at) + left)
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
    answer = ask_operators(address, lambda operators: operators.release_lease(lease_id, reason))
    done = granted(answer, "Not released")
    if as_json:
        return print_json(done.json())
    table = details("Released")
    table.add_row("lease", lease_id)
    table.add_row("since", show_time(done.released_at))
    table.add_row("reason", done.reason)
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
    answer = ask_operators(
        address, lambda operators: operators.extend_lease(lease_id, until, reason)
    )
    done = granted(answer, "Not extended")
    if as_json:
        return print_json(done.json())
    table = details("Held")
    table.add_row("lease", lease_id)
    table.add_row("held until", show_time(done.expires_at))
    renew_at = show_time(done.renew_at) if done.renew_at else "cannot be extended further"
    table.add_row("renew at", renew_at)
    table.add_row("at the latest until", show_time(done.latest_expires_at))
    out.print(table)
    return None


def _show_remaining(lease: ShownLease) -> str:
    return f"{lease.remaining.total_seconds():.3f}s"


def _show_event(event: LeaseEvent) -> str:
    time = show_time(event.at) if event.at else "at a time not written down"
    times = f", the last of {event.count} times" if event.count > 1 else ""
    reason = f": {event.reason}" if event.reason else ""
    return f"{time}{times}{reason}"
