"""What the commands share: where they write, how they end, and how they read settings."""

import json
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from leasehold import settings as settings_module
from leasehold.client_settings import ClientSettings
from leasehold.settings import Settings, SettingsError

Loaded = TypeVar("Loaded")

REFUSED = 1
UNUSABLE = 2
UNAVAILABLE = 3

# Ids are shown as they are: neither markup nor emoji names in them mean anything.
out = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
err = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)


def progress() -> Progress:
    """Return what shows how far something has come, if anybody watches.

    Nobody watches a log, and a job that says nothing has gone well.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    off = not err.is_interactive
    return Progress(*columns, TimeElapsedColumn(), console=err, transient=True, disable=off)


def write(text: str) -> None:
    """Write a line for a program at once: no colours, no line breaks, in the terminal's encoding.

    typer.echo writes UTF-8 where standard output is ASCII.
    """
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def print_json(value: Any, indent: int | None = 2) -> None:
    """Write JSON that is complete in every encoding; None for ``indent`` makes one line."""
    is_unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    write(json.dumps(value, indent=indent, ensure_ascii=not is_unicode))


def fail(message: str, code: int) -> NoReturn:
    """Say why on standard error and end with an exit code."""
    err.print(message, style="red", markup=False)
    raise typer.Exit(code)


def load_settings() -> Settings:
    """Return the settings, or say everything that is wrong with them and end."""
    for name, meant in settings_module.unknown_names(os.environ):
        hint = f"; did you mean {meant}?" if meant else ""
        err.print(f"Warning: {name} is not a setting{hint}", style="yellow", markup=False)
    return _checked(settings_module.load)


def load_client_settings() -> ClientSettings:
    """Return what a command calls with, or say everything that is wrong with it and end."""
    return _checked(settings_module.load_client)


def _checked(load: Callable[[], Loaded]) -> Loaded:
    try:
        return load()
    except SettingsError as error:
        fail("\n".join(("These settings cannot be used:", *error.faults)), UNUSABLE)
