"""``leasehold feed``: tail."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import tzinfo
from typing import Annotated

import typer

from leasehold.cli import options
from leasehold.cli.calling import ask_operators, granted, show_place
from leasehold.cli.console import err, print_json, write
from leasehold.cli.times import show_time
from leasehold.client import Event, NoAnswerError, Operators

_POLL_INTERVAL_S = 1


def tail(
    merchant: options.Merchant,
    after: Annotated[
        str, typer.Option(metavar="TOKEN", help="Begin after this event, not with the oldest kept.")
    ] = "",
    follow: Annotated[
        bool, typer.Option(help="Go on with what happens from now on, until Ctrl-C.")
    ] = True,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print one JSON object a line, as the API has it."),
    ] = False,
    zone: options.Zone = options.DEFAULT_ZONE,
    address: options.OperatorAddress = options.DEFAULT_OPERATOR_ADDRESS,
) -> None:
    """Print a merchant's events as they come, one a line: ListEvents.

    Exit code 0: there are no more, or Ctrl-C; 1: events may have been missed, or none are kept;
    2: the request is at fault; 3: no answer at all, or none with --no-follow.
    """

    async def show(operators: Operators) -> None:
        async for event in _events(operators, address, merchant, after, follow=follow):
            if as_json:
                print_json(event.json(), indent=None)
            else:
                write(_line(event, zone))

    try:
        ask_operators(address, show)
    except KeyboardInterrupt:
        return


async def _events(
    operators: Operators, address: str, merchant: str, after: str, *, follow: bool
) -> AsyncIterator[Event]:
    """Yield events, for as long as wanted. What may pass does not end it once it has begun."""
    has_begun = is_away = False
    while True:
        events: Sequence[Event] = ()
        try:
            page = granted(await operators.list_events(merchant, after), "Not told")
        except NoAnswerError as error:
            if not (follow and has_begun):
                raise
            if not is_away:
                err.print(f"{error}\nAsking again each second.", style="yellow")
            is_away = True
        else:
            if is_away:
                err.print(f"{address} answers again.", style="yellow")
            has_begun, is_away = True, False
            events, after = page.events, page.token
        for event in events:
            yield event
        if not (events or follow):
            return
        if not events:
            await asyncio.sleep(_POLL_INTERVAL_S)


def _line(event: Event, zone: tzinfo) -> str:
    """Show an event for people."""
    names = " -> ".join(filter(None, (event.lease_id, event.booking_id)))
    kind = event.kind.replace("_", " ")
    place = show_place(event.spot.slot, zone, event.spot.number)
    parts = [f"{show_time(event.at, zone)}  {kind:<16} {names}", place]
    if event.old_spot:
        parts.append(f"was {show_place(event.old_spot.slot, zone, event.old_spot.number)}")
    if event.expires_at:
        parts.append(f"until {show_time(event.expires_at, zone)}")
    if event.reason:
        parts.append(f"reason: {event.reason}")
    return ", ".join(parts)
