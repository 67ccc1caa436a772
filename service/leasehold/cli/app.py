"""The command line itself: its name, its own options, and where it begins."""

import io
import sys
from typing import Annotated

import typer

import leasehold
from leasehold.cli.commands import Group

app = typer.Typer(
    name="leasehold",
    cls=Group,
    help="Hold appointment slots in Redis for a few minutes, and book them exactly once.",
    no_args_is_help=True,
    # Boxes would cut and wrap in a pipe, and cost every command the import of rich.
    rich_markup_mode=None,
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
