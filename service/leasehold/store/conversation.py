"""What is said on one connection to Redis: many commands in flight, answered in their order.

redis-py opens the connection; then this protocol takes the place of its streams. What one turn of
the event loop brings is written in one go, and an answer reaches the one who waits for it in the
turn in which it arrives, without a task in between.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import structlog
from hiredis import Reader
from redis._parsers.base import BaseParser
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import InvalidResponse, RedisError, ResponseError

from leasehold.model.deadline import Deadline
from leasehold.model.errors import DeadlinePassedError, StoreTrouble, StoreUnavailableError
from leasehold.store import trouble

_log = structlog.get_logger()

# A store that stays read-only costs a new connection at most this often.
_LEAST_AGE_S = 0.5
_LAST_LOOK_S = 0.01


@dataclass(eq=False, slots=True)
class Command:
    """A command on its way, and where its caller waits."""

    packed: bytes
    deadline: Deadline
    reply: "asyncio.Future[Any]"
    """The answer, or an exception as a value: the caller may have left."""
    run_id: str = ""
    """Which process it went to, where somebody wants to know."""

    def settle(self, reply: Any) -> None:
        """Answer the caller, if it is still there."""
        if not self.reply.done():
            self.reply.set_result(reply)


class Prelude(Command):
    """A command that goes right before another on the same lane, and is dropped with it.

    It shares deadline and ``reply`` with the other, so the two are written together or not at all.
    """

    __slots__ = ()

    def settle(self, reply: Any) -> None:
        """Swallow the answer: the other command tells whether this one was taken."""


class Conversation(asyncio.Protocol):
    """Sends what waits over one connection and hands out the answers, until the connection ends.

    ``waiting`` is the lane's; what has been taken from it is in flight here.
    """

    def __init__(
        self,
        connection: AbstractConnection,
        waiting: list[Command],
        timeout_s: float,
        run_id: str = "",
    ) -> None:
        # redis-py has no public way to its transport.
        writer = connection._writer  # noqa: SLF001
        assert writer
        self._transport = writer.transport
        self._waiting = waiting
        self._timeout_s = timeout_s
        self._run_id = run_id
        self._in_flight: deque[Command] = deque()
        self._replies = Reader(
            protocolError=InvalidResponse,
            replyError=BaseParser.parse_error,
            encoding="utf-8",
            # A foreign value that is no text must not break the connection under everybody else.
            errors="surrogateescape",
        )
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._watching: asyncio.TimerHandle | None = None
        self._is_write_due = False
        self._is_paused = False
        self._is_retired = False
        self._opened_at_s = self._heard_at_s = time.monotonic()

    @property
    def in_flight(self) -> int:
        """Return how many commands are without their answer, those of callers gone included."""
        return len(self._in_flight)

    async def hold(self) -> None:
        """Talk until the connection ends; return if it was retired, else raise what ended it.

        What was in flight has failed by then, its outcome unknown.
        """
        self._transport.set_protocol(self)
        self._watch()
        self.write_soon()
        try:
            await self._over
        finally:
            if self._watching:
                self._watching.cancel()
            self._is_retired = True
            # An ordinary close would first wait until the other side has taken what is written.
            self._transport.abort()
            for command in self._in_flight:
                command.settle(StoreUnavailableError(StoreTrouble.UNREACHABLE))

    def write_soon(self) -> None:
        """Write what waits, with whatever else this turn of the loop brings."""
        if not (self._is_write_due or self._is_paused or self._is_retired):
            self._is_write_due = True
            self._loop.call_soon(self._write)

    def _write(self) -> None:
        self._is_write_due = False
        batch = b"".join(self._take_waiting())
        if batch:
            self._transport.write(batch)

    def _take_waiting(self) -> Iterable[bytes]:
        """Put what is still wanted in flight, in order, and return its bytes."""
        if self._is_retired:
            return
        now_s = time.monotonic()
        if not self._in_flight:
            self._heard_at_s = now_s
        for command in self._waiting:
            if command.reply.done():
                continue
            if command.deadline.at_s <= now_s:
                command.settle(DeadlinePassedError())
                continue
            self._in_flight.append(command)
            yield command.packed
            command.packed = b""
            command.run_id = self._run_id
        self._waiting.clear()

    def pause_writing(self) -> None:
        """Write nothing while the other side takes nothing, so that no buffer grows."""
        self._is_paused = True

    def resume_writing(self) -> None:
        """Write what has come meanwhile."""
        self._is_paused = False
        self.write_soon()

    def data_received(self, data: bytes) -> None:
        """Hand out the answers in what has arrived."""
        self._heard_at_s = time.monotonic()
        in_flight = self._in_flight
        try:
            self._replies.feed(data)
            while (reply := self._replies.gets()) is not False:
                if not in_flight:
                    raise InvalidResponse("an answer to nothing that was asked")
                if isinstance(reply, RedisError):
                    reply = self._judge(reply)
                in_flight.popleft().settle(reply)
        except RedisError as error:
            self._end(error)
        if self._is_retired and not in_flight:
            self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """End: the other side has closed, or the network has failed."""
        self._end(exc or ConnectionError("closed by the other side"))

    def _judge(self, error: RedisError) -> Exception:
        """Return what a refusal of Redis means, and retire a connection that is to blame."""
        if not isinstance(error, ResponseError) and error.status_code is None:
            raise error
        found = trouble.from_redis(error)
        if found is None:
            return error
        age_s = time.monotonic() - self._opened_at_s
        # Permissions are looked up at every command, so a new connection would have the same.
        is_curable = found in trouble.WORTH_ANOTHER_CONNECTION and not trouble.lacks_a_right(error)
        if is_curable and age_s >= _LEAST_AGE_S and not self._is_retired:
            self._is_retired = True
            _log.warning("connection_replaced", reason=found.value)
        unavailable = StoreUnavailableError(found)
        unavailable.__cause__ = error
        return unavailable

    def _watch(self) -> None:
        """End when answers are due and none has come for the limit."""
        silent_s = time.monotonic() - self._heard_at_s if self._in_flight else 0
        if silent_s < self._timeout_s:
            self._watching = self._loop.call_later(self._timeout_s - silent_s, self._watch)
        else:
            # It may have been our own loop that stood still: let it hear what has come meanwhile.
            self._watching = self._loop.call_later(_LAST_LOOK_S, self._conclude, self._heard_at_s)

    def _conclude(self, heard_at_s: float) -> None:
        if self._heard_at_s == heard_at_s:
            self._end(TimeoutError(f"no answer for {self._timeout_s} s"))
        else:
            self._watch()

    def _end(self, error: Exception | None) -> None:
        if self._over.done():
            return
        self._is_retired = True
        if error:
            self._over.set_exception(error)
        else:
            self._over.set_result(None)
