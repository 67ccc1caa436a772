"""Collects everything that is wrong with the shape of a request, to be named at once."""

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError, Message
from google.protobuf.timestamp_pb2 import Timestamp

from leasehold.model import checks
from leasehold.model.errors import InvalidRequestError, Violation

# The years 0001 to 9999, as timestamp.proto promises them.
_FIRST_SECOND = -62_135_596_800
_LAST_SECOND = 253_402_300_799
_NANOS = 1_000_000_000


def readable_bytes(answer: Message) -> bytes:
    """Return the bytes of an answer that carries what was sent, or raise InvalidRequestError.

    Fields that we do not know are carried too. Nested as deeply as a request may be, they are one
    level too deep in the answer, and neither its reader nor we ourselves could read it again.
    """
    raw = answer.SerializeToString()
    try:
        type(answer).FromString(raw)
    except DecodeError:
        raise InvalidRequestError([Violation("", "is nested too deeply")]) from None
    return raw


class Faults:
    """The faults found so far; paths are those of the request's own fields."""

    def __init__(self) -> None:
        self._violations: list[Violation] = []

    def note(self, field: str, fault: str | None) -> None:
        """Add a fault of a field, if there is one."""
        if fault:
            self._violations.append(Violation(field, fault))

    def raise_if_any(self) -> None:
        """Raise InvalidRequestError with every fault noted, or do nothing."""
        if self._violations:
            raise InvalidRequestError(self._violations)

    def present(self, message: Message, name: str, path: str) -> bool:
        """Note a submessage that is missing; tell whether it is there."""
        is_there = message.HasField(name)
        if not is_there:
            self.note(path, "is required")
        return is_there

    def note_texts(self, message: Message, path: str) -> None:
        """Note every text of a message, and of those in it, that is too long."""
        for field, value in message.ListFields():
            if isinstance(value, str):
                self.note(f"{path}.{field.name}", checks.text_fault(value))
            elif isinstance(value, Message):
                self.note_texts(value, f"{path}.{field.name}")

    def required_timestamp_ms(self, message: Message, name: str, path: str) -> int:
        """Return the epoch milliseconds of a field that must be there."""
        path = f"{path}.{name}"
        there = self.present(message, name, path)
        return self.timestamp_ms(getattr(message, name), path) if there else 0

    def timestamp_ms(self, timestamp: Timestamp, path: str) -> int:
        """Return epoch milliseconds, rounded down, and note a timestamp outside years 1-9999."""
        if not (
            _FIRST_SECOND <= timestamp.seconds <= _LAST_SECOND and 0 <= timestamp.nanos < _NANOS
        ):
            self.note(path, "is not a timestamp between the years 0001 and 9999")
            return 0
        return timestamp.seconds * 1000 + timestamp.nanos // 1_000_000

    def whole_seconds(self, value: Timestamp | Duration, path: str) -> int:
        """Return the seconds of a value that must have no fraction."""
        if value.nanos:
            self.note(path, "must be in whole seconds")
        return value.seconds
