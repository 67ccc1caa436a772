"""`leasehold lease` and `leasehold slot`, against a running service."""

import asyncio
import json
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.backends import TERMS, link_to, soon
from tests.service import Service, in_a_hundred_days, now_ms, on_a_terminal, run, serving

from leasehold.model import ids
from leasehold.model.lease import CreateLease
from leasehold.model.slot import Slot
from leasehold.store.redis_store import RedisStore

START = f"{in_a_hundred_days()}T10:00Z"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for all the commands."""
    with serving("--embedded", EMBEDDED_DIR=str(tmp_path_factory.mktemp("store"))) as service:
        yield service


def slot(staff: str) -> tuple[str, ...]:
    """Return a slot as it is typed."""
    named = ("--merchant", "salon-1", "--service", "haircut", "--staff", staff)
    return (*named, "--start", START, "--duration", "30m")


def hold(service: Service, staff: str, length: str = "5m") -> str:
    """Hold a slot and return the lease id."""
    held = run("hold", *slot(staff), "--for", length, "--address", service.address)
    assert held.returncode == 0, held.stderr
    (lease_id,) = re.findall(r"salon-1\.[0-9A-Z]{26}", held.stdout)
    return str(lease_id)


def ask(service: Service, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command on the operators' listener."""
    return run(*words, "--address", str(service.told["operator_listen"]))


def read(service: Service, *words: str) -> Any:
    """Return the JSON that a command prints."""
    ended = ask(service, *words, "--json")
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_lease_get_extend_release_show_what_has_become_of_it(service: Service) -> None:
    """A lease is looked at, held longer, given back, and its history says so."""
    lease_id = hold(service, "anna")
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=10)

    extended = ask(
        service, "lease", "extend", lease_id, "--until", until.isoformat(), "--reason", "INC-1"
    )
    assert extended.returncode == 0, extended.stderr
    assert f"{until:%H:%M:%S} UTC" in extended.stdout
    released = ask(service, "lease", "release", lease_id, "--reason", "INC-2")
    assert released.returncode == 0, released.stderr
    again = ask(service, "lease", "release", lease_id, "--reason", "INC-3")
    assert again.stdout == released.stdout

    shown = ask(service, "lease", "get", lease_id)
    assert "state\treleased\n" in shown.stdout
    assert re.search(r"extended\t.* UTC: INC-1\n", shown.stdout)
    assert re.search(r"released\t.* UTC: INC-2\n", shown.stdout)
    found = read(service, "lease", "get", lease_id)
    assert found["state"] == "LEASE_STATE_RELEASED"
    assert [event["kind"].rpartition("_")[2] for event in found["history"]] == [
        "CREATED",
        "EXTENDED",
        "RELEASED",
    ]
    refused = ask(
        service, "lease", "extend", lease_id, "--until", until.isoformat(), "--reason", "INC-4"
    )
    assert refused.returncode == 1
    assert "Not extended: LEASE_RELEASED. The lease was given back." in refused.stderr


def test_lease_list_takes_states_and_times(service: Service) -> None:
    """Held ones that end soon are listed, by when they end; others are not."""
    late, soon = hold(service, "bo", "14m"), hold(service, "cy", "2m")

    found = read(service, "lease", "list", "--merchant", "salon-1", "--expires-within", "3m")
    assert [each["lease_id"] for each in found] == [soon]
    found = read(service, "lease", "list", "--merchant", "salon-1", "--state", "held")
    assert [each["lease_id"] for each in found] == [soon, late]
    shown = ask(service, "lease", "list", "--merchant", "salon-1", "--service", "haircut")
    assert shown.stderr.startswith("Leases: ")
    (line,) = [line for line in shown.stdout.splitlines() if line.startswith(late)]
    what = r"[0-9-]+ 10:00:00 UTC for 30m, service haircut, staff bo, spot 1"
    assert re.fullmatch(rf"{late}\t{what}\theld\t[0-9-]+ [0-9:]+ UTC\t13m[0-9]+s left", line)
    assert read(service, "lease", "list", "--merchant", "salon-2") == []


def test_lease_list_of_very_many_shows_those_that_end_first(service: Service) -> None:
    """On a terminal a thousand leases are shown, and how many more there are; elsewhere all."""
    at_ms = now_ms()

    async def hold_many() -> None:
        async with link_to(str(service.told["redis_url"])) as link:
            store = RedisStore(link, TERMS)
            for number in range(1001):
                slot = Slot("salon-3", "haircut", at_ms // 1000 + 86_400, 1800, str(number))
                command = CreateLease(slot, f"r-{number}", at_ms + 300_000 + number)
                await store.create_lease(command, soon())

    asyncio.run(hold_many())
    last = ids.wire_id("salon-3", ids.lease_suffix("r-1000"))

    at = ("--merchant", "salon-3", "--address", str(service.told["operator_listen"]))
    shown = on_a_terminal("lease", "list", *at)

    assert "Leases: 1001; 1 more with --json" in shown
    assert shown.count("salon-3.") == 1000
    assert last not in shown
    assert ask(service, "lease", "list", "--merchant", "salon-3").stdout.count("\n") == 1001
    assert len(read(service, "lease", "list", "--merchant", "salon-3")) == 1001


def test_slot_inspect_shows_who_is_on_it(service: Service) -> None:
    """A free spot is nobody's; a held one names its lease."""
    free = ask(service, "slot", "inspect", *slot("dee"))
    assert free.stdout == "1\tfree\t\t\n"
    assert free.stderr.startswith("Spots: 1, at ")
    lease_id = hold(service, "dee")

    held = ask(service, "slot", "inspect", *slot("dee"))

    assert re.fullmatch(rf"1\theld\t.* UTC\t{re.escape(lease_id)}\n", held.stdout)
    assert read(service, "slot", "inspect", *slot("dee"))["spots"][0]["lease_id"] == lease_id


def test_lease_commands_say_what_is_wrong(service: Service) -> None:
    """Unknown leases, bad reasons and a service that is away each have an exit code."""
    unknown = ask(service, "lease", "get", "salon-1.nothing")
    assert unknown.returncode == 2
    assert "No such lease is remembered." in unknown.stderr
    bad = ask(service, "lease", "release", hold(service, "eve"), "--reason", "a@b.c")
    assert bad.returncode == 2
    assert "reason holds what looks like an e-mail address" in bad.stderr
    away = run("lease", "get", "salon-1.x", "--address", "127.0.0.1:1")
    assert away.returncode == 3
    assert "Traceback" not in away.stderr


def test_every_lease_command_explains_itself(tmp_path: Path) -> None:
    """Each has help."""
    for words in (("lease", "get"), ("lease", "list"), ("lease", "extend"), ("slot", "inspect")):
        assert "Usage:" in run(*words, "--help", cwd=tmp_path).stdout
