"""The inventory on Redis: a feed is staged, and committed one merchant's day at a time."""

import asyncio
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from leasehold.model.deadline import Deadline
from leasehold.model.ids import decode_id, encode_id
from leasehold.model.inventory import (
    Availability,
    CommitStatus,
    Committed,
    Fault,
    FeedError,
    FeedItem,
    MerchantInventory,
    Scope,
    SlotInventory,
    Staged,
)
from leasehold.store import keys, scripts
from leasehold.store.link import Link

_DAY_MS = 86_400_000
_BATCH_SLOTS = 2000
# So few and so small that nobody who asks for a lease meanwhile waits long behind them.
_CHUNK_SLOTS = 100
_AT_ONCE = 4
_CALL_TIMEOUT_S = 30
_STAGE_KEEP_MS = 3_600_000
_LONGEST_AHEAD_MS = 3_600_000
_MOST_FAULTS = 100


class RedisInventory:
    """An InventoryStore; what waits to be committed ends by itself when nobody commits it."""

    def __init__(self, link: Link, retention_ms: int) -> None:
        self._link = link
        self._retention_ms = retention_ms
        self._stage_spots = scripts.load("stage_spots")
        self._commit_spots = scripts.load("commit_spots")
        self._drop_inventory = scripts.load("drop_inventory")
        self._note_feed = scripts.load("note_feed")

    async def stage(self, items: Iterable[FeedItem], progress: Callable[[int], None]) -> Staged:
        """Read a feed into the store; see lua/stage_spots.lua.

        Of two entries for one slot the first one stays, and the other is a fault.
        """
        staged, batch = Staged(uuid.uuid4().hex[:12]), _Batch()
        done = 0
        for item in items:
            match item:
                case Fault():
                    _note(staged, item)
                    done += 1
                case Scope():
                    scopes = staged.scopes.setdefault(item.merchant_id, [])
                    if item not in scopes:
                        scopes.append(item)
                case Availability():
                    batch.add(item)
                    done += 1
                    if batch.slots >= _BATCH_SLOTS:
                        await self._send(batch, staged)
                        batch = _Batch()
                        progress(done)
        await self._send(batch, staged)
        progress(done)
        return staged

    async def commit(
        self, staged: Staged, generated_at_ms: int | None, progress: Callable[[int, int], None]
    ) -> Committed:
        """Make the inventory what has been staged; see lua/commit_spots.lua.

        Raises FeedError when the feed says nothing, or comes from the future; nothing has changed
        then. Raises it as well when what was staged has ended meanwhile; to load the feed again
        mends that.
        """
        now_ms = await self._now_ms()
        generated_at_ms = now_ms if generated_at_ms is None else generated_at_ms
        if not staged.scopes:
            raise FeedError("The feed lists no slots and restricts to nothing.")
        if generated_at_ms > now_ms + _LONGEST_AHEAD_MS:
            raise FeedError("The feed says that it was made in the future (generation_timestamp).")
        committed, last_day = Committed(), ""
        wanted = [
            (merchant_id, day)
            for merchant_id in staged.scopes
            for day in await self._days_of(merchant_id, staged)
        ]
        for first in range(0, len(wanted), _AT_ONCE):
            some = wanted[first : first + _AT_ONCE]
            calls = [self._commit_day(*one, staged, generated_at_ms) for one in some]
            for (merchant_id, day), (status, removed) in zip(
                some, await asyncio.gather(*calls), strict=True
            ):
                match status:
                    case CommitStatus.COMMITTED:
                        committed.days += 1
                        committed.removed += removed
                        last_day = max(last_day, day)
                    case CommitStatus.DAY_OVER:
                        committed.over += 1
                    case CommitStatus.OLDER_FEED:
                        committed.newer.append(f"{merchant_id} {day}")
                    case CommitStatus.STAGE_INCOMPLETE:
                        raise FeedError("What was staged of the feed has ended; load it again.")
            progress(first + len(some), len(wanted))
        if last_day:
            arguments: list[str | int] = [generated_at_ms, self._keep_until_ms(last_day)]
            await self._link.run(self._note_feed, [keys.FEED_KEY], arguments, _deadline())
        return committed

    async def drop(self, merchant_id: str) -> int | None:
        """Forget a merchant's inventory; return how many slots are gone, None if it had none."""
        arguments: list[str | int] = [
            keys.spots_prefix(merchant_id),
            keys.slot_prefix(merchant_id),
        ]
        status, *removed = await self._link.run(
            self._drop_inventory, [keys.inventory_key(merchant_id)], arguments, _deadline()
        )
        return removed[0] if status == "dropped" else None

    async def forget_feed(self) -> None:
        """Forget that anybody ever had an inventory."""
        await self._link.read("DEL", keys.FEED_KEY, deadline=_deadline())

    async def merchants(self) -> AsyncIterator[str]:
        """Yield every merchant that has an inventory, in no order; some perhaps twice."""
        pattern, cursor = keys.inventory_key("*").replace("%2A", "*"), "0"
        while True:
            words = ("SCAN", cursor, "MATCH", pattern, "COUNT", "1000")
            cursor, found = await self._link.read(*words, deadline=_deadline())
            for key in found:
                yield decode_id(key.removeprefix("inventory:{").removesuffix("}"))
            if str(cursor) == "0":
                return

    async def describe(self, merchant_id: str) -> MerchantInventory | None:
        """Return what is known of a merchant's inventory, or None if there is none."""
        key = keys.inventory_key(merchant_id)
        flat = await self._link.read("HGETALL", key, deadline=_deadline())
        fields = _pairs(flat)
        services, days = [], {}
        for name, value in fields.items():
            kind, _, rest = name.partition(":")
            if kind == "service":
                services.append(decode_id(rest))
            elif kind == "day":
                days[rest] = int(value.split()[0])
        return MerchantInventory(merchant_id, sorted(services), days) if fields else None

    async def slots(self, merchant_id: str, day: str) -> list[SlotInventory]:
        """Return the slots of a UTC day, by start, each with who is on its spots now."""
        key = keys.spots_prefix(merchant_id) + day
        flat = await self._link.read("HGETALL", key, deadline=_deadline())
        found = []
        for text, entry in _pairs(flat).items():
            slot, (spots, highest) = keys.parse_slot(merchant_id, text), map(int, entry.split())
            spot_keys = [keys.spot_key(slot, spot) for spot in range(1, highest + 1)]
            owners = (
                await self._link.read("MGET", *spot_keys, deadline=_deadline()) if highest else []
            )
            kinds = [owner.partition(" ")[0] for owner in owners if owner]
            found.append(SlotInventory(slot, spots, kinds.count("lease"), kinds.count("booking")))
        return sorted(found, key=lambda it: (it.slot.start_s, keys.slot_text(it.slot)))

    async def _send(self, batch: "_Batch", staged: Staged) -> None:
        chunks = list(batch.chunks())
        for first in range(0, len(chunks), _AT_ONCE):
            some = chunks[first : first + _AT_ONCE]
            await asyncio.gather(*(self._send_chunk(*one, batch, staged) for one in some))

    async def _send_chunk(
        self, merchant_id: str, day: str, lines: list[str], batch: "_Batch", staged: Staged
    ) -> None:
        _, repeated = await self._link.run(
            self._stage_spots,
            [keys.stage_key(merchant_id, staged.import_id, day)],
            ["".join(lines), _STAGE_KEEP_MS],
            _deadline(),
        )
        for number in repeated.split():
            _note(staged, Fault(batch.places[int(number)], "repeats the slot of an earlier entry"))
        added = len(lines) - len(repeated.split())
        staged.slots += added
        name = (merchant_id, day)
        staged.slots_by_day[name] = staged.slots_by_day.get(name, 0) + added

    async def _days_of(self, merchant_id: str, staged: Staged) -> list[str]:
        """Return the days that the feed lists, and those known that it speaks of."""
        scopes = staged.scopes[merchant_id]
        fields = await self._link.read(
            "HKEYS", keys.inventory_key(merchant_id), deadline=_deadline()
        )
        known = [field.removeprefix("day:") for field in fields if field.startswith("day:")]
        days = {day for merchant, day in staged.slots_by_day if merchant == merchant_id}
        days |= {day for day in known if any(_speaks_of(scope, day) for scope in scopes)}
        return sorted(days)

    async def _commit_day(
        self, merchant_id: str, day: str, staged: Staged, generated_at_ms: int
    ) -> tuple[CommitStatus, int]:
        scopes = [scope for scope in staged.scopes[merchant_id] if _speaks_of(scope, day)]
        status, *removed = await self._link.run(
            self._commit_spots,
            [
                keys.spots_prefix(merchant_id) + day,
                keys.stage_key(merchant_id, staged.import_id, day),
                keys.inventory_key(merchant_id),
            ],
            [
                day,
                staged.slots_by_day.get((merchant_id, day), 0),
                generated_at_ms,
                self._keep_until_ms(day),
                "".join(map(_scope_line, scopes)),
                keys.slot_prefix(merchant_id),
                keys.booking_key(merchant_id, ""),
                2 * _CALL_TIMEOUT_S * 1000,
            ],
            _deadline(),
        )
        return CommitStatus(status), removed[0] if removed else 0

    def _keep_until_ms(self, day: str) -> int:
        return _start_ms(day) + _DAY_MS + self._retention_ms

    async def _now_ms(self) -> int:
        seconds, microseconds = await self._link.read("TIME", deadline=_deadline())
        return int(seconds) * 1000 + int(microseconds) // 1000


class _Batch:
    """Slots on their way to the store, by merchant and UTC day."""

    def __init__(self) -> None:
        self.slots = 0
        self.places: list[str] = []
        self._lines: defaultdict[tuple[str, str], list[str]] = defaultdict(list)

    def add(self, found: Availability) -> None:
        number = len(self.places)
        self.places.append(found.place)
        for slot, total, spots_open in found.slots():
            text = keys.slot_text(slot)
            day = text.partition(":")[2].partition("T")[0]
            line = f"{text} {total} {spots_open} {number}\n"
            self._lines[slot.merchant_id, day].append(line)
            self.slots += 1

    def chunks(self) -> Iterator[tuple[str, str, list[str]]]:
        for (merchant_id, day), lines in self._lines.items():
            for first in range(0, len(lines), _CHUNK_SLOTS):
                yield merchant_id, day, lines[first : first + _CHUNK_SLOTS]


def _pairs(reply: Any) -> dict[str, str]:
    """Return the fields of a hash, in whichever way redis-py hands them out."""
    return reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))


def _note(staged: Staged, fault: Fault) -> None:
    staged.fault_count += 1
    if len(staged.faults) < _MOST_FAULTS:
        staged.faults.append(fault)


def _deadline() -> Deadline:
    return Deadline.within(_CALL_TIMEOUT_S, None)


def _start_ms(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * 1000


def _speaks_of(scope: Scope, day: str) -> bool:
    start_s = _start_ms(day) // 1000
    return scope.meets(start_s, start_s + _DAY_MS // 1000)


def _scope_line(scope: Scope) -> str:
    """Write a scope as commit_spots reads it."""
    from_s, to_s, duration_s = scope.from_s, scope.to_s, scope.duration_s
    words = (
        encode_id(scope.service_id) if scope.service_id else "*",
        "*" if from_s is None else keys.start_text(from_s),
        "*" if to_s is None else keys.start_text(to_s),
        "*" if duration_s is None else keys.duration_text(duration_s),
        encode_id(scope.staff_id) if scope.staff_id else "*",
        encode_id(scope.room_id) if scope.room_id else "*",
        "*" if scope.party_size is None else str(scope.party_size),
    )
    return " ".join(words) + "\n"
