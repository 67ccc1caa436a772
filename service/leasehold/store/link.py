"""The link to Redis: runs scripts by SHA, within the time that the call has left."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, Protocol, TypeVar

from redis.exceptions import NoScriptError

from leasehold.model.deadline import Deadline
from leasehold.model.errors import OverloadedError, StoreUnavailableError
from leasehold.model.finding import Finding
from leasehold.store import trouble
from leasehold.store.hooks import NO_HOOKS, Hooks
from leasehold.store.lane import NeverSentError, pause_s
from leasehold.store.node import Limits, Node, Word
from leasehold.store.scripts import Script

_AT_ONCE = 20

Item = TypeVar("Item")
Found = TypeVar("Found")
Reply = list[Any]
"""A status word, then strings and integers, as the header of the script says."""


class Nodes(Protocol):
    """What a link asks: one node, or a cluster that finds the node for each key."""

    @property
    def in_flight(self) -> int:
        """Return how many commands wait, are in flight or pause before they are sent on."""

    async def ask(
        self,
        words: tuple[Word, ...],
        deadline: Deadline,
        key: str | None = None,
        promises: Collection[str] = (),
        /,
    ) -> Any:
        """Send a command to the node of a key, or any; return the answer, or raise what it was.

        An answer that begins with one of ``promises`` counts once enough replicas have it.
        """

    async def ping(self, deadline: Deadline) -> None:
        """Return when the store, or some of it, answers."""

    async def primaries(self, deadline: Deadline) -> dict[str, Node]:
        """Return every node that takes writes now, by its address."""

    async def shards(self, deadline: Deadline) -> dict[str, Node]:
        """Return every node that takes writes, by a hash tag of one of its keys.

        The tag of a single server is empty.
        """

    async def shard_of(self, key: str, deadline: Deadline) -> "tuple[str, Node]":
        """Return the shard of a key, as shards has it."""

    async def findings(self, deadline: Deadline) -> list[Finding]:
        """Return what is wrong or well with the nodes as a whole; raises nothing."""

    async def close(self) -> None:
        """Close every connection."""


class Link:
    """Runs scripts on the store; what may be sent again, and how often, is decided here."""

    def __init__(self, nodes: Nodes, limits: Limits, hooks: Hooks = NO_HOOKS) -> None:
        self._nodes = nodes
        self._limits = limits
        self._hooks = hooks
        self._pausing = 0

    @property
    def in_flight(self) -> int:
        """Return how many commands wait, are in flight or pause before a repeat."""
        return self._pausing + self._nodes.in_flight

    async def run(
        self, script: Script, keys: list[str], arguments: list[str | int], deadline: Deadline
    ) -> Reply:
        """Run a script once in effect and return its reply.

        Sends again what may be repeated, on trouble that may pass, until the deadline; what may not
        be repeated only when it was certainly never sent. Raises StoreUnavailableError,
        DeadlinePassedError when the time is up, or OverloadedError when too much is waiting.
        """
        words = (len(keys), *keys, *arguments)
        ask, promises = self._nodes.ask, script.header.promises

        async def evaluate() -> Any:
            asked_at_s = time.monotonic()
            try:
                found = await ask(("EVALSHA", script.sha, *words), deadline, keys[0], promises)
            except NoScriptError:
                # Restarted, promoted or flushed. EVAL runs the script and leaves it loaded.
                found = await ask(("EVAL", script.source, *words), deadline, keys[0], promises)
            self._hooks.on_answer(time.monotonic() - asked_at_s, script.name)
            return found

        reply: Reply = await self._repeat(
            evaluate, deadline, is_repeatable=script.header.repeatable
        )
        return reply

    async def read(self, *words: str, deadline: Deadline, key: str | None = None) -> Any:
        """Run a command that changes nothing; raises as run does.

        In a cluster the word after the command's name tells the node, or else ``key``.
        """
        if key is None and len(words) > 1:
            key = words[1]
        return await self._repeat(
            lambda: self._nodes.ask(words, deadline, key), deadline, is_repeatable=True
        )

    async def read_everywhere(self, *words: str, deadline: Deadline) -> dict[str, Any]:
        """Run a command that changes nothing on every primary; return the answers by address.

        Raises as run does if any of them gives none.
        """
        primaries = await self.primaries(deadline)
        answers = await asyncio.gather(
            *(self.read_on(it, *words, deadline=deadline) for it in primaries.values())
        )
        return dict(zip(primaries, answers, strict=True))

    async def each(
        self, do: Callable[[Item], Awaitable[Found]], items: Sequence[Item]
    ) -> list[Found]:
        """Do for every item what asks the store, and return what came of it, in their order.

        So few at a time that the commands of others do not wait long, and are not refused.
        """
        found: list[Found] = []
        at_once = min(_AT_ONCE, max(1, self._limits.max_in_flight // 4))
        for first in range(0, len(items), at_once):
            found += await asyncio.gather(*map(do, items[first : first + at_once]))
        return found

    async def primaries(self, deadline: Deadline) -> dict[str, Node]:
        """Return every node that takes writes now, by its address; raises as run does."""
        found: dict[str, Node] = await self._repeat(
            lambda: self._nodes.primaries(deadline), deadline, is_repeatable=True
        )
        return found

    async def read_on(self, node: Node, *words: str, deadline: Deadline) -> Any:
        """Run a command that changes nothing on one node; raises as run does."""
        return await self._repeat(lambda: node.ask(words, deadline), deadline, is_repeatable=True)

    async def shards(self, deadline: Deadline) -> dict[str, Node]:
        """Return every node that takes writes, by a hash tag of one of its keys.

        The tag of a single server is empty. Raises as run does.
        """
        return await self._nodes.shards(deadline)

    async def shard_of(self, key: str, deadline: Deadline) -> "tuple[str, Node]":
        """Return the tag and the node of a key, as shards has them; raises as run does."""
        return await self._nodes.shard_of(key, deadline)

    async def findings(self, deadline: Deadline) -> list[Finding]:
        """Return the finding of a cluster or of Sentinels, and none of a single server."""
        return await self._nodes.findings(deadline)

    async def ping(self, deadline: Deadline) -> None:
        """Return when the store answers; raises as run does, but asks even with a full queue.

        Of a cluster one node is enough: a lost shard must not take every process out.
        """
        await self._nodes.ping(deadline)

    async def close(self) -> None:
        """Close every connection; what is unanswered fails with StoreUnavailableError."""
        await self._nodes.close()

    async def _repeat(
        self, ask: Callable[[], Awaitable[Any]], deadline: Deadline, *, is_repeatable: bool
    ) -> Any:
        if self.in_flight >= self._limits.max_in_flight:
            raise OverloadedError
        attempt = 0
        while True:
            try:
                return await ask()
            except StoreUnavailableError as error:
                attempt += 1
                was_sent = not isinstance(error, NeverSentError)
                # Lanes pause by themselves between connections, and another may have one.
                pause = pause_s(attempt) if was_sent else 0
                if (
                    attempt > self._limits.retries
                    or (was_sent and not is_repeatable)
                    or error.trouble not in trouble.WORTH_ANOTHER_TRY
                    or deadline.remaining_s() <= pause
                ):
                    raise
            if was_sent:
                await self._pause(pause)
                self._hooks.on_resend()

    async def _pause(self, pause: float) -> None:
        self._pausing += 1
        try:
            await asyncio.sleep(pause)
        finally:
            self._pausing -= 1
