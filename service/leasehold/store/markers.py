"""The markers of all shards, and who is let in to take a spot."""

import asyncio
from collections.abc import Callable

from leasehold.model.deadline import Deadline
from leasehold.model.finding import Finding
from leasehold.store.findings import merge
from leasehold.store.link import Link, Reply
from leasehold.store.marker import Marker
from leasehold.store.node import Node, Word
from leasehold.store.scripts import Script


class Markers:
    """One marker for each shard; a single server is one shard.

    A loss on one shard says nothing about the merchants of the others, so each has a quarantine
    of its own. ``hold_ms`` and ``on_loss`` are those of Marker.
    """

    def __init__(self, link: Link, hold_ms: int, *, on_loss: Callable[[], object]) -> None:
        self._link = link
        self._hold_ms = hold_ms
        self._on_loss = on_loss
        self._by_tag: dict[str, Marker] = {}
        self._nodes: dict[str, Node] = {}
        self._known: dict[str, Finding] = {}

    @property
    def quarantine_remaining_s(self) -> float:
        """Return the longest quarantine of any shard; 0 without a loss."""
        return max((each.quarantine_remaining_s for each in self._by_tag.values()), default=0.0)

    def doubt(self) -> None:
        """Admit nobody before the next beat: some node may be another one now."""
        for marker in self._by_tag.values():
            marker.doubt()

    async def admit(self, key: str, deadline: Deadline) -> None:
        """Return if a spot may be taken on the shard of a key; raises as Marker.admit does."""
        tag, node = await self._link.shard_of(key, deadline)
        await self._of(tag, node).admit(deadline)

    async def beat(self, deadline: Deadline) -> Finding:
        """Beat on every shard; return what is known now of all, those that are away included.

        Raises as Link.run does when no shard answers.
        """
        shards = await self._link.shards(deadline)
        beats = (self._of(tag, node).beat(deadline) for tag, node in shards.items())
        found = await asyncio.gather(*beats, return_exceptions=True)
        errors = [each for each in found if isinstance(each, BaseException)]
        if len(errors) == len(found):
            raise errors[0]
        told = zip(shards, found, strict=True)
        self._known |= {tag: each for tag, each in told if isinstance(each, Finding)}
        by_address = {
            node.address: [self._known[tag]] for tag, node in shards.items() if tag in self._known
        }
        return merge(by_address)[0]

    def _of(self, tag: str, node: Node) -> Marker:
        """Return the marker of a shard, in doubt when another node has taken it over."""
        if tag not in self._by_tag:
            self._by_tag[tag] = Marker(self._link, self._hold_ms, tag, on_loss=self._on_loss)
        if self._nodes.get(tag) is not node:
            self._nodes[tag] = node
            self._by_tag[tag].doubt()
        return self._by_tag[tag]


class Guard:
    """Runs scripts that take a free spot, or tell of one, while that can be trusted."""

    def __init__(self, link: Link, markers: Markers) -> None:
        self._link = link
        self._markers = markers

    async def run(
        self, script: Script, keys: list[str], arguments: list[Word], deadline: Deadline
    ) -> Reply:
        """Run a script as the link does; raises as Markers.admit does, too."""
        await self._markers.admit(keys[0], deadline)
        reply = await self._link.run(script, keys, arguments, deadline)
        # It may come from another store than was looked at before, empty and all too free.
        await self._markers.admit(keys[0], deadline)
        return reply
