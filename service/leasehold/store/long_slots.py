"""Finds slots that are held or booked, and longer than slots may be, some names at a time."""

import re
from dataclasses import dataclass

from leasehold.model.deadline import Deadline
from leasehold.model.finding import Finding
from leasehold.store import keys
from leasehold.store.findings import of_those_that_answer
from leasehold.store.link import Link
from leasehold.store.safety import Shard, shards_of

NAME = "slots"
_NAMES_A_PAGE = 500
_SPOT = re.compile(r"slot:\{[^{}]*\}:(?P<slot>.*)#\d+", re.DOTALL)


@dataclass(slots=True)
class _Pass:
    """How far one shard has been looked through."""

    cursor: str = "0"
    longest_s: int = 0
    """Of the names since the cursor began."""
    longest_before_s: int = 0
    """Of the last whole pass."""

    def note(self, cursor: str, longest_s: int) -> None:
        self.cursor = cursor
        self.longest_s = max(self.longest_s, longest_s)
        if cursor == "0":
            self.longest_s, self.longest_before_s = 0, self.longest_s


class LongSlots:
    """Looks at the names of spots, never at what they hold: a SCAN of 500 names is one page.

    ``most_pages`` bounds what one look asks of each shard; the next one goes on from there. A slot
    that has left the store is forgotten once all names have been looked at again.
    """

    def __init__(self, link: Link, max_slot_s: float, most_pages: float) -> None:
        self._link = link
        self._max_slot_s = max_slot_s
        self._most_pages = most_pages
        self._passes: dict[str, _Pass] = {}

    async def look(self, deadline: Deadline) -> Finding:
        """Look at some more names and return what is known now.

        Raises as Link.run does when no shard answers. That a shard is away is told by the finding
        of the cluster.
        """
        shards = await shards_of(self._link, deadline)
        looks = {shard.tag: self._look_at(shard, deadline) for shard in shards}
        if not all((await of_those_that_answer(looks)).values()):
            return Finding(NAME, "warning", "unknown: SCAN is not allowed")
        longest_s = max(max(it.longest_s, it.longest_before_s) for it in self._passes.values())
        limit = f"LEASEHOLD_MAX_SLOT_S ({self._max_slot_s:.0f} s)"
        if longest_s > self._max_slot_s:
            detail = f"a slot of {longest_s} s is held or booked, which is above {limit}"
            return Finding(NAME, "warning", detail)
        return Finding(NAME, "ok", f"no slot above {limit} is known to be held or booked")

    async def _look_at(self, shard: Shard, deadline: Deadline) -> bool:
        """Look at the next names of a shard; tell whether that is allowed."""
        done = self._passes.setdefault(shard.tag, _Pass())
        pages = 0
        while pages < self._most_pages:
            words = ("SCAN", done.cursor, "COUNT", str(_NAMES_A_PAGE))
            if (answer := await shard.ask(deadline, *words)) is None:
                return False
            done.note(str(answer[0]), max(map(_duration_s, answer[1]), default=0))
            pages += 1
            if done.cursor == "0":
                break
        return True


def _duration_s(key: str) -> int:
    """Return the duration of the slot of a spot's key, 0 for any other."""
    match = _SPOT.fullmatch(key)
    slot = keys.read_slot("", match["slot"]) if match else None
    return slot.duration_s if slot else 0
