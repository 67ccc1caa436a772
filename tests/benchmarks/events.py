"""What events cost the store: Redis' own time for a call, and bytes, without them and with them.

``python -m tests.benchmarks.events`` prints two tables. Redis counts its own time, so what else the
machine does matters little.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Coroutine, Iterable
from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.table import Table
from tests.backends import EVENTFUL, TERMS, client_of, link_to, soon
from tests.servers import RedisServer, running

from leasehold.model import ids
from leasehold.model.booking import BookingStatus, CreateBooking, UpdateBooking
from leasehold.model.events import ListEvents
from leasehold.model.lease import CreateLease, LeaseTerms
from leasehold.model.operators import ReleaseLease
from leasehold.model.slot import Slot
from leasehold.store import keys
from leasehold.store.link import Link
from leasehold.store.redis_events import RedisEvents
from leasehold.store.redis_leases import RedisLeases
from leasehold.store.redis_store import RedisStore

CALLS = 1000
ROUNDS = 9
MERCHANT = "salon-00001"
out = Console(highlight=False)


class Bench:
    """The scripts by some terms, on a store of their own."""

    def __init__(self, server: RedisServer, link: Link) -> None:
        self.client = client_of(server.tester_url)
        self.link = link
        self.start_s = int(time.time()) + 86_400
        self.event_bytes: list[float] = []
        self.hold_bytes: list[float] = []

    async def cost_us(self, calls: Iterable[Coroutine[Any, Any, Any]]) -> float:
        """Return Redis' own time for one script, in microseconds."""
        await self.client.config_resetstat()
        for call in calls:
            await call
        stats = await self.client.info("commandstats")
        return float(stats["cmdstat_evalsha"]["usec_per_call"])

    async def round(self, terms: LeaseTerms) -> dict[str, float]:
        """Hold, book by lease, cancel, hold again and release; return what each costs."""
        await self.client.flushall()
        store, leases = RedisStore(self.link, terms), RedisLeases(self.link, terms, is_strict=False)
        until_ms = int(time.time() * 1000) + 600_000
        slots = [Slot(MERCHANT, "haircut", self.start_s + 60 * n, 1800) for n in range(CALLS)]
        holds = [CreateLease(slot, f"{n:036}", until_ms) for n, slot in enumerate(slots)]
        again = [CreateLease(slot, f"a{n:035}", until_ms) for n, slot in enumerate(slots)]
        books = [
            # Without a user, so that no index is written beside it.
            CreateBooking(None, hold.lease_id, "v0", None, b"x" * 300, named(hold))
            for hold in holds
        ]
        cancels = [
            UpdateBooking(ids.Reference(MERCHANT, it.suffix), BookingStatus.CANCELED)
            for it in books
        ]
        found = {"CreateLease": await self.cost_us(store.create_lease(it, soon()) for it in holds)}
        if terms.max_events:
            self.hold_bytes.append(await self.bytes_each(keys.expiring_key(MERCHANT), CALLS))
        found |= {
            "CreateBooking by lease": await self.cost_us(
                store.create_booking(it, soon()) for it in books
            ),
            "UpdateBooking: cancel": await self.cost_us(
                store.update_booking(it, soon()) for it in cancels
            ),
            "CreateLease again": await self.cost_us(store.create_lease(it, soon()) for it in again),
            "ReleaseLease": await self.cost_us(
                leases.release_lease(ReleaseLease(named(it), "INC-1"), soon()) for it in again
            ),
        }
        if terms.max_events:
            # Six for each slot: held, consumed, booked, cancelled, held, released.
            self.event_bytes.append(await self.bytes_each(keys.events_key(MERCHANT), 6 * CALLS))
        return found

    async def reading(self, terms: LeaseTerms) -> dict[str, float]:
        """Read what the last round has left; return what that costs."""
        events = RedisEvents(self.link, terms)
        found: Any = await self.client.xrevrange(keys.events_key(MERCHANT), count=1)
        last = found[0][0]

        def read(after: str, most: int) -> Coroutine[Any, Any, Any]:
            return events.list_events(ListEvents(MERCHANT, after, most), soon())

        return {
            "ListEvents: none": await self.cost_us(read(last, 100) for _ in range(CALLS)),
            "ListEvents: 100": await self.cost_us(read("", 100) for _ in range(100)),
        }

    async def bytes_each(self, key: str, count: int) -> float:
        """Return what one of the things in a key takes."""
        size = await self.client.memory_usage(key, samples=0)
        return float(size or 0) / count


def named(lease: CreateLease) -> ids.Reference:
    """Name the lease of a command."""
    return ids.Reference(lease.slot.merchant_id, lease.lease_suffix)


async def _run(server: RedisServer) -> None:
    terms = {"off": TERMS, "on": replace(EVENTFUL, max_events=100_000)}
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in terms}
    async with link_to(server.url) as link:
        bench = Bench(server, link)
        for name in [*terms] * ROUNDS:
            rounds[name].append(await bench.round(terms[name]))
        reading = await bench.reading(terms["on"])
    table = Table("call", "off", "on", title="Redis µs a call (least, median, most of the rounds)")
    for call in rounds["off"][0]:
        found = ([each[call] for each in rounds[name]] for name in terms)
        shown = (f"{min(us):.1f} {statistics.median(us):.1f} {max(us):.1f}" for us in found)
        table.add_row(call, *shown)
    for call, us in reading.items():
        table.add_row(call, "", f"{us:.1f}")
    out.print(table)
    out.print(f"An event: {statistics.median(bench.event_bytes):.0f} bytes")
    out.print(f"A hold until it ends: {statistics.median(bench.hold_bytes):.0f} bytes")


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.events", description=__doc__)
    parser.add_argument("--server", default="redis7", choices=("redis62", "redis7", "valkey9"))
    wanted = parser.parse_args()
    with running(wanted.server) as server:
        asyncio.run(_run(server))


if __name__ == "__main__":
    main()
