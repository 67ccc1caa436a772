"""The slot: what is held and booked, one spot at a time."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Slot:
    """A time at a merchant's service, told apart by everything in it.

    Two slots are the same when all fields are equal; absent resources are empty ones. The
    availability tag is not part of a slot.

    Source: contract 6.2, "Slot identity".
    """

    merchant_id: str
    service_id: str
    start_s: int
    """Epoch seconds, UTC."""
    duration_s: int
    staff_id: str = ""
    room_id: str = ""
    party_size: int = 0

    @property
    def start_ms(self) -> int:
        """Return the start in epoch milliseconds, as the store counts."""
        return self.start_s * 1000
