"""What each outcome of the operators' API is on the wire: an answer, or an error."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import grpc

from leasehold.model.errors import NotFoundError
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
    """The lease is in no state for it: FAILED_PRECONDITION."""

    reason: str
    message: str


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


def raise_unless_answered(table: Table, status: StrEnum) -> None:
    """Raise NotFoundError or RefusalError when an outcome is an error."""
    match table[status]:
        case Unknown(kind):
            raise NotFoundError(kind)
        case Refusal(reason, message):
            raise RefusalError(grpc.StatusCode.FAILED_PRECONDITION, reason, message)
