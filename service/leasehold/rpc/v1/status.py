"""What each outcome of the operators' API is on the wire: an answer, or an error."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import grpc

from leasehold.model.errors import NotFoundError
from leasehold.model.events import ListEventsStatus
from leasehold.model.operators import ExtendLeaseStatus, InspectSlotStatus, ReleaseLeaseStatus
from leasehold.rpc.status import RefusalError


@dataclass(frozen=True, slots=True)
class Unknown:
    """The request names something that is not remembered: NOT_FOUND."""

    kind: str

    @property
    def reason(self) -> str:
        """Return the reason in the error's details."""
        return NotFoundError(self.kind).reason


@dataclass(frozen=True, slots=True)
class Refusal:
    """Things are in no state for it: FAILED_PRECONDITION, unless something else fits better."""

    reason: str
    message: str
    code: grpc.StatusCode = grpc.StatusCode.FAILED_PRECONDITION


ANSWERED = None
Table = Mapping[StrEnum, Unknown | Refusal | None]

_CONSUMED = Refusal("LEASE_CONSUMED", "The lease became a booking, which may be cancelled.")
_EXPIRED = Refusal("LEASE_EXPIRED", "The hold has ended by itself; the spot may be another's.")

RELEASE_LEASE: Table = {
    ReleaseLeaseStatus.RELEASED: ANSWERED,
    ReleaseLeaseStatus.REPLAYED: ANSWERED,
    ReleaseLeaseStatus.LEASE_UNKNOWN: Unknown("lease"),
    ReleaseLeaseStatus.LEASE_CONSUMED: _CONSUMED,
    ReleaseLeaseStatus.LEASE_EXPIRED: _EXPIRED,
}

EXTEND_LEASE: Table = {
    ExtendLeaseStatus.EXTENDED: ANSWERED,
    ExtendLeaseStatus.UNCHANGED: ANSWERED,
    ExtendLeaseStatus.LEASE_UNKNOWN: Unknown("lease"),
    ExtendLeaseStatus.LEASE_CONSUMED: _CONSUMED,
    ExtendLeaseStatus.LEASE_RELEASED: Refusal("LEASE_RELEASED", "The lease was given back."),
    ExtendLeaseStatus.LEASE_EXPIRED: _EXPIRED,
}

INSPECT_SLOT: Table = {
    InspectSlotStatus.INSPECTED: ANSWERED,
    InspectSlotStatus.MERCHANT_UNKNOWN: Unknown("merchant"),
    InspectSlotStatus.SERVICE_UNKNOWN: Unknown("service"),
    InspectSlotStatus.SLOT_UNKNOWN: Unknown("slot"),
}


LIST_EVENTS: Table = {
    ListEventsStatus.LISTED: ANSWERED,
    ListEventsStatus.EVENTS_MISSED: Refusal(
        "EVENTS_MISSED",
        "The event of the page_token is kept no more, so others may have been missed. Compare with"
        " ListLeases and your own bookings, and begin again without a page_token.",
        grpc.StatusCode.OUT_OF_RANGE,
    ),
}


def raise_unless_answered(table: Table, status: StrEnum) -> None:
    """Raise NotFoundError or RefusalError when an outcome is an error."""
    match table[status]:
        case Unknown(kind):
            raise NotFoundError(kind)
        case Refusal(reason, message, code):
            raise RefusalError(code, reason, message)
