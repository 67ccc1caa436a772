"""The redis-cli lines of lua/README.md, each run as it stands on a real server."""

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from tests.backends import EVENTFUL, TERMS, client_of, link_to, soon
from tests.servers import RedisServer, running
from tests.service import in_a_hundred_days, now_ms

from leasehold.model import ids
from leasehold.model.inventory import Availability, Scope
from leasehold.model.lease import CreateLease
from leasehold.model.operators import ReleaseLease
from leasehold.model.slot import Slot
from leasehold.store.redis_inventory import RedisInventory
from leasehold.store.redis_leases import RedisLeases
from leasehold.store.redis_store import RedisStore

ROOT = Path(__file__).parents[2]
DAY = "2027-03-01"
SECTION = re.search(
    r"^## Looking with redis-cli$(.*?)^## ",
    (ROOT / "lua/README.md").read_text(),
    re.MULTILINE | re.DOTALL,
)
assert SECTION
RECIPES = re.findall(
    r"^```sh\n(.*?)\n```\n\n```text\n(.*?)\n?```", SECTION[1], re.MULTILINE | re.DOTALL
)


def at(hour: int) -> Slot:
    """Return a slot of the recipes."""
    start = datetime.fromisoformat(f"{in_a_hundred_days()}T{hour}:00Z")
    return Slot("salon-1", "haircut", int(start.timestamp()), 1800, "anna")


async def fill(url: str) -> None:
    """Hold, give back and hold again what the recipes look at."""
    async with link_to(url) as link, client_of(url) as redis:
        inventory = RedisInventory(link, TERMS.retention_ms)
        slots = [Availability("here", at(hour), 1, 1) for hour in (10, 11)]
        staged = await inventory.stage([Scope("salon-1"), *slots], lambda _: None)
        await inventory.commit(staged, None, lambda *_: None)
        # A minute earlier than it would go by itself.
        async for key in redis.scan_iter(match="stage:*"):
            await redis.delete(key)
        store = RedisStore(link, EVENTFUL, is_strict=True)
        leases = RedisLeases(link, EVENTFUL, is_strict=True)
        command = CreateLease(at(10), "visit-2", now_ms() + 300_000)
        assert (await store.create_lease(command, soon())).status == "created"
        given_back = ids.Reference("salon-1", command.lease_suffix)
        await leases.release_lease(ReleaseLease(given_back, "INC-1"), soon())
        for reference, hour, for_ms in (("visit-1", 10, 300_000), ("visit-3", 11, 50_000)):
            command = CreateLease(at(hour), reference, now_ms() + for_ms)
            assert (await store.create_lease(command, soon())).status == "created"


@pytest.fixture(scope="module")
def store() -> Iterator[RedisServer]:
    """A server that has what the recipes look at."""
    with running("valkey9") as server:
        asyncio.run(fill(server.url))
        yield server


def test_every_recipe_has_its_answer() -> None:
    """No line of the section stands without what it answers."""
    assert SECTION
    assert len(RECIPES) == SECTION[1].count("```sh") == 11


@pytest.mark.parametrize(("recipe", "expected"), RECIPES)
def test_recipe_answers_what_the_document_says(
    store: RedisServer, tmp_path: Path, recipe: str, expected: str
) -> None:
    """A line that is pasted into a shell answers as it is written, whatever the numbers are."""
    program = shutil.which("redis-cli") or shutil.which("redis-cli", path=str(ROOT / ".venv/bin"))
    if not program:
        pytest.skip("no redis-cli on this machine")
    here = tmp_path / "redis-cli"
    url = store.url_of("oncall")
    here.write_text(f'#!/bin/sh\nexec "{program}" -u "{url}" --no-auth-warning "$@" </dev/null\n')
    here.chmod(0o755)

    ended = subprocess.run(
        ["/bin/sh", "-c", recipe.replace(DAY, in_a_hundred_days())],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    pattern = re.escape(expected.replace(DAY, in_a_hundred_days())).replace("…", r"\d+")
    assert re.fullmatch(pattern + r"\n*", ended.stdout), f"{ended.stdout}{ended.stderr}"
