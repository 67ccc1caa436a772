"""``leasehold lease``: get, list, release, extend."""

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Annotated

import typer

from leasehold.cli import options
from leasehold.cli.calling import add_slot, ask_operators, granted, show_place
from leasehold.cli.console import UNUSABLE, fail
from leasehold.cli.sheet import Sheet, details, on_terminal, remark, show_answer
from leasehold.cli.times import show_remaining, show_time
from leasehold.cli.values import parse_duration, parse_time
from leasehold.client import LeaseEvent, LeaseState, Operators, ShownLease, Span

LeaseId = Annotated[str, typer.Argument(help="Lease id.", metavar="LEASE")]
Reason = Annotated[
    str,
    typer.Option(
        help="Why, for the log and the lease's history: a ticket, say. Nothing about a person."
    ),
]
# A table of more costs minutes, and no person reads it.
_MOST_ROWS = 1000
Time = Annotated[datetime | None, typer.Option(parser=parse_time, metavar="TIME")]


def get(
    lease_id: LeaseId,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    zone: options.Zone = options.DEFAULT_ZONE,
    address: options.OperatorAddress = options.DEFAULT_OPERATOR_ADDRESS,
) -> None:
    """Show a lease, what has become of it, and its history: GetLease.

    Exit code 0: shown; 2: unknown, or at fault; 3: no answer.
    """
    found = ask_operators(address, lambda operators: operators.get_lease(lease_id))
    sheet = details("Lease", zone)
    sheet.add_row("lease", found.lease_id)
    add_slot(sheet, found.slot)
    sheet.add_row("spot", str(found.spot))
    sheet.add_row("state", found.state)
    sheet.add_row("granted until", found.expires_at)
    sheet.add_row("remaining", show_remaining(found.remaining))
    if found.booking_id:
        sheet.add_row("booking", found.booking_id)
    sheet.add_row("reference", found.reference)
    for event in found.history:
        sheet.add_row(event.kind, _show_event(event, zone))
    show_answer(sheet, found.json(), [found.lease_id], as_json=as_json, quiet=quiet)


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
    quiet: options.Quiet = False,
    zone: options.Zone = options.DEFAULT_ZONE,
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
    shown = found[:_MOST_ROWS] if on_terminal() else found
    sheet = Sheet(("lease", "slot"), "state", ("until", "left"), zone=zone)
    for each in shown:
        left = f"{show_remaining(each.remaining)} left" if each.state is LeaseState.HELD else ""
        what = each.lease_id, show_place(each.slot, zone, each.spot)
        sheet.add_row(what, each.state, (each.expires_at, left))
    ids = [each.lease_id for each in found]
    show_answer(sheet, [each.json() for each in found], ids, as_json=as_json, quiet=quiet)
    if not (as_json or quiet):
        more = len(found) - len(shown)
        remark(f"Leases: {len(found)}" + (f"; {more} more with --json" if more else ""))


def release(
    lease_id: LeaseId,
    reason: Reason,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    zone: options.Zone = options.DEFAULT_ZONE,
    address: options.OperatorAddress = options.DEFAULT_OPERATOR_ADDRESS,
) -> None:
    """Give back what a lease holds; it may be repeated: ReleaseLease.

    Exit code 0: the spot is free; 1: refused; 2: unknown, or at fault; 3: no answer.
    """
    answer = ask_operators(address, lambda operators: operators.release_lease(lease_id, reason))
    done = granted(answer, "Not released")
    sheet = details("Released", zone)
    sheet.add_row("lease", lease_id)
    sheet.add_row("since", done.released_at)
    sheet.add_row("reason", done.reason)
    show_answer(sheet, done.json(), [lease_id], as_json=as_json, quiet=quiet)


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
    quiet: options.Quiet = False,
    zone: options.Zone = options.DEFAULT_ZONE,
    address: options.OperatorAddress = options.DEFAULT_OPERATOR_ADDRESS,
) -> None:
    """Hold a lease until a later time, and never shorter: ExtendLease.

    Exit code 0: held; 1: refused; 2: unknown, or at fault; 3: no answer.
    """
    answer = ask_operators(
        address, lambda operators: operators.extend_lease(lease_id, until, reason)
    )
    done = granted(answer, "Not extended")
    sheet = details("Held", zone)
    sheet.add_row("lease", lease_id)
    sheet.add_row("held until", done.expires_at)
    renew_at = done.renew_at or "cannot be extended further"
    sheet.add_row("renew at", renew_at)
    sheet.add_row("at the latest until", done.latest_expires_at)
    show_answer(sheet, done.json(), [lease_id], as_json=as_json, quiet=quiet)


def _show_event(event: LeaseEvent, zone: tzinfo) -> str:
    time = show_time(event.at, zone) if event.at else "at a time not written down"
    times = f", the last of {event.count} times" if event.count > 1 else ""
    reason = f": {event.reason}" if event.reason else ""
    return f"{time}{times}{reason}"
