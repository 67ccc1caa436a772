"""The README's story, played on a running service."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.servers import binary
from tests.service import Service, environment, in_a_hundred_days, serving

# The README's slot lies ahead for a while only; the tests play its story on a later day.
DAY = "2027-03-01"
README = (Path(__file__).parents[2] / "README.md").read_text()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A fresh service, as after the first `make run`."""
    with serving("--embedded", EMBEDDED_DIR=str(tmp_path)) as service:
        yield service


def block(start: str) -> list[str]:
    """Return the lines of the code block that follows a sentence."""
    found = re.search(
        rf"^{re.escape(start)}.*?\n\n```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL
    )
    assert found, start
    return found[1].splitlines()


def play(service: Service, line: str) -> subprocess.CompletedProcess[str]:
    """Run a line of the README in a shell, at this test's addresses."""
    port = service.told["redis_url"].rpartition(":")[2].removesuffix("/0")
    folders = [Path(sys.executable).parent, binary("redis62").parent]
    return subprocess.run(
        ["sh", "-c", line.replace("-p 6390", f"-p {port}").replace(DAY, in_a_hundred_days())],
        env={
            **environment(LISTEN=service.address),
            "PATH": os.pathsep.join([*map(str, folders), os.environ["PATH"]]),
            "COLUMNS": "120",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_readme_hold_and_second_caller(service: Service) -> None:
    """The first caller gets the lease, the second is told that the slot is unavailable."""
    first, second = block("While it runs")

    held = play(service, first)
    assert held.returncode == 0, held.stderr
    assert held.stdout.startswith("Held\n")
    late = play(service, second)
    assert late.returncode == 1
    (told,) = re.findall(r"^Not held: .*$", README, re.MULTILINE)
    assert late.stderr.strip() == told


def test_readme_redis_cli_lines_show_key_owner_and_remaining_time(service: Service) -> None:
    """redis-cli finds the key, its owner and the milliseconds that remain."""
    held = play(service, block("While it runs")[0])
    (suffix,) = re.findall(r"salon-1\.(\w{26})", held.stdout)
    scan, get, pttl = block("The key in Redis")

    (key,) = play(service, scan).stdout.split()
    assert f"'{key}'".replace(in_a_hundred_days(), DAY) in get
    assert play(service, get).stdout.strip() == f"lease {suffix}"
    assert 200_000 < int(play(service, pttl).stdout) <= 300_000


def test_readme_story_from_hold_to_cancelled_booking(service: Service) -> None:
    """The hold becomes a booking, the slot has no free spot, the user sees it and cancels it."""
    held = play(service, block("While it runs")[0])
    (lease_id,) = re.findall(r"salon-1\.\w{26}", held.stdout)
    book, check, bookings, cancel = block("The rest of the story")

    booked = play(service, book.replace("LEASE", lease_id))
    assert booked.stdout.startswith("Booked\n"), booked.stderr
    (booking_id,) = re.findall(r"salon-1\.\w{26}", booked.stdout)
    assert play(service, check).stdout == "Free spots: 0\n"
    assert booking_id in play(service, bookings).stdout
    cancelled = play(service, cancel.replace("BOOKING", booking_id))
    assert re.search(r"state +│ CANCELED", cancelled.stdout), cancelled.stderr
    assert play(service, check).stdout == "Free spots: 1\n"
    assert booking_id not in play(service, bookings).stdout


def test_readme_says_what_does_not_exclude_each_other() -> None:
    """Overlapping slots are held side by side for now, and the README says so (failure mode 20)."""
    assert "overlap in time do not exclude each other yet" in README
