"""Reads the messages of callers who are served: within a time, and few long ones at once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, cast

import grpc
from google.protobuf.message import DecodeError

from leasehold.model.errors import InvalidRequestError, Violation
from leasehold.rpc.callers import Context

End: TypeAlias = Callable[[], Awaitable[None]]
"""Ends the call whose message did not come in time, by ``context.abort``."""

# A call that its caller has cancelled reads as one without a message until gRPC cancels its task.
_CANCELLED_WITHIN_S = 0.1


class Reader:
    """Reads the messages of one listener."""

    def __init__(self, timeout_s: float, at_a_time: int) -> None:
        """``timeout_s`` is for a message, ``at_a_time`` the messages of a connection in it."""
        self._timeout_s = timeout_s
        self._at_a_time = at_a_time
        self._turns: dict[str, asyncio.Semaphore] = {}
        self._waiting: dict[str, int] = {}

    async def only_message(self, context: Context, end_late: End) -> bytes:
        """Return the message of a unary call. Raises InvalidRequestError for none or several."""
        async with self._in_time(end_late), self._turn(context):
            raw = await context.read()
            if raw is grpc.aio.EOF:
                await asyncio.sleep(_CANCELLED_WITHIN_S)
                raise InvalidRequestError([Violation("", "is missing")])
            if await context.read() is not grpc.aio.EOF:
                raise InvalidRequestError([Violation("", "is followed by another message")])
        return cast("bytes", raw)

    async def messages(self, context: Context, end_late: End) -> AsyncIterator[bytes]:
        """Yield the messages of a stream; each has its time."""
        while True:
            async with self._in_time(end_late), self._turn(context):
                raw = await context.read()
            if raw is grpc.aio.EOF:
                return
            yield cast("bytes", raw)

    @asynccontextmanager
    async def _in_time(self, end_late: End) -> AsyncIterator[None]:
        """End the call when the time is over.

        A read is never cancelled: gRPC would keep the bytes of a message that still comes. The end
        of the call ends the read, too.
        """
        ending: asyncio.Future[None] | None = None

        def give_up() -> None:
            nonlocal ending
            ending = asyncio.ensure_future(end_late())

        timer = asyncio.get_running_loop().call_later(self._timeout_s, give_up)
        try:
            yield
        finally:
            timer.cancel()
            if ending:
                await ending  # It raises what gRPC wants to see raised after an abort.

    @asynccontextmanager
    async def _turn(self, context: Context) -> AsyncIterator[None]:
        connection = context.peer()
        turns = self._turns.setdefault(connection, asyncio.Semaphore(self._at_a_time))
        self._waiting[connection] = self._waiting.get(connection, 0) + 1
        try:
            async with turns:
                yield
        finally:
            self._waiting[connection] -= 1
            if not self._waiting[connection]:
                del self._turns[connection], self._waiting[connection]


def parse(raw: bytes, deserialize: Callable[[bytes], Any] | None, most_bytes: int) -> Any:
    """Return the message in the bytes of a request, or raise InvalidRequestError."""
    assert deserialize is not None
    if len(raw) > most_bytes:
        fault = f"is {len(raw)} bytes long, at most {most_bytes} are taken"
        raise InvalidRequestError([Violation("", fault)])
    try:
        return deserialize(raw)
    except DecodeError:
        raise InvalidRequestError([Violation("", "is not a message of this method")]) from None
