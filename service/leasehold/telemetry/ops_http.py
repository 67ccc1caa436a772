"""The ops listener: an index, /metrics, /livez, /readyz and /config over HTTP."""

import asyncio
import gzip
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack

from aiohttp import web
from prometheus_client import REGISTRY
from prometheus_client.exposition import choose_encoder

from leasehold.model.finding import Finding
from leasehold.telemetry.negotiation import weigh
from leasehold.telemetry.ops_connections import (
    LIMIT_S,
    OneRequest,
    OpsConnections,
    most_connections,
)
from leasehold.telemetry.readiness import Readiness

_MARKS = {"ok": "[+]", "warning": "[!]", "failed": "[-]"}
_BACKLOG = 128
_OPEN_METRICS = "application/openmetrics-text"
_PAGES = {
    "/metrics": "metrics for Prometheus: text 0.0.4 or OpenMetrics, with gzip where accepted",
    "/livez": "200 while the event loop turns",
    "/readyz": "200 while the process wants calls, else 503",
    "/readyz?verbose": "every finding",
    "/config": "the settings in effect, without secrets",
}
_LINKS = "".join(f'<li><a href="{page}">{page}</a> {text}</li>' for page, text in _PAGES.items())
_INDEX = f"<!doctype html><title>Leasehold</title><h1>Leasehold</h1><ul>{_LINKS}</ul>\n"


def build(readiness: Readiness, configuration: Mapping[str, str]) -> web.Application:
    """Return the application; ``configuration`` is shown as it is, so it must hide secrets."""

    async def index(_: web.Request) -> web.Response:
        return web.Response(text=_INDEX, content_type="text/html")

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

    async def config(_: web.Request) -> web.Response:
        return web.json_response(dict(configuration))

    application = web.Application()
    application.add_routes(
        [
            web.get("/", index),
            web.get("/livez", livez),
            web.get("/readyz", readyz),
            web.get("/metrics", _metrics),
            web.get("/config", config),
        ]
    )
    return application


async def _metrics(request: web.Request) -> web.Response:
    """Return every series in the form that the caller prefers; plain text without a preference."""
    accept = request.headers.get("Accept", "")
    weight = weigh(accept, _OPEN_METRICS)
    is_open = weight and weight >= weigh(accept, "text/plain", "text/*", "*/*")
    encode, kind = choose_encoder(_OPEN_METRICS if is_open else "")
    body = encode(REGISTRY)
    headers = {"Content-Type": kind, "Vary": "Accept, Accept-Encoding"}
    if weigh(request.headers.get("Accept-Encoding", ""), "gzip", "*"):
        headers["Content-Encoding"] = "gzip"
        # In a thread, because calls wait for the event loop.
        body = await asyncio.to_thread(gzip.compress, body)
    return web.Response(body=body, headers=headers)


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
