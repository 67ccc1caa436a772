"""The command line: one module for each command."""

from typing import Annotated

import typer

import leasehold
from leasehold.cli.bookings import book, bookings, cancel, check
from leasehold.cli.config import config
from leasehold.cli.doctor import doctor
from leasehold.cli.feed import feed
from leasehold.cli.forget import forget
from leasehold.cli.health import health
from leasehold.cli.hold import hold
from leasehold.cli.inventory import inventory
from leasehold.cli.lease import lease
from leasehold.cli.script import script
from leasehold.cli.serve import serve
from leasehold.cli.slot import slot

app = typer.Typer(
    name="leasehold",
    help="Hold appointment slots in Redis for a few minutes, and book them exactly once.",
    no_args_is_help=True,
    add_completion=False,
    # A traceback with local variables could show personal data.
    pretty_exceptions_enable=False,
)
app.command()(serve)
app.command()(health)
app.command()(check)
app.command()(hold)
app.command()(book)
app.command()(cancel)
app.command()(bookings)
app.add_typer(inventory)
app.add_typer(lease)
app.add_typer(slot)
app.add_typer(feed)
app.command()(doctor)
app.command()(forget)
app.command()(config)
app.command()(script)


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
    app()
