"""What calls of the libraries' services pass, health and reflection: admission, then reading."""

from collections.abc import AsyncIterator
from typing import Any

import grpc

from leasehold.model.errors import InvalidRequestError
from leasehold.rpc import status
from leasehold.rpc.callers import Admit, Context, Handler, metadata_of, request_id
from leasehold.rpc.reading import Reader, parse

# A request to health or reflection is a name, or the name of a file.
_MOST_BYTES = 4096


class Guard:
    """Wraps the methods of libraries, which are of three kinds; it counts and logs nothing."""

    def __init__(self, admit: Admit | None, reader: Reader) -> None:
        """Without ``admit`` every caller is served."""
        self._admit = admit
        self._reader = reader

    def wrap(self, handler: Handler) -> Handler:
        """Return a handler that sees who calls before any byte of the request is read."""
        if handler.unary_unary:
            return self._unary(handler)
        if handler.unary_stream:
            return self._answers(handler)
        return self._stream(handler)

    def _unary(self, handler: Handler) -> Handler:
        call: Any = handler.unary_unary

        async def unary(_: Any, context: Context) -> Any:
            return await call(await self._request(handler, context), context)

        return grpc.stream_unary_rpc_method_handler(unary, None, handler.response_serializer)

    def _answers(self, handler: Handler) -> Handler:
        call: Any = handler.unary_stream

        async def answers(_: Any, context: Context) -> None:
            await call(await self._request(handler, context), context)

        return grpc.stream_stream_rpc_method_handler(answers, None, handler.response_serializer)

    def _stream(self, handler: Handler) -> Handler:
        call: Any = handler.stream_stream

        async def stream(_: Any, context: Context) -> None:
            try:
                self._judge(context)
            except status.RefusalError as error:
                await _abort(context, error)
            async for answer in call(self._requests(handler, context), context):
                await context.write(answer)

        return grpc.stream_stream_rpc_method_handler(stream, None, handler.response_serializer)

    async def _request(self, handler: Handler, context: Context) -> Any:
        """Return the parsed request of a caller who is admitted, or abort the call."""
        try:
            self._judge(context)
            raw = await self._reader.only_message(context, lambda: _end_late(context))
            return parse(raw, handler.request_deserializer, _MOST_BYTES)
        except (status.RefusalError, InvalidRequestError) as error:
            await _abort(context, error)

    async def _requests(self, handler: Handler, context: Context) -> AsyncIterator[Any]:
        async for raw in self._reader.messages(context, lambda: _end_late(context)):
            try:
                yield parse(raw, handler.request_deserializer, _MOST_BYTES)
            except InvalidRequestError as error:
                await _abort(context, error)

    def _judge(self, context: Context) -> None:
        if self._admit:
            self._admit(context)


async def _abort(context: Context, error: Exception) -> None:
    # No service of a library has an overload of ours to report.
    failure = status.of(error, request_id(metadata_of(context)), grpc.StatusCode.RESOURCE_EXHAUSTED)
    await context.abort(failure.code, failure.details, tuple(failure.trailing_metadata))


async def _end_late(context: Context) -> None:
    await _abort(context, status.UnfinishedError())
