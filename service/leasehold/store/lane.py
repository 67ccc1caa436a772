"""One lane to Redis: a connection of redis-py at a time, with many commands in flight on it.

Redis answers in the order in which it was asked. So what one turn of the event loop brings is
written in one go, and each answer belongs to the command that has waited longest for one.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import structlog
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import InvalidResponse, RedisError, ResponseError

from leasehold.model.deadline import Deadline
from leasehold.model.errors import DeadlinePassedError, StoreTrouble, StoreUnavailableError
from leasehold.store import trouble

_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.1
# How long a lane that got no connection is passed over while others have theirs.
_SHUNNED_FOR_S = 1
# A store that stays read-only costs a new connection at most this often.
_LEAST_AGE_S = 0.5
_LAST_LOOK_S = 0.01

_log = structlog.get_logger()


class NeverSentError(StoreUnavailableError):
    """The store could not be asked: the command has certainly not been carried out."""


class _OverError(Exception):
    """This connection has answered everything and is to be replaced."""


def pause_s(attempt: int) -> float:
    """Return how long to wait before another attempt; ``attempt`` counts those made, from 1."""
    return random.uniform(0, min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(attempt - 1, 16)))  # noqa: S311


@dataclass(eq=False, slots=True)
class Command:
    """A command on its way, and where its caller waits."""

    packed: bytes
    deadline: Deadline
    reply: "asyncio.Future[Any]"
    """The answer, or an exception as a value: the caller may have left."""

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


class Lane:
    """Sends commands and hands out their answers; connects when there is something to send.

    When its connection breaks or falls silent, whatever was written to it fails with
    StoreUnavailableError, its outcome unknown; what was not waits for the next connection. When
    none can be had, whatever waits fails with NeverSentError. It sends nothing a second time.
    """

    def __init__(
        self,
        make_connection: Callable[[], AbstractConnection],
        *,
        timeout_s: float,
        connect_timeout_s: float,
        on_reconnect: Callable[[], object],
    ) -> None:
        self._make_connection = make_connection
        self._timeout_s = timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._on_reconnect = on_reconnect
        self._waiting: list[Command] = []
        self._in_flight: deque[Command] = deque()
        self._work = asyncio.Event()
        self._runner: asyncio.Task[None] | None = None
        self._is_closed = False
        self._failed_attempts = 0
        self._failed_at_s = 0.0
        self._opened_at_s = 0.0
        self._heard_at_s = 0.0
        self._is_retired = False

    @property
    def load(self) -> int:
        """Return how many commands wait here or are in flight, those of callers gone included."""
        return len(self._waiting) + len(self._in_flight)

    @property
    def is_down(self) -> bool:
        """Tell whether a connection could not be had, a moment ago."""
        return self._failed_attempts > 0 and time.monotonic() < self._failed_at_s + _SHUNNED_FOR_S

    def submit(self, command: Command) -> None:
        """Send a command with whatever else this turn of the event loop brings."""
        if self._is_closed:
            command.settle(NeverSentError(StoreTrouble.UNREACHABLE))
            return
        self._waiting.append(command)
        self._work.set()
        if self._runner is None:
            self._runner = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Close the connection; what is unanswered fails."""
        self._is_closed = True
        if self._runner:
            self._runner.cancel()
            await asyncio.wait({self._runner})

    async def _run(self) -> None:
        try:
            while self._waiting:
                connection = await self._open()
                if connection:
                    await self._converse(connection)
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody may wait for ever
            # A mistake of ours: it is told as it is, and the next command begins afresh.
            _log.exception("link_failed")
            self._refuse_waiting(error)
        finally:
            self._runner = None
            self._refuse_waiting(None)

    async def _open(self) -> AbstractConnection | None:
        """Return a new connection, or None once those who waited for it have been told."""
        if self._failed_attempts:
            ready_at_s = self._failed_at_s + pause_s(self._failed_attempts)
            await asyncio.sleep(ready_at_s - time.monotonic())
        connection = self._make_connection()
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                await connection.connect()
        except BaseException as error:
            await connection.disconnect(nowait=True)
            if not isinstance(error, RedisError | OSError):
                raise
            self._failed_attempts += 1
            self._failed_at_s = time.monotonic()
            self._refuse_waiting(error)
            return None
        self._failed_attempts = 0
        if self._opened_at_s:
            self._on_reconnect()
        self._opened_at_s = time.monotonic()
        return connection

    async def _converse(self, connection: AbstractConnection) -> None:
        """Write, read and watch until the connection ends."""
        # redis-py cannot close without flushing, and it writes by writelines, which does not wait
        # for a slow reader on Python up to 3.12.8 and 3.13.1 (python/cpython#127655).
        writer = connection._writer  # noqa: SLF001 - there is no public way to do either
        assert writer
        self._is_retired = False
        self._work.set()
        try:
            async with asyncio.TaskGroup() as tasks:
                for part in (self._write(writer), self._read(connection), self._watch()):
                    tasks.create_task(part)
        except* (RedisError, OSError) as errors:
            _log.warning(
                "connection_lost",
                reason=str(errors.exceptions[0]),
                unanswered=len(self._in_flight),
            )
        except* _OverError:
            pass
        finally:
            # An ordinary close would first wait until the other side has taken what is written.
            writer.transport.abort()
            self._lose_in_flight()
            await connection.disconnect(nowait=True)

    async def _write(self, writer: asyncio.StreamWriter) -> None:
        while not self._is_retired:
            await self._work.wait()
            self._work.clear()
            batch = b"".join(self._take_waiting())
            if batch:
                writer.write(batch)
                # Waits while the other side takes nothing, so that no buffer grows.
                await writer.drain()

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
        self._waiting.clear()

    async def _read(self, connection: AbstractConnection) -> None:
        while self._in_flight or not self._is_retired:
            try:
                reply = await connection.read_response(disconnect_on_error=False)
            except RedisError as error:
                # redis-py raises the errors that Redis answers and those of the connection alike.
                if not isinstance(error, ResponseError) and error.status_code is None:
                    raise
                reply = self._judge(error)
            if not self._in_flight:
                raise InvalidResponse("an answer to nothing that was asked")
            self._heard_at_s = time.monotonic()
            self._in_flight.popleft().settle(reply)
        raise _OverError

    def _judge(self, error: RedisError) -> Exception:
        """Return what a refusal of Redis means, and retire a connection that is to blame."""
        found = trouble.from_redis(error)
        if found is None:
            return error
        age_s = time.monotonic() - self._opened_at_s
        if found in trouble.WORTH_ANOTHER_CONNECTION and age_s >= _LEAST_AGE_S:
            self._is_retired = True
        unavailable = StoreUnavailableError(found)
        unavailable.__cause__ = error
        return unavailable

    async def _watch(self) -> None:
        """Raise TimeoutError when answers are due and none has come for the limit."""
        while True:
            silent_s = time.monotonic() - self._heard_at_s if self._in_flight else 0
            if silent_s < self._timeout_s:
                await asyncio.sleep(self._timeout_s - silent_s)
                continue
            # It may have been our own loop that stood still: let it hear what has come meanwhile.
            heard_at_s = self._heard_at_s
            await asyncio.sleep(_LAST_LOOK_S)
            if self._heard_at_s == heard_at_s:
                raise TimeoutError(f"no answer for {self._timeout_s} s")

    def _refuse_waiting(self, error: Exception | None) -> None:
        """Tell those who wait that there is no connection; an error of ours is told as it is."""
        found = trouble.from_redis(error) if error else StoreTrouble.UNREACHABLE
        for command in self._waiting:
            refusal = NeverSentError(found) if found else error
            if isinstance(refusal, NeverSentError):
                refusal.__cause__ = error
            command.settle(refusal)
        self._waiting.clear()

    def _lose_in_flight(self) -> None:
        for command in self._in_flight:
            command.settle(StoreUnavailableError(StoreTrouble.UNREACHABLE))
        self._in_flight.clear()
