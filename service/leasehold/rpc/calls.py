"""What every call of a published service goes through: parsing, errors, one log line, metrics."""

import asyncio
import itertools
import logging
import re
import time
import traceback
import uuid
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
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
from leasehold.rpc import callers, status
from leasehold.rpc.callers import Admit, Context, Handler
from leasehold.telemetry import metrics
from leasehold.telemetry.calls import call_metrics

_log = structlog.get_logger()

# A caller's request id is taken over when it cannot be anything but an id.
_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
# Ids of our own: no two processes begin alike.
_PROCESS = uuid.uuid4().hex[:16]
_numbers = itertools.count()
_LEVELS = {
    grpc.StatusCode.UNAVAILABLE: logging.WARNING,
    grpc.StatusCode.DEADLINE_EXCEEDED: logging.WARNING,
    grpc.StatusCode.INTERNAL: logging.ERROR,
}

Behaviour: TypeAlias = Callable[[Any, Context], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for the calls of one service."""

    max_request_bytes: int
    overload_code: grpc.StatusCode
    """The answer when there is too much to do."""


_facts: ContextVar[dict[str, Any]] = ContextVar("_facts")


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps the unary methods of the given services; to health and reflection it only admits."""

    def __init__(
        self,
        rules: Mapping[str, Rules],
        *,
        max_concurrent_calls: int,
        admit: Admit | None = None,
    ) -> None:
        """``rules`` names the services; ``admit`` judges callers, without it all are served."""
        self._rules = rules
        self._max_concurrent_calls = max_concurrent_calls
        self._admit = admit
        self._wrapped: dict[str, Handler] = {}
        self._running = 0
        self._idle: asyncio.Event | None = None

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
        if handler is None:
            return None
        if service in self._rules:
            handler = self._wrapped[path] = self._wrap(handler, service, method)
        elif self._admit:
            handler = self._wrapped[path] = callers.guarded(handler, self._check)
        return handler

    async def _check(self, context: Context) -> None:
        """Abort a call to a library's service whose caller is not admitted."""
        assert self._admit
        try:
            self._admit(context)
        except status.RefusalError as error:
            failure = status.of(error, _request_id(context), error.code)
            await context.abort(error.code, failure.details, tuple(failure.trailing_metadata))

    async def idle(self) -> None:
        """Return when no call is running."""
        if self._running:
            self._idle = asyncio.Event()
            await self._idle.wait()

    def _wrap(self, handler: Handler, service: str, method: str) -> Handler:
        seen, rules = call_metrics.of(service, method), self._rules[service]
        parse, behave = handler.request_deserializer, cast("Behaviour", handler.unary_unary)
        assert parse is not None

        async def handle(raw: bytes, context: Context) -> Any:
            started_at_s = time.monotonic()
            request_id = _request_id(context)
            facts: dict[str, Any] = {"service": service, "method": method}
            _facts.set(facts)
            seen.start()
            self._running += 1
            response, failure, code = None, None, grpc.StatusCode.OK
            try:
                self._judge(context)
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
                elapsed_s = time.monotonic() - started_at_s
                seen.finish(_GO_NAMES[code], elapsed_s)
                facts["request_id"] = request_id
                facts["code"] = code.name
                facts["duration_ms"] = round(elapsed_s * 1000, 3)
                _log.log(_LEVELS.get(code, logging.INFO), "call_handled", **facts)
            if failure:
                await context.abort(code, failure.details, tuple(failure.trailing_metadata))
            return response

        # The request arrives as bytes: gRPC itself would answer INTERNAL to those it cannot parse.
        return grpc.unary_unary_rpc_method_handler(
            handle, request_deserializer=None, response_serializer=handler.response_serializer
        )

    def _judge(self, context: Context) -> None:
        """Raise what a caller is told before the request is looked at."""
        if self._admit:
            self._admit(context)
        if self._running > self._max_concurrent_calls:
            raise OverloadedError

    def _leave(self) -> None:
        self._running -= 1
        if self._idle and not self._running:
            self._idle.set()


def tell(**facts: Any) -> None:
    """Leave something in the log line of the call that is being handled."""
    _facts.get().update(facts)


def note_outcome(api: str, operation: str, outcome: StrEnum) -> None:
    """Leave what the store answered in the call's log line and in the counts."""
    tell(outcome=outcome.value)
    metrics.outcome(api, operation, outcome.value).inc()


def _go_name(code: grpc.StatusCode) -> str:
    """Spell a code as go-grpc-middleware does: ``OK``, ``Canceled``, ``InvalidArgument``."""
    if code is grpc.StatusCode.OK:
        return "OK"
    if code is grpc.StatusCode.CANCELLED:
        return "Canceled"
    return code.name.title().replace("_", "")


_GO_NAMES = {code: _go_name(code) for code in grpc.StatusCode}


def _request_id(context: Context) -> str:
    for key, value in context.invocation_metadata() or ():
        if key == "x-request-id" and isinstance(value, str) and _REQUEST_ID.fullmatch(value):
            return value
    return f"{_PROCESS}-{next(_numbers):x}"


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
    tell(**told)
