"""A primary that Sentinels watch: the server that most of them name, and no other."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Any

import structlog
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from leasehold.model.address import Address
from leasehold.model.deadline import Deadline
from leasehold.model.errors import DeadlinePassedError, StoreTrouble, StoreUnavailableError
from leasehold.model.finding import Finding
from leasehold.store.hooks import Hooks
from leasehold.store.lane import NeverSentError
from leasehold.store.node import Node, Word

_ASK_AGAIN_AFTER_S = 1
_TRUSTED_FOR_S = 2
_SHORTEST_PAUSE_S = 0.1

_MAY_MEAN_A_NEW_PRIMARY = frozenset(
    {StoreTrouble.UNREACHABLE, StoreTrouble.READ_ONLY, StoreTrouble.NOT_REPLICATED}
)

_log = structlog.get_logger()


class Sentinel:
    """One Sentinel, asked over one connection that stays open.

    ``make_connection`` returns a connection of redis-py that is not connected yet. A question may
    take ``patience_s``, the connection included.
    """

    def __init__(
        self, make_connection: Callable[[], AbstractConnection], service: str, patience_s: float
    ) -> None:
        self._make_connection = make_connection
        self._connection: AbstractConnection | None = None
        self._question = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", service)
        self._patience_s = patience_s
        self._is_asked = False
        self.answers = False
        """Whether it has answered the last question."""
        self.named: Address | None = None
        """Which server it named then."""

    async def primary(self) -> Address | None:
        """Return the server that it names; None without an answer, or one to the last question."""
        if self._is_asked:
            return None
        self._is_asked = True
        try:
            self.named, self.answers = await self._ask(), True
        except (RedisError, OSError):
            self.named, self.answers = None, False
        finally:
            self._is_asked = False
        return self.named

    async def _ask(self) -> Address | None:
        connection = self._connection = self._connection or self._make_connection()
        try:
            async with asyncio.timeout(self._patience_s):
                await connection.connect()
                await connection.send_command(*self._question)
                found = await connection.read_response()
        except BaseException:
            await self.close()
            raise
        return Address(found[0], int(found[1])) if found else None

    async def close(self) -> None:
        """Close the connection; the next question makes another."""
        connection, self._connection = self._connection, None
        if connection:
            await connection.disconnect(nowait=True)


class Sentinels:
    """Sends each command to the primary that most Sentinels name, and leaves it for another one.

    A primary that is replaced while all is well takes writes for seconds more, and loses them. So
    each command has the Sentinels asked again, at most once a second; the heartbeat alone sees to
    that. They are asked at once when an answer may mean that there is another primary. An answer of
    a server that was left meanwhile is not passed on, and none that is more than two seconds newer
    than the last question.

    More than half of the Sentinels must agree before a server that answers is left: fewer may be
    the smaller side of a network that has parted. Any Sentinel will do where no server answers.
    """

    def __init__(
        self,
        service: str,
        sentinels: Sequence[Sentinel],
        make_node: Callable[[Address], Node],
        hooks: Hooks,
    ) -> None:
        """``make_node`` returns a node that is not connected yet."""
        self._service = service
        self._sentinels = sentinels
        self._make_node = make_node
        self._on_reconnect = hooks.on_reconnect
        self._at: Address | None = None
        self._node: Node | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._asking: asyncio.Task[None] | None = None
        self._questions: set[asyncio.Task[Address | None]] = set()
        self._asked_at_s = -float("inf")
        self._waiting = 0
        self._has_majority = True

    @property
    def in_flight(self) -> int:
        """Return how many commands are in flight, or wait for the Sentinels."""
        return self._waiting + (self._node.in_flight if self._node else 0)

    async def ask(
        self,
        words: tuple[Word, ...],
        deadline: Deadline,
        key: str | None = None,
        promises: Collection[str] = (),
        /,
    ) -> Any:
        """Send a command to the primary; what it answers counts while it is the primary."""
        node = await self._current(deadline)
        if self._age_s() > _ASK_AGAIN_AFTER_S:
            self._begin_to_ask()
        try:
            reply = await node.ask(words, deadline, key, promises)
        except StoreUnavailableError as error:
            if node is self._node and error.trouble in _MAY_MEAN_A_NEW_PRIMARY:
                with contextlib.suppress(DeadlinePassedError):
                    await self._ask_sentinels(deadline)
            if node is self._node or isinstance(error, NeverSentError):
                raise
            # The new primary may have it, or not: there a repeat finds out.
            raise StoreUnavailableError(StoreTrouble.UNREACHABLE) from error
        while self._age_s() > _TRUSTED_FOR_S:
            await self._ask_sentinels(deadline)
        if node is not self._node:
            raise StoreUnavailableError(StoreTrouble.UNREACHABLE)
        return reply

    async def ping(self, deadline: Deadline) -> None:
        """Return when the primary answers."""
        await self.ask(("PING",), deadline)

    async def primaries(self, deadline: Deadline) -> dict[str, Node]:
        """Return the primary by the name that the Sentinels have for it."""
        return {self._service: await self._current(deadline)}

    async def shards(self, deadline: Deadline) -> dict[str, Node]:
        """Return the primary, which needs no tag."""
        return {"": await self._current(deadline)}

    async def shard_of(self, _key: str, deadline: Deadline) -> tuple[str, Node]:
        """Return the primary; another one is another node."""
        return "", await self._current(deadline)

    async def findings(self, deadline: Deadline) -> list[Finding]:
        """Return the finding ``sentinels``, also while none answers."""
        with contextlib.suppress(DeadlinePassedError):
            await self._ask_sentinels(deadline)
        if self._questions:
            # Most of them have decided already; the others count here as well.
            await asyncio.wait(self._questions, timeout=max(0, deadline.remaining_s()))
        answering = sum(each.answers for each in self._sentinels)
        agreeing = sum(self._at is not None and each.named == self._at for each in self._sentinels)
        named = self._at or "a primary"
        detail = f"{answering} of {len(self._sentinels)} answer, {agreeing} name {named}"
        if agreeing * 2 <= len(self._sentinels):
            detail += "; that is no majority, so no failover is followed"
        is_well = answering == agreeing == len(self._sentinels)
        return [Finding("sentinels", "ok" if is_well else "warning", detail)]

    async def close(self) -> None:
        """Close every connection; what is unanswered fails with StoreUnavailableError."""
        tasks = {*self._questions, *filter(None, [self._asking])}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._node:
            await self._node.close()
        await asyncio.gather(*self._closing, *(each.close() for each in self._sentinels))

    async def _current(self, deadline: Deadline) -> Node:
        """Return the primary, once it is known."""
        if self._node is None:
            await self._ask_sentinels(deadline)
        if self._node is None:
            raise NeverSentError(StoreTrouble.UNREACHABLE) from RedisConnectionError(
                f"no Sentinel names a primary called {self._service}: none could be reached,"
                " or logged in to, that knows it"
            )
        return self._node

    def _age_s(self) -> float:
        return time.monotonic() - self._asked_at_s

    async def _ask_sentinels(self, deadline: Deadline) -> None:
        """Wait until the Sentinels have been asked."""
        asking = self._begin_to_ask()
        self._waiting += 1
        try:
            await asyncio.wait({asking}, timeout=max(0, deadline.remaining_s()))
        finally:
            self._waiting -= 1
        if not asking.done():
            raise DeadlinePassedError
        asking.result()

    def _begin_to_ask(self) -> asyncio.Task[None]:
        """Ask, unless that has begun already."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask_all())
        return self._asking

    async def _ask_all(self) -> None:
        await asyncio.sleep(_SHORTEST_PAUSE_S - self._age_s())
        began_at_s = time.monotonic()
        questions = [asyncio.create_task(each.primary()) for each in self._sentinels]
        self._questions.update(questions)
        named: Counter[Address] = Counter()
        for answer in asyncio.as_completed(questions):
            if at := await answer:
                named[at] += 1
            if self._is_majority(named, at):
                break  # A silent Sentinel must not delay the answers of the others.
        self._questions = {each for each in self._questions if not each.done()}
        self._asked_at_s = began_at_s
        self._follow(named)

    def _is_majority(self, named: Counter[Address], at: Address | None) -> bool:
        return at is not None and named[at] * 2 > len(self._sentinels)

    def _follow(self, named: Counter[Address]) -> None:
        """Go where most Sentinels say; where fewer say if there is no server that answers."""
        at = max(named, key=lambda it: named[it], default=None)
        has_majority = self._is_majority(named, at)
        if has_majority is not self._has_majority:
            self._has_majority = has_majority
            tell = _log.info if has_majority else _log.warning
            tell("sentinels_agree" if has_majority else "sentinels_disagree", answers=named.total())
        is_free = has_majority or self._node is None or self._node.is_down
        if at is not None and at != self._at and is_free:
            self._go_to(at)

    def _go_to(self, at: Address) -> None:
        left, before = self._node, self._at
        self._at, self._node = at, self._make_node(at)
        if left:
            _log.warning("primary_replaced", left=str(before), now=str(at))
            self._on_reconnect()
            closing = asyncio.create_task(left.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
