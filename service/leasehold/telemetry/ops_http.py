"""The ops listener: /metrics, /livez, /readyz and /config over HTTP."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from leasehold.model.finding import Finding
from leasehold.telemetry.ops_connections import (
    LIMIT_S,
    OneRequest,
    OpsConnections,
    most_connections,
)
from leasehold.telemetry.readiness import Readiness

_MARKS = {"ok": "[+]", "warning": "[!]", "failed": "[-]"}
_BACKLOG = 128


def build(readiness: Readiness, configuration: Mapping[str, str]) -> web.Application:
    """Return the application; ``configuration`` is shown as it is, so it must hide secrets."""

    async def livez(_: web.Request) -> web.Response:
        # The event loop that answers here is the one that serves calls.
        return web.Response(text="ok\n")

    async def readyz(request: web.Request) -> web.Response:
        status = 200 if readiness.ready else 503
        if "verbose" in request.query:
            text = "".join(map(_line, readiness.findings()))
        else:
            text = "ready\n" if readiness.ready else "not ready\n"
        return web.Response(text=text, status=status)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def config(_: web.Request) -> web.Response:
        return web.json_response(dict(configuration))

    application = web.Application()
    application.add_routes(
        [
            web.get("/livez", livez),
            web.get("/readyz", readyz),
            web.get("/metrics", metrics),
            web.get("/config", config),
        ]
    )
    return application


def _line(finding: Finding) -> str:
    return f"{_MARKS[finding.state]} {finding.name} {finding.state}: {finding.detail}\n"


def ask_for_token(application: web.Application, let_in: Callable[[str | None], bool]) -> None:
    """Refuse whoever sends no good ``Authorization``, but for what probes of a kubelet ask."""

    @web.middleware
    async def judge(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        is_probe = request.path in ("/livez", "/readyz") and not request.query
        if is_probe or let_in(request.headers.get("Authorization")):
            return await handler(request)
        raise web.HTTPUnauthorized(headers={"WWW-Authenticate": "Bearer"})

    application.middlewares.append(judge)


async def start(
    application: web.Application,
    host: str,
    port: int,
    tls: ssl.SSLContext | None,
    limit_s: float = LIMIT_S,
) -> tuple[AsyncExitStack, int]:
    """Serve until the stack is closed; return it and the port. OSError if it is taken.

    ``limit_s`` is the time of a connection.
    """
    async with AsyncExitStack() as stack:
        runner = web.AppRunner(application, handle_signals=False)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        server = runner.server
        assert server
        connections = OpsConnections(
            lambda: OneRequest(server, limit_s), tls, most=most_connections(), limit_s=limit_s
        )
        sockets = [stack.enter_context(each) for each in await _listen(host, port)]
        connections.start(sockets)
        stack.push_async_callback(connections.close)
        return stack.pop_all(), sockets[0].getsockname()[1]


async def _listen(host: str, port: int) -> list[socket.socket]:
    """Return a socket for each address that a host has here."""
    found = await asyncio.get_running_loop().getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    sockets: list[socket.socket] = []
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            listening = socket.create_server(address[:2], family=family, backlog=_BACKLOG)
            listening.setblocking(False)
            sockets.append(listening)
    except OSError:
        for each in sockets:
            each.close()
        raise
    return sockets
