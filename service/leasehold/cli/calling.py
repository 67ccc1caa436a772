"""How commands call a service, show slots, and end when they are refused."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TypeVar

from leasehold.cli.console import REFUSED, UNAVAILABLE, UNUSABLE, fail, load_client_settings
from leasehold.cli.sheet import Sheet
from leasehold.cli.times import show_duration, show_time
from leasehold.client import (
    Access,
    AccessError,
    CallError,
    Client,
    NoAnswerError,
    Operators,
    Refused,
    Slot,
)
from leasehold.client.access import read_address

Answer = TypeVar("Answer")
Caller = TypeVar("Caller", Client, Operators)


def ask_partners(address: str, ask: Callable[[Client], Awaitable[Answer]]) -> Answer:
    """Return what the partner listener answers, or say why there is no answer and end."""
    return _ask(Client, address, ask)


def ask_operators(address: str, ask: Callable[[Operators], Awaitable[Answer]]) -> Answer:
    """Return what the operators' listener answers, or say why there is no answer and end."""
    return _ask(Operators, address, ask)


def _ask(kind: type[Caller], address: str, ask: Callable[[Caller], Awaitable[Answer]]) -> Answer:
    access = _access()

    async def run() -> Answer:
        at = read_address(address).from_here()
        async with kind(str(at), access=access) as caller:
            return await ask(caller)

    try:
        return asyncio.run(run())
    except NoAnswerError as error:
        again = f"\nIt can be asked again by its name: {error.reference}" if error.reference else ""
        fail(f"{error}{again}", UNAVAILABLE)
    except CallError as error:
        fail(str(error), UNUSABLE if error.is_callers_fault else UNAVAILABLE)
    except AccessError as error:
        fail(f"This cannot be called: {error}", UNUSABLE)
    except (ValueError, OverflowError) as error:
        # A value that no message can carry: not Unicode, or too large a number.
        fail(f"This cannot be asked: {error}", UNUSABLE)


def _access() -> Access:
    settings = load_client_settings()
    return Access(
        ca_file=settings.ca_file,
        cert_file=settings.cert_file,
        key_file=settings.key_file,
        token_file=settings.token_file,
        server_name=settings.server_name,
        tls=False if settings.plaintext else None,
    )


def granted(answer: Answer | Refused, refusal: str) -> Answer:
    """Return what was granted, or say why it was refused and end."""
    if isinstance(answer, Refused):
        fail(f"{refusal}: {answer.cause}. {answer.description}", REFUSED)
    return answer


def add_slot(sheet: Sheet, slot: Slot) -> None:
    """Show a slot among names and values."""
    sheet.add_row("merchant", slot.merchant_id)
    sheet.add_row("service", slot.service_id)
    sheet.add_row("slot", show_slot_time(slot, sheet.zone))
    resources = [("staff", slot.staff_id), ("room", slot.room_id), ("party", slot.party_size)]
    for label, value in resources:
        if value:
            sheet.add_row(label, str(value))


def show_slot_time(slot: Slot, zone: tzinfo) -> str:
    """Show when a slot is, for people."""
    start = datetime.fromtimestamp(slot.start_s, UTC)
    return f"{show_time(start, zone)} for {show_duration(timedelta(seconds=slot.duration_s))}"


def show_place(slot: Slot, zone: tzinfo, spot: int | None = None) -> str:
    """Show a slot, or one spot of it, in a line for people; the ids beside it name the merchant."""
    named = [("service", slot.service_id), ("staff", slot.staff_id), ("room", slot.room_id)]
    party = [f"party {slot.party_size}"] if slot.party_size else []
    shown = [f"{name} {value}" for name, value in named if value]
    number = [f"spot {spot}"] if spot else []
    return ", ".join([show_slot_time(slot, zone), *shown, *party, *number])
