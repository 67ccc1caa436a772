"""How an option is declared: its limits, and the words in which documents tell them."""

from typing import Any

from pydantic import Field

PREFIX = "LEASEHOLD_"
"""How the name of every option begins."""


def seconds(default: float, least: float, most: float, description: str) -> Any:
    """Declare an option that takes a time, fractions allowed."""
    return Field(
        default=default,
        ge=least,
        le=most,
        description=description,
        json_schema_extra=allow(f"{number(least)} to {number(most)} seconds"),
    )


def count(default: int, least: int, most: int, description: str) -> Any:
    """Declare an option that takes a whole number."""
    return Field(
        default=default,
        ge=least,
        le=most,
        description=description,
        json_schema_extra=allow(f"{least} to {most}"),
    )


def file(description: str) -> Any:
    """Declare an option that takes the path of a file, and need not be set."""
    return Field(default=None, description=description, json_schema_extra=allow("a file"))


def number(value: float) -> str:
    """Write a number of at most three decimals without needless ones."""
    return f"{value:.3f}".rstrip("0").rstrip(".")


def allow(allowed: str) -> dict[str, Any]:
    """Say in words what a setting takes; documents and refusals quote it."""
    return {"allowed": allowed}
