"""Opens the listeners, with what keeps strangers out, and keeps that up to date."""

import asyncio
import contextlib
import math
import ssl
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc
import structlog
from aiohttp import web

from leasehold.credentials import (
    Certificate,
    CredentialsError,
    Kept,
    Tokens,
    parse_certificate,
    parse_tokens,
)
from leasehold.listeners import LISTENERS, Door
from leasehold.model.address import Address
from leasehold.options import PREFIX
from leasehold.rpc import callers, server, sockets, tls
from leasehold.rpc.callers import Admit, Context
from leasehold.rpc.calls import CallInterceptor
from leasehold.rpc.reading import Reader
from leasehold.settings import Settings
from leasehold.telemetry import metrics, ops_http
from leasehold.telemetry.rounds import Rounds

_LOOK_INTERVAL_S = 1
# gRPC lengthens an age by up to a tenth, so that connections do not all end at once.
_LONGEST_AGE = 1.1
# For callers to hear of it, and to begin no more calls.
_ASKED_WITHIN_S = 1
_LEFT_INTERVAL_S = 0.1

_log = structlog.get_logger()


class ListenError(Exception):
    """A listener cannot be opened: its address cannot be had, or its files cannot be used."""


class Doors:
    """What the listeners show and ask, as their files are now."""

    def __init__(self, settings: Settings) -> None:
        """Read certificates and tokens. Raises ListenError."""
        self._settings = settings
        self._certificates: dict[str, Kept[Certificate]] = {}
        self._tokens: dict[str, Kept[Tokens]] = {}
        self._shown: dict[str, tuple[ssl.SSLContext, Certificate]] = {}
        """Of listeners of HTTP: what new connections show."""
        self._listening: set[int] = set()
        """Descriptors of the gRPC listeners."""
        self._ports: set[int] = set()
        self._rounds = Rounds(self._look, _LOOK_INTERVAL_S)
        try:
            for name in LISTENERS:
                self._read(name, settings.door(name))
        except CredentialsError as error:
            raise ListenError(f"This cannot be used: {error}") from None

    def _read(self, name: str, door: Door) -> None:
        files = [file for file in (door.cert_file, door.key_file, door.client_ca_file) if file]
        if files:
            self._certificates[name] = Kept(files, parse_certificate)
            self._tell_expiry(name)
        if door.token_file:
            self._tokens[name] = Kept([door.token_file], parse_tokens)

    def start(self) -> set[asyncio.Task[None]]:
        """Begin to look whether files have changed; a task that ends before stop has failed."""
        there_are_some = self._certificates or self._tokens
        return {asyncio.create_task(self._rounds.run())} if there_are_some else set()

    def stop(self) -> None:
        """Look no more."""
        self._rounds.stop()

    def calls(self, name: str) -> CallInterceptor:
        """Return what the calls of a gRPC listener go through."""
        room = server.PARTNERS if name == "listen" else server.OPERATORS
        return CallInterceptor(
            server.RULES,
            max_concurrent_calls=self._settings.max_concurrent_calls,
            reader=Reader(self._settings.read_timeout_s, room.messages),
            admit=self._admit(name),
        )

    def _admit(self, name: str) -> Admit | None:
        judges = []
        door = self._settings.door(name)
        if door.client_names:
            judges.append(callers.by_name(door.client_names))
        if name in self._tokens:
            judges.append(callers.by_token(lambda sent: self._lets_in(name, sent)))

        def admit(context: Context) -> None:
            for judge in judges:
                judge(context)

        return admit if judges else None

    def _lets_in(self, name: str, authorization: str | bytes | None) -> bool:
        return name not in self._tokens or self._tokens[name].value.let_in(authorization)

    def connections(self) -> server.Connections:
        """Return how many connections there may be, and how long they last."""
        return server.Connections(
            self._settings.max_connections,
            self._settings.max_connection_age_s,
            self._settings.max_connection_age_grace_s,
        )

    async def open(self, listener: grpc.aio.Server, name: str) -> Address:
        """Start a gRPC listener; return where. Raises ListenError."""
        wanted = self._settings.address(name)
        kept = self._certificates.get(name)
        others = sockets.listening()
        try:
            if kept:
                credentials = tls.server_credentials(lambda: kept.value)
                port = listener.add_secure_port(str(wanted), credentials)
            else:
                port = listener.add_insecure_port(str(wanted))
        except RuntimeError:
            raise _taken(name, wanted) from None
        self._listening |= sockets.listening() - others
        self._ports.add(port)
        await listener.start()
        return Address(wanted.host, port)

    async def let_leave(self, within_s: float) -> None:
        """Take no new gRPC connections, and wait until those that there are have left.

        A call that comes in the instant in which gRPC stops a listener gets its CANCELLED. gRPC
        asks a connection to end when it has its age, and then loses no call. So there is only a
        wait where all of them reach it in time: after that none has callers any more.
        """
        sockets.close(self._listening)
        asked_within_s = self._settings.max_connection_age_s * _LONGEST_AGE + _ASKED_WITHIN_S
        if asked_within_s > within_s:
            count = sum(map(sockets.connections, self._ports))
            if count:
                _log.warning("connections_outlive_drain", connections=count)
            return
        for _ in range(math.ceil(asked_within_s / _LEFT_INTERVAL_S)):
            if not any(map(sockets.connections, self._ports)):
                break
            await asyncio.sleep(_LEFT_INTERVAL_S)

    async def open_ops(
        self, application: web.Application, name: str = "ops_listen"
    ) -> tuple[AsyncExitStack, Address]:
        """Serve ops HTTP until the stack is closed. Raises ListenError."""
        wanted = self._settings.address(name)
        if name in self._tokens:
            ops_http.ask_for_token(application, lambda sent: self._lets_in(name, sent))
        context = self._ops_context(name) if name in self._certificates else None
        try:
            serving, port = await ops_http.start(application, wanted.host, wanted.port, context)
        except OSError:
            raise _taken(name, wanted) from None
        return serving, Address(wanted.host, port)

    def _ops_context(self, name: str) -> ssl.SSLContext:
        """Return a context whose connections show the certificate of their moment."""
        outer = _context(self._settings.door(name))
        self._shown[name] = outer, self._certificates[name].value

        def show(connection: ssl.SSLObject, _name: str | None, _outer: ssl.SSLContext) -> None:
            connection.context = self._shown[name][0]

        outer.sni_callback = show
        return outer

    def _renew_context(self, name: str) -> None:
        """Make the context of the certificate in use, which can be read from files only."""
        kept = self._certificates[name]
        if self._shown[name][1] is kept.value:
            return
        # Files that have changed since they were judged are left to the next look.
        with contextlib.suppress(OSError):
            context = _context(self._settings.door(name))
            if kept.is_in_files():
                self._shown[name] = context, kept.value

    async def _look(self) -> None:
        every: list[tuple[str, Kept[Any]]]
        every = [*self._certificates.items(), *self._tokens.items()]
        for name, kept in every:
            if kept.look():
                self._tell(name, kept.fault)
            if kept.fault:
                metrics.credential_reload_failures.labels(LISTENERS[name]).inc()
        for name in self._shown:
            self._renew_context(name)

    def _tell(self, name: str, fault: str | None) -> None:
        """Say what has become of files, once for each change."""
        if fault:
            _log.error("credentials_unusable", listener=LISTENERS[name], reason=fault)
            return
        if name in self._certificates:
            self._tell_expiry(name)
        _log.info("credentials_renewed", listener=LISTENERS[name])

    def _tell_expiry(self, name: str) -> None:
        expires_at = self._certificates[name].value.expires_at
        metrics.certificate_expires.labels(LISTENERS[name]).set(expires_at.timestamp())


def _context(door: Door) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    assert isinstance(door.cert_file, Path)
    context.load_cert_chain(door.cert_file, door.key_file)
    return context


def _taken(name: str, wanted: Address) -> ListenError:
    return ListenError(
        f"Cannot listen on {wanted}: it is taken, or not an address of this machine."
        f" Set {PREFIX}{name.upper()} to another one."
    )
