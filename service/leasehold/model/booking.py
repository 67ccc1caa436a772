"""CreateBooking and what is known of a booking: commands, outcomes and the record."""

from dataclasses import dataclass
from enum import StrEnum

from leasehold.model import ids
from leasehold.model.slot import Slot


class BookingStatus(StrEnum):
    """The state of a booking; each version of the API has its own numbers for these."""

    CONFIRMED = "confirmed"
    CANCELED = "canceled"
    NO_SHOW = "no_show"
    NO_SHOW_PENALIZED = "no_show_penalized"


@dataclass(frozen=True, slots=True)
class CreateBooking:
    """Book ``slot`` for a user, by a lease or directly; its shape has been checked."""

    slot: Slot | None
    """None for the slot of the lease."""
    token: str
    """What makes a repeat a repeat; told apart by merchant and by ``api``."""
    api: str
    user_id: str | None
    """None where the API names no user: such a booking is nobody's, and is not listed."""
    original: bytes
    """The response to this request, opaque to the store. It may hold personal data."""
    lease: ids.Reference | None = None
    additional_request: str = ""
    """The user's words to the merchant. They may hold personal data."""

    @property
    def merchant_id(self) -> str:
        """Return the merchant, whom the slot or else the lease names."""
        if self.slot:
            return self.slot.merchant_id
        assert self.lease, "neither a slot nor a lease"
        return self.lease.merchant_id

    @property
    def suffix(self) -> str:
        """Return the name of the booking among those of its merchant."""
        return ids.booking_suffix(self.api, self.token)

    @property
    def booking_id(self) -> str:
        """Return the name of the booking on the wire."""
        return ids.wire_id(self.merchant_id, self.suffix)


class CreateBookingStatus(StrEnum):
    """Every answer to CreateBooking, in order of precedence.

    Source: contract 6.2, "Order of judgement".
    """

    REPLAYED = "replayed"
    TOKEN_REUSED = "token_reused"
    LEASE_UNKNOWN = "lease_unknown"
    LEASE_SLOT_MISMATCH = "lease_slot_mismatch"
    LEASE_CONSUMED_BY_USER = "lease_consumed_by_user"
    LEASE_CONSUMED = "lease_consumed"
    LEASE_EXPIRED = "lease_expired"
    ALREADY_BOOKED_BY_USER = "already_booked_by_user"
    START_TOO_SOON = "start_too_soon"
    START_TOO_FAR = "start_too_far"
    MERCHANT_UNKNOWN = "merchant_unknown"
    SERVICE_UNKNOWN = "service_unknown"
    SLOT_UNKNOWN = "slot_unknown"
    SLOT_UNAVAILABLE = "slot_unavailable"
    CREATED = "created"


@dataclass(frozen=True, slots=True)
class CreateBookingOutcome:
    """The answer to one CreateBooking."""

    status: CreateBookingStatus
    original: bytes = b""
    """The response to the request that made the booking, when created or replayed."""
    slot: Slot | None = None
    """The slot that was booked then."""


@dataclass(frozen=True, slots=True)
class UpdateBooking:
    """Change a booking: what is None stays as it is; its shape has been checked."""

    booking: ids.Reference
    status: BookingStatus | None = None
    start_s: int | None = None
    duration_s: int | None = None
    party_size: int | None = None
    service_id: str | None = None
    """What the caller takes the booking for, where that is said; none of these can be changed."""
    staff_id: str | None = None
    room_id: str | None = None

    @property
    def moves(self) -> bool:
        """Tell whether it may lead to another slot."""
        return (self.start_s, self.duration_s, self.party_size) != (None, None, None)


class UpdateBookingStatus(StrEnum):
    """Every answer to UpdateBooking, in order of precedence.

    Source: contract 6.2, "Order of judgement".
    """

    BOOKING_UNKNOWN = "booking_unknown"
    SLOT_MISMATCH = "slot_mismatch"
    ALREADY_CANCELLED = "already_cancelled"
    NOT_CANCELLABLE = "not_cancellable"
    UNCHANGED = "unchanged"
    ALREADY_BOOKED_BY_USER = "already_booked_by_user"
    DURATION_TOO_LONG = "duration_too_long"
    START_TOO_SOON = "start_too_soon"
    START_TOO_FAR = "start_too_far"
    SLOT_UNKNOWN = "slot_unknown"
    SLOT_UNAVAILABLE = "slot_unavailable"
    UPDATED = "updated"


@dataclass(frozen=True, slots=True)
class BookingRecord:
    """A booking as it is now."""

    api: str
    """The version of the API that made it, and in which ``original`` is written."""
    original: bytes
    status: BookingStatus
    slot: Slot


MOST_LISTED = 1000
"""So many bookings of a user are listed; of more the soonest."""


@dataclass(frozen=True, slots=True)
class UpdateBookingOutcome:
    """The answer to one UpdateBooking."""

    status: UpdateBookingStatus
    record: BookingRecord | None = None
    """The booking as it is now, when updated or unchanged."""
