"""How durations and times are typed on the command line."""

import re
from datetime import UTC, datetime, timedelta

import typer

_DURATION = re.compile(r"(?:(?P<hours>\d+)h)?(?:(?P<minutes>\d+)m)?(?:(?P<seconds>\d+)s)?")


def parse_duration(text: str) -> timedelta:
    """Read ``90s``, ``30m``, ``1h30m``."""
    match = _DURATION.fullmatch(text)
    if not text or not match:
        raise typer.BadParameter(f"{text!r} is not a duration like 90s, 30m or 1h30m")
    try:
        return timedelta(**{unit: int(count or 0) for unit, count in match.groupdict().items()})
    except OverflowError:
        raise typer.BadParameter(f"{text!r} is too long") from None


def parse_time(text: str) -> datetime:
    """Read ``2027-03-01T10:00Z`` or another ISO 8601 time with its offset; returns UTC."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a time like 2027-03-01T10:00Z") from None
    if time.tzinfo is None:
        raise typer.BadParameter(f"{text!r} names no offset; write 2027-03-01T10:00Z for UTC")
    return time.astimezone(UTC)
