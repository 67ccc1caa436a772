"""The link to Redis: runs scripts by SHA, within the time that the call has left."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisClusterException, RedisError

from leasehold.model.deadline import Deadline
from leasehold.model.errors import DeadlinePassedError, StoreTrouble, StoreUnavailableError
from leasehold.store import trouble
from leasehold.store.scripts import Script

_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.2

Reply = list[Any]
"""A status word, then strings and integers, as the header of the script says."""


def connect(
    url: str, *, timeout_s: float, connect_timeout_s: float, connections: int, pool_wait_s: float
) -> Redis:
    """Return a client that opens connections when they are first needed.

    Every limit is ours: redis-py retries nothing, because only the link knows the deadline and
    which scripts may be sent again.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=connections,
        timeout=pool_wait_s,
        socket_timeout=timeout_s,
        socket_connect_timeout=connect_timeout_s,
        socket_keepalive=True,
        health_check_interval=0,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
        protocol=2,
        client_name="leasehold",
    )
    return Redis.from_pool(pool)


class Link:
    """Runs scripts on one Redis."""

    def __init__(self, redis: Redis, *, retries: int) -> None:
        self._redis = redis
        self._retries = retries

    async def run(
        self, script: Script, keys: list[str], arguments: list[str | int], deadline: Deadline
    ) -> Reply:
        """Run a script once in effect and return its reply.

        Sends again what may be repeated, on trouble that may pass, until the deadline. Raises
        StoreUnavailableError, or DeadlinePassedError when the time is up.
        """
        retries = self._retries if script.header.repeatable else 0
        attempt = 0
        while True:
            try:
                reply: Reply = await self._within(
                    deadline, lambda: self._evaluate(script, keys, arguments)
                )
            except StoreUnavailableError as error:
                pause_s = random.uniform(0, min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2**attempt))  # noqa: S311
                attempt += 1
                if (
                    attempt > retries
                    or error.trouble not in trouble.WORTH_ANOTHER_TRY
                    or deadline.remaining_s() <= pause_s
                ):
                    raise
                await asyncio.sleep(pause_s)
            else:
                return reply

    async def read(self, *words: str, deadline: Deadline) -> Any:
        """Run a command that changes nothing; raises as run does."""
        return await self._within(deadline, lambda: self._redis.execute_command(*words))

    async def ping(self, deadline: Deadline) -> None:
        """Return when Redis answers; raises as run does."""
        await self._within(deadline, self._redis.ping)

    async def close(self) -> None:
        """Close every connection."""
        await self._redis.aclose()

    async def _evaluate(self, script: Script, keys: list[str], arguments: list[str | int]) -> Any:
        try:
            return await self._redis.evalsha(script.sha, len(keys), *keys, *arguments)
        except NoScriptError:
            # Restarted, promoted or flushed. EVAL runs the script and leaves it loaded.
            return await self._redis.eval(script.source, len(keys), *keys, *arguments)

    async def _within(self, deadline: Deadline, ask: Callable[[], Awaitable[Any]]) -> Any:
        remaining_s = deadline.remaining_s()
        if remaining_s <= 0:
            raise DeadlinePassedError
        limit = asyncio.timeout(remaining_s)
        try:
            async with limit:
                return await ask()
        except (RedisError, RedisClusterException, OSError) as error:
            if limit.expired():
                raise DeadlinePassedError from None
            found = trouble.from_redis(error)
            if found is None:
                raise
            if found is StoreTrouble.READ_ONLY:
                # After a failover the old primary may be behind the connections still open.
                await self._redis.connection_pool.disconnect(inuse_connections=False)
            raise StoreUnavailableError(found) from error
