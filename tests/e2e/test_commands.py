"""The commands that people type, against a running service."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.service import Service, in_a_hundred_days, run, serving

import leasehold
from leasehold.store import scripts


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for all the commands."""
    with serving("--embedded", EMBEDDED_DIR=str(tmp_path_factory.mktemp("store"))) as service:
        yield service


def hold(
    service: Service,
    *more: str,
    start: str = f"{in_a_hundred_days()}T10:00Z",
    duration: str = "30m",
) -> subprocess.CompletedProcess[str]:
    """Run `leasehold hold` with the README's slot."""
    slot = ("--merchant", "salon-1", "--service", "haircut", "--start", start)
    rest = ("--duration", duration, "--for", "5m", "--address", service.address)
    return run("hold", *slot, *rest, *more)


def test_hold_prints_the_lease_and_a_second_caller_is_told(service: Service) -> None:
    """The first caller sees the lease; the second that the slot is unavailable."""
    first = hold(service, "--reference", "r-1")
    assert first.returncode == 0, first.stderr
    assert re.search(r"^lease\tsalon-1\.[0-9A-Z]{26}$", first.stdout, re.MULTILINE)
    assert f"{in_a_hundred_days()} 10:00:00 UTC for 30m" in first.stdout

    second = hold(service)
    assert second.returncode == 1
    assert "SLOT_UNAVAILABLE" in second.stderr

    again = hold(service, "--reference", "r-1")
    assert again.returncode == 0
    lease_id = re.compile(r"salon-1\.[0-9A-Z]{26}")
    assert lease_id.findall(again.stdout) == lease_id.findall(first.stdout)


def test_hold_shows_every_field_at_fault(service: Service) -> None:
    """What is wrong with the request comes back by the API's own paths."""
    ended = hold(service, "--staff", "a\tb", "--party-size", "-1", duration="0s")

    assert ended.returncode == 2
    assert "lease.slot.duration must be longer than zero" in ended.stderr
    assert "lease.slot.resources.staff_id contains control characters" in ended.stderr
    assert "lease.slot.resources.party_size must not be negative" in ended.stderr


@pytest.mark.parametrize(
    ("start", "duration", "fault"),
    [
        ("2027-03-01T10:00", "30m", "names no offset"),
        ("tomorrow", "30m", "is not a time like"),
        ("2027-03-01T10:00Z", "half an hour", "is not a duration like"),
        ("2027-03-01T10:00Z", "900000000h", "is longer than a hundred years"),
        ("2027-03-01T10:00:00.9Z", "30m", "has a fraction of a second"),
        ("0001-01-01T00:00+14:00", "30m", "lies before the year 1"),
    ],
)
def test_hold_explains_what_cannot_be_read(
    service: Service, start: str, duration: str, fault: str
) -> None:
    """A time or a duration that is none is explained with an example."""
    ended = hold(service, start=start, duration=duration)

    assert ended.returncode == 2
    assert fault in " ".join(ended.stderr.split())


def test_hold_without_a_service_says_that_nobody_answers(service: Service) -> None:
    """No service at the address: a clear line and an exit code of its own."""
    ended = hold(service, "--address", "127.0.0.1:1")

    assert ended.returncode == 3
    assert "127.0.0.1:1 answered UNAVAILABLE" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_config_shows_settings_without_secrets() -> None:
    """Every effective setting with its source, and no password."""
    ended = run("config", settings={"REDIS_URL": "rediss://me:hush@h:1/0", "MAX_LEASE_S": "60"})

    assert ended.returncode == 0
    assert re.search("LEASEHOLD_MAX_LEASE_S\t60\tenvironment\t", ended.stdout)
    assert re.search("LEASEHOLD_MIN_LEASE_S\t1\tdefault\t", ended.stdout)
    assert "rediss://me:***@h:1/0" in ended.stdout
    assert "hush" not in ended.stdout


def test_version_is_printed() -> None:
    """--version says which build this is."""
    assert run("--version").stdout == f"leasehold {leasehold.__version__}\n"


def test_script_prints_what_redis_gets() -> None:
    """The expanded script and its SHA, for reading beside SCRIPT EXISTS."""
    ended = run("script", "create_lease")

    script = scripts.load("create_lease")
    assert ended.stdout == f"-- sha1 {script.sha}\n{script.source}"
    assert "--@include" not in ended.stdout
    assert run("script", "no_such").returncode == 2


def test_every_command_explains_itself(tmp_path: Path) -> None:
    """Each command has help."""
    for command in (
        "serve",
        "health",
        "check",
        "hold",
        "book",
        "cancel",
        "bookings",
        "config",
        "script",
    ):
        assert "Usage:" in run(command, "--help", cwd=tmp_path).stdout


def test_book_is_listed_and_refusals_say_why(service: Service) -> None:
    """A lease that nobody remembers is the caller's fault; a second booking is a refusal."""
    slot = (
        "--merchant",
        "salon-2",
        "--service",
        "haircut",
        "--start",
        f"{in_a_hundred_days()}T10:00Z",
    )
    person = ("--given-name", "Ada", "--family-name", "L", "--telephone", "1", "--email", "a@b.c")
    rest = ("--duration", "30m", *person, "--address", service.address)
    unknown = run(
        "book", *slot, *rest, "--user", "a", "--lease", "salon-2.0000000000000000000000000A"
    )
    assert unknown.returncode == 2
    assert "NOT_FOUND" in unknown.stderr

    booked = run("book", *slot, *rest, "--user", "a")
    assert booked.returncode == 0
    found = re.search(r"salon-2\.[0-9A-Z]{26}", booked.stdout)
    assert found
    at = ("--address", service.address)
    listed = run("bookings", "--user", "a", *at, extra={"COLUMNS": "80"})
    day = in_a_hundred_days()
    place = f"{day} 10:00:00 UTC for 30m, service haircut"
    assert listed.stdout == f"{found[0]}\t{place}\tCONFIRMED\n"
    second = run("book", *slot, *rest, "--user", "b")
    assert second.returncode == 1
    assert "Not booked: SLOT_UNAVAILABLE" in second.stderr


def test_cancel_and_bookings_of_nothing_say_so(service: Service) -> None:
    """Unknown bookings and users are named as such."""
    cancelled = run("cancel", "--booking", "nothing", "--address", service.address)
    listed = run("bookings", "--user", "nobody", "--address", service.address)

    assert (cancelled.returncode, listed.returncode) == (2, 2)
    assert "No such booking" in cancelled.stderr
    assert "No such user" in listed.stderr


def test_hold_shows_ids_as_they_are(service: Service) -> None:
    """Neither markup nor the names of emoji mean anything in an id."""
    held = hold(service, "--staff", "[/x]", "--room", "[bold]:cat:")

    assert held.returncode == 0, held.stderr
    assert "staff\t[/x]\n" in held.stdout
    assert "room\t[bold]:cat:\n" in held.stdout


def test_hold_of_what_no_message_can_carry_says_so(service: Service) -> None:
    """A party that is too large for the API is a fault of the command line."""
    ended = hold(service, "--party-size", "3000000000")

    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
