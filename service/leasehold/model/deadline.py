"""The time that a call has left."""

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on this machine's monotonic clock; it never says whether a lease lives."""

    at_s: float

    @classmethod
    def within(cls, cap_s: float, asked_s: float | None) -> "Deadline":
        """Return the caller's deadline, ``asked_s`` from now, or our own cap if that is nearer."""
        return cls(time.monotonic() + (cap_s if asked_s is None else min(cap_s, asked_s)))

    def remaining_s(self) -> float:
        """Return the seconds left, negative once the deadline has passed."""
        return self.at_s - time.monotonic()
