"""The markers of all shards, and who is let in to take a spot."""

from collections.abc import Awaitable, Callable

from leasehold.model.deadline import Deadline
from leasehold.model.finding import Finding
from leasehold.store.findings import merge, of_those_that_answer
from leasehold.store.link import Link, Reply
from leasehold.store.marker import Marker
from leasehold.store.node import Node, Word
from leasehold.store.scripts import Script


class Markers:
    """One marker for each shard; a single server is one shard.

    A loss on one shard says nothing about the merchants of the others, so each has a quarantine
    of its own, and so a clock. ``hold_ms``, ``on_loss`` and ``clock_step_ms`` are those of Marker.
    """

    def __init__(
        self,
        link: Link,
        hold_ms: int,
        *,
        on_loss: Callable[[], object],
        clock_step_ms: int = 5000,
    ) -> None:
        self._link = link
        self._hold_ms = hold_ms
        self._on_loss = on_loss
        self._clock_step_ms = clock_step_ms
        self._by_tag: dict[str, Marker] = {}
        self._nodes: dict[str, Node] = {}
        self._known: dict[str, Finding] = {}

    @property
    def quarantine_remaining_s(self) -> float:
        """Return the longest quarantine of any shard; 0 without a loss."""
        return max((each.quarantine_remaining_s for each in self._by_tag.values()), default=0.0)

    @property
    def clock_step_remaining_s(self) -> float:
        """Return for how much longer some shard's clock is not trusted; 0 without a step."""
        return max((each.clock_step_remaining_s for each in self._by_tag.values()), default=0.0)

    @property
    def step(self) -> Finding:
        """Return whether the clocks of all shards are trusted, as far as beats have shown."""
        by_address = {node.address: [self._by_tag[tag].step] for tag, node in self._nodes.items()}
        return merge(by_address)[0]

    def doubt(self) -> None:
        """Admit nobody before the next beat: some node may be another one now."""
        for marker in self._by_tag.values():
            marker.doubt()

    async def admit(self, key: str, deadline: Deadline) -> None:
        """Return if a spot may be taken on the shard of a key; raises as Marker.admit does."""
        tag, node = await self._link.shard_of(key, deadline)
        await self._of(tag, node).admit(deadline)

    async def check_clock(self, key: str, deadline: Deadline) -> None:
        """Raise ClockSteppedError while the clock of a key's shard is known to have stepped."""
        if self.clock_step_remaining_s:
            tag, node = await self._link.shard_of(key, deadline)
            self._of(tag, node).check_clock()

    async def beat(self, deadline: Deadline) -> Finding:
        """Beat on every shard; return what is known now of all, those that are away included.

        Raises as Link.run does when no shard answers.
        """
        shards = await self._link.shards(deadline)
        beats = {tag: self._of(tag, node).beat(deadline) for tag, node in shards.items()}
        self._known |= await of_those_that_answer(beats)
        by_address = {
            node.address: [self._known[tag]] for tag, node in shards.items() if tag in self._known
        }
        return merge(by_address)[0]

    def _of(self, tag: str, node: Node) -> Marker:
        """Return the marker of a shard, in doubt when another node has taken it over."""
        if tag not in self._by_tag:
            self._by_tag[tag] = Marker(
                self._link,
                self._hold_ms,
                tag,
                on_loss=self._on_loss,
                clock_step_ms=self._clock_step_ms,
            )
        if self._nodes.get(tag) is not node:
            self._nodes[tag] = node
            self._by_tag[tag].doubt()
        return self._by_tag[tag]


class Guard:
    """Runs scripts whose answers need a store, or a clock, that can be trusted.

    ``admit`` raises while that of a key cannot: Markers.admit or Markers.check_clock.
    """

    def __init__(self, link: Link, admit: Callable[[str, Deadline], Awaitable[None]]) -> None:
        self._link = link
        self._admit = admit

    async def run(
        self, script: Script, keys: list[str], arguments: list[Word], deadline: Deadline
    ) -> Reply:
        """Run a script as the link does; raises as ``admit`` does, too."""
        await self._admit(keys[0], deadline)
        reply = await self._link.run(script, keys, arguments, deadline)
        # It may come from another store than was looked at before, empty and all too free.
        await self._admit(keys[0], deadline)
        return reply
