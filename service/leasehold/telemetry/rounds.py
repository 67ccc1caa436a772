"""Something that is done again and again while a process serves."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable


class Rounds:
    """Does something at once, then every ``interval_s`` and when woken, until it is stopped.

    It ends by itself and not by being cancelled, as Readiness.follow_store does and says why.
    """

    def __init__(self, act: Callable[[], Awaitable[None]], interval_s: float) -> None:
        self._act = act
        self._interval_s = interval_s
        self._is_stopped = False
        self._now = asyncio.Event()

    def wake(self) -> None:
        """Do it now, and once more if it is being done."""
        self._now.set()

    def stop(self) -> None:
        """Do it no more."""
        self._is_stopped = True
        self._now.set()

    async def run(self) -> None:
        """Do it until stopped; whatever it raises ends it."""
        while not self._is_stopped:
            self._now.clear()
            await self._act()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._interval_s):
                    await self._now.wait()
