"""Replica acknowledgements: whether what a server has answered is on enough replicas, too."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
from hiredis import pack_command
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoPermissionError, RedisError

from leasehold.model.deadline import Deadline
from leasehold.model.errors import StoreTrouble, StoreUnavailableError
from leasehold.store import keys, trouble
from leasehold.store.hooks import Hooks

_RUN_ID = "run_id:"
# An answer to WAIT that is later than its own limit by this much does not come.
_SLACK_S = 0.5
_KEEP_MS = 1000

_log = structlog.get_logger()


async def ask_run_id(connection: AbstractConnection) -> str:
    """Return what names the server's process, or nothing where INFO is forbidden."""
    await connection.send_command("INFO", "server")
    try:
        lines = str(await connection.read_response()).splitlines()
    except NoPermissionError:
        return ""
    return next((line.removeprefix(_RUN_ID) for line in lines if line.startswith(_RUN_ID)), "")


@dataclass(eq=False, slots=True)
class _Waiter:
    key: str
    """What has been written, or lies beside it."""
    run_id: str
    """The process that has answered: no other can tell what became of it."""
    trouble: "asyncio.Future[StoreTrouble | None]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Acknowledger:
    """Waits for replicas on a connection of its own, so that a slow one holds up nobody else.

    A write there moves the connection's offset behind everything that the server has answered by
    then; one WAIT after it speaks for all who wait. A PING would do until Redis 7.0 only: later
    servers move the offset of a connection by its own writes alone.
    """

    def __init__(
        self,
        make_connection: Callable[[], AbstractConnection],
        *,
        replicas: int,
        timeout_s: float,
        connect_timeout_s: float,
        hooks: Hooks,
    ) -> None:
        self._make_connection = make_connection
        self._replicas = replicas
        self._timeout_s = timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._hooks = hooks
        # WAIT takes 0 for ever.
        self._question = _pack("WAIT", replicas, max(1, round(timeout_s * 1000)))
        self._waiting: list[_Waiter] = []
        self._callers = 0
        self._connection: AbstractConnection | None = None
        self._run_id = ""
        self._runner: asyncio.Task[None] | None = None

    @property
    def callers(self) -> int:
        """Return how many callers wait for replicas."""
        return self._callers

    async def wait(self, key: str, run_id: str, deadline: Deadline) -> None:
        """Return once enough replicas have what a process has answered about a key.

        Raises StoreUnavailableError when they have not within the limit, or when nobody can tell.
        Nothing is undone: a repeat finds what was made, and waits again.
        """
        waiter = _Waiter(key, run_id)
        self._waiting.append(waiter)
        if self._runner is None:
            self._runner = asyncio.create_task(self._run())
        found: StoreTrouble | None = StoreTrouble.NOT_REPLICATED
        began_at_s = time.monotonic()
        self._callers += 1
        try:
            async with asyncio.timeout(min(self._timeout_s, deadline.remaining_s())):
                found = await waiter.trouble
        except TimeoutError:
            pass
        finally:
            self._callers -= 1
        self._hooks.on_replica_wait(time.monotonic() - began_at_s)
        if found:
            self._hooks.on_shortfall()
            raise StoreUnavailableError(found)

    async def close(self) -> None:
        """Close the connection; whoever still waits is told that nobody knows."""
        if self._runner:
            self._runner.cancel()
            await asyncio.wait({self._runner})
        await self._disconnect()

    async def _run(self) -> None:
        batch: list[_Waiter] = []
        try:
            while self._waiting:
                # Those who have left need no answer, and must not make others wait for theirs.
                batch = [waiter for waiter in self._waiting if not waiter.trouble.done()]
                self._waiting = []
                if batch:
                    await self._ask_for(batch)
        finally:
            self._runner = None
            for waiter in (*batch, *self._waiting):
                _settle(waiter, StoreTrouble.NOT_REPLICATED)
            self._waiting = []

    async def _ask_for(self, batch: list[_Waiter]) -> None:
        found: StoreTrouble | None = None
        try:
            if not await self._ask({waiter.run_id for waiter in batch}, batch[-1].key):
                found = StoreTrouble.NOT_REPLICATED
        except (RedisError, OSError) as error:
            _log.warning("acknowledgement_failed", reason=str(error))
            await self._disconnect()
            # Whatever else it was: what has been carried out must not seem not to have been.
            is_denied = trouble.from_redis(error) is StoreTrouble.ACCESS_DENIED
            found = StoreTrouble.ACCESS_DENIED if is_denied else StoreTrouble.NOT_REPLICATED
        for waiter in batch:
            is_other = waiter.run_id != self._run_id
            _settle(waiter, found or (StoreTrouble.NOT_REPLICATED if is_other else None))

    async def _ask(self, run_ids: set[str], key: str) -> bool:
        """Connect and ask; once more where a connection of before has ended meanwhile.

        Servers and networks cut what is idle, and nobody asks while nothing is granted.
        """
        if self._connection:
            try:
                await self._reach(run_ids)
                return await self._is_enough(key)
            except RedisConnectionError:
                await self._disconnect()
        await self._reach(run_ids)
        return await self._is_enough(key)

    async def _reach(self, run_ids: set[str]) -> None:
        """Connect; and once more when somebody means another process than the one reached."""
        if "" in run_ids:
            raise NoPermissionError("NOPERM INFO is needed to know whom to ask")
        if self._connection and run_ids != {self._run_id}:
            await self._disconnect()
        if self._connection is None:
            connection = self._make_connection()
            self._connection = connection
            async with asyncio.timeout(self._connect_timeout_s):
                await connection.connect()
                self._run_id = await ask_run_id(connection)

    async def _is_enough(self, key: str) -> bool:
        connection = self._connection
        assert connection
        async with asyncio.timeout(self._timeout_s + _SLACK_S):
            write = _pack("SET", keys.acknowledgement_key(key), "1", "PX", _KEEP_MS)
            await connection.send_packed_command(write + self._question)
            await connection.read_response()
            return int(await connection.read_response()) >= self._replicas

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection:
            await connection.disconnect(nowait=True)


def _pack(*words: str | int) -> bytes:
    packed: bytes = pack_command(words)  # type: ignore[arg-type] # its type takes one word only
    return packed


def _settle(waiter: _Waiter, found: StoreTrouble | None) -> None:
    if not waiter.trouble.done():
        waiter.trouble.set_result(found)
