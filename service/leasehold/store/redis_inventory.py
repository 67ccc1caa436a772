"""The inventory on Redis: a feed is staged, and committed slot by slot."""

import asyncio
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable

from leasehold.model.ids import decode_id
from leasehold.model.inventory import (
    Availability,
    CommitStatus,
    Committed,
    Doubt,
    Fault,
    FeedError,
    FeedItem,
    MerchantInventory,
    Remark,
    Scope,
    SlotInventory,
    Staged,
)
from leasehold.store import keys, layout, scripts
from leasehold.store.hash_pages import read_hash
from leasehold.store.inventory_steps import (
    DAY_MS,
    Day,
    InventorySteps,
    days_of,
    deadline,
    start_ms,
)
from leasehold.store.link import Link
from leasehold.store.presence import note_shards
from leasehold.store.unlisted import INVENTORIES, Limits, UnlistedMerchants, known_merchants

_BATCH_SLOTS = 2000
# So few and so small that nobody who asks for a lease meanwhile waits long behind them.
_CHUNK_SLOTS = 100
_AT_ONCE = 4
_STAGE_KEEP_MS = 3_600_000
_LONGEST_AHEAD_MS = 3_600_000
_MOST_FAULTS = 100
_FIELDS_AT_ONCE = 100
# Every stored slot of a day is held against each of them.
_MOST_SCOPES = 100


class RedisInventory:
    """An InventoryStore; what waits to be committed ends by itself when nobody commits it."""

    def __init__(self, link: Link, retention_ms: int) -> None:
        self._link = link
        self._steps = InventorySteps(link, retention_ms)
        self._unlisted = UnlistedMerchants(link, self._steps)
        self._stage_spots = scripts.load("stage_spots")
        self._note_feed = scripts.load("note_feed")
        self._forget_feed = scripts.load("forget_feed")

    async def reach(self) -> None:
        """Return when the store answers."""
        await self._now_ms()

    async def stage(
        self,
        items: Iterable[FeedItem],
        progress: Callable[[int], None],
        report: Callable[[Fault], None] | None = None,
    ) -> Staged:
        """Read a feed into the store; see lua/stage_spots.lua.

        Of two entries for one slot the first one stays, and the other is a fault.
        """
        staged = Staged(uuid.uuid4().hex[:12], report)
        batch, seen, done = _Batch(0), set[Scope](), 0
        for item in items:
            match item:
                case Fault():
                    _note(staged, item)
                    done += 1
                case Doubt(merchant_id):
                    if merchant_id:
                        staged.only_lower.add(merchant_id)
                    else:
                        staged.has_unreadable_merchant = True
                case Remark():
                    staged.remarks.append(item)
                case Scope():
                    if item not in seen:
                        seen.add(item)
                        staged.scopes.setdefault(item.merchant_id, []).append(item)
                case Availability():
                    batch.add(item)
                    done += not item.is_ceiling
                    if batch.slots >= _BATCH_SLOTS:
                        await self._send(batch, staged)
                        batch = _Batch(batch.first + len(batch.places))
                        progress(done)
        await self._send(batch, staged)
        progress(done)
        return staged

    async def commit(
        self, staged: Staged, generated_at_ms: int | None, progress: Callable[[int, int], None]
    ) -> Committed:
        """Make the inventory what has been staged; see lua/begin_commit.lua and commit_spots.lua.

        Raises FeedError when the feed says nothing, comes from the future, or restricts to too
        many things; nothing has changed then. Raises it as well when what was staged has ended
        meanwhile; to load the feed again mends that.
        """
        now_ms = await self._now_ms()
        generated_at_ms = now_ms if generated_at_ms is None else generated_at_ms
        if not staged.scopes:
            raise FeedError("The feed lists no slots and restricts to nothing.")
        if generated_at_ms > now_ms + _LONGEST_AHEAD_MS:
            raise FeedError("The feed says that it was made in the future (generation_timestamp).")
        complete_ms = await self._unlisted.latest_ms()
        await self._unlisted.close(staged, generated_at_ms)
        committed, last_day = Committed(staged.left_out), ""
        wanted = await self._days_of(staged, now_ms)
        await self._steps.note_orders(staged, generated_at_ms, complete_ms)
        for first in range(0, len(wanted), _AT_ONCE):
            some = wanted[first : first + _AT_ONCE]
            calls = [
                self._steps.commit_day(one, staged, generated_at_ms, complete_ms) for one in some
            ]
            for one, ended in zip(some, await asyncio.gather(*calls), strict=True):
                committed.note(one.merchant_id, one.day, *ended)
                if ended[0] is CommitStatus.COMMITTED:
                    last_day = max(last_day, one.day)
            progress(first + len(some), len(wanted))
        if last_day:
            notes = await note_shards(self._link, staged.scopes, deadline())
            until_ms = self._steps.keep_until_ms(last_day)
            arguments: list[str | int] = [generated_at_ms, until_ms, int(notes)]
            await self._link.run(self._note_feed, [keys.FEED_KEY], arguments, deadline())
        return committed

    async def drop(self, merchant_id: str) -> int | None:
        """Forget a merchant's inventory; return how many slots are gone, None if it had none.

        Raises FeedError when a feed is loaded meanwhile; some slots are gone then.
        """
        return await self._steps.drop(merchant_id)

    async def forget_feed(self) -> None:
        """Forget that anybody ever had an inventory."""
        await self._link.run(self._forget_feed, [keys.FEED_KEY], [], deadline())

    async def leave_out(
        self,
        staged: Staged,
        generated_at_ms: int | None,
        most_share: float,
        progress: Callable[[int, int], None],
    ) -> None:
        """Have the commit close every merchant that is known and not staged; see lua/leave_out.lua.

        Raises ManyLeftOutError when too many would close; nothing has changed then.
        """
        if not staged.scopes or staged.keeps_unlisted:
            return
        now_ms = await self._now_ms()
        limits = Limits(most_share, now_ms, generated_at_ms or now_ms)
        if limits.generated_at_ms > now_ms + _LONGEST_AHEAD_MS:
            return
        await self._unlisted.check(staged, limits, progress)
        await self._unlisted.note(staged, limits.generated_at_ms)

    async def merchants(self) -> AsyncIterator[str]:
        """Yield every merchant that has an inventory, in no order; some perhaps twice."""
        async for merchant_id in known_merchants(self._link, INVENTORIES):
            yield merchant_id

    async def describe(self, merchant_id: str) -> MerchantInventory | None:
        """Return what is known of a merchant's inventory, or None if there is none."""
        fields = await self._known(merchant_id)
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
        found = []
        for text, entry in (await read_hash(self._link, key, deadline())).items():
            slot, (spots, highest) = keys.parse_slot(merchant_id, text), map(int, entry.split())
            spot_keys = [keys.spot_key(slot, spot) for spot in range(1, highest + 1)]
            owners = (
                await self._link.read("MGET", *spot_keys, deadline=deadline()) if highest else []
            )
            kinds = [owner.partition(" ")[0] for owner in owners if owner]
            found.append(SlotInventory(slot, spots, kinds.count("lease"), kinds.count("booking")))
        return sorted(found, key=lambda it: (it.slot.start_s, keys.slot_text(it.slot)))

    async def _send(self, batch: "_Batch", staged: Staged) -> None:
        days = list(batch.lines.items())
        for first in range(0, len(days), _AT_ONCE):
            some = days[first : first + _AT_ONCE]
            await asyncio.gather(*(self._send_day(*it, lines, batch, staged) for it, lines in some))

    async def _send_day(
        self, merchant_id: str, day: str, lines: list[str], batch: "_Batch", staged: Staged
    ) -> None:
        # One after the other: of two entries for one slot the first one stays.
        for first in range(0, len(lines), _CHUNK_SLOTS):
            chunk = lines[first : first + _CHUNK_SLOTS]
            await self._send_chunk(merchant_id, day, chunk, batch, staged)

    async def _send_chunk(
        self, merchant_id: str, day: str, lines: list[str], batch: "_Batch", staged: Staged
    ) -> None:
        _, repeated = await self._link.run(
            self._stage_spots,
            [keys.stage_key(merchant_id, staged.import_id, day)],
            ["".join(lines), _STAGE_KEEP_MS],
            deadline(),
        )
        for number in repeated.split():
            place = batch.places[int(number) - batch.first]
            _note(staged, Fault(place, "repeats the slot of an earlier entry"))
        added = len(lines) - len(repeated.split())
        staged.slots += added
        name = (merchant_id, day)
        staged.slots_by_day[name] = staged.slots_by_day.get(name, 0) + added

    async def _days_of(self, staged: Staged, now_ms: int) -> list[Day]:
        """Return the days that the feed lists, and those known that it speaks of."""
        listed = defaultdict[str, set[str]](set)
        for merchant_id, day in staged.slots_by_day:
            if merchant_id not in staged.only_lower:
                listed[merchant_id].add(day)
        found = []
        closed = {merchant_id: [Scope(merchant_id)] for merchant_id in staged.left_out}
        for merchant_id, scopes in (staged.scopes | closed).items():
            fields = await self._known(merchant_id)
            known = {field.removeprefix("day:") for field in fields if field.startswith("day:")}
            over = [name for name, value in fields.items() if _has_ended(name, value, now_ms)]
            named = set() if merchant_id in staged.only_lower or not fields else days_of(scopes)
            for day in sorted(known | listed[merchant_id] | named):
                start_s = start_ms(day) // 1000
                of_day = [it for it in scopes if it.meets(start_s, start_s + DAY_MS // 1000)]
                if len(of_day) > _MOST_SCOPES:
                    raise FeedError(
                        f"The feed restricts {merchant_id} on {day} to {len(of_day)} things;"
                        f" at most {_MOST_SCOPES} are taken at once."
                    )
                if of_day:
                    found.append(Day(merchant_id, day, of_day, over[:_FIELDS_AT_ONCE]))
                    over = over[_FIELDS_AT_ONCE:]
        return found

    async def _known(self, merchant_id: str) -> dict[str, str]:
        """Return the fields of a merchant's inventory."""
        fields = await read_hash(self._link, keys.inventory_key(merchant_id), deadline())
        layout.require(fields.get(layout.FIELD))
        return fields

    async def _now_ms(self) -> int:
        now = await self._link.read("TIME", deadline=deadline(), key=keys.FEED_KEY)
        return int(now[0]) * 1000 + int(now[1]) // 1000


class _Batch:
    """Slots on their way to the store, by merchant and UTC day."""

    def __init__(self, first: int) -> None:
        """``first`` is the number in the import of the first entry."""
        self.first = first
        self.slots = 0
        self.places: list[str] = []
        self.lines: defaultdict[tuple[str, str], list[str]] = defaultdict(list)

    def add(self, found: Availability) -> None:
        number = self.first + len(self.places)
        self.places.append(found.place)
        bound = "<" if found.is_ceiling else ""
        for slot, total, spots_open in found.slots():
            text = keys.slot_text(slot)
            day = text.partition(":")[2].partition("T")[0]
            line = f"{text} {bound}{total} {spots_open} {number}\n"
            self.lines[slot.merchant_id, day].append(line)
            self.slots += 1


def _note(staged: Staged, fault: Fault) -> None:
    staged.fault_count += 1
    if staged.report:
        staged.report(fault)
    if len(staged.faults) < _MOST_FAULTS:
        staged.faults.append(fault)


def _has_ended(name: str, value: str, now_ms: int) -> bool:
    """Tell whether a day or service of an inventory seems to be known no more."""
    return name.startswith(("day:", "service:")) and int(value.rsplit(maxsplit=1)[-1]) <= now_ms
