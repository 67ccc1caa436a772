"""The servicers as the listeners run them, without a network: bytes in, a status out."""

import asyncio
import os
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import ITIMER_REAL, SIGALRM, setitimer, signal
from types import SimpleNamespace
from typing import Any, NoReturn, cast

import grpc
import structlog
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import Message
from tests.fuzz import wire
from tests.fuzz.messages import Filler

from leasehold.generated.ext.maps.booking.partner.v0 import booking_service_pb2_grpc as v0_grpc
from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2_grpc as v2_grpc
from leasehold.generated.leasehold.v1 import feed_service_pb2_grpc as feed_grpc
from leasehold.generated.leasehold.v1 import inventory_service_pb2_grpc as inventory_grpc
from leasehold.generated.leasehold.v1 import lease_service_pb2_grpc as leases_grpc
from leasehold.model.events import EventStore
from leasehold.model.inventory import InventoryStore
from leasehold.model.operators import OperatorStore
from leasehold.model.store import LeaseStore
from leasehold.rpc import server
from leasehold.rpc.calls import CallInterceptor
from leasehold.rpc.reading import Reader
from leasehold.rpc.v0 import servicer as v0_servicer
from leasehold.rpc.v1.feed import FeedServicer
from leasehold.rpc.v1.inventory import InventoryServicer
from leasehold.rpc.v1.leases import LeaseServicer
from leasehold.rpc.v2 import servicer as v2_servicer
from leasehold.telemetry import log

_HANGS_AFTER_S = 10
_MAX_SLOT_S = 31 * 86_400
_CODE = grpc.StatusCode
EXPECTED = {
    server.V2: {_CODE.OK, _CODE.INVALID_ARGUMENT, _CODE.NOT_FOUND},
    server.V0: {
        _CODE.OK,
        _CODE.INVALID_ARGUMENT,
        _CODE.NOT_FOUND,
        _CODE.ALREADY_EXISTS,
        _CODE.RESOURCE_EXHAUSTED,
    },
    server.INVENTORY: {_CODE.OK, _CODE.INVALID_ARGUMENT},
    server.LEASES: {
        _CODE.OK,
        _CODE.INVALID_ARGUMENT,
        _CODE.NOT_FOUND,
        _CODE.FAILED_PRECONDITION,
    },
    server.FEED: {_CODE.OK, _CODE.INVALID_ARGUMENT, _CODE.OUT_OF_RANGE},
}
"""What each service may answer while its store is well."""


class AbortError(Exception):
    """What a call ends with that has a status other than OK."""

    def __init__(self, code: grpc.StatusCode) -> None:
        super().__init__(code.name)
        self.code = code


class HangError(Exception):
    """A call that takes far too long."""


class Context:
    """What a call knows of itself, and its one message."""

    def __init__(self, raw: bytes) -> None:
        self._messages: list[object] = [raw, grpc.aio.EOF]

    async def read(self) -> object:
        """Return the message, then the end."""
        return self._messages.pop(0)

    def peer(self) -> str:
        """Return the name of the connection."""
        return "fuzz"

    def invocation_metadata(self) -> tuple[()]:
        """Return none."""
        return ()

    def time_remaining(self) -> None:
        """Return no deadline."""

    async def abort(self, code: grpc.StatusCode, *_details: Any) -> NoReturn:
        """End the call."""
        raise AbortError(code)


class Handlers:
    """Stands for a listener: keeps what servicers register."""

    def __init__(self) -> None:
        self.methods: dict[str, Any] = {}

    def add_generic_rpc_handlers(self, _handlers: Any) -> None:
        """Leave out what is registered for older versions of gRPC."""

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Any]) -> None:
        """Keep each method by its path."""
        self.methods |= {f"/{service}/{name}": each for name, each in handlers.items()}


@dataclass(frozen=True)
class Method:
    """One method of a service."""

    service: str
    request: type[Message]
    response: type[Message]
    handle: Any

    async def call(self, raw: bytes) -> grpc.StatusCode:
        """Send bytes; raises what no call may raise."""
        try:
            response = await self.handle(None, Context(raw))
        except AbortError as error:
            return error.code
        # Whoever asked must be able to read it.
        self.response.FromString(response.SerializeToString())
        return _CODE.OK


@dataclass(frozen=True, slots=True)
class Finding:
    """Bytes that were answered as none may be."""

    seed: str
    """Of the batch: what a request meets depends on those before it."""
    path: str
    raw: bytes
    answered: str

    def __str__(self) -> str:
        """Tell it so that it can be sent again."""
        return f"{self.seed}: {self.path} answers {self.answered} to\n{self.raw.hex()}"


async def methods(
    store: LeaseStore, inventory: InventoryStore, leases: OperatorStore, events: EventStore
) -> dict[str, Method]:
    """Return every method of every service of ours, on these stores."""
    handlers = cast("Any", Handlers())
    limits = {"max_slot_s": _MAX_SLOT_S, "call_timeout_s": 3}
    v2_grpc.add_BookingServiceServicer_to_server(
        v2_servicer.BookingServicer(store, **limits), handlers
    )
    v0_grpc.add_BookingServiceServicer_to_server(
        v0_servicer.BookingServicer(store, **limits), handlers
    )
    operators = InventoryServicer(inventory, max_slot_s=_MAX_SLOT_S, max_closed_share=0.2)
    inventory_grpc.add_InventoryServiceServicer_to_server(operators, handlers)
    leases_grpc.add_LeaseServiceServicer_to_server(
        LeaseServicer(leases, call_timeout_s=3), handlers
    )
    feed_grpc.add_FeedServiceServicer_to_server(FeedServicer(events, call_timeout_s=3), handlers)
    calls = CallInterceptor(server.RULES, max_concurrent_calls=1, reader=Reader(60, 1))
    return {path: await _wrap(calls, path, it) for path, it in handlers.methods.items()}


async def _wrap(calls: CallInterceptor, path: str, handler: Any) -> Method:
    async def continuation(_details: Any) -> Any:
        return handler

    details: Any = SimpleNamespace(method=path)
    wrapped: Any = await calls.intercept_service(continuation, details)
    service, name = path.removeprefix("/").split("/")
    described = descriptor_pool.Default().FindServiceByName(service).methods_by_name[name]
    request, response = map(
        message_factory.GetMessageClass, (described.input_type, described.output_type)
    )
    return Method(service, request, response, wrapped.stream_unary)


async def fuzz(
    seed: str, count: int, targets: dict[str, Method], only: str = ""
) -> tuple[Counter[str], list[Finding]]:
    """Send so many inputs; return the answers by service and status, and what must not be."""
    chance = random.Random(seed)
    filler, answers, findings = Filler(chance), Counter[str](), list[Finding]()
    paths = sorted(path for path in targets if only in path)
    with _watch() as watch:
        for _ in range(count):
            path = chance.choice(paths)
            method = targets[path]
            times = chance.choice((0, 0, 1, 1, 2, 4))
            raw = wire.spoil(filler.request(method.request), chance, times)
            watch()
            code, answered = await _answer(method, raw)
            answers[f"{method.service.rpartition('.')[0]} {answered}"] += 1
            if code not in EXPECTED[method.service]:
                findings.append(Finding(seed, path, raw, answered))
    return answers, findings


async def _answer(method: Method, raw: bytes) -> tuple[grpc.StatusCode | None, str]:
    """Return the status of a call and its name, or none and what came out instead."""
    try:
        async with asyncio.timeout(_HANGS_AFTER_S):
            code = await method.call(raw)
    except Exception as error:  # noqa: BLE001 - whatever comes out is what is sought
        return None, repr(error)
    return code, code.name


@contextmanager
def _watch() -> Iterator[Any]:
    """Hand out what is to be called before each input, so that a busy one is ended."""

    def ring(*_: Any) -> NoReturn:
        raise HangError

    with ExitStack() as stack:
        stack.callback(signal, SIGALRM, signal(SIGALRM, ring))
        stack.callback(setitimer, ITIMER_REAL, 0)
        # One that sleeps is given up by the loop, before.
        yield lambda: setitimer(ITIMER_REAL, 2 * _HANGS_AFTER_S)


def log_to_nowhere() -> None:
    """Render every log line as the service does, and write it nowhere."""
    log.configure("json", "info")
    nowhere = Path(os.devnull).open("wb")  # noqa: SIM115 - as long as the process lives
    structlog.configure(logger_factory=structlog.BytesLoggerFactory(file=nowhere))
