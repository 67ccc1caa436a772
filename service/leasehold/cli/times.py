"""How commands show times and durations to people."""

from datetime import UTC, datetime, timedelta, tzinfo

_HOUR = timedelta(hours=1)


def show_time(time: datetime, zone: tzinfo) -> str:
    """Show a time for people; beyond UTC with its offset, as a command reads it."""
    if zone is UTC:
        return f"{time:%Y-%m-%d %H:%M:%S} UTC"
    return time.astimezone(zone).isoformat(" ", "seconds")


def show_duration(length: timedelta) -> str:
    """Show a duration as people type it, like 45s, 4m25s or 1h02m, in whole seconds."""
    minutes, seconds = divmod(int(length.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02}m" + (f"{seconds:02}s" if seconds else "")
    if minutes:
        return f"{minutes}m" + (f"{seconds:02}s" if seconds else "")
    return f"{seconds}s"


def show_remaining(length: timedelta) -> str:
    """Show for how much longer something lasts; from an hour on without seconds."""
    return show_duration(length - length % timedelta(minutes=1) if length >= _HOUR else length)
