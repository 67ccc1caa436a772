"""Changes of a merchant's inventory in steps, none of which holds the store for long."""

import asyncio
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from leasehold.model.deadline import Deadline
from leasehold.model.ids import encode_id
from leasehold.model.inventory import CommitStatus, FeedError, Scope, Staged
from leasehold.store import keys, scripts
from leasehold.store.hash_pages import read_hash
from leasehold.store.link import Link

DAY_MS = 86_400_000
_CALL_TIMEOUT_S = 30
_SLOTS_AT_ONCE = 100
_FIELDS_AT_ONCE = 100
_MERCHANTS_AT_ONCE = 4
_STAGE_REPEAT_MS = 2 * _CALL_TIMEOUT_S * 1000
# Each of a day's slots is held against each restriction; other callers are served in between.
_CHECKS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Day:
    """A merchant's UTC day, and what of it a feed is complete for."""

    merchant_id: str
    day: str
    scopes: list[Scope]
    perhaps_over: list[str]
    """Fields of the merchant's inventory that seem to have ended."""

    @property
    def start_s(self) -> int:
        """Return when the day begins, epoch seconds."""
        return start_ms(self.day) // 1000


class InventorySteps:
    """Commits days, drops merchants; an interrupted change may be repeated from its beginning."""

    def __init__(self, link: Link, retention_ms: int) -> None:
        self._link = link
        self._retention_ms = retention_ms
        self._begin_commit = scripts.load("begin_commit")
        self._commit_spots = scripts.load("commit_spots")
        self._note_order = scripts.load("note_order")
        self._leave_out = scripts.load("leave_out")
        self._begin_drop = scripts.load("begin_drop")
        self._drop_spots = scripts.load("drop_spots")
        self._drop_inventory = scripts.load("drop_inventory")

    async def commit_day(
        self, one: Day, staged: Staged, generated_at_ms: int, complete_ms: int
    ) -> tuple[CommitStatus, int, bool]:
        """Make a day what was staged; return how that ended, and how many slots are gone.

        And whether later feeds speak of some of its slots, which stay as they are.

        ``complete_ms`` is when the latest complete feed was made, read after all was staged.

        What closes comes first, so that a commit that breaks off leaves fewer slots, never more.
        """
        spots_key = keys.spots_prefix(one.merchant_id) + one.day
        stage_key = keys.stage_key(one.merchant_id, staged.import_id, one.day)
        staged_slots = staged.slots_by_day.get((one.merchant_id, one.day), 0)
        about: list[str | int] = [
            one.day,
            staged_slots,
            generated_at_ms,
            self.keep_until_ms(one.day),
        ]
        status, *begun = await self._link.run(
            self._begin_commit,
            [keys.inventory_key(one.merchant_id), stage_key, spots_key],
            [
                *about,
                _lines(one.perhaps_over),
                _STAGE_REPEAT_MS,
                complete_ms,
                *_claims_of_day(one, generated_at_ms),
                one.start_s,
            ],
            deadline(),
        )
        if not begun:
            return CommitStatus(status), 0, False
        only_lowers = one.merchant_id in staged.only_lower
        stored = await self._read(spots_key, begun[0])
        meant = await _in_scope(one, stored)
        first = "lower" if only_lowers else "close"
        outcome, removed = await self._commit(one, stage_key, about, first, meant)
        if outcome is CommitStatus.COMMITTED and not only_lowers:
            listed = await self._read(stage_key, staged_slots)
            slots = [slot for slot in listed if slot != "removed"]
            outcome, opened = await self._commit(one, stage_key, about, "open", slots)
            removed = max(removed, opened)
        return outcome, removed, begun[1] == 1

    async def note_orders(self, staged: Staged, generated_at_ms: int, complete_ms: int) -> None:
        """Keep earlier feeds from adding what a feed speaks of and does not list, on any day."""
        names = list(staged.scopes)
        for first in range(0, len(names), _MERCHANTS_AT_ONCE):
            some = names[first : first + _MERCHANTS_AT_ONCE]
            calls = [self._note_of(name, staged, generated_at_ms, complete_ms) for name in some]
            await asyncio.gather(*calls)

    async def _note_of(
        self, merchant_id: str, staged: Staged, generated_at_ms: int, complete_ms: int
    ) -> None:
        days = [day for name, day in staged.slots_by_day if name == merchant_id]
        is_listed = bool(days) and merchant_id not in staged.only_lower
        days.append(keys.start_text(generated_at_ms // 1000).partition("T")[0])
        about: list[str | int] = [generated_at_ms, self.keep_until_ms(max(days))]
        scopes = [it for it in staged.scopes[merchant_id] if not _is_of_one_day(it)]
        for first in range(0, len(scopes), _FIELDS_AT_ONCE):
            some = scopes[first : first + _FIELDS_AT_ONCE]
            claims = _lines(_claim(it, generated_at_ms, it.from_s, it.to_s) for it in some)
            await self._link.run(
                self._note_order,
                [keys.inventory_key(merchant_id)],
                [claims, *about, int(is_listed), complete_ms],
                deadline(),
            )

    async def leave_out(self, merchant_id: str, until_ms: int, generated_at_ms: int) -> None:
        """Keep a merchant and its services known, and keep earlier feeds from adding to them."""
        key = keys.inventory_key(merchant_id)
        known = await read_hash(self._link, key, deadline())
        names = [field for field in known if field.startswith("service:")]
        for first in range(0, len(names) or 1, _FIELDS_AT_ONCE):
            some = _lines(names[first : first + _FIELDS_AT_ONCE])
            arguments: list[str | int] = [some, until_ms, generated_at_ms]
            await self._link.run(self._leave_out, [key], arguments, deadline())

    async def drop(self, merchant_id: str) -> int | None:
        """Forget a merchant's inventory; return how many slots are gone, None if it had none.

        Raises FeedError when a feed is loaded meanwhile.
        """
        drop_id = uuid.uuid4().hex[:12]
        inventory_key = keys.inventory_key(merchant_id)
        stage_key = keys.stage_key(merchant_id, drop_id, "drop")
        (status,) = await self._link.run(
            self._begin_drop, [inventory_key, stage_key], [drop_id, _STAGE_REPEAT_MS], deadline()
        )
        if status == "merchant_unknown":
            return None
        removed = 0
        for field in await read_hash(self._link, inventory_key, deadline()):
            if field.startswith("day:"):
                spots_key = keys.spots_prefix(merchant_id) + field.removeprefix("day:")
                removed = max(removed, await self._drop(merchant_id, drop_id, spots_key, stage_key))
        (status,) = await self._link.run(
            self._drop_inventory, [inventory_key], [drop_id], deadline()
        )
        if status == "loaded_meanwhile":
            raise _interrupted(merchant_id)
        return removed

    def keep_until_ms(self, day: str) -> int:
        """Return when the inventory of a day ends, epoch milliseconds."""
        return start_ms(day) + DAY_MS + self._retention_ms

    async def _commit(
        self, one: Day, stage_key: str, about: list[str | int], step: str, slots: list[str]
    ) -> tuple[CommitStatus, int]:
        """Take one of the steps of commit_spots with each of these slots."""
        key_names = [keys.spots_prefix(one.merchant_id) + one.day, stage_key]
        key_names.append(keys.inventory_key(one.merchant_id))
        prefixes = (keys.slot_prefix(one.merchant_id), keys.booking_key(one.merchant_id, ""))
        done = removed = 0
        while done < len(slots):
            some = _lines(slots[done : done + _SLOTS_AT_ONCE])
            arguments: list[str | int] = [*about, step, some, *prefixes]
            arguments += [_STAGE_REPEAT_MS, one.start_s]
            status, *told = await self._link.run(
                self._commit_spots, key_names, arguments, deadline()
            )
            if not told:
                return CommitStatus(status), removed
            done, removed = done + told[0], told[1]
        return CommitStatus.COMMITTED, removed

    async def _drop(self, merchant_id: str, drop_id: str, spots_key: str, stage_key: str) -> int:
        """Take out every slot of a day; return how many of the merchant are gone so far."""
        key_names = [spots_key, stage_key, keys.inventory_key(merchant_id)]
        slot_prefix = keys.slot_prefix(merchant_id)
        stored = int(await self._link.read("HLEN", spots_key, deadline=deadline()))
        slots, done, removed = list(await self._read(spots_key, stored)), 0, 0
        while done < len(slots):
            some = _lines(slots[done : done + _SLOTS_AT_ONCE])
            arguments: list[str | int] = [drop_id, some, slot_prefix, _STAGE_REPEAT_MS]
            _, *told = await self._link.run(self._drop_spots, key_names, arguments, deadline())
            if not told:
                raise _interrupted(merchant_id)
            done, removed = done + told[0], told[1]
        return removed

    async def _read(self, key: str, count: int) -> dict[str, str]:
        """Return the fields of a hash that has so many; nothing is asked for one of none."""
        return await read_hash(self._link, key, deadline(), at_least=count) if count else {}


def deadline() -> Deadline:
    """Return until when one call may take."""
    return Deadline.within(_CALL_TIMEOUT_S, None)


def start_ms(day: str) -> int:
    """Return when a UTC day begins, epoch milliseconds."""
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * 1000


def _is_of_one_day(scope: Scope) -> bool:
    """Tell whether all starts of a scope are of one UTC day."""
    day_s = DAY_MS // 1000
    if scope.from_s is None or scope.to_s is None:
        return False
    return scope.from_s // day_s == (scope.to_s - 1) // day_s


def days_of(scopes: Iterable[Scope]) -> set[str]:
    """Return the UTC days of those scopes that are of one day."""
    starts = (scope.from_s for scope in scopes if _is_of_one_day(scope))
    return {keys.start_text(start_s or 0).partition("T")[0] for start_s in starts}


def _claims_of_day(one: Day, generated_at_ms: int) -> tuple[str, str]:
    """Return what a feed is complete for on a day, and what of it the day alone remembers."""
    every, kept = [], []
    end_s = one.start_s + DAY_MS // 1000
    for scope in one.scopes:
        begins, ends = scope.from_s or 0, scope.to_s or end_s
        from_s = begins - one.start_s if begins > one.start_s else None
        to_s = ends - one.start_s if ends < end_s else None
        claim = _claim(scope, generated_at_ms, from_s, to_s)
        every.append(claim)
        is_whole = claim.endswith(",*" * 7)
        if is_whole or _is_of_one_day(scope):
            kept.append(claim)
    return _lines(every), _lines(kept)


def _claim(scope: Scope, generated_at_ms: int, from_s: int | None, to_s: int | None) -> str:
    """Write what a feed is complete for, and when it was made; see lua/README.md."""
    ids = (scope.staff_id, scope.room_id)
    parts = (
        generated_at_ms,
        scope.service_id and encode_id(scope.service_id),
        from_s,
        to_s,
        scope.duration_s and keys.duration_text(scope.duration_s),
        *(name and encode_id(name) for name in ids),
        scope.party_size,
    )
    return ",".join("*" if part is None else str(part) for part in parts)


def _interrupted(merchant_id: str) -> FeedError:
    return FeedError(f"A feed was loaded for {merchant_id} while it was dropped; drop it again.")


def _lines(names: Iterable[str]) -> str:
    return "".join(f"{name}\n" for name in names)


async def _in_scope(one: Day, slots: Iterable[str]) -> list[str]:
    """Return those slots of a day that the feed speaks of."""
    if Scope(one.merchant_id) in one.scopes:
        return list(slots)
    found = []
    for number, text in enumerate(slots):
        slot = keys.parse_slot(one.merchant_id, text)
        if any(scope.has(slot) for scope in one.scopes):
            found.append(text)
        if number % (_CHECKS_AT_ONCE // len(one.scopes)) == 0:
            await asyncio.sleep(0)
    return found
