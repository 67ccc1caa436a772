"""A cluster: the node for each key, and what its nodes say when keys move."""

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

import structlog
from redis.crc import key_slot
from redis.exceptions import AskError, MovedError

from leasehold.model.address import Address
from leasehold.model.deadline import Deadline
from leasehold.model.errors import DeadlinePassedError, StoreTrouble, StoreUnavailableError
from leasehold.model.finding import Finding
from leasehold.store import cluster_health, trouble
from leasehold.store.hooks import Hooks
from leasehold.store.lane import NeverSentError, pause_s
from leasehold.store.node import Node, Word

# However much is amiss, the cluster is asked who owns what at most so often, and less and less
# often while it has nothing new to tell.
_FIRST_MAP_PAUSE_S = 0.1
_LONGEST_MAP_PAUSE_S = 1
_REDIRECTS_WITHOUT_PAUSE = 3
# With less, the caller is better told that a slot is on the move than that its time was short.
_LEAST_TIME_LEFT_S = 0.02
_SCRIPTS = ("EVALSHA", "EVAL")
_LONGEST_MOVE_S = 1
# A hash slot that no call has met on its way for so long has arrived meanwhile.
_MOVE_FORGOTTEN_S = 5
_LEAVING_LOOK_S = 0.05
_LEAVING_LIMIT_S = 10

_MAY_MEAN_A_NEW_OWNER = frozenset(
    {StoreTrouble.UNREACHABLE, StoreTrouble.CLUSTER_DOWN, StoreTrouble.READ_ONLY}
)

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Map:
    """Who owns which hash slot, as the cluster told it."""

    owners: dict[int, Address]
    primaries: frozenset[Address]
    """The owners, each once."""
    nodes: frozenset[Address]
    """Every node, replicas included: whom to ask for the next map."""


_NOTHING_KNOWN = Map({}, frozenset(), frozenset())


class Cluster:
    """Sends each command to the primary that owns its key, and follows the key when it moves.

    What a node answers with MOVED, ASK or TRYAGAIN it has not carried out, so it is sent again,
    whatever it is, until the deadline. A script does not follow ASK: where a hash slot arrives, a
    key that is still to come looks like one that is not there, and the script would grant it again.
    It waits until the slot has arrived, but no longer than a second after a call has first met the
    slot on its way: a move that stopped half-way must not cost each call its whole time.

    ``draw_map`` asks some of the nodes that it is given, and others that it knows, who owns what.
    ``make_node`` returns a node that is not connected yet.
    """

    def __init__(
        self,
        draw_map: Callable[[Iterable[Address]], Awaitable[Map]],
        make_node: Callable[[Address], Node],
        hooks: Hooks,
    ) -> None:
        self._draw_map = draw_map
        self._make_node = make_node
        self._on_resend = hooks.on_resend
        self._map = _NOTHING_KNOWN
        self._nodes: dict[Address, Node] = {}
        self._tags: dict[Address, str] = {}
        self._leaving: dict[Node, asyncio.Task[None]] = {}
        self._drawing: asyncio.Task[None] | None = None
        self._draw_at_s = 0.0
        self._map_pause_s = _FIRST_MAP_PAUSE_S
        self._trouble: StoreTrouble = StoreTrouble.UNREACHABLE
        self._pausing = 0
        self._moves: dict[int, tuple[float, float]] = {}
        """When calls have met a hash slot on its way, first and last."""

    @property
    def in_flight(self) -> int:
        """Return how many commands wait, are in flight or pause, on every node together."""
        nodes = (*self._nodes.values(), *self._leaving)
        return self._pausing + sum(node.in_flight for node in nodes)

    async def ask(
        self,
        words: tuple[Word, ...],
        deadline: Deadline,
        key: str | None = None,
        promises: Collection[str] = (),
        /,
    ) -> Any:
        """Send a command to the owner of a key, or to any primary; follow redirections."""
        at, asking, attempt = await self._owner(key, deadline), False, 0
        while True:
            try:
                return await self._ask_node(at, words, deadline, key, promises, asking=asking)
            except StoreUnavailableError as error:
                if error.trouble is not StoreTrouble.MIGRATING:
                    raise
                attempt += 1
                redirection = self._redirection(error, at, words)
                if redirection is None and key and self._is_stuck(key):
                    raise
                if redirection is None or attempt % _REDIRECTS_WITHOUT_PAUSE == 0:
                    await self._pause(attempt, deadline, error)
                    redirection = await self._owner(key, deadline), False
            at, asking = redirection
            self._on_resend()

    async def ping(self, deadline: Deadline) -> None:
        """Return when any primary answers.

        A shard that is lost takes its merchants out, and not every process for all the others.
        """
        known = await self._known(deadline)
        asked = (self._ask_node(at, ("PING",), deadline) for at in known.primaries)
        answers = await asyncio.gather(*asked, return_exceptions=True)
        errors = [answer for answer in answers if isinstance(answer, BaseException)]
        if len(errors) == len(answers):
            raise errors[0]

    async def primaries(self, deadline: Deadline) -> dict[str, Node]:
        """Return every primary that owns slots, as the cluster tells it now."""
        await self._wait_for(self._draw(), deadline)
        known = await self._known(deadline)
        return {str(at): self._node(at) for at in sorted(known.primaries)}

    async def shards(self, deadline: Deadline) -> dict[str, Node]:
        """Return every primary by the first tag that is its own; others keep theirs meanwhile."""
        await self._known(deadline)
        owners = sorted(set(self._map.owners.values()))
        return {self._tag(at): self._node(at) for at in owners}

    async def shard_of(self, key: str, deadline: Deadline) -> tuple[str, Node]:
        """Return the shard of a key."""
        at = await self._owner(key, deadline)
        return self._tag(at), self._node(at)

    async def findings(self, deadline: Deadline) -> list[Finding]:
        """Return the finding ``cluster``, also while no node answers."""
        try:
            nodes = await self.primaries(deadline)
        except (StoreUnavailableError, DeadlinePassedError):
            return [Finding("cluster", "warning", "no node tells who owns which slot")]
        owners = Counter(map(str, self._map.owners.values()))
        return [await cluster_health.look(nodes, owners, deadline)]

    def _tag(self, at: Address) -> str:
        """Return the first number whose hash slot an owner of slots owns, as text.

        So every process finds the same, and it stays while that slot does.
        """
        owners = self._map.owners
        if at not in self._tags or owners.get(key_slot(self._tags[at].encode())) != at:
            numbers = map(str, itertools.count())
            self._tags[at] = next(it for it in numbers if owners.get(key_slot(it.encode())) == at)
        return self._tags[at]

    async def close(self) -> None:
        """Close every connection; what is unanswered fails with StoreUnavailableError."""
        if self._drawing:
            self._drawing.cancel()
            await asyncio.wait({self._drawing})
        for task in self._leaving.values():
            task.cancel()
        nodes = (*self._nodes.values(), *self._leaving)
        await asyncio.gather(*(node.close() for node in nodes))

    async def _ask_node(
        self,
        at: Address,
        words: tuple[Word, ...],
        deadline: Deadline,
        key: str | None = None,
        promises: Collection[str] = (),
        *,
        asking: bool = False,
    ) -> Any:
        try:
            return await self._node(at).ask(words, deadline, key, promises, asking=asking)
        except StoreUnavailableError as error:
            if error.trouble in _MAY_MEAN_A_NEW_OWNER or isinstance(error.__cause__, MovedError):
                self._draw()
            raise

    def _redirection(
        self, error: Exception, at: Address, words: tuple[Word, ...]
    ) -> tuple[Address, bool] | None:
        """Return where a command has to go, and whether with ASKING; None if it has to wait."""
        told = error.__cause__
        if not isinstance(told, AskError):
            return None
        there = Address(told.host or at.host, told.port)
        if isinstance(told, MovedError):
            self._map.owners[told.slot_id] = there
            return there, False
        return None if words[0] in _SCRIPTS else (there, True)

    def _is_stuck(self, key: str) -> bool:
        """Note that a hash slot is on its way, and tell whether it has been for too long."""
        slot, now_s = key_slot(key.encode()), time.monotonic()
        first_s, last_s = self._moves.get(slot, (now_s, now_s))
        if now_s - last_s > _MOVE_FORGOTTEN_S:
            first_s = now_s
        self._moves[slot] = first_s, now_s
        return now_s - first_s >= _LONGEST_MOVE_S

    def _node(self, at: Address) -> Node:
        if at not in self._nodes:
            self._nodes[at] = self._make_node(at)
        return self._nodes[at]

    async def _pause(self, attempt: int, deadline: Deadline, error: Exception) -> None:
        """Wait until a slot on the move may have arrived; raise ``error`` if no time is left."""
        pause = pause_s(attempt)
        if deadline.remaining_s() <= pause + _LEAST_TIME_LEFT_S:
            raise error
        self._pausing += 1
        try:
            await asyncio.sleep(pause)
        finally:
            self._pausing -= 1

    async def _owner(self, key: str | None, deadline: Deadline) -> Address:
        known = await self._known(deadline)
        if key is None:
            return next(iter(known.primaries))
        owner = known.owners.get(key_slot(key.encode()))
        if owner is None:
            self._draw()
            raise StoreUnavailableError(StoreTrouble.CLUSTER_DOWN)
        return owner

    async def _known(self, deadline: Deadline) -> Map:
        """Return the map, once there is one."""
        if self._map is _NOTHING_KNOWN:
            await self._wait_for(self._draw(), deadline)
        if self._map is _NOTHING_KNOWN:
            raise NeverSentError(self._trouble)
        return self._map

    async def _wait_for(self, drawing: asyncio.Task[None], deadline: Deadline) -> None:
        self._pausing += 1
        try:
            await asyncio.wait({drawing}, timeout=max(0, deadline.remaining_s()))
        finally:
            self._pausing -= 1
        if not drawing.done():
            raise DeadlinePassedError

    def _draw(self) -> asyncio.Task[None]:
        """Begin to draw a new map, unless somebody has."""
        if self._drawing is None or self._drawing.done():
            self._drawing = asyncio.create_task(self._redraw())
        return self._drawing

    async def _redraw(self) -> None:
        await asyncio.sleep(self._draw_at_s - time.monotonic())
        before = self._map
        if time.monotonic() > self._draw_at_s + _LONGEST_MAP_PAUSE_S:
            self._map_pause_s = _FIRST_MAP_PAUSE_S
        try:
            self._map = await self._draw_map(before.nodes)
        except Exception as error:  # noqa: BLE001 - whatever it is, there is no new map
            self._trouble = trouble.from_redis(_root(error)) or StoreTrouble.CLUSTER_DOWN
            _log.warning("cluster_unknown", reason=str(error))
        else:
            self._let_go()
        if self._map != before:
            self._map_pause_s = _FIRST_MAP_PAUSE_S
        # Many processes ask, so at random.
        self._draw_at_s = time.monotonic() + random.uniform(0.5, 1) * self._map_pause_s  # noqa: S311
        self._map_pause_s = min(2 * self._map_pause_s, _LONGEST_MAP_PAUSE_S)

    def _let_go(self) -> None:
        """Close the nodes that own nothing any more, once they have answered."""
        for at in self._nodes.keys() - self._map.primaries:
            node = self._nodes.pop(at)
            self._leaving[node] = asyncio.create_task(self._close(node))

    async def _close(self, node: Node) -> None:
        give_up_at_s = time.monotonic() + _LEAVING_LIMIT_S
        while node.in_flight and time.monotonic() < give_up_at_s:  # noqa: ASYNC110 - rare
            await asyncio.sleep(_LEAVING_LOOK_S)
        await node.close()
        del self._leaving[node]


def _root(error: Exception) -> Exception:
    """Return why no node gave a map; redis-py wraps it."""
    return error.__cause__ if isinstance(error.__cause__, Exception) else error
