"""Hashes that may be large, read so few fields at a time that no other caller waits for long."""

from collections.abc import AsyncIterator
from typing import Any

from leasehold.model.deadline import Deadline
from leasehold.store.link import Link

_FIELDS_AT_ONCE = 250


async def read_hash(
    link: Link, key: str, deadline: Deadline, *, at_least: int = 0
) -> dict[str, str]:
    """Return the fields of a hash, each as it was at some instant; what comes meanwhile may miss.

    HSCAN finds every field that is there all the time, as long as one server answers. With
    ``at_least`` fields expected it is asked again after another server has taken over.
    """
    found = await _scan(link, key, deadline)
    while len(found) < at_least:
        at_least = int(await link.read("HLEN", key, deadline=deadline))
        found |= await _scan(link, key, deadline)
    return found


async def hash_pages(link: Link, key: str, deadline: Deadline) -> AsyncIterator[dict[str, str]]:
    """Yield the fields of a hash page by page; a field may come twice."""
    cursor = "0"
    while cursor:
        words = ("HSCAN", key, cursor, "COUNT", str(_FIELDS_AT_ONCE))
        after, page = await link.read(*words, deadline=deadline)
        yield _pairs(page)
        cursor = str(after) if int(after) else ""


async def _scan(link: Link, key: str, deadline: Deadline) -> dict[str, str]:
    found: dict[str, str] = {}
    async for page in hash_pages(link, key, deadline):
        found |= page
    return found


def _pairs(page: Any) -> dict[str, str]:
    """Return the fields of a page, in whichever way redis-py hands them out."""
    return page if isinstance(page, dict) else dict(zip(page[::2], page[1::2], strict=True))
