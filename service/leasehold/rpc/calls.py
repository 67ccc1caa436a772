"""What every call of a published service goes through: parsing, errors, one log line, metrics."""

import asyncio
import logging
import re
import time
import traceback
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias, cast

import grpc
import structlog
from google.protobuf.message import DecodeError

from leasehold.model.errors import (
    DeadlinePassedError,
    InvalidRequestError,
    NotFoundError,
    OverloadedError,
    StoreUnavailableError,
    Violation,
)
from leasehold.rpc import status
from leasehold.telemetry import metrics

_log = structlog.get_logger()

# A caller's request id is taken over when it cannot be anything but an id.
_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LEVELS = {
    grpc.StatusCode.UNAVAILABLE: logging.WARNING,
    grpc.StatusCode.DEADLINE_EXCEEDED: logging.WARNING,
    grpc.StatusCode.INTERNAL: logging.ERROR,
}

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Behaviour: TypeAlias = "Callable[[Any, Context], Awaitable[Any]]"
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for the calls of one service."""

    max_request_bytes: int
    overload_code: grpc.StatusCode
    """The answer when there is too much to do."""


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps the unary methods of the given services; leaves health and reflection alone."""

    def __init__(self, rules: Mapping[str, Rules]) -> None:
        """``rules`` names the services."""
        self._rules = rules
        self._wrapped: dict[str, Handler] = {}
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable["Handler | None"]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        """Return the handler of a call, wrapped once for each method."""
        path = handler_call_details.method
        if path in self._wrapped:
            return self._wrapped[path]
        handler = await continuation(handler_call_details)
        service, _, method = path.removeprefix("/").rpartition("/")
        if handler is not None and service in self._rules:
            handler = self._wrapped[path] = self._wrap(handler, service, method)
        return handler

    async def idle(self) -> None:
        """Return when no call is running."""
        await self._idle.wait()

    def _wrap(self, handler: Handler, service: str, method: str) -> Handler:
        seen, rules = _Traces(service, method), self._rules[service]
        parse, behave = handler.request_deserializer, cast("Behaviour", handler.unary_unary)
        assert parse is not None

        async def handle(raw: bytes, context: Context) -> Any:
            started_at_s = time.monotonic()
            request_id = _request_id(context)
            structlog.contextvars.bind_contextvars(request_id=request_id)
            seen.start()
            self._enter()
            response, failure, code = None, None, grpc.StatusCode.OK
            try:
                response = await behave(_parse(raw, parse, rules.max_request_bytes), context)
            except asyncio.CancelledError:
                code = grpc.StatusCode.CANCELLED
                raise
            except Exception as error:  # noqa: BLE001 - nothing may reach a caller unmapped
                _note(error)
                failure = status.of(error, request_id, rules.overload_code)
                code = failure.code
            finally:
                # Before the answer leaves, so that whoever has it finds its traces.
                self._leave()
                seen.finish(code, time.monotonic() - started_at_s)
            if failure:
                await context.abort(code, failure.details, tuple(failure.trailing_metadata))
            return response

        # The request arrives as bytes: gRPC itself would answer INTERNAL to those it cannot parse.
        return grpc.unary_unary_rpc_method_handler(
            handle, request_deserializer=None, response_serializer=handler.response_serializer
        )

    def _enter(self) -> None:
        self._running += 1
        self._idle.clear()

    def _leave(self) -> None:
        self._running -= 1
        if not self._running:
            self._idle.set()


def note_outcome(api: str, operation: str, outcome: StrEnum) -> None:
    """Leave what the store answered in the call's log line and in the counts."""
    structlog.contextvars.bind_contextvars(outcome=outcome.value)
    metrics.outcomes.labels(api, operation, outcome.value).inc()


class _Traces:
    """What the calls of one method leave behind: counts, and a log line each."""

    def __init__(self, service: str, method: str) -> None:
        self._labels = ("unary", service, method)
        self._started = metrics.started.labels(*self._labels)
        self._received = metrics.received.labels(*self._labels)
        self._sent = metrics.sent.labels(*self._labels)
        self._handling_seconds = metrics.handling_seconds.labels(*self._labels)

    def start(self) -> None:
        self._started.inc()
        self._received.inc()

    def finish(self, code: grpc.StatusCode, elapsed_s: float) -> None:
        if code is grpc.StatusCode.OK:
            self._sent.inc()
        self._handling_seconds.observe(elapsed_s)
        metrics.handled.labels(*self._labels, _go_name(code)).inc()
        _, service, method = self._labels
        _log.log(
            _LEVELS.get(code, logging.INFO),
            "call_handled",
            service=service,
            method=method,
            code=code.name,
            duration_ms=round(elapsed_s * 1000, 3),
        )


def _go_name(code: grpc.StatusCode) -> str:
    """Spell a code as go-grpc-middleware does: ``OK``, ``Canceled``, ``InvalidArgument``."""
    if code is grpc.StatusCode.OK:
        return "OK"
    if code is grpc.StatusCode.CANCELLED:
        return "Canceled"
    return code.name.title().replace("_", "")


def _request_id(context: Context) -> str:
    for key, value in context.invocation_metadata() or ():
        if key == "x-request-id" and isinstance(value, str) and _REQUEST_ID.fullmatch(value):
            return value
    return uuid.uuid4().hex


def _parse(raw: bytes, parse: Callable[[bytes], Any], most_bytes: int) -> Any:
    if len(raw) > most_bytes:
        fault = f"is {len(raw)} bytes long, at most {most_bytes} are taken"
        raise InvalidRequestError([Violation("", fault)])
    try:
        return parse(raw)
    except DecodeError:
        raise InvalidRequestError([Violation("", "is not a message of this method")]) from None


def _note(error: Exception) -> None:
    """Leave in the log line what an error tells; the text of an unknown one may hold anything."""
    match error:
        case InvalidRequestError():
            told = {"reason": error.reason, "fields": [v.field for v in error.violations]}
        case NotFoundError() | status.RefusalError():
            told = {"reason": error.reason}
        case StoreUnavailableError():
            told = {"reason": error.trouble.value}
            metrics.store_troubles.labels(error.trouble.value).inc()
        case OverloadedError():
            told = {"reason": "OVERLOADED"}
        case DeadlinePassedError():
            told = {}
        case _:
            told = {
                "error": type(error).__name__,
                "traceback": "".join(traceback.format_tb(error.__traceback__)),
            }
    structlog.contextvars.bind_contextvars(**told)
