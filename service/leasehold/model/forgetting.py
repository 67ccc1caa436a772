"""What it means to forget a person: nothing tells who made a booking, and the booking stands."""

from dataclasses import dataclass
from enum import StrEnum


class ForgetUserStatus(StrEnum):
    """Every answer to forgetting whoever made one booking, in order of precedence."""

    BOOKING_UNKNOWN = "booking_unknown"
    REPLAYED = "replayed"
    CHANGED = "changed"
    FORGOTTEN = "forgotten"


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was forgotten; nothing of it says of whom."""

    booking_ids: list[str]
    """The bookings that now are nobody's, as on the wire."""
    still_named: int = 0
    """How many the index names that may be in the making; they can be told in two minutes."""
