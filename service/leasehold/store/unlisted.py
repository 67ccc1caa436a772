"""Merchants that a complete feed does not list: which they are, and that they are closed.

A complete feed notes when it was made before it looks for merchants, and looks for those who are
staged as well. A load looks at that note after it has staged. So of a complete feed and an earlier
one that lists a merchant that is not stored, one always sees the other.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from leasehold.model.ids import decode_id
from leasehold.model.inventory import ManyLeftOutError, Staged
from leasehold.store import keys, layout, scripts
from leasehold.store.hash_pages import hash_pages, read_hash
from leasehold.store.inventory_steps import InventorySteps, deadline
from leasehold.store.link import Link

_AT_ONCE = 4
_FEWEST = 2
"""Fewer merchants than these close without a question."""
_MOST_NAMES = 10
_MOST_NAME_CHARACTERS = 1000
INVENTORIES = "inventory:{*}"
"""The keys of merchants who have an inventory."""
# inventory:{…} and stage:{…}, and no other family of keys.
_KNOWN = "[is][nt]*:{*}*"


@dataclass(frozen=True, slots=True)
class Limits:
    """What may close without confirmation: how much, as the store is at an instant."""

    most_share: float
    """Of the merchants with an open slot ahead."""
    now_ms: int
    generated_at_ms: int


class UnlistedMerchants:
    """Finds and closes them."""

    def __init__(self, link: Link, steps: InventorySteps) -> None:
        self._link = link
        self._steps = steps
        self._note_complete = scripts.load("note_complete")

    async def check(
        self,
        staged: Staged,
        limits: "Limits",
        progress: Callable[[int, int], None],
    ) -> None:
        """Raise ManyLeftOutError when too many would close."""
        names = sorted({name async for name in known_merchants(self._link, INVENTORIES)})
        listed = _listed(staged)
        if limits.most_share >= 1 or len(set(names) - listed) < _FEWEST:
            return
        open_ones: list[str] = []
        for first in range(0, len(names), _AT_ONCE):
            some = names[first : first + _AT_ONCE]
            # What a later feed says is not closed by this one.
            before = [None if name in listed else limits.generated_at_ms for name in some]
            calls = map(self._has_open_slot, some, [limits.now_ms] * len(some), before)
            answers = zip(some, await asyncio.gather(*calls), strict=True)
            open_ones += [name for name, is_open in answers if is_open]
            progress(first + len(some), len(names))
        closing = [name for name in open_ones if name not in listed]
        if len(closing) >= _FEWEST and len(closing) > limits.most_share * len(open_ones):
            raise ManyLeftOutError(
                f"The feed does not list {len(closing)} of the {len(open_ones)} merchants with an"
                f" open slot ahead, and would close them: {_first_of(closing)}."
            )

    async def note(self, staged: Staged, generated_at_ms: int) -> None:
        """Note that the feed is complete, and only then which merchants it leaves out."""
        until_ms = self._known_until_ms(staged, generated_at_ms)
        arguments: list[str | int] = [generated_at_ms, until_ms]
        await self._link.run(self._note_complete, [keys.FEED_KEY], arguments, deadline())
        known = {name async for name in known_merchants(self._link, _KNOWN)}
        staged.left_out = known - _listed(staged)

    async def latest_ms(self) -> int:
        """Return when the latest complete feed was made, 0 when there is none."""
        words = ("HMGET", keys.FEED_KEY, layout.FIELD, "complete_ms")
        v, complete_ms = await self._link.read(*words, deadline=deadline())
        layout.require(v)
        return int(complete_ms or 0)

    async def close(self, staged: Staged, generated_at_ms: int) -> None:
        """Keep those that are left out known, and keep earlier feeds from adding to them."""
        names = sorted(staged.left_out)
        until_ms = self._known_until_ms(staged, generated_at_ms)
        for first in range(0, len(names), _AT_ONCE):
            some = names[first : first + _AT_ONCE]
            calls = [self._steps.leave_out(name, until_ms, generated_at_ms) for name in some]
            await asyncio.gather(*calls)

    def _known_until_ms(self, staged: Staged, generated_at_ms: int) -> int:
        """Return until when the listed merchants are known, and at least the day of the feed."""
        days = [keys.start_text(generated_at_ms // 1000).partition("T")[0]]
        days += [day for _, day in staged.slots_by_day]
        return self._steps.keep_until_ms(max(days))

    async def _has_open_slot(self, merchant_id: str, now_ms: int, before_ms: int | None) -> bool:
        """Tell whether a merchant has a slot ahead with spots, held or not.

        With ``before_ms`` on a day that is known from no later feed.
        """
        fields = await read_hash(self._link, keys.inventory_key(merchant_id), deadline())
        layout.require(fields.get(layout.FIELD))
        today = keys.start_text(now_ms // 1000).partition("T")[0]
        days = sorted(
            name.removeprefix("day:")
            for name, value in fields.items()
            if name.startswith("day:") and (before_ms is None or int(value.split()[0]) <= before_ms)
        )
        for day in days:
            if day < today:
                continue
            async for page in hash_pages(
                self._link, keys.spots_prefix(merchant_id) + day, deadline()
            ):
                if any(_is_open(text, spots, now_ms) for text, spots in page.items()):
                    return True
        return False


async def known_merchants(link: Link, families: str) -> AsyncIterator[str]:
    """Yield the merchants that have a key of some families, in no order; some perhaps twice."""
    for node in (await link.primaries(deadline())).values():
        cursor = "0"
        while cursor:
            words = ("SCAN", cursor, "MATCH", families, "COUNT", "1000")
            after, found = await link.read_on(node, *words, deadline=deadline())
            for key in found:
                yield decode_id(key.partition("{")[2].partition("}")[0])
            cursor = str(after) if int(after) else ""


def _listed(staged: Staged) -> set[str]:
    """Return every merchant that the feed speaks of."""
    return staged.scopes.keys() | staged.only_lower


def _is_open(text: str, spots: str, now_ms: int) -> bool:
    start = text.partition(":")[2].partition("/")[0]
    return not spots.startswith("0 ") and start >= keys.start_text(now_ms // 1000)


def _first_of(names: list[str]) -> str:
    """Write some names, as many as an answer has room for."""
    shown: list[str] = []
    characters = 0
    for name in names[:_MOST_NAMES]:
        characters += len(name)
        if shown and characters > _MOST_NAME_CHARACTERS:
            break
        shown.append(name)
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
