"""One server of the store, over a few connections."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from hiredis import pack_command
from redis.asyncio.connection import AbstractConnection

from leasehold.model.deadline import Deadline
from leasehold.model.errors import DeadlinePassedError
from leasehold.model.finding import Finding
from leasehold.store.acknowledger import Acknowledger
from leasehold.store.conversation import Command, Prelude
from leasehold.store.hooks import NO_HOOKS, Hooks
from leasehold.store.lane import Lane

Word = str | int

_ASKING = pack_command(("ASKING",))


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much the link may hold and how long it may take."""

    connections: int
    max_in_flight: int
    """Most commands that may wait, for replicas too, be in flight or pause before a repeat."""
    timeout_s: float
    """Longest silence of a connection from which answers are due."""
    connect_timeout_s: float
    """Longest time to open a connection, its handshake included."""
    retries: int
    """How often what may be repeated is sent again."""
    replica_acks: int = 0
    """How many replicas must have what a script promises."""
    replica_ack_timeout_s: float = 1
    """Longest wait for them."""


class Node:
    """One server, or whichever its address leads to now, over a few connections.

    ``make_connection`` returns a connection of redis-py that is not connected yet.
    """

    def __init__(
        self,
        address: str,
        make_connection: Callable[[], AbstractConnection],
        limits: Limits,
        hooks: Hooks = NO_HOOKS,
    ) -> None:
        self.address = address
        """Where it is, for people; no password."""
        self._lanes = [
            Lane(
                make_connection,
                timeout_s=limits.timeout_s,
                connect_timeout_s=limits.connect_timeout_s,
                hooks=hooks,
                knows_server=limits.replica_acks > 0,
            )
            for _ in range(limits.connections)
        ]
        self._acknowledger: Acknowledger | None = None
        if limits.replica_acks:
            self._acknowledger = Acknowledger(
                make_connection,
                replicas=limits.replica_acks,
                timeout_s=limits.replica_ack_timeout_s,
                connect_timeout_s=limits.connect_timeout_s,
                hooks=hooks,
            )

    @property
    def in_flight(self) -> int:
        """Return how many commands wait, for replicas too, or are in flight."""
        callers = self._acknowledger.callers if self._acknowledger else 0
        return callers + sum(lane.load for lane in self._lanes)

    @property
    def is_down(self) -> bool:
        """Tell whether no connection could be had, a moment ago."""
        return all(lane.is_down for lane in self._lanes)

    async def ping(self, deadline: Deadline) -> None:
        """Return when the server answers."""
        await self.ask(("PING",), deadline)

    async def primaries(self, _deadline: Deadline) -> "dict[str, Node]":
        """Return this node."""
        return {self.address: self}

    async def shards(self, _deadline: Deadline) -> "dict[str, Node]":
        """Return this node, which needs no tag."""
        return {"": self}

    async def shard_of(self, _key: str, _deadline: Deadline) -> "tuple[str, Node]":
        """Return this node."""
        return "", self

    async def findings(self, _deadline: Deadline) -> list[Finding]:
        """Return nothing: there are no other nodes."""
        return []

    async def close(self) -> None:
        """Close every connection; what is unanswered fails with StoreUnavailableError."""
        await asyncio.gather(*(lane.close() for lane in self._lanes))
        if self._acknowledger:
            await self._acknowledger.close()

    async def ask(
        self,
        words: tuple[Word, ...],
        deadline: Deadline,
        key: str | None = None,
        promises: Collection[str] = (),
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
        lane = min(self._lanes, key=_burden)
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
        if self._acknowledger and promises and reply[0] in promises:
            assert key
            await self._acknowledger.wait(key, command.run_id, deadline)
        return reply


def _burden(lane: Lane) -> tuple[bool, int]:
    return lane.is_down, lane.load
