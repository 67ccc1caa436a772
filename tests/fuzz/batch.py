"""One batch of inputs: a process that fuzzes does one after the other."""

import asyncio
import random
from collections import Counter

from tests.backends import EVENTFUL, link_to
from tests.fuzz import messages, target
from tests.fuzz.target import Finding
from tests.servers import running

from leasehold.store.redis_events import RedisEvents
from leasehold.store.redis_inventory import RedisInventory
from leasehold.store.redis_leases import RedisLeases
from leasehold.store.redis_store import RedisStore

Batch = tuple[Counter[str], list[Finding]]
"""The answers by service and status, and what must not be."""


def run(seed: str, count: int, only: str) -> Batch:
    """Send so many inputs to a store of their own, every other time with a strict inventory."""
    return asyncio.run(_run(seed, count, only))


async def _run(seed: str, count: int, only: str) -> Batch:
    is_strict = random.Random(seed).random() < 0.5
    with running("valkey9") as server:
        async with link_to(server.url) as link:
            store = RedisStore(link, EVENTFUL, is_strict=is_strict)
            inventory = RedisInventory(link, EVENTFUL.retention_ms)
            if is_strict:
                staged = await inventory.stage(messages.feed(), lambda _: None)
                await inventory.commit(staged, None, lambda *_: None)
            leases = RedisLeases(link, EVENTFUL, is_strict=is_strict)
            events = RedisEvents(link, EVENTFUL)
            methods = await target.methods(store, inventory, leases, events)
            return await target.fuzz(seed, count, methods, only)
