"""What records look like as lines and as JSON."""

from datetime import UTC, datetime, timedelta

import pytest

from leasehold.cli.sheet import Sheet
from leasehold.cli.times import show_duration, show_remaining


def test_show_of_records_in_a_pipe_keeps_one_record_a_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A value with tabs or line ends stays one value of one line."""
    sheet = Sheet("what", ("until", "left"))
    sheet.add_row("a\tb\r\nc", (datetime(2027, 3, 1, 10, tzinfo=UTC), timedelta(minutes=30)))
    sheet.add_row("d" * 300, ("", 7))

    sheet.show()

    assert capsys.readouterr().out == (f"a b  c\t2027-03-01 10:00:00 UTC\t30m\n{'d' * 300}\t\t7\n")


def test_records_are_rfc_3339_times_and_durations_in_seconds() -> None:
    """JSON has no text for people: names say the unit, and times are UTC."""
    sheet = Sheet("newest feed", "length", "spots")
    sheet.add_row(datetime(2027, 3, 1, 10, 0, 0, 5000, tzinfo=UTC), timedelta(minutes=30), 2)

    assert sheet.records() == [
        {"newest_feed": "2027-03-01T10:00:00.005000Z", "length_s": 1800, "spots": 2}
    ]


@pytest.mark.parametrize(
    ("length_s", "shown", "remaining"),
    [
        (0.9, "0s", "0s"),
        (45, "45s", "45s"),
        (265.083, "4m25s", "4m25s"),
        (305, "5m05s", "5m05s"),
        (1800, "30m", "30m"),
        (3720, "1h02m", "1h02m"),
        (3725.5, "1h02m05s", "1h02m"),
        (86400, "24h00m", "24h00m"),
    ],
)
def test_durations_are_shown_as_they_are_typed(length_s: float, shown: str, remaining: str) -> None:
    """From an hour on, what remains is shown without seconds."""
    length = timedelta(seconds=length_s)
    assert (show_duration(length), show_remaining(length)) == (shown, remaining)
