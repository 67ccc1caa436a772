"""Who calls, and who may: by the names in a certificate, or by a token."""

import itertools
import re
import uuid
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, TypeAlias

import grpc

from leasehold import credentials
from leasehold.rpc.status import RefusalError

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Metadata: TypeAlias = Iterable[tuple[str, str | bytes]]
Admit: TypeAlias = Callable[[Context], None]
"""Raises RefusalError for a caller who is not to be served."""

# A caller's request id is taken over when it cannot be anything but an id.
_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
# W3C trace context of version 00. Later versions may be longer, by what only their readers know.
_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}")
# Ids of our own: no two processes begin alike.
_PROCESS = uuid.uuid4().hex[:16]
_numbers = itertools.count()

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
        sent = dict(metadata_of(context)).get("authorization")
        if not let_in(sent):
            raise RefusalError(
                grpc.StatusCode.UNAUTHENTICATED,
                "TOKEN_REQUIRED",
                "A bearer token that is good here is needed in the metadata authorization.",
            )

    return admit


def metadata_of(context: Context) -> Metadata:
    """Return what the caller has sent beside the message."""
    return context.invocation_metadata() or ()


def request_id(sent: Metadata) -> str:
    """Return the caller's own id of a call, or one of ours."""
    for key, value in sent:
        if key == "x-request-id" and isinstance(value, str) and _REQUEST_ID.fullmatch(value):
            return value
    return f"{_PROCESS}-{next(_numbers):x}"


def trace_of(sent: Metadata) -> dict[str, str]:
    """Return the ids of the caller's trace and span, or nothing where there is no such context.

    Of several gRPC shows the last.
    """
    for key, value in sent:
        if key == "traceparent" and isinstance(value, str):
            found = _TRACEPARENT.fullmatch(value)
            return {"trace_id": found[1], "span_id": found[2]} if found else {}
    return {}
