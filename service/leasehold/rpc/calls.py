"""What every call goes through: admission, reading, errors, one log line, metrics."""

import asyncio
import logging
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias, cast

import grpc
import structlog

from leasehold.model.errors import (
    DeadlinePassedError,
    InvalidRequestError,
    NotFoundError,
    OverloadedError,
    StoreUnavailableError,
)
from leasehold.rpc import status
from leasehold.rpc.callers import Admit, Context, Handler, metadata_of, request_id, trace_of
from leasehold.rpc.guard import Guard
from leasehold.rpc.reading import Reader, parse
from leasehold.telemetry import metrics
from leasehold.telemetry.calls import MethodCalls, call_metrics

_log = structlog.get_logger()

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


class _Call:
    """What a call leaves behind; it is counted when it comes, and once when it ends."""

    __slots__ = ("_began_at_s", "_seen", "facts", "has_ended", "request_id")

    def __init__(self, seen: MethodCalls, context: Context) -> None:
        _, service, method = seen.labels
        self._seen = seen
        self._began_at_s = time.monotonic()
        sent = metadata_of(context)
        self.request_id = request_id(sent)
        self.facts: dict[str, Any] = {"service": service, "method": method, **trace_of(sent)}
        self.has_ended = False
        seen.start()

    def end(self, code: grpc.StatusCode) -> None:
        """Count and log the call, before its answer leaves: the caller who has it finds both."""
        self.has_ended = True
        elapsed_s = time.monotonic() - self._began_at_s
        self._seen.finish(_GO_NAMES[code], elapsed_s)
        self.facts["request_id"] = self.request_id
        self.facts["code"] = code.name
        self.facts["duration_ms"] = round(elapsed_s * 1000, 3)
        _log.log(_LEVELS.get(code, logging.INFO), "call_handled", **self.facts)


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps the unary methods of the given services; of health and reflection it guards.

    gRPC starts a handler of a unary method when the whole message is there, so a caller whose
    message never ends would never be judged. Therefore all methods are wrapped as methods of
    streams, which have the same bytes on the wire, and read their message themselves.
    """

    def __init__(
        self,
        rules: Mapping[str, Rules],
        *,
        max_concurrent_calls: int,
        reader: Reader,
        admit: Admit | None = None,
    ) -> None:
        """``rules`` names the services; ``admit`` judges callers, without it all are served."""
        self._rules = rules
        self._max_concurrent_calls = max_concurrent_calls
        self._admit = admit
        self._reader = reader
        self._guard = Guard(admit, reader)
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
            handler = self._wrap(handler, service, method)
        else:
            handler = self._guard.wrap(handler)
        self._wrapped[path] = handler
        return handler

    async def idle(self) -> None:
        """Return when no call is running."""
        if self._running:
            self._idle = asyncio.Event()
            await self._idle.wait()

    def _wrap(self, handler: Handler, service: str, method: str) -> Handler:
        seen, rules = call_metrics.of(service, method), self._rules[service]
        deserialize, behave = handler.request_deserializer, cast("Behaviour", handler.unary_unary)

        async def handle(_messages: Any, context: Context) -> Any:
            call = _Call(seen, context)
            _facts.set(call.facts)
            self._running += 1
            response, failure, code = None, None, grpc.StatusCode.OK
            try:
                self._judge(context)
                raw = await self._reader.only_message(
                    context, lambda: self._end_late(call, context, rules)
                )
                seen.receive()
                response = await behave(parse(raw, deserialize, rules.max_request_bytes), context)
            except (asyncio.CancelledError, grpc.aio.AbortError):
                code = grpc.StatusCode.CANCELLED
                raise
            except Exception as error:  # noqa: BLE001 - nothing may reach a caller unmapped
                failure = _failure(error, call, rules)
                code = failure.code
            finally:
                if not call.has_ended:
                    self._end(call, code)
            if failure:
                await _abort(context, failure)
            return response

        return grpc.stream_unary_rpc_method_handler(
            handle, request_deserializer=None, response_serializer=handler.response_serializer
        )

    def _judge(self, context: Context) -> None:
        """Raise what a caller is told before the request is read."""
        if self._admit:
            self._admit(context)
        if self._running > self._max_concurrent_calls:
            raise OverloadedError

    async def _end_late(self, call: _Call, context: Context, rules: Rules) -> None:
        """End a call whose message is still being read."""
        failure = _failure(status.UnfinishedError(), call, rules)
        self._end(call, failure.code)
        await _abort(context, failure)

    def _end(self, call: _Call, code: grpc.StatusCode) -> None:
        self._running -= 1
        if self._idle and not self._running:
            self._idle.set()
        call.end(code)


def _failure(error: Exception, call: _Call, rules: Rules) -> grpc.Status:
    _note(error, call.facts)
    return status.of(error, call.request_id, rules.overload_code)


async def _abort(context: Context, failure: grpc.Status) -> None:
    await context.abort(failure.code, failure.details, tuple(failure.trailing_metadata))


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


def _note(error: Exception, facts: dict[str, Any]) -> None:
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
        case status.UnfinishedError():
            told = {"reason": status.UNFINISHED}
        case _:
            told = {
                "error": type(error).__name__,
                "traceback": "".join(traceback.format_tb(error.__traceback__)),
            }
    facts.update(told)
