"""What an inventory costs: the scripts at 1 to 1000 spots, and a feed of a million slots.

``python -m tests.benchmarks.inventory`` prints two tables. Redis counts its own time, so what else
the machine does matters little to the first one.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from tests import make_feed
from tests.backends import TERMS, client_of, link_to, soon
from tests.servers import RedisServer, running

from leasehold.model.inventory import Availability, Scope
from leasehold.model.lease import CreateLease, CreateLeaseStatus
from leasehold.model.slot import Slot
from leasehold.store.link import Link
from leasehold.store.redis_inventory import RedisInventory
from leasehold.store.redis_store import RedisStore

DAY_S = 86_400
CALLS = 300
ROUNDS = 5
out = Console(highlight=False)


class Bench:
    """The scripts on a store of their own."""

    def __init__(self, server: RedisServer, link: Link) -> None:
        self.client = client_of(server.tester_url)
        self.inventory = RedisInventory(link, TERMS.retention_ms)
        self.stores = {
            "open": RedisStore(link, TERMS),
            "strict": RedisStore(link, TERMS, is_strict=True),
        }
        self.start_s = (int(time.time()) // DAY_S + 2) * DAY_S
        self.number = 0

    def slots(self, count: int) -> list[Slot]:
        """Return slots that nothing has touched yet."""
        self.number += 1
        return [
            Slot(f"m-{self.number}", "haircut", self.start_s + 60 * n, 1800, "anna")
            for n in range(count)
        ]

    async def load(self, slots: Iterable[Slot], spots: int) -> None:
        """Put slots into the inventory."""
        slots = list(slots)
        items: list[Any] = [Scope(slots[0].merchant_id)]
        items += [Availability("", slot, spots, spots) for slot in slots]
        staged = await self.inventory.stage(items, lambda _: None)
        await self.inventory.commit(staged, None, lambda *_: None)

    async def lease(self, mode: str, slot: Slot) -> CreateLeaseStatus:
        """Ask for one lease with a reference of its own."""
        self.number += 1
        asked_ms = int(time.time() * 1000) + 600_000
        command = CreateLease(slot, f"reference {self.number}", asked_ms)
        return (await self.stores[mode].create_lease(command, soon())).status

    async def cost_us(self, calls: list[Any]) -> float:
        """Return Redis' own time for one script, in microseconds."""
        await self.client.config_resetstat()
        for call in calls:
            await call
        stats = await self.client.info("commandstats")
        return float(stats["cmdstat_evalsha"]["usec_per_call"])


async def scripts(bench: Bench) -> Table:
    """Measure CreateLease and CheckAvailability by how many spots there are and are taken."""
    await bench.lease("open", bench.slots(1)[0])
    columns = ("spots", "first lease", "last lease", "refused", "refused again", "count")
    table = Table(*columns, title="Redis µs a call")
    opened = [
        await bench.cost_us([bench.lease("open", slot) for slot in bench.slots(CALLS)])
        for _ in range(ROUNDS)
    ]
    table.add_row("open: 1", f"{statistics.median(opened):.1f}", "", "", "", "")
    for spots in (1, 10, 100, 1000):
        rows = [await _measure(bench, spots) for _ in range(ROUNDS if spots < 1000 else 1)]
        medians = [statistics.median(column) for column in zip(*rows, strict=True)]
        table.add_row(str(spots), *(f"{us:.1f}" for us in medians))
    return table


async def _measure(bench: Bench, spots: int) -> list[float]:
    slots = bench.slots(CALLS if spots == 1 else max(5, CALLS // spots))
    await bench.load(slots, spots)
    first = await bench.cost_us([bench.lease("strict", slot) for slot in slots])
    for slot in slots:
        for _ in range(spots - 2):
            assert await bench.lease("strict", slot) is CreateLeaseStatus.CREATED
    last = first
    if spots > 1:
        last = await bench.cost_us([bench.lease("strict", slot) for slot in slots])
    refused = await bench.cost_us([bench.lease("strict", slot) for slot in slots])
    again = await bench.cost_us([bench.lease("strict", slot) for slot in slots])
    async for key in bench.client.scan_iter("full:*", count=1000):
        await bench.client.delete(key)
    strict = bench.stores["strict"]
    counted = await bench.cost_us([strict.check_availability(slot, soon()) for slot in slots])
    return [first, last, refused, again, counted]


async def feed(bench: Bench, url: str, merchants: int) -> Table:
    """Load a feed while another caller is served, and say what it took."""
    table = Table(title="A feed", show_header=False)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "feed.json.gz"
        tomorrow_s = (int(time.time()) // DAY_S + 1) * DAY_S
        count = make_feed.write(path, merchants=merchants, days=30, first_s=tomorrow_s, seed=1)
        before = await bench.client.info("memory")
        quiet = await _latencies(bench, asyncio.sleep(5))
        began_s = time.monotonic()
        loading = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "leasehold",
            "inventory",
            "load",
            str(path),
            env={**os.environ, "LEASEHOLD_REDIS_URL": url},
        )
        busy = await _latencies(bench, loading.wait())
        took_s = time.monotonic() - began_s
        assert loading.returncode == 0
        async for key in bench.client.scan_iter("stage:*", count=1000):
            await bench.client.unlink(key)
        after = await bench.client.info("memory")
    size = (after["used_memory"] - before["used_memory"]) / count
    table.add_row("slots", f"{count:,}")
    table.add_row("seconds", f"{took_s:.1f}")
    table.add_row("Redis bytes a slot", f"{size:.0f}")
    for name, found in (("before", quiet), ("while loading", busy)):
        quantiles = statistics.quantiles(found, n=1000)
        ms = ", ".join(
            f"p{label} {quantiles[at] * 1000:.2f} ms"
            for label, at in (("50", 499), ("99", 989), ("99.9", 998))
        )
        table.add_row(f"CreateLease {name}", f"{ms} of {len(found)} calls")
    return table


async def _latencies(bench: Bench, until: Any) -> list[float]:
    """Ask for leases one after the other, and return how long each took, in seconds."""
    waiting, found = asyncio.ensure_future(until), []
    while not waiting.done():
        (slot,) = bench.slots(1)
        began_s = time.monotonic()
        await bench.lease("open", slot)
        found.append(time.monotonic() - began_s)
        await asyncio.sleep(0.002)
    return found


async def _run(server: RedisServer, merchants: int) -> None:
    async with link_to(server.url) as link:
        bench = Bench(server, link)
        out.print(await scripts(bench))
        out.print(await feed(bench, server.url, merchants))


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--merchants", type=int, default=500)
    options = parser.parse_args()
    with running("redis7") as server:
        asyncio.run(_run(server, options.merchants))


if __name__ == "__main__":
    main()
