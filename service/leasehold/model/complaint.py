"""What a doctor complains of: one thing that is wrong in a store, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum


class Ailment(StrEnum):
    """What can be wrong with a key."""

    NO_TTL = "no_ttl"
    WRONG_TAG = "wrong_tag"
    NO_OWNER = "no_owner"
    NO_RECORD = "no_record"
    OTHER_SPOT = "other_spot"
    NOT_INDEXED = "not_indexed"
    LAYOUT_UNKNOWN = "layout_unknown"


@dataclass(frozen=True, slots=True)
class Complaint:
    """One key that is not as it must be."""

    ailment: Ailment
    key: str


@dataclass(slots=True)
class Examination:
    """What was looked at, and what is wrong with it."""

    complaints: list[Complaint]
    """The first of them."""
    complaint_count: int = 0
    keys: int = 0
    foreign: int = 0
    """Keys that are none of ours; nothing is said of them."""
