"""One table from errors to gRPC status, with google.rpc details on every one of them.

Source: contract 6.2, "Store trouble" and "Error details".
"""

import math
from dataclasses import dataclass

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from leasehold.model.errors import (
    ClockSteppedError,
    DeadlinePassedError,
    InvalidRequestError,
    NotFoundError,
    OverloadedError,
    QuarantinedError,
    StoreTrouble,
    StoreUnavailableError,
    Violation,
)

_DOMAIN = "leasehold"
_RETRY_AFTER_S = 1
UNFINISHED = "REQUEST_UNFINISHED"


@dataclass(frozen=True, slots=True)
class Fault:
    """What the store finds wrong with a request: INVALID_ARGUMENT."""

    reason: str
    field: str
    description: str

    def error(self, addition: str) -> InvalidRequestError:
        """Return the error; ``addition`` is what this very answer has to add, or empty."""
        violation = Violation(self.field, f"{self.description}{addition}")
        return InvalidRequestError([violation], self.reason)


class RefusalError(Exception):
    """A business refusal where the API has no field for one: a gRPC code with its own reason."""

    def __init__(self, code: grpc.StatusCode, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason


class UnfinishedError(Exception):
    """The message of a call did not come in the time there is for it; nothing was carried out."""


def of(error: Exception, request_id: str, overload_code: grpc.StatusCode) -> grpc.Status:
    """Return the status of an error; whatever is not listed is a bug, and says nothing more.

    ``overload_code`` is what the version of the API says when we have too much to do.
    """
    code, reason, message, details = _explain(error, overload_code)
    info = error_details_pb2.ErrorInfo(reason=reason, domain=_DOMAIN)
    request_info = error_details_pb2.RequestInfo(request_id=request_id)
    status = status_pb2.Status(code=code.value[0], message=message)
    for detail in (info, *details, request_info):
        packed = Any()
        packed.Pack(detail)
        status.details.append(packed)
    return rpc_status.to_status(status)


def _explain(
    error: Exception, overload_code: grpc.StatusCode
) -> tuple[grpc.StatusCode, str, str, list[Message]]:
    code = grpc.StatusCode
    match error:
        case InvalidRequestError():
            return code.INVALID_ARGUMENT, error.reason, str(error), [_bad_request(error)]
        case RefusalError():
            return error.code, error.reason, str(error), []
        case NotFoundError():
            return code.NOT_FOUND, error.reason, str(error), []
        case QuarantinedError():
            message = (
                "The store has lost data. Until all that it may have held has ended, nothing new is"
                " held or booked. The call may be repeated then."
            )
            return code.UNAVAILABLE, error.trouble.value, message, [_retry(error.retry_after_s)]
        case ClockSteppedError():
            message = (
                "The store's clock has stepped. Until it has stepped back, or the longest lease has"
                " passed, nothing is answered that depends on time. The call may be repeated then."
            )
            return code.UNAVAILABLE, error.trouble.value, message, [_retry(error.retry_after_s)]
        case StoreUnavailableError(trouble=StoreTrouble.LAYOUT_UNKNOWN):
            message = (
                "A later release wrote what is stored, in a way that this one does not read."
                " Nothing was changed. A process of the later release may answer a repeat."
            )
            return code.UNAVAILABLE, error.trouble.value, message, [_retry()]
        case StoreUnavailableError():
            message = (
                f"The store gave no answer ({error}). Whether the call was carried out may be"
                " unknown; CreateLease and CreateBooking may be repeated as they are."
            )
            return code.UNAVAILABLE, error.trouble.value, message, [_retry()]
        case OverloadedError():
            message = "There is too much to do. It is safe to repeat the same request."
            return overload_code, "OVERLOADED", message, [_retry()]
        case DeadlinePassedError():
            message = "The deadline passed before the store had answered."
            return code.DEADLINE_EXCEEDED, "DEADLINE_PASSED", message, [_retry()]
        case UnfinishedError():
            message = "The request did not come to its end in time. Nothing was carried out."
            return code.DEADLINE_EXCEEDED, UNFINISHED, message, [_retry()]
        case _:
            return code.INTERNAL, "INTERNAL", "Internal error.", []


def _bad_request(error: InvalidRequestError) -> error_details_pb2.BadRequest:
    violations = [
        error_details_pb2.BadRequest.FieldViolation(field=v.field, description=v.description)
        for v in error.violations
    ]
    return error_details_pb2.BadRequest(field_violations=violations)


def _retry(after_s: float = _RETRY_AFTER_S) -> error_details_pb2.RetryInfo:
    delay = Duration()
    delay.FromMilliseconds(math.ceil(after_s * 1000))
    return error_details_pb2.RetryInfo(retry_delay=delay)
