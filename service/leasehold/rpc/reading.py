"""Reads the messages of callers who are served: within a time, and few long ones at once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias, cast

import grpc
from google.protobuf.message import DecodeError

from leasehold.model.errors import InvalidRequestError, Violation
from leasehold.rpc.callers import Context

End: TypeAlias = Callable[[], Awaitable[None]]
"""Ends the call whose message did not come in time, by ``context.abort``."""

# A call that its caller has cancelled reads as one without a message until gRPC cancels its task.
_CANCELLED_WITHIN_S = 0.1


class _Turns:
    """The messages of one connection that are read now, or wait for that."""

    __slots__ = ("count", "free")

    def __init__(self, at_a_time: int) -> None:
        self.count = 0
        self.free = asyncio.Semaphore(at_a_time)


class Reader:
    """Reads the messages of one listener."""

    def __init__(self, timeout_s: float, at_a_time: int) -> None:
        """``timeout_s`` is for a message, ``at_a_time`` the messages of a connection in it."""
        self.timeout_s = timeout_s
        self._at_a_time = at_a_time
        self._turns: dict[str, _Turns] = {}

    async def only_message(self, context: Context, end_late: End) -> bytes:
        """Return the message of a unary call. Raises InvalidRequestError for none or several."""
        async with _Reading(self, context.peer(), end_late):
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
            async with _Reading(self, context.peer(), end_late):
                raw = await context.read()
            if raw is grpc.aio.EOF:
                return
            yield cast("bytes", raw)

    async def begin(self, connection: str) -> None:
        """Wait for a turn, which ``end`` gives back."""
        turns = self._turns.get(connection)
        if turns is None:
            turns = self._turns[connection] = _Turns(self._at_a_time)
        turns.count += 1
        try:
            await turns.free.acquire()
        except asyncio.CancelledError:
            self._leave(connection, turns)
            raise

    def end(self, connection: str) -> None:
        """Give a turn back."""
        turns = self._turns[connection]
        turns.free.release()
        self._leave(connection, turns)

    def _leave(self, connection: str, turns: _Turns) -> None:
        turns.count -= 1
        if not turns.count:
            del self._turns[connection]


class _Reading:
    """One message's turn and time; when the time is over, the call is ended.

    A read is never cancelled: gRPC would keep the bytes of a message that still comes. The end of
    the call ends the read, too.
    """

    __slots__ = ("_connection", "_end_late", "_ending", "_reader", "_timer")

    def __init__(self, reader: Reader, connection: str, end_late: End) -> None:
        self._reader = reader
        self._connection = connection
        self._end_late = end_late
        self._ending: asyncio.Future[None] | None = None
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(reader.timeout_s, self._give_up)

    def _give_up(self) -> None:
        self._ending = asyncio.ensure_future(self._end_late())

    async def __aenter__(self) -> None:
        try:
            await self._reader.begin(self._connection)
        except asyncio.CancelledError:
            self._timer.cancel()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._reader.end(self._connection)
        self._timer.cancel()
        if self._ending:
            await self._ending  # It raises what gRPC wants to see raised after an abort.


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
