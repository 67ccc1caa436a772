"""The command line: one module for each command, read when the command is typed."""

import io
import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

import leasehold

_COMMANDS = {
    "serve": "serve",
    "health": "health",
    "check": "bookings",
    "hold": "hold",
    "book": "bookings",
    "cancel": "bookings",
    "bookings": "bookings",
    "inventory": "inventory",
    "lease": "lease",
    "slot": "slot",
    "feed": "feed",
    "doctor": "doctor",
    "forget": "forget",
    "config": "config",
    "script": "script",
}
"""Each command, and the module that has a function, or a Typer, of the same name."""


class _Commands(TyperGroup):
    """Finds commands by name: what serves takes half a second to load, and nobody else needs it."""

    def list_commands(self, _context: Any) -> list[str]:
        """Return the names in the order of the help."""
        return list(_COMMANDS)

    def get_command(self, _context: Any, name: str) -> Any:
        """Return a command, or None."""
        if name not in _COMMANDS:
            return None
        found = getattr(import_module(f"leasehold.cli.{_COMMANDS[name]}"), name)
        only = typer.Typer()
        if isinstance(found, typer.Typer):
            only.add_typer(found)
        else:
            only.command(name)(found)
        return get_group(only).commands[name]


app = typer.Typer(
    name="leasehold",
    cls=_Commands,
    help="Hold appointment slots in Redis for a few minutes, and book them exactly once.",
    no_args_is_help=True,
    add_completion=False,
    # A traceback with local variables could show personal data.
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"leasehold {leasehold.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command of the command line."""
    for stream in (sys.stdout, sys.stderr):
        # A character that the terminal cannot show must not end a command after its work is done.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app()
