"""Whether this process wants calls: it follows the store, slowly, and ends with the drain."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

import structlog

from leasehold.model.finding import Finding
from leasehold.telemetry import metrics
from leasehold.telemetry.findings import Findings

_PING_INTERVAL_S = 0.5
_NOT_ASKED = "not asked yet"

_log = structlog.get_logger()


class Readiness:
    """Asks the store whether it is there, and tells those who asked to be told.

    The store counts as away only after ``unready_after_s`` without an answer, so that a failover
    does not take every pod out of the balancer at once. Before its first answer it is away.
    Some of what else is ``known`` may forbid calls, at once.
    """

    def __init__(
        self,
        ping: Callable[[], Awaitable[None]],
        unready_after_s: float,
        known: Findings,
    ) -> None:
        self._ping = ping
        self._unready_after_s = unready_after_s
        self._known = known
        self._last_answer_s: float | None = None
        self._last_error = _NOT_ASKED
        self._store_is_away = True
        self._was_ready = False
        self._draining = asyncio.Event()
        self._listeners: list[Callable[[bool], Awaitable[None]]] = []

    @property
    def ready(self) -> bool:
        """Tell whether this process wants calls."""
        return not self._store_is_away and self._known.allow_calls and not self._draining.is_set()

    async def tell(self, listener: Callable[[bool], Awaitable[None]]) -> None:
        """Tell ``listener`` now and at every change."""
        self._listeners.append(listener)
        await listener(self.ready)

    async def drain(self) -> None:
        """Want no calls any more, for good."""
        self._draining.set()
        await self._announce()

    async def follow_store(self) -> None:
        """Keep asking the store until the drain.

        It ends by itself, because what it awaits may overhear that it is cancelled, as redis-py's
        commands do on Python 3.11: asyncio.wait_for answers with a result of the same moment.
        """
        while not self._draining.is_set():
            await self._ask_once()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PING_INTERVAL_S):
                    await self._draining.wait()

    async def _ask_once(self) -> None:
        try:
            await self._ping()
        except Exception as error:  # noqa: BLE001 - whatever is wrong, the store gives no answer
            is_first = self._last_answer_s is None and self._last_error == _NOT_ASKED
            self._last_error = _reason(error)
            if is_first:
                # It may still come: whoever waits with us wants to know for what.
                _log.warning("store_awaited", reason=self._last_error)
            silent_since_s = self._last_answer_s
            away = (
                silent_since_s is None or time.monotonic() - silent_since_s >= self._unready_after_s
            )
        else:
            self._last_answer_s = time.monotonic()
            away = False
        if away != self._store_is_away:
            self._store_is_away = away
            if away:
                _log.warning("store_away", reason=self._last_error)
            else:
                _log.info("store_answers")
        if self.ready != self._was_ready:
            await self._announce()

    async def _announce(self) -> None:
        self._was_ready = self.ready
        metrics.ready.set(self.ready)
        for listener in self._listeners:
            await listener(self.ready)

    def findings(self) -> list[Finding]:
        """List what is known, for people."""
        if self._store_is_away:
            store = Finding("store", "failed", self._last_error)
        else:
            store = Finding("store", "ok", "answers")
        drain = [Finding("drain", "failed", "begun")] if self._draining.is_set() else []
        return [store, *drain, *self._known]


def _reason(error: Exception) -> str:
    """Return what is wrong and what brought it about, such as a certificate not trusted."""
    told = [str(error) or type(error).__name__]
    if error.__cause__ and str(error.__cause__):
        told.append(str(error.__cause__))
    return ": ".join(told)
