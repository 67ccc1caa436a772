"""A client of the service: async, typed, with deadlines and safe retries.

    async with Client("holds.example:443", access=Access(ca_file="ca.pem")) as client:
        async with client.hold(slot, for_=timedelta(minutes=5)) as held:
            booked = await held.book(person)

``Client`` calls the partner listener, ``Operators`` the operators' one. Refusals of business are
values (``Refused``); everything else that is no answer raises a ``ClientError``. All of it is told
in docs/client.md.
"""

from leasehold.client.access import Access
from leasehold.client.errors import (
    AccessError,
    CallError,
    ClientError,
    NoAnswerError,
    RefusedError,
)
from leasehold.client.events import Event, EventPage, EventSpot
from leasehold.client.holding import Hold
from leasehold.client.leases import (
    Extended,
    Inspected,
    LeaseEvent,
    Released,
    ShownLease,
    Spot,
)
from leasehold.client.operators import Operators, Span
from leasehold.client.partners import Client
from leasehold.client.values import (
    Booked,
    Held,
    Person,
    Refused,
    slot_at,
)
from leasehold.model.booking import BookingStatus
from leasehold.model.errors import Violation
from leasehold.model.events import EventKind
from leasehold.model.operators import LeaseState
from leasehold.model.slot import Slot

__all__ = [
    "Access",
    "AccessError",
    "Booked",
    "BookingStatus",
    "CallError",
    "Client",
    "ClientError",
    "Event",
    "EventKind",
    "EventPage",
    "EventSpot",
    "Extended",
    "Held",
    "Hold",
    "Inspected",
    "LeaseEvent",
    "LeaseState",
    "NoAnswerError",
    "Operators",
    "Person",
    "Refused",
    "RefusedError",
    "Released",
    "ShownLease",
    "Slot",
    "Span",
    "Spot",
    "Violation",
    "slot_at",
]
