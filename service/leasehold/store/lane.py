"""One lane to Redis: one connection of redis-py after the other, as long as there is work."""

import asyncio
import random
import time
from collections.abc import Callable

import structlog
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import InvalidResponse, RedisError

from leasehold.model.errors import StoreTrouble, StoreUnavailableError
from leasehold.store import trouble
from leasehold.store.acknowledger import ask_run_id
from leasehold.store.conversation import Command, Conversation
from leasehold.store.hooks import Hooks

_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.1
# How long a lane that got no connection is passed over while others have theirs.
_SHUNNED_FOR_S = 1

_log = structlog.get_logger()


class NeverSentError(StoreUnavailableError):
    """The store could not be asked: the command has certainly not been carried out."""


def pause_s(attempt: int) -> float:
    """Return how long to wait before another attempt; ``attempt`` counts those made, from 1."""
    return random.uniform(0, min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(attempt - 1, 16)))  # noqa: S311


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
        hooks: Hooks,
        knows_server: bool = False,
    ) -> None:
        """With ``knows_server`` commands carry the run id of the process that they went to."""
        self._make_connection = make_connection
        self._timeout_s = timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._hooks = hooks
        self._knows_server = knows_server
        self._run_id = ""
        self._waiting: list[Command] = []
        self._conversation: Conversation | None = None
        self._runner: asyncio.Task[None] | None = None
        self._is_closed = False
        self._failed_attempts = 0
        self._failed_at_s = 0.0
        self._had_connection = False

    @property
    def load(self) -> int:
        """Return how many commands wait here or are in flight, those of callers gone included."""
        in_flight = self._conversation.in_flight if self._conversation else 0
        return len(self._waiting) + in_flight

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
        if self._conversation:
            self._conversation.write_soon()
        elif self._runner is None:
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
                if self._knows_server:
                    self._run_id = await ask_run_id(connection)
                await _check_silence(connection)
        except BaseException as error:
            await connection.disconnect(nowait=True)
            if not isinstance(error, RedisError | OSError):
                raise
            self._failed_attempts += 1
            self._failed_at_s = time.monotonic()
            self._refuse_waiting(error)
            return None
        self._failed_attempts = 0
        self._hooks.on_connect()
        if self._had_connection:
            self._hooks.on_reconnect()
        self._had_connection = True
        return connection

    async def _converse(self, connection: AbstractConnection) -> None:
        """Talk until the connection ends."""
        conversation = self._conversation = Conversation(
            connection, self._waiting, self._timeout_s, self._run_id
        )
        try:
            await conversation.hold()
        except (RedisError, OSError) as error:
            _log.warning("connection_lost", reason=str(error), unanswered=conversation.in_flight)
        finally:
            self._conversation = None
            await connection.disconnect(nowait=True)

    def _refuse_waiting(self, error: Exception | None) -> None:
        """Tell those who wait that there is no connection; an error of ours is told as it is."""
        found = trouble.from_redis(error) if error else StoreTrouble.UNREACHABLE
        for command in self._waiting:
            refusal = NeverSentError(found) if found else error
            if isinstance(refusal, NeverSentError):
                refusal.__cause__ = error
            command.settle(refusal)
        self._waiting.clear()


async def _check_silence(connection: AbstractConnection) -> None:
    """Raise InvalidResponse for whatever came unasked: it would pass for an answer."""
    if await connection.can_read():
        raise InvalidResponse("an answer to nothing that was asked")
