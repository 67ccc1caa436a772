"""How commands call a service, show slots, and end when they are refused."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from rich.table import Table

from leasehold.cli.console import REFUSED, UNAVAILABLE, UNUSABLE, fail
from leasehold.model.slot import Slot
from leasehold.rpc.v2 import client

Answer = TypeVar("Answer")


def answer_of(call: Coroutine[Any, Any, Answer]) -> Answer:
    """Return what a call answers, or say why there is no answer and end."""
    try:
        return asyncio.run(call)
    except client.CallError as error:
        fail(str(error), UNUSABLE if error.is_callers_fault else UNAVAILABLE)
    except (ValueError, OverflowError) as error:
        # A value that no message can carry: not Unicode, or too large a number.
        fail(f"This cannot be asked: {error}", UNUSABLE)


def granted(answer: Answer | client.Refused, refusal: str) -> Answer:
    """Return what was granted, or say why it was refused and end."""
    if isinstance(answer, client.Refused):
        fail(f"{refusal}: {answer.cause}. {answer.description}", REFUSED)
    return answer


def add_slot(table: Table, slot: Slot) -> None:
    """Show a slot in a table of names and values."""
    table.add_row("merchant", slot.merchant_id)
    table.add_row("service", slot.service_id)
    table.add_row("slot", show_slot_time(slot))
    resources = [("staff", slot.staff_id), ("room", slot.room_id), ("party", slot.party_size)]
    for label, value in resources:
        if value:
            table.add_row(label, str(value))


def show_slot_time(slot: Slot) -> str:
    """Show when a slot is, for people."""
    start = datetime.fromtimestamp(slot.start_s, UTC)
    return f"{show_time(start)} for {timedelta(seconds=slot.duration_s)}"


def show_api_slot(slot: dict[str, Any]) -> list[tuple[str, str]]:
    """Show a slot in the operators' API's JSON as names and values."""
    duration = timedelta(seconds=int(slot["duration"].removesuffix("s")))
    rows = [
        ("merchant", slot["merchant_id"]),
        ("service", slot["service_id"]),
        ("slot", f"{show_api_time(slot['start_time'])} for {duration}"),
    ]
    fields = (("staff", "staff_id"), ("room", "room_id"), ("party", "party_size"))
    return rows + [(label, str(slot[name])) for label, name in fields if name in slot]


def show_api_time(text: str) -> str:
    """Show a time in the API's JSON for people."""
    return show_time(datetime.fromisoformat(text))


def show_time(time: datetime) -> str:
    """Show a time for people."""
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"
