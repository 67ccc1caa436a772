"""Who may call: by the names in a certificate, or by a token."""

import inspect
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any, TypeAlias

import grpc

from leasehold import credentials
from leasehold.rpc.status import RefusalError

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Admit: TypeAlias = Callable[[Context], None]
"""Raises RefusalError for a caller who is not to be served."""

# Reading one takes longer than all the rest of a call's admission, and callers are few.
_names_in = lru_cache(maxsize=256)(credentials.names_in)


def by_name(names: frozenset[str]) -> Admit:
    """Admit those whose certificate has one of the names, letter for letter.

    gRPC's own list of them ends a name at a zero byte, so they are read from the certificate.
    """

    def admit(context: Context) -> None:
        shown = context.auth_context().get("x509_pem_cert", ())
        if not any(names & _names_in(pem) for pem in shown):
            raise RefusalError(
                grpc.StatusCode.PERMISSION_DENIED,
                "CALLER_NOT_ALLOWED",
                "The certificate has none of the names that are served here.",
            )

    return admit


def by_token(let_in: Callable[[str | bytes | None], bool]) -> Admit:
    """Admit those whose ``authorization`` is a good one."""

    def admit(context: Context) -> None:
        sent = dict(context.invocation_metadata() or ()).get("authorization")
        if not let_in(sent):
            raise RefusalError(
                grpc.StatusCode.UNAUTHENTICATED,
                "TOKEN_REQUIRED",
                "A bearer token that is good here is needed in the metadata authorization.",
            )

    return admit


def guarded(handler: Handler, check: Callable[[Context], Awaitable[None]]) -> Handler:
    """Return a handler that awaits ``check`` before anything else; that may abort the call.

    For the methods of libraries, whose kinds are these three.
    """
    reads, writes = handler.request_deserializer, handler.response_serializer
    if handler.unary_unary:
        call: Any = handler.unary_unary

        async def unary(request: Any, context: Any) -> Any:
            await check(context)
            return await call(request, context)

        return grpc.unary_unary_rpc_method_handler(unary, reads, writes)
    stream: Any = handler.unary_stream or handler.stream_stream

    async def streamed(requests: Any, context: Any) -> Any:
        await check(context)
        answers = stream(requests, context)
        if not inspect.isasyncgen(answers):
            return await answers
        async for answer in answers:
            await context.write(answer)
        return None

    make = (
        grpc.unary_stream_rpc_method_handler
        if handler.unary_stream
        else grpc.stream_stream_rpc_method_handler
    )
    return make(streamed, reads, writes)
