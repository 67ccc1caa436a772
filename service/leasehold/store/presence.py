"""Whether an unknown merchant is the caller's mistake, or the inventory is missing.

The key ``feed`` says whether anybody has an inventory, and lies on one shard. Of a cluster each
other shard says in its own marker that it has what feeds brought, so that its loss is not hidden.
"""

import asyncio
from collections.abc import Iterable

from leasehold.model.deadline import Deadline
from leasehold.model.errors import (
    DeadlinePassedError,
    OverloadedError,
    StoreTrouble,
    StoreUnavailableError,
)
from leasehold.store import keys, layout, scripts
from leasehold.store.link import Link

MERCHANT_UNKNOWN = "merchant_unknown"
"""The status of every script that looks for a merchant's inventory."""
# A shard that is away keeps a load of the others no longer.
_NOTE_TIMEOUT_S = 2


async def refuse_if_missing(link: Link, status: str, merchant_id: str, deadline: Deadline) -> None:
    """Raise StoreUnavailableError if a merchant is unknown because the inventory is missing.

    Not in the scripts: what is known of everybody, and of the shard, lies beside other keys.
    """
    if status != MERCHANT_UNKNOWN:
        return
    tag, _ = await link.shard_of(keys.inventory_key(merchant_id), deadline)
    of_feed = ("HMGET", keys.FEED_KEY, layout.FIELD, "imported_at_ms", "shards_at_ms")
    of_shard = ("HMGET", keys.marker_key(tag), layout.FIELD, "inventory_at_ms")
    (v, imported_at, shards_at), (v_of_marker, inventory_at) = await asyncio.gather(
        link.read(*of_feed, deadline=deadline), link.read(*of_shard, deadline=deadline)
    )
    layout.require(v)
    layout.require(v_of_marker)
    # 0.1 notes no shards: what was loaded last by such a release says nothing about them.
    is_lost = tag and imported_at == shards_at and inventory_at is None
    if imported_at is None or is_lost:
        raise StoreUnavailableError(StoreTrouble.NO_INVENTORY)


async def note_shards(link: Link, merchants: Iterable[str], deadline: Deadline) -> bool:
    """Note on every shard that a feed was loaded, which lists these merchants.

    Tells whether markers can be kept, and there are several; see lua/note_shard.lua. Of a shard
    that does not answer nothing is noted.
    """
    shards = await link.shards(deadline)
    if len(shards) == 1:
        return False
    listed = {(await link.shard_of(keys.inventory_key(it), deadline))[0] for it in merchants}
    notes = (_note(link, tag, is_listed=tag in listed) for tag in shards)
    return all(await asyncio.gather(*notes))


async def _note(link: Link, tag: str, *, is_listed: bool) -> bool:
    """Note it on one shard; tell whether that is allowed, and its marker may be read."""
    soon = Deadline.within(_NOTE_TIMEOUT_S, None)
    script = scripts.load("note_shard")
    try:
        await link.run(script, [keys.marker_key(tag)], [int(is_listed)], soon)
    except StoreUnavailableError as error:
        return error.trouble not in (StoreTrouble.ACCESS_DENIED, StoreTrouble.LAYOUT_UNKNOWN)
    except (DeadlinePassedError, OverloadedError):
        return True
    return True
