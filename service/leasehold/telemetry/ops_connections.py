"""Connections to the ops listener: strangers may open them, so time and number are limited."""

import asyncio
import resource
import socket
import ssl
import sys
from collections.abc import Callable, Iterable
from typing import Any

import structlog
from aiohttp import web

from leasehold.telemetry import metrics
from leasehold.telemetry.log import facts

LIMIT_S = 10
"""From the opening of a connection to the last byte of its answer."""
_MOST = 64
_FEWEST = 8
_PAUSE_S = 0.1
# Of these, aiohttp keeps at most 128 lines: half a mebibyte a connection.
_MOST_LINE_BYTES = 4096
_SERVER_ERROR = 500

_log = structlog.get_logger()


def most_connections() -> int:
    """Return the limit: 64, and at most a quarter of the descriptors that the process may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if soft == resource.RLIM_INFINITY else max(_FEWEST, min(_MOST, soft // 4))


class OneRequest(web.RequestHandler):
    """HTTP for a single request; nothing that the caller has sent is logged, or sent back.

    aiohttp itself logs a malformed head at level error, and quotes the line in log and answer.
    """

    def __init__(self, manager: web.Server, limit_s: float) -> None:
        """``limit_s`` is the time for a body, which no handler reads."""
        options: dict[str, Any] = {
            "access_log": None,
            "keepalive_timeout": limit_s,
            "lingering_time": limit_s,
            "max_line_size": _MOST_LINE_BYTES,
            "max_field_size": _MOST_LINE_BYTES,
        }
        super().__init__(manager, loop=asyncio.get_running_loop(), **options)
        self.lost = asyncio.Event()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Note that the connection has ended."""
        super().connection_lost(exc)
        self.lost.set()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = _SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Return the answer to a malformed head, or for a handler that has failed."""
        del request, message
        if status >= _SERVER_ERROR:
            _log.error("ops_request_failed", **facts(exc))
        else:
            metrics.ops_connections_cut.labels("malformed").inc()
        return _plain(web.Response(status=status))

    def log_exception(self, *_args: Any, **_facts: Any) -> None:
        """Log what has failed outside a handler, and count a malformed body."""
        error = sys.exception()
        if isinstance(error, web.RequestPayloadError):
            metrics.ops_connections_cut.labels("malformed").inc()
        else:
            _log.error("ops_request_failed", **facts(error))

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send an answer, and end the connection."""
        # The text of a refused `Expect` is the caller's own.
        answer = _plain(resp) if isinstance(resp, web.HTTPException) else resp
        answer.force_close()
        return await super().finish_response(request, answer, start_time)


def _plain(response: web.Response) -> web.Response:
    response.text = f"{response.status}: {response.reason}\n"
    return response


class OpsConnections:
    """Gives each connection one request and little time; at the limit the oldest makes room.

    Counted from the moment in which it is accepted: an unfinished TLS handshake counts, too. What
    has come whole is answered at once, so the oldest connection is one that is not finished.
    """

    def __init__(
        self,
        make_protocol: Callable[[], OneRequest],
        tls: ssl.SSLContext | None,
        *,
        most: int,
        limit_s: float,
    ) -> None:
        self._make_protocol = make_protocol
        self._tls = tls
        self._most = most
        self._limit_s = limit_s
        self._open: dict[asyncio.Task[None], None] = {}
        """The tasks of the connections, the oldest first."""
        self._accepting: list[asyncio.Task[None]] = []

    def start(self, sockets: Iterable[socket.socket]) -> None:
        """Take the connections of sockets that listen and do not block."""
        self._accepting = [asyncio.create_task(self._accept(each)) for each in sockets]

    async def close(self) -> None:
        """Take no more connections, and end every one."""
        tasks = [*self._accepting, *self._open]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(listening)
            except OSError:
                # The descriptors are in use, by this process or by others of the machine.
                self._make_room()
                await asyncio.sleep(_PAUSE_S)
                continue
            if len(self._open) >= self._most:
                self._make_room()
            task = asyncio.create_task(self._serve(connection))
            self._open[task] = None
            task.add_done_callback(lambda done: self._open.pop(done, None))
            # What has come is read before many more are let in.
            await asyncio.sleep(0)

    def _make_room(self) -> None:
        oldest = next(iter(self._open), None)
        if oldest:
            del self._open[oldest]
            oldest.cancel()
            metrics.ops_connections_cut.labels("displaced").inc()

    async def _serve(self, connection: socket.socket) -> None:
        loop, protocol, transport = asyncio.get_running_loop(), self._make_protocol(), None
        try:
            async with asyncio.timeout(self._limit_s):
                # The protocol that uvloop returns is that of TLS.
                transport, _ = await loop.connect_accepted_socket(
                    lambda: protocol, connection, ssl=self._tls
                )
                await protocol.lost.wait()
        except TimeoutError:
            metrics.ops_connections_cut.labels("late").inc()
        except OSError:
            # A handshake that has failed; its reason may quote the caller.
            metrics.ops_connections_cut.labels("malformed").inc()
        finally:
            if transport:
                transport.abort()
