"""The link to Redis: runs scripts by SHA, within the time that the call has left."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from hiredis import pack_command
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import NoScriptError

from leasehold.model.deadline import Deadline
from leasehold.model.errors import DeadlinePassedError, OverloadedError, StoreUnavailableError
from leasehold.store import trouble
from leasehold.store.lane import Command, Lane, NeverSentError, Prelude, pause_s
from leasehold.store.scripts import Script

Reply = list[Any]
"""A status word, then strings and integers, as the header of the script says."""

Word = str | int

_ASKING = pack_command(("ASKING",))


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much the link may hold and how long it may take."""

    connections: int
    max_in_flight: int
    """Most commands that may wait, be in flight or pause before a repeat."""
    timeout_s: float
    """Longest silence of a connection from which answers are due."""
    connect_timeout_s: float
    """Longest time to open a connection, its handshake included."""
    retries: int
    """How often what may be repeated is sent again."""


def tell_nobody() -> None:
    """Take part in no counting."""


class Nodes(Protocol):
    """What a link asks: one node, or a cluster that finds the node for each key."""

    @property
    def in_flight(self) -> int:
        """Return how many commands wait, are in flight or pause before they are sent on."""

    async def ask(
        self, words: tuple[Word, ...], deadline: Deadline, key: str | None = None, /
    ) -> Any:
        """Send a command to the node of a key, or any; return the answer, or raise what it was."""

    async def ping(self, deadline: Deadline) -> None:
        """Return when the store, or some of it, answers."""

    async def primaries(self, deadline: Deadline) -> "dict[str, Node]":
        """Return every node that takes writes now, by its address."""

    async def close(self) -> None:
        """Close every connection."""


class Link:
    """Runs scripts on the store; what may be sent again, and how often, is decided here.

    ``on_resend`` is called whenever a command is sent again.
    """

    def __init__(
        self, nodes: Nodes, limits: Limits, *, on_resend: Callable[[], object] = tell_nobody
    ) -> None:
        self._nodes = nodes
        self._limits = limits
        self._on_resend = on_resend
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

        async def evaluate() -> Any:
            try:
                return await self._nodes.ask(("EVALSHA", script.sha, *words), deadline, keys[0])
            except NoScriptError:
                # Restarted, promoted or flushed. EVAL runs the script and leaves it loaded.
                return await self._nodes.ask(("EVAL", script.source, *words), deadline, keys[0])

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

    async def primaries(self, deadline: Deadline) -> "dict[str, Node]":
        """Return every node that takes writes now, by its address; raises as run does."""
        found: dict[str, Node] = await self._repeat(
            lambda: self._nodes.primaries(deadline), deadline, is_repeatable=True
        )
        return found

    async def read_on(self, node: "Node", *words: str, deadline: Deadline) -> Any:
        """Run a command that changes nothing on one node; raises as run does."""
        return await self._repeat(lambda: node.ask(words, deadline), deadline, is_repeatable=True)

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
                self._on_resend()

    async def _pause(self, pause: float) -> None:
        self._pausing += 1
        try:
            await asyncio.sleep(pause)
        finally:
            self._pausing -= 1


class Node:
    """One server, or whichever its address leads to now, over a few connections.

    ``make_connection`` returns a connection of redis-py that is not connected yet. ``on_reconnect``
    is called whenever a lost connection has been replaced.
    """

    def __init__(
        self,
        address: str,
        make_connection: Callable[[], AbstractConnection],
        limits: Limits,
        *,
        on_reconnect: Callable[[], object] = tell_nobody,
    ) -> None:
        self.address = address
        """Where it is, for people; no password."""
        self._lanes = [
            Lane(
                make_connection,
                timeout_s=limits.timeout_s,
                connect_timeout_s=limits.connect_timeout_s,
                on_reconnect=on_reconnect,
            )
            for _ in range(limits.connections)
        ]

    @property
    def in_flight(self) -> int:
        """Return how many commands wait or are in flight."""
        return sum(lane.load for lane in self._lanes)

    async def ping(self, deadline: Deadline) -> None:
        """Return when the server answers."""
        await self.ask(("PING",), deadline)

    async def primaries(self, _deadline: Deadline) -> "dict[str, Node]":
        """Return this node."""
        return {self.address: self}

    async def close(self) -> None:
        """Close every connection; what is unanswered fails with StoreUnavailableError."""
        await asyncio.gather(*(lane.close() for lane in self._lanes))

    async def ask(
        self,
        words: tuple[Word, ...],
        deadline: Deadline,
        _key: str | None = None,
        /,
        *,
        asking: bool = False,
    ) -> Any:
        """Send a command and return its answer, or raise what it was.

        With ``asking`` a cluster node carries it out although its slot is only on its way there.
        """
        remaining_s = deadline.remaining_s()
        if remaining_s <= 0:
            raise DeadlinePassedError
        loop = asyncio.get_running_loop()
        packed = pack_command(words)  # type: ignore[arg-type] # its type takes one word only
        command = Command(packed, deadline, loop.create_future())
        lane = min(self._lanes, key=lambda lane: (lane.is_down, lane.load))
        if asking:
            lane.submit(Prelude(_ASKING, deadline, command.reply))
        lane.submit(command)
        too_late = loop.call_later(remaining_s, command.settle, DeadlinePassedError())
        try:
            reply = await command.reply
        finally:
            too_late.cancel()
        if isinstance(reply, Exception):
            raise reply
        return reply
