"""How old the feeds are that inventories are known from, some merchants at a time."""

from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from heapq import nsmallest

from leasehold.model.deadline import Deadline
from leasehold.model.finding import Finding
from leasehold.model.ids import decode_id
from leasehold.store import layout
from leasehold.store.findings import of_those_that_answer
from leasehold.store.hash_pages import read_hash
from leasehold.store.link import Link
from leasehold.store.safety import Shard, shards_of

NAME = "feeds"
OLD_MS = 26 * 3_600_000
"""A feed comes once a day; two hours are for the producer's delays."""
_KEYS_A_PAGE = 500
_MOST_NAMES = 3


@dataclass(frozen=True, slots=True)
class FeedAges:
    """What is known of the age of all feeds."""

    finding: Finding
    oldest_ms: int = 0
    """The age of the newest feed of the merchant whose newest feed is the oldest."""
    old: int = 0
    """Merchants whose newest feed is older than 26 hours."""


@dataclass(slots=True)
class _Pass:
    """How far one shard has been looked through, and when the feeds found were made."""

    cursor: str = "0"
    found: dict[str, int] = field(default_factory=dict)
    """By merchant, since the cursor began."""
    before: dict[str, int] = field(default_factory=dict)
    """By merchant, of the last whole pass."""

    def note(self, cursor: str, found: dict[str, int]) -> None:
        self.cursor = cursor
        self.found |= found
        if cursor == "0":
            self.found, self.before = {}, self.found


class FeedAgeWatch:
    """Finds merchants whose newest feed is old; a pass over a large store takes several looks.

    A look at a shard ends after ``most_pages`` of key names, or when it has read ``most_merchants``
    at least; the next one goes on from there.
    """

    def __init__(self, link: Link, most_pages: float, most_merchants: float) -> None:
        self._link = link
        self._most_pages = most_pages
        self._most_merchants = most_merchants
        self._passes: dict[str, _Pass] = {}

    async def look(self, deadline: Deadline) -> FeedAges:
        """Look at some more merchants and return what is known now.

        Raises as Link.run does when no shard answers. That a shard is away is told by the finding
        of the cluster.
        """
        shards = await shards_of(self._link, deadline)
        looks = {shard.tag: self._look_at(shard, deadline) for shard in shards}
        told = await of_those_that_answer(looks)
        if not all(told.values()):
            return FeedAges(Finding(NAME, "warning", "unknown: SCAN is not allowed"))
        asked = {it.tag: it.ask(deadline, "TIME") for it in shards if it.tag in told}
        answers = await of_those_that_answer(asked)
        times = [int(answer[0]) * 1000 for answer in answers.values() if answer]
        if not times:
            return FeedAges(Finding(NAME, "warning", "unknown: TIME is not allowed"))
        made: dict[str, int] = {}
        for shard in shards:
            of_shard = self._passes[shard.tag]
            made |= of_shard.before | of_shard.found
        return _judge(made, max(times))

    async def _look_at(self, shard: Shard, deadline: Deadline) -> bool:
        """Look at the next keys of a shard; tell whether that is allowed."""
        done = self._passes.setdefault(shard.tag, _Pass())
        count: Counter[str] = Counter()
        while count["pages"] < self._most_pages and count["read"] < self._most_merchants:
            words = ("SCAN", done.cursor, "MATCH", "inventory:{*}", "COUNT", str(_KEYS_A_PAGE))
            if (answer := await shard.ask(deadline, *words)) is None:
                return False
            found = await self._link.each(partial(self._made_ms, deadline), answer[1])
            of_page = dict(zip(map(_merchant, answer[1]), found, strict=True))
            done.note(str(answer[0]), {name: at for name, at in of_page.items() if at})
            count.update(pages=1, read=len(of_page))
            if done.cursor == "0":
                break
        return True

    async def _made_ms(self, deadline: Deadline, key: str) -> int:
        """Return when the newest feed was made that says anything of a merchant, or 0.

        That a complete feed leaves the merchant out counts as well. Nothing is said of an inventory
        that only a later release can read.
        """
        fields = await read_hash(self._link, key, deadline)
        if not layout.knows(fields.get(layout.FIELD)):
            return 0
        said = (
            value for name, value in fields.items() if name.startswith("day:") or name == "left_out"
        )
        return max((int(value.split()[0]) for value in said), default=0)


def _judge(made: dict[str, int], now_ms: int) -> FeedAges:
    ages = {name: max(0, now_ms - made_ms) for name, made_ms in made.items()}
    oldest_ms = max(ages.values(), default=0)
    old = [name for name, age_ms in ages.items() if age_ms > OLD_MS]
    hours = OLD_MS // 3_600_000
    if not old:
        detail = f"no merchant's newest feed is older than {hours} hours"
        return FeedAges(Finding(NAME, "ok", detail), oldest_ms)
    # By name where several are of one feed, so that what is told stays the same.
    names = nsmallest(_MOST_NAMES, old, key=lambda name: (made[name], name))
    more = f" and {len(old) - len(names)} more" if len(old) > len(names) else ""
    detail = f"the newest feed is older than {hours} hours of {', '.join(names)}{more}"
    return FeedAges(Finding(NAME, "warning", detail), oldest_ms, len(old))


def _merchant(key: str) -> str:
    return decode_id(key.partition("{")[2].partition("}")[0])
