"""Prepared requests, fresh ones without end, and what the store is sent for them."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as pb
from leasehold.model import ids
from leasehold.model.deadline import Deadline
from leasehold.model.lease import CreateLease, LeaseTerms
from leasehold.model.slot import Slot
from leasehold.settings import Settings
from leasehold.store.link import Link, Reply
from leasehold.store.redis_store import RedisStore
from leasehold.store.scripts import Script

SERVICE = pb.DESCRIPTOR.services_by_name["BookingService"].full_name
CREATE_LEASE = f"/{SERVICE}/CreateLease"
CREATE_BOOKING = f"/{SERVICE}/CreateBooking"
CHECK_AVAILABILITY = f"/{SERVICE}/CheckAvailability"

MERCHANTS = 5000
SLOT_S = 1800
_DAY_S = 86_400
LEASE_FOR_S = 600


def first_start_s() -> int:
    """Return the start of the first slots: some hour tomorrow."""
    return int(time.time()) // 3600 * 3600 + _DAY_S


@dataclass(frozen=True, slots=True)
class Leases:
    """Numbered leases, each of a slot of its own: half hours of 5000 merchants, from tomorrow."""

    start_s: int
    expires_s: int
    caller: str = "00000000"
    """Eight hexadecimal digits; another caller wants the same slots by other references."""

    @classmethod
    def from_now(cls, caller: str = "00000000") -> "Leases":
        """Return leases that are asked for now."""
        return cls(first_start_s(), int(time.time()) + LEASE_FOR_S, caller)

    def merchant(self, number: int) -> str:
        """Name the merchant of a lease."""
        return f"salon-{number % MERCHANTS:05}"

    def start_of(self, number: int) -> int:
        """Return the start of the slot of a lease in epoch seconds."""
        return self.start_s + number // MERCHANTS * SLOT_S

    def reference(self, number: int) -> str:
        """Name a lease as its caller does, as long as a UUID."""
        return f"{self.caller}-0000-4000-8000-{number:012x}"

    def lease_requests(self, start: int, count: int) -> Iterator[bytes]:
        """Yield CreateLease requests."""
        request = pb.CreateLeaseRequest()
        lease = request.lease
        lease.lease_expiration_time.seconds = self.expires_s
        for number in range(start, start + count):
            self._fill(lease.slot, number)
            lease.user_reference = self.reference(number)
            yield request.SerializeToString()

    def availability_requests(self, start: int, count: int) -> Iterator[bytes]:
        """Yield CheckAvailability requests for the slots."""
        request = pb.CheckAvailabilityRequest()
        for number in range(start, start + count):
            self._fill(request.slot, number)
            yield request.SerializeToString()

    def booking_requests(self, start: int, count: int) -> Iterator[bytes]:
        """Yield CreateBooking requests that consume the leases, each of a user of its own."""
        request = pb.CreateBookingRequest()
        person = request.user_information
        person.given_name, person.family_name = "Ada", "Lovelace"
        person.telephone, person.email = "+44 20 7946 0000", "ada@example.com"
        for number in range(start, start + count):
            self._fill(request.slot, number)
            suffix = ids.lease_suffix(self.reference(number))
            request.lease_ref.lease_id = ids.wire_id(self.merchant(number), suffix)
            request.idempotency_token = f"token-{self.reference(number)}"
            person.user_id = f"user-{number:012}"
            yield request.SerializeToString()

    def _fill(self, slot: pb.Slot, number: int) -> None:
        slot.merchant_id = self.merchant(number)
        slot.service_id = "haircut"
        slot.start_time.seconds = self.start_of(number)
        slot.duration.seconds = SLOT_S

    def command(self, number: int) -> CreateLease:
        """Return a lease as the front end hands it to the store."""
        slot = Slot(self.merchant(number), "haircut", self.start_of(number), SLOT_S)
        return CreateLease(slot, self.reference(number), self.expires_s * 1000)


class _Stop(Exception):  # noqa: N818 - nothing went wrong
    """Carries what would have been sent."""

    def __init__(self, words: list[str]) -> None:
        super().__init__()
        self.words = words


class _Watch:
    """Takes the place of the link, to see what a script would be sent."""

    async def run(
        self, script: Script, keys: list[str], arguments: list[str | int], _deadline: Deadline
    ) -> Reply:
        """Send nothing."""
        raise _Stop(["EVALSHA", script.sha, str(len(keys)), *keys, *map(str, arguments)])


def terms() -> LeaseTerms:
    """Return the limits that the service has without any setting."""
    return Settings.model_construct().lease_terms()


def create_lease_words(command: CreateLease, limits: LeaseTerms) -> list[str]:
    """Return the words of the EVALSHA that the store would send for a CreateLease."""
    store = RedisStore(cast("Link", _Watch()), limits)
    try:
        asyncio.run(store.create_lease(command, Deadline.within(1, None)))
    except _Stop as stop:
        return stop.words
    raise AssertionError("the store asked for nothing")
