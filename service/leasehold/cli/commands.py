"""The commands by name: where each is, and its line in the help. No command is imported here."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command


@dataclass(frozen=True, slots=True)
class Command:
    """A command: the module of this package and its function, and the first line of its help."""

    place: str
    summary: str


@dataclass(frozen=True, slots=True)
class Family:
    """Commands under one name."""

    summary: str
    commands: Mapping[str, Command]


Sections = Mapping[str, Mapping[str, Command | Family]]
"""Sections of a help, each with its commands in order."""
SECTIONS: Sections = {
    "Service": {
        "serve": Command("serve:serve", "Serve the partner API until SIGTERM, then drain."),
        "health": Command("health:health", "Ask the process of this machine whether it is ready."),
        "config": Command("config:config", "Show the effective settings, secrets hidden."),
        "script": Command("script:script", "Print a Lua script as Redis gets it, and its SHA."),
    },
    "As a partner (partner listener)": {
        "check": Command("bookings:check", "Count the free spots of a slot: CheckAvailability."),
        "hold": Command("hold:hold", "Hold a slot, as a partner's client does: CreateLease."),
        "book": Command("bookings:book", "Book a slot, by a lease or directly: CreateBooking."),
        "cancel": Command("bookings:cancel", "Cancel a booking: UpdateBooking."),
        "bookings": Command("bookings:bookings", "List a user's future bookings: ListBookings."),
    },
    "As an operator (operators' listener)": {
        "lease": Family(
            "Show, list, release and extend leases.",
            {
                "get": Command("lease:get", "Show a lease and its history: GetLease."),
                "list": Command("lease:list_leases", "List a merchant's leases: ListLeases."),
                "release": Command("lease:release", "Give back what a lease holds: ReleaseLease."),
                "extend": Command("lease:extend", "Hold a lease until a later time: ExtendLease."),
            },
        ),
        "slot": Family(
            "Show who has each spot of a slot.",
            {
                "inspect": Command(
                    "slot:inspect", "Show who has each spot, and until when: InspectSlot."
                )
            },
        ),
        "feed": Family(
            "Show what happens with a merchant's slots.",
            {"tail": Command("feed:tail", "Print a merchant's events as they come: ListEvents.")},
        ),
    },
    "On the store (LEASEHOLD_REDIS_URL, or this machine's embedded store)": {
        "inventory": Family(
            "Load availability feeds, show and drop them.",
            {
                "load": Command("inventory:load", "Make the inventory what a feed says."),
                "show": Command("inventory:show", "Show merchants, days, or a day's slots."),
                "drop": Command("inventory:drop", "Forget the inventory of merchants."),
            },
        ),
        "doctor": Command("doctor:doctor", "Look for what is wrong with the store and its keys."),
        "forget": Command("forget:forget", "Erase a person's data; their bookings stand."),
    },
}


class _Named(TyperCommand):
    """Stands for a command until its arguments are read; then the command is imported."""

    def __init__(self, name: str, at: Command) -> None:
        super().__init__(name=name, help=at.summary)
        self._at = at

    def make_context(self, info_name: str | None, *args: Any, **options: Any) -> Any:
        """Return the context of the command itself."""
        module, _, function = self._at.place.partition(":")
        only = typer.Typer(add_completion=False, rich_markup_mode=None)
        only.command(self.name)(getattr(import_module(f"leasehold.cli.{module}"), function))
        return get_command(only).make_context(info_name, *args, **options)


class Group(TyperGroup):
    """Commands in sections; the help shows one line for each command, and imports no command."""

    def __init__(self, sections: Sections = SECTIONS, **attributes: Any) -> None:
        super().__init__(**attributes)
        self._sections = sections
        for section in sections.values():
            for name, at in section.items():
                self.add_command(_family(name, at) if isinstance(at, Family) else _Named(name, at))

    def format_commands(self, _context: Any, formatter: Any) -> None:
        """Write the sections."""
        for title, section in self._sections.items():
            with formatter.section(title):
                formatter.write_dl([(name, at.summary) for name, at in section.items()])


def _family(name: str, at: Family) -> Group:
    sections = {"Commands": at.commands}
    return Group(sections, name=name, help=at.summary, no_args_is_help=True, rich_markup_mode=None)
