"""What was asked of the service and what it answered, as the clients saw it."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path


class Call(StrEnum):
    """What a client asks; the two kinds of UpdateBooking apart."""

    CREATE_LEASE = "create_lease"
    CREATE_BOOKING = "create_booking"
    CANCEL = "cancel"
    MOVE = "move"
    CHECK_AVAILABILITY = "check_availability"
    GET_BOOKING_STATUS = "get_booking_status"
    LIST_BOOKINGS = "list_bookings"
    """Of the user of one booking."""


class Outcome(StrEnum):
    """What the client knows afterwards."""

    OK = "ok"
    REFUSED = "refused"
    """A business failure, or a fault of the request: nothing has changed."""
    UNKNOWN = "unknown"
    """No answer, or none that decides: carried out by now, later or never."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One call. Times are epoch milliseconds of the machine's clock, which the stores share.

    References, tokens and slots are names that mean one thing in the whole history. What a call
    does not have is empty.
    """

    call: Call
    asked_ms: float
    answered_ms: float
    """When the client had the answer, or gave up."""
    outcome: Outcome
    slot: str = ""
    """The slot asked for; of a move the new one; of a list the one in which it shows the booking,
    if it does; of a cancel and a look at a booking none."""
    reference: str = ""
    asked_expires_ms: int = 0
    lease_id: str = ""
    """Of CreateLease as answered, of CreateBooking as asked."""
    expires_ms: int = 0
    token: str = ""
    booking_id: str = ""
    cause: str = ""
    """Why it was refused, or what went wrong: the API's own word."""
    answer: str = ""
    """Stands for the whole response, so that two can be compared; or the state of a booking; of a
    move the slot that the response shows."""
    count: int = 0
    is_final: bool = False
    """Asked after every fault had healed, to see what is left."""

    @property
    def is_ok(self) -> bool:
        """Tell whether it was certainly carried out, and by ``answered_ms``."""
        return self.outcome is Outcome.OK

    @property
    def is_refused(self) -> bool:
        """Tell whether the service refused it."""
        return self.outcome is Outcome.REFUSED

    @property
    def latest_ms(self) -> float:
        """Return until when it may be carried out."""
        return float("inf") if self.outcome is Outcome.UNKNOWN else self.answered_ms


def save(path: Path, history: Iterable[Operation]) -> None:
    """Write a history, an operation a line."""
    with path.open("w", encoding="utf-8") as file:
        for operation in history:
            told = {name: value for name, value in asdict(operation).items() if value != ""}
            file.write(json.dumps(told) + "\n")


def load(path: Path) -> list[Operation]:
    """Read a history that ``save`` has written."""
    read = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    return [
        Operation(**{**told, "call": Call(told["call"]), "outcome": Outcome(told["outcome"])})
        for told in read
    ]
