"""How durations, times and time zones are typed on the command line."""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, available_timezones

import typer

_LONGEST = timedelta(days=36_525)
_DURATION = re.compile(r"(?:(?P<hours>\d+)h)?(?:(?P<minutes>\d+)m)?(?:(?P<seconds>\d+)s)?")


def parse_duration(text: str) -> timedelta:
    """Read ``90s``, ``30m``, ``1h30m``."""
    match = _DURATION.fullmatch(text)
    if not text or not match:
        raise typer.BadParameter(f"{text!r} is not a duration like 90s, 30m or 1h30m")
    try:
        length = timedelta(**{unit: int(count or 0) for unit, count in match.groupdict().items()})
    except OverflowError:
        length = timedelta.max
    if length > _LONGEST:
        raise typer.BadParameter(f"{text!r} is longer than a hundred years")
    return length


def parse_time(text: str) -> datetime:
    """Read ``2027-03-01T10:00Z`` or another ISO 8601 time with its offset; returns UTC."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a time like 2027-03-01T10:00Z") from None
    if time.tzinfo is None:
        raise typer.BadParameter(f"{text!r} names no offset; write 2027-03-01T10:00Z for UTC")
    try:
        in_utc = time.astimezone(UTC)
    except OverflowError:
        raise typer.BadParameter(f"{text!r} lies before the year 1 or after 9999") from None
    if in_utc.microsecond:
        raise typer.BadParameter(f"{text!r} has a fraction of a second")
    return in_utc


def parse_zone(name: object) -> tzinfo:
    """Read ``UTC``, ``Europe/Berlin`` or another name of a time zone, or a zone itself."""
    text = str(name)
    if text == "UTC":
        return UTC
    try:
        return ZoneInfo(text)
    # No such zone; a text that cannot be a name; a folder of zones, such as Europe.
    except (KeyError, ValueError, OSError):
        raise typer.BadParameter(
            f"{text!r} is not a time zone of this machine; write UTC or a name like Europe/Berlin"
        ) from None


def complete_zone(begin: str) -> list[str]:
    """Return the time zones whose names begin with a text."""
    return sorted(name for name in available_timezones() if name.startswith(begin))
