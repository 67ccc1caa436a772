"""``leasehold feed``: tail."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

import typer

from leasehold.cli import options
from leasehold.cli.calling import answer_of, granted, show_api_slot, show_api_time
from leasehold.cli.console import err
from leasehold.rpc.v1 import client
from leasehold.rpc.v2.client import CallError

_POLL_INTERVAL_S = 1
_Json = dict[str, Any]

feed = typer.Typer(
    name="feed",
    help="What happens with a merchant's slots. Calls the operators' listener.",
    no_args_is_help=True,
)


@feed.callback()
def _feed() -> None:
    """Keep `tail` a command of its own, although it is the only one."""


@feed.command()
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
    address: options.OperatorAddress = options.DEFAULT_OPERATOR_ADDRESS,
) -> None:
    """Print a merchant's events as they come, one a line: ListEvents.

    Exit code 0: there are no more, or Ctrl-C; 1: events may have been missed, or none are kept;
    2: the request is at fault; 3: no answer at all, or none with --no-follow.
    """

    async def show() -> None:
        async for event in _events(address, merchant, after, follow=follow):
            text = json.dumps(event, ensure_ascii=False) if as_json else _line(event)
            typer.echo(text)

    try:
        answer_of(show())
    except KeyboardInterrupt:
        return


async def _events(address: str, merchant: str, after: str, *, follow: bool) -> AsyncIterator[_Json]:
    """Yield events, for as long as wanted. What may pass does not end it once it has begun."""
    has_begun = is_away = False
    while True:
        events: list[_Json] = []
        try:
            page = granted(await client.list_events(address, merchant, after), "Not told")
        except CallError as error:
            if not (follow and has_begun and error.may_pass):
                raise
            if not is_away:
                err.print(f"{error}\nAsking again each second.", style="yellow")
            is_away = True
        else:
            if is_away:
                err.print(f"{address} answers again.", style="yellow")
            has_begun, is_away = True, False
            events, after = page.get("events", []), page.get("next_page_token", "")
        for event in events:
            yield event
        if not (events or follow):
            return
        if not events:
            await asyncio.sleep(_POLL_INTERVAL_S)


def _line(event: _Json) -> str:
    """Show an event for people."""
    kind = event.get("kind", "unknown").removeprefix("EVENT_KIND_").replace("_", " ").lower()
    names = " -> ".join(event[name] for name in ("lease_id", "booking_id") if name in event)
    parts = [f"{show_api_time(event['time'])}  {kind:<16} {names}", _place(event["spot"])]
    if "old_spot" in event:
        parts.append(f"was {_place(event['old_spot'])}")
    if "expire_time" in event:
        parts.append(f"until {show_api_time(event['expire_time'])}")
    if "reason" in event:
        parts.append(f"reason: {event['reason']}")
    return ", ".join(parts)


def _place(spot: _Json) -> str:
    slot = show_api_slot(spot)
    named = [f"{name} {value}" for name, value in slot if name not in ("merchant", "slot")]
    return ", ".join([dict(slot)["slot"], *named, f"spot {spot['number']}"])
