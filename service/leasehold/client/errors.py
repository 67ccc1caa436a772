"""What a call ends with when it has no answer; no text quotes a value of the request."""

import contextlib
from typing import Any, cast

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from leasehold.client.values import Refused
from leasehold.model.errors import Violation

_CALLERS_FAULTS = frozenset(
    {"INVALID_ARGUMENT", "NOT_FOUND", "UNAUTHENTICATED", "PERMISSION_DENIED"}
)
_UNJUDGED = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "CANCELLED"})


class ClientError(Exception):
    """What this client raises, always one of the classes below."""


class AccessError(ClientError):
    """The listener cannot be called like this: its address, a certificate, a key or a token."""


class RefusedError(ClientError):
    """There is nothing to give, as when a slot to be held is not free."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(f"{refused.cause}. {refused.description}")
        self.refused = refused


class CallError(ClientError):
    """A call ended with another status than OK; the message is for people."""

    def __init__(self, message: str, code: str, details: str = "") -> None:
        super().__init__(message)
        self.code = code
        """The name of the gRPC status, like INVALID_ARGUMENT."""
        self.details = details
        """What the server said, in one sentence or two."""
        self.reason = ""
        """The server's reason, like TOKEN_REUSED (docs/api.md); empty where gRPC itself failed."""
        self.violations: tuple[Violation, ...] = ()
        """Every field at fault, and what is wrong with it."""
        self.request_id = ""
        """Stands in the server's log, too."""
        self.retry_after_s: float | None = None
        """When the server wants to be asked again, in seconds; None where it does not say."""

    @property
    def is_callers_fault(self) -> bool:
        """Tell whether the same request by the same caller would be refused again."""
        return self.code in _CALLERS_FAULTS


class NoAnswerError(CallError):
    """Nobody judged the request in time; whether it was carried out may be unknown.

    Asked again with the same ``reference``, it is carried out once.
    """

    reference = ""
    """The user_reference or idempotency token of the request, empty for other requests."""
    may_have_arrived = True
    """False where there was no connection to send the request by, so nothing was carried out."""


def call_error(address: str, error: grpc.aio.AioRpcError) -> CallError:
    """Return what a call that gRPC ended has come to."""
    code, details = error.code().name, error.details() or ""
    kind = NoAnswerError if code in _UNJUDGED else CallError
    told = _details(error)
    bad_request = told.get(error_details_pb2.BadRequest)
    message = f"{address} answered {code}: {details}"
    violations = []
    if bad_request:
        violations = [Violation(v.field, v.description) for v in bad_request.field_violations]
        lines = [f"  {each.field or 'request'} {each.description}" for each in violations]
        message = "\n".join((f"{address} answered {code}:", *lines))
    found = kind(message, code, details)
    found.violations = tuple(violations)
    if info := told.get(error_details_pb2.ErrorInfo):
        found.reason = info.reason
    if request := told.get(error_details_pb2.RequestInfo):
        found.request_id = request.request_id
    if retry := told.get(error_details_pb2.RetryInfo):
        found.retry_after_s = retry.retry_delay.ToMilliseconds() / 1000
    return found


def _details(error: grpc.aio.AioRpcError) -> dict[type[Message], Any]:
    """Return the details of a status, each by its kind."""
    found: dict[type[Message], Any] = {}
    status = None
    # Somebody between the server and us may have changed the status, but not its details.
    with contextlib.suppress(ValueError):
        status = rpc_status.from_call(cast("grpc.Call", error))
    kinds: tuple[type[Message], ...] = (
        error_details_pb2.BadRequest,
        error_details_pb2.ErrorInfo,
        error_details_pb2.RequestInfo,
        error_details_pb2.RetryInfo,
    )
    for detail in status.details if status else ():
        for kind in kinds:
            message = kind()
            if detail.Unpack(message):
                found[kind] = message
    return found
