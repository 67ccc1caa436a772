"""The stories of the README and of docs/inventory.md, played on a running service."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.servers import binary
from tests.service import Service, environment, in_a_hundred_days, serving

# The README's slot lies ahead for a while only; the tests play its story on a later day.
DAY = "2027-03-01"
ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
INVENTORY = (ROOT / "docs" / "inventory.md").read_text()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A fresh service, as after the first `make run`."""
    with serving("--embedded", EMBEDDED_DIR=str(tmp_path)) as service:
        yield service


def block(start: str, text: str = README, kind: str = "sh") -> list[str]:
    """Return the lines of the code block that follows a sentence."""
    found = re.search(
        rf"^{re.escape(start)}.*?\n\n```{kind}\n(.*?)^```", text, re.MULTILINE | re.DOTALL
    )
    assert found, start
    return found[1].splitlines()


def play(
    service: Service, line: str, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a line of a document in a shell, at this test's addresses."""
    port = service.told["redis_url"].rpartition(":")[2].removesuffix("/0")
    folders = [Path(sys.executable).parent, binary("redis62").parent]
    return subprocess.run(
        ["sh", "-c", line.replace("-p 6390", f"-p {port}").replace(DAY, in_a_hundred_days())],
        env={
            **environment(LISTEN=service.address, EMBEDDED_PORT=port),
            "PATH": os.pathsep.join([*map(str, folders), os.environ["PATH"]]),
            "COLUMNS": "120",
        },
        cwd=folder,
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
    assert "state\tCANCELED\n" in cancelled.stdout, cancelled.stderr
    assert play(service, check).stdout == "Free spots: 1\n"
    assert booking_id not in play(service, bookings).stdout


def test_readme_says_what_does_not_exclude_each_other() -> None:
    """Overlapping slots are held side by side for now, and the README says so (failure mode 20)."""
    assert "overlap in time do not exclude each other yet" in README


def test_inventory_story_from_the_first_feed_to_a_full_slot(tmp_path: Path) -> None:
    """Strict and without an inventory nothing is held; once the feed is loaded, what it lists."""
    begin, load, show, hold, check = [
        *block("No one has an inventory", INVENTORY),
        *block("Save the feed", INVENTORY),
    ]
    days = (datetime.fromisoformat(in_a_hundred_days()) - datetime.fromisoformat(DAY)).days
    feed = "\n".join(block("The format is", INVENTORY, "json"))
    at_ten = str(int(datetime.fromisoformat(f"{DAY}T10:00").replace(tzinfo=UTC).timestamp()))
    moved = feed.replace(at_ten, str(int(at_ten) + days * 86_400))
    assert moved != feed or not days
    (tmp_path / "feed.json").write_text(moved)

    with serving("--embedded", EMBEDDED_DIR=str(tmp_path / "s"), INVENTORY="strict") as service:
        early = play(service, begin, tmp_path)
        assert early.returncode == 3
        assert "UNAVAILABLE" in early.stderr
        assert "NO_INVENTORY" in early.stderr
        loaded = play(service, load, tmp_path)
        assert loaded.returncode == 0, loaded.stderr
        assert "slots listed\t1\n" in loaded.stdout
        assert re.fullmatch(r"haircut\t.*\t30m\tanna\t\t\t1\t0\t0\n", play(service, show).stdout)
        held = play(service, hold)
        assert held.stdout.startswith("Held\n"), held.stderr
        assert play(service, check).stdout == "Free spots: 0\n"
        assert re.fullmatch(r"haircut\t.*\tanna\t\t\t1\t1\t0\n", play(service, show).stdout)
