"""A merchant of one test with its feeds, loaded by the command as partners' operators do."""

import json
import subprocess
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.servers import RedisServer
from tests.service import in_a_hundred_days, run

from leasehold.model.slot import Slot
from leasehold.store import keys

DAY_S = 86_400
MIDNIGHT_S = int(datetime.fromisoformat(in_a_hundred_days()).replace(tzinfo=UTC).timestamp())


def date(day: int = 0) -> str:
    """Return the day of a shop's slots, or one some days later."""
    return keys.start_text(MIDNIGHT_S + day * DAY_S).partition("T")[0]


@dataclass
class Shop:
    """A merchant whose slots lie a hundred days ahead."""

    server: RedisServer
    folder: Path
    merchant: str = field(default_factory=lambda: f"m-{uuid.uuid4().hex[:12]}")
    now_s: int = field(default_factory=lambda: int(time.time()))
    """From when the shop's feeds are."""

    def slot(self, hour: float, spots: int = 1, **changes: Any) -> dict[str, Any]:
        """Return a slot of half an hour as a feed has it; hours from 24 on are later days."""
        given = {
            "merchant_id": self.merchant,
            "service_id": "haircut",
            "start_sec": str(int(MIDNIGHT_S + hour * 3600)),
            "duration_sec": 1800,
            "spots_total": spots,
            "spots_open": spots,
        }
        return {**given, **changes}

    def feed(
        self,
        *slots: dict[str, Any],
        name: str = "feed.json",
        age_s: int = 0,
        shard: tuple[int, int] = (0, 1),
        is_complete: bool = False,
        **restrictions: Any,
    ) -> Path:
        """Write a feed of one entry, made some seconds before the shop opened.

        A complete one closes the other shops of its store.
        """
        metadata = {
            "processing_instruction": "PROCESS_AS_COMPLETE" if is_complete else None,
            "shard_number": shard[0],
            "total_shards": shard[1],
            "generation_timestamp": self.now_s - age_s,
        }
        entries = [{"availability": [*slots], **restrictions}]
        path = self.folder / name
        path.write_text(json.dumps({"metadata": metadata, "service_availability": entries}))
        return path

    def command(
        self,
        *words: str | Path,
        told: str | None = None,
        extra: Mapping[str, str] | None = None,
        **settings: str,
    ) -> subprocess.CompletedProcess[str]:
        """Run `leasehold inventory` on this test's store; ``told`` is its standard input."""
        given = {"REDIS_URL": self.server.url, **settings}
        return run("inventory", *map(str, words), settings=given, told=told, extra=extra)

    def load(self, *slots: dict[str, Any], **more: Any) -> subprocess.CompletedProcess[str]:
        """Write a feed and load it."""
        ended = self.command("load", self.feed(*slots, **more))
        assert ended.returncode == 0, ended.stderr
        return ended

    def spots(self, day: int = 0) -> dict[str, int]:
        """Return what the store has of a day: spots by hour, with staff and room."""
        with self.server.client() as client:
            found: Any = client.hgetall(keys.spots_prefix(self.merchant) + date(day))
        slots = {keys.parse_slot(self.merchant, text): value for text, value in found.items()}
        return {name(slot): int(value.split()[0]) for slot, value in sorted(slots.items(), key=str)}


def name(slot: Slot) -> str:
    """Return the hour of a slot, its service if it is not the usual one, and its resources."""
    hour = f"{slot.start_s % DAY_S / 3600:g}"
    service = "" if slot.service_id == "haircut" else slot.service_id
    return " ".join(word for word in (hour, service, slot.staff_id, slot.room_id) if word)
