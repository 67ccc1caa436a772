"""``leasehold forget``."""

import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Annotated

import typer

from leasehold import bootstrap
from leasehold.cli import options
from leasehold.cli.console import (
    REFUSED,
    UNUSABLE,
    err,
    fail,
    load_settings,
    print_json,
    progress,
)
from leasehold.cli.sheet import details
from leasehold.cli.storing import with_store
from leasehold.model import checks, ids
from leasehold.model.forgetting import Forgotten
from leasehold.store.eraser import Eraser

_STANDARD_INPUT = "-"

Tell = Callable[[int, int], object]
"""Is told how many of how many are done."""
Forget = Callable[[Eraser, Tell], Awaitable[Forgotten | None]]


def forget(
    user: Annotated[
        str, typer.Option(help="User id; - reads it from standard input, out of sight.")
    ] = "",
    booking: Annotated[
        str, typer.Option(help="Booking id, instead: those of v0 name no user.")
    ] = "",
    thorough: Annotated[
        bool, typer.Option(help="With --user: look through every booking of the store, too.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Erase a person's data: their bookings stand, and nothing says any more whose they are.

    Works on the store of LEASEHOLD_REDIS_URL, or else on this machine's embedded one.
    It may be repeated.
    Exit code 0: nothing is left; 1: run it again in two minutes; 2: unknown, or at fault;
    3: no answer.
    """
    if bool(user) == bool(booking):
        fail("Say --user or --booking.", UNUSABLE)
    if thorough and booking:
        fail("--thorough goes with --user.", UNUSABLE)
    settings = load_settings()
    do = _of_booking(booking) if booking else _of_user(user, is_thorough=thorough)
    with progress() as shown:
        task = shown.add_task("bookings", total=None)

        def tell(count: int, of: int) -> None:
            shown.update(task, completed=count, total=of)

        done = with_store(settings, bootstrap.open_eraser, lambda eraser: do(eraser, tell))
    if done is None:
        fail("No such booking is remembered.", UNUSABLE)
    if as_json:
        print_json(asdict(done))
    else:
        _print(done)
    if done.still_named:
        left = f"Named lately, and perhaps in the making: {done.still_named}."
        err.print(f"{left} Run it again in two minutes.", style="yellow")
        raise typer.Exit(REFUSED)


def _of_user(user: str, *, is_thorough: bool) -> Forget:
    user_id = sys.stdin.readline().rstrip("\r\n") if user == _STANDARD_INPUT else user
    try:
        fault = checks.id_fault(user_id)
    except UnicodeEncodeError:
        fault = "is not UTF-8"
    if fault:
        fail(f"The user id {fault}.", UNUSABLE)
    return lambda eraser, tell: eraser.forget_user(user_id, tell, is_thorough=is_thorough)


def _of_booking(booking_id: str) -> Forget:
    booking = ids.parse_wire_id(booking_id)
    if not booking:
        fail("No such booking is remembered.", UNUSABLE)
    return lambda eraser, _: eraser.forget_whoever_made(booking)


def _print(done: Forgotten) -> None:
    sheet = details("Forgotten")
    sheet.add_row("bookings", f"{len(done.booking_ids):,}")
    for booking_id in done.booking_ids:
        sheet.add_row("booking", booking_id)
    sheet.show()
