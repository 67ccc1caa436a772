"""How long the store is held at the documented limits: ``python -m tests.benchmarks.limits``.

Redis notes every command with its own time. Each probe asks a few things at their limit, some
times over. Of a script the slowest call of a probe counts, and of the repeats of a probe the least:
other work on the machine only adds.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.table import Table
from tests.backends import EVENTFUL, client_of, link_to, soon
from tests.servers import RedisServer, running

from leasehold.model import ids
from leasehold.model.booking import CreateBooking, UpdateBooking
from leasehold.model.events import ListEvents
from leasehold.model.inventory import Availability, Scope
from leasehold.model.lease import CreateLease
from leasehold.model.operators import LeaseFilter
from leasehold.model.slot import Slot
from leasehold.store import keys, scripts
from leasehold.store.link import Link
from leasehold.store.redis_events import RedisEvents
from leasehold.store.redis_inventory import RedisInventory
from leasehold.store.redis_leases import RedisLeases
from leasehold.store.redis_store import RedisStore

ROUNDS = 9
SPOTS = 1000
DAY_SLOTS = 2_000
DAY_S = 86_400
out = Console(highlight=False)


class Round:
    """One merchant: a day of many slots, and slots of a thousand spots that are sold out."""

    def __init__(self, link: Link, number: int) -> None:
        self.link, self.number = link, number
        self.merchant = f"m-{number}"
        self.inventory = RedisInventory(link, EVENTFUL.retention_ms)
        self.store = RedisStore(link, EVENTFUL, is_strict=True)
        self.leases = RedisLeases(link, EVENTFUL, is_strict=True)
        self.events = RedisEvents(link, EVENTFUL)
        noon_s = (int(time.time()) // DAY_S + 2) * DAY_S
        self.held = Slot(self.merchant, "yoga", noon_s, 1800, "held")
        self.booked = replace(self.held, start_s=noon_s + 3600)

    async def load(
        self, slots: Iterable[Slot], spots: int, spots_open: int, *scopes: Scope
    ) -> None:
        """Make the inventory what is listed."""
        items = [Availability("", slot, spots, spots_open) for slot in slots]
        whole = [*(scopes or [Scope(self.merchant)]), *items]
        staged = await self.inventory.stage(whole, lambda _: None)
        await self.inventory.commit(staged, None, lambda *_: None)

    async def fill(self) -> None:
        """Sell both slots out: one by leases, one by bookings."""
        await self.load([self.held, self.booked], SPOTS, SPOTS)
        for n in range(SPOTS):
            until_ms = int(time.time() * 1000) + 600_000 + n
            lease = CreateLease(self.held, f"{self.merchant} {n}", until_ms)
            await self.store.create_lease(lease, soon())
            booking = CreateBooking(self.booked, f"{n}", "v2", f"{self.merchant} {n}", b"original")
            await self.store.create_booking(booking, soon())

    async def lease(self) -> None:
        """Be refused a lease, without and with what is known of the slot, and count."""
        for _ in range(2):
            until_ms = int(time.time() * 1000) + 600_000
            await self.store.create_lease(CreateLease(self.held, "late", until_ms), soon())

    async def count(self) -> None:
        """Count the free spots of a slot that is not known to be full."""
        await self.store.check_availability(self.booked, soon())

    async def book(self) -> None:
        """Be refused a booking."""
        booking = CreateBooking(self.booked, "late", "v2", "late", b"original")
        await self.store.create_booking(booking, soon())

    async def inspect(self) -> None:
        """Look at every spot."""
        await self.leases.inspect_slot(self.held, soon())

    async def list(self) -> None:
        """Look for the leases of a merchant, and at events."""
        await self.leases.list_leases(LeaseFilter(self.merchant), 1000, 0, soon())
        await self.events.list_events(ListEvents(self.merchant, "", 100), soon())

    async def move(self) -> None:
        """Be refused a move."""
        booking = ids.Reference(self.merchant, ids.booking_suffix("v2", "1"))
        command = UpdateBooking(booking, start_s=self.held.start_s)
        await self.store.update_booking(command, soon())

    async def commit(self) -> None:
        """Load a feed that knows a thousand bookings, and one that leaves a thousand leases out."""
        await self.load([self.booked], SPOTS, 0, Scope(self.merchant, from_s=self.booked.start_s))
        held = Scope(self.merchant, to_s=self.booked.start_s)
        await self.load([], 0, 0, held)
        await self.load([self.held], SPOTS, SPOTS, held)

    async def large_day(self) -> None:
        """Load a large day, read it, and drop the merchant."""
        other = Round(self.link, self.number)
        other.merchant += "-large"
        slots = [
            replace(self.held, merchant_id=other.merchant, start_s=self.held.start_s + n)
            for n in range(DAY_SLOTS)
        ]
        await other.load(slots, 1, 1)
        await other.load(slots[::2], 1, 1)
        day = keys.start_text(self.held.start_s).partition("T")[0]
        await other.inventory.slots(other.merchant, day)
        await other.inventory.drop(other.merchant)

    async def drop(self) -> None:
        """Drop slots with a thousand owners."""
        await self.inventory.drop(self.merchant)
        await self.load([self.held, self.booked], SPOTS, SPOTS)


async def measure(server: RedisServer) -> dict[tuple[str, str], int]:
    """Return the microseconds of the slowest call of each script and command, by probe."""
    client = client_of(server.tester_url)
    names = {scripts.load(name).sha: name for name in scripts.names()}
    least: dict[tuple[str, str], int] = {}
    await client.config_set("slowlog-max-len", 100_000)
    async with link_to(server.url) as link:
        one = Round(link, 0)
        await one.fill()
        probes = (one.lease, one.count, one.book, one.inspect, one.list, one.move)
        for probe in (*probes, one.commit, one.large_day, one.drop):
            await probe()  # Its scripts are loaded from now on.
            for _ in range(ROUNDS):
                async for key in client.scan_iter("full:*", count=1000):
                    await client.delete(key)
                # What a script runs inside is noted, too, and shall not be for less.
                await client.config_set("slowlog-log-slower-than", 50)
                await client.slowlog_reset()
                await probe()
                await client.config_set("slowlog-log-slower-than", -1)
                for name, us in _slowest(await client.slowlog_get(100_000), names).items():
                    least[name, probe.__name__] = min(us, least.get((name, probe.__name__), us))
    await client.aclose()
    return least


def _slowest(entries: list[Any], names: dict[str, str]) -> dict[str, int]:
    found: defaultdict[str, int] = defaultdict(int)
    for entry in entries:
        word, *rest = entry["command"].decode(errors="replace").split(" ")
        is_script = word == "EVALSHA"
        name = names[rest[0]] if is_script else word
        if is_script or word in {"HSCAN", "SCAN", "MGET"}:
            found[name] = max(found[name], entry["duration"])
    return found


def main() -> None:
    """Print a table, the slowest first."""
    with running("redis7") as server:
        found = asyncio.run(measure(server))
    table = Table("script or command", "probe", "slowest call, ms", title="At the limits")
    for (name, probe), us in sorted(found.items(), key=lambda it: -it[1]):
        if us >= 50:
            table.add_row(name, probe, f"{us / 1000:.2f}")
    out.print(table)


if __name__ == "__main__":
    main()
