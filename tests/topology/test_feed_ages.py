"""How old the feeds of a store are, looked at page by page."""

import pytest
from tests.backends import Backend, soon

from leasehold.store import keys
from leasehold.store.feed_ages import OLD_MS, FeedAges, FeedAgeWatch

LATER_MS = 2_000_000_000_000


async def known_from(backend: Backend, merchant: str, *ages_ms: int, left_out_ms: int = 0) -> None:
    """Store that a merchant's days are known from feeds of some ages."""
    now = await backend.now_ms()
    days = {f"day:2033-05-{10 + n}": f"{now - age} {LATER_MS}" for n, age in enumerate(ages_ms)}
    left_out = {"left_out": f"{now - left_out_ms}"} if left_out_ms else {}
    key = keys.inventory_key(merchant)
    for name, value in (days | left_out).items():
        await backend.redis.hset(key, name, value)
    await backend.redis.pexpireat(key, LATER_MS)


async def whole_pass(watch: FeedAgeWatch) -> FeedAges:
    """Look until every key has been looked at twice, and return what is known."""
    for _ in range(30):
        found = await watch.look(soon())
    return found


@pytest.mark.parametrize("limits", [(float("inf"), float("inf")), (1, 1)])
async def test_feeds_that_are_old_are_counted_and_three_are_named(
    fake: Backend, limits: tuple[float, float]
) -> None:
    """The newest feed of a merchant counts, that of any day or the one that leaves it out."""
    watch = FeedAgeWatch(fake.link, *limits)
    assert (await whole_pass(watch)).finding.state == "ok"
    for number in range(3_000):
        await fake.redis.set(f"foreign:{number}", "", px=3_600_000)
    await known_from(fake, "fresh", OLD_MS + 9, OLD_MS - 60_000)
    await known_from(fake, "closed", OLD_MS + 9, left_out_ms=5)
    for number in range(5):
        await known_from(fake, f"salon-{number}", OLD_MS + 100_000 - 1000 * number)

    found = await whole_pass(watch)

    told = "the newest feed is older than 26 hours of salon-0, salon-1, salon-2 and 2 more"
    assert (found.finding.state, found.finding.detail) == ("warning", told)
    assert found.old == 5
    assert OLD_MS + 100_000 <= found.oldest_ms < OLD_MS + 160_000
    for number in range(5):
        await known_from(fake, f"salon-{number}", 0)
    found = await whole_pass(watch)
    assert (found.finding.state, found.old) == ("ok", 0)
