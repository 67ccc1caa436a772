"""The link to Redis: runs scripts by SHA, within the time that the call has left."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hiredis import pack_command
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError

from leasehold.model.deadline import Deadline
from leasehold.model.errors import DeadlinePassedError, OverloadedError, StoreUnavailableError
from leasehold.store import trouble
from leasehold.store.conversation import Command
from leasehold.store.lane import Lane, NeverSentError, pause_s
from leasehold.store.scripts import Script

Reply = list[Any]
"""A status word, then strings and integers, as the header of the script says."""

Word = str | int


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


def connect(url: str, limits: Limits, **told: Callable[[], object]) -> "Link":
    """Return a link to the store of a URL; it connects when there is something to ask.

    Every limit is ours: redis-py retries and times nothing, because only the link knows the
    deadlines and which scripts may be sent again. ``told`` goes to Link as it is.
    """
    pool = ConnectionPool.from_url(
        url,
        # Silence is watched for all commands in flight at once.
        socket_timeout=None,
        socket_connect_timeout=limits.connect_timeout_s,
        health_check_interval=0,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
        # A foreign value that is no text must not break the connection under everybody else.
        encoding_errors="surrogateescape",
        protocol=2,
        client_name="leasehold",
        **({} if url.startswith("unix:") else {"socket_keepalive": True}),
    )
    return Link(pool.make_connection, limits, **told)


def _tell_nobody() -> None:
    pass


class Link:
    """Runs scripts on one Redis, over a few connections that all callers share.

    ``make_connection`` returns a connection of redis-py that is not connected yet. ``on_resend`` is
    called whenever a command is sent again, ``on_reconnect`` whenever a lost connection has been
    replaced.
    """

    def __init__(
        self,
        make_connection: Callable[[], AbstractConnection],
        limits: Limits,
        *,
        on_resend: Callable[[], object] = _tell_nobody,
        on_reconnect: Callable[[], object] = _tell_nobody,
    ) -> None:
        self._limits = limits
        self._on_resend = on_resend
        self._pausing = 0
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
        """Return how many commands wait, are in flight or pause before a repeat."""
        return self._pausing + sum(lane.load for lane in self._lanes)

    async def run(
        self, script: Script, keys: list[str], arguments: list[str | int], deadline: Deadline
    ) -> Reply:
        """Run a script once in effect and return its reply.

        Sends again what may be repeated, on trouble that may pass, until the deadline; what may not
        be repeated only when it was certainly never sent. Raises StoreUnavailableError,
        DeadlinePassedError when the time is up, or OverloadedError when too much is waiting.
        """
        words = ("EVALSHA", script.sha, len(keys), *keys, *arguments)
        reply: Reply = await self._repeat(words, deadline, script)
        return reply

    async def read(self, *words: str, deadline: Deadline) -> Any:
        """Run a command that changes nothing; raises as run does."""
        return await self._repeat(words, deadline)

    async def ping(self, deadline: Deadline) -> None:
        """Return when Redis answers; raises as run does, but asks even when too much is waiting."""
        await self._ask(("PING",), deadline)

    async def close(self) -> None:
        """Close every connection; what is unanswered fails with StoreUnavailableError."""
        await asyncio.gather(*(lane.close() for lane in self._lanes))

    async def _repeat(
        self, words: tuple[Word, ...], deadline: Deadline, script: Script | None = None
    ) -> Any:
        if self.in_flight >= self._limits.max_in_flight:
            raise OverloadedError
        attempt = 0
        while True:
            try:
                return await self._ask(words, deadline)
            except NoScriptError:
                assert script
                # Restarted, promoted or flushed. EVAL runs the script and leaves it loaded.
                words = ("EVAL", script.source, *words[2:])
                continue
            except StoreUnavailableError as error:
                attempt += 1
                was_sent = not isinstance(error, NeverSentError)
                # Lanes pause by themselves between connections, and another may have one.
                pause = pause_s(attempt) if was_sent else 0
                if (
                    attempt > self._limits.retries
                    or (was_sent and script and not script.header.repeatable)
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

    async def _ask(self, words: tuple[Word, ...], deadline: Deadline) -> Any:
        remaining_s = deadline.remaining_s()
        if remaining_s <= 0:
            raise DeadlinePassedError
        loop = asyncio.get_running_loop()
        packed = pack_command(words)  # type: ignore[arg-type] # its type takes one word only
        command = Command(packed, deadline, loop.create_future())
        min(self._lanes, key=_burden).submit(command)
        too_late = loop.call_later(remaining_s, command.settle, DeadlinePassedError())
        try:
            reply = await command.reply
        finally:
            too_late.cancel()
        if isinstance(reply, Exception):
            raise reply
        return reply


def _burden(lane: Lane) -> tuple[bool, int]:
    return lane.is_down, lane.load
