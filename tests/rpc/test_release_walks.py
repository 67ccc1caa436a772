"""Random walks over two releases on one store: each answers as the reference store does.

What one has granted the other repeats, books, cancels, moves and lists. A step that fails is
printed with its seed. A condition of every change of keys, records and scripts.
"""

import asyncio
import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import grpc
import pytest
from google.protobuf.message import Message
from tests import released, servers
from tests.calls import booking_request, lease_request, read_failure
from tests.clusters import cluster
from tests.reference_store import ReferenceStore
from tests.released import Released
from tests.rpc import legacy
from tests.servers import running
from tests.service import Service, run, serving

from leasehold.generated.ext.maps.booking.partner.v0 import booking_service_pb2 as v0
from leasehold.generated.ext.maps.booking.partner.v0 import booking_service_pb2_grpc as v0_grpc
from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as pb
from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2_grpc as pb_grpc
from leasehold.generated.leasehold.v1 import lease_service_pb2 as v1
from leasehold.generated.leasehold.v1 import lease_service_pb2_grpc as v1_grpc

pytestmark = pytest.mark.long

_STEPS = 400
_DAY_S = 86_400
_MERCHANTS, _STARTS = ("salon-1", "salon-2", "salon-3"), range(4)
_FOR_MS = 600_000
_USER_HAS_IT = {"SLOT_ALREADY_BOOKED_BY_USER", "ALREADY_BOOKED"}
"""What 0.1.1 does not tell from a taken slot, of a move onto a slot that its user has booked."""

Seen = tuple[Any, ...]


@dataclass(frozen=True)
class Step:
    """One call, the same for every release and for the reference."""

    api: str
    method: str
    request: Message


class Side:
    """One that answers: a release, or the front end over the reference store."""

    def __init__(self, partners: grpc.aio.Channel, operators: grpc.aio.Channel) -> None:
        self._stubs: dict[str, Any] = {
            "v2": pb_grpc.BookingServiceStub(partners),
            "v0": v0_grpc.BookingServiceStub(partners),
            "v1": v1_grpc.LeaseServiceStub(operators),
        }

    async def ask(self, step: Step) -> Seen:
        """Return what is the same for all who answer, as often as they are asked."""
        try:
            response = await getattr(self._stubs[step.api], step.method)(step.request, timeout=10)
        except grpc.aio.AioRpcError as error:
            failure = read_failure(error)
            return _alike(step, failure.code, failure.reason)
        if step.api == "v2" and response.ListFields() and hasattr(response, "booking_failure"):
            failed = response.booking_failure
            if response.HasField("booking_failure"):
                return _alike(step, "refused", pb.BookingFailure.Cause.Name(failed.cause))
        return _shown(step, response)


def _alike(step: Step, code: object, reason: str) -> Seen:
    moves_onto_its_own = step.method == "UpdateBooking" and reason in _USER_HAS_IT
    return code, "SLOT_UNAVAILABLE" if moves_onto_its_own else reason


def _shown(step: Step, response: Any) -> Seen:
    if step.method == "ListBookings":
        # Those that start together are in no order that anybody promises.
        return ("OK", sorted(response.bookings, key=lambda booking: str(booking.booking_id)))
    if step.api != "v1":
        return ("OK", response)
    # The moments of what happened are the store's.
    if step.method == "ReleaseLease":
        return ("OK", response.reason)
    lease = response.lease
    return ("OK", lease.lease_id, lease.state, lease.slot, lease.booking_id, lease.user_reference)


@dataclass
class Chooser:
    """Chooses steps from a seed; names come from what was granted."""

    chance: random.Random
    base_s: int
    until_ms: int
    leases: list[str] = field(default_factory=list)
    bookings: list[str] = field(default_factory=list)
    places: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Merchant and start of each lease."""

    def next(self) -> Step:
        """Return the next step."""
        methods: list[Callable[[], Step]] = [self.lease, self.lease, self.lease_v0, self.count]
        methods += [self.book_directly, self.list, self.status]
        if self.leases:
            methods += [self.book, self.book, self.book_v0, self.look, self.release]
        if self.bookings:
            methods += [self.cancel, self.cancel_v0, self.move, self.move_v0]
        return self.chance.choice(methods)()

    def learn(self, step: Step, seen: Seen) -> None:
        """Note what was granted."""
        if seen[0] != "OK" or step.method not in ("CreateLease", "CreateBooking"):
            return
        response, request = seen[1], cast("Any", step.request)
        if step.method == "CreateBooking":
            self.bookings.append(response.booking.booking_id)
            return
        slot = request.lease.slot if step.api == "v2" else request.lease
        self.places[response.lease.lease_id] = (slot.merchant_id, slot.start_time.seconds)
        self.leases.append(response.lease.lease_id)

    def lease(self) -> Step:
        """Hold a slot of v2, perhaps by a reference that is used already."""
        wanted: dict[str, Any] = {"merchant": self._merchant(), "start_s": self._start_s()}
        request = lease_request(self.until_ms, reference=self._one_of("r", 12), for_ms=0, **wanted)
        return Step("v2", "CreateLease", request)

    def lease_v0(self) -> Step:
        """Hold a slot of v0."""
        wanted: dict[str, Any] = {"merchant": self._merchant(), "reference": self._one_of("r", 12)}
        request = legacy.lease_request(self.until_ms, for_ms=0, **wanted)
        request.lease.start_time.seconds = self._start_s()
        return Step("v0", "CreateLease", request)

    def book_directly(self) -> Step:
        """Book a slot without a lease."""
        return Step("v2", "CreateBooking", self._booking(None))

    def book(self) -> Step:
        """Book by a lease of any slot; its own, mostly."""
        lease_id = self.chance.choice(self.leases)
        request = self._booking(lease_id)
        if self.chance.random() < 0.8:
            request.slot.merchant_id, request.slot.start_time.seconds = self.places[lease_id]
        return Step("v2", "CreateBooking", request)

    def book_v0(self) -> Step:
        """Book by a lease."""
        lease_id = self.chance.choice(self.leases)
        return Step("v0", "CreateBooking", legacy.booking_request(lease_id))

    def count(self) -> Step:
        """Count the free spots of a slot."""
        wanted: dict[str, Any] = {"merchant": self._merchant(), "start_s": self._start_s()}
        slot = lease_request(0, **wanted).lease.slot
        return Step("v2", "CheckAvailability", pb.CheckAvailabilityRequest(slot=slot))

    def list(self) -> Step:
        """List what a user has."""
        request = pb.ListBookingsRequest(user_id=self._one_of("user", 5))
        return Step("v2", "ListBookings", request)

    def status(self) -> Step:
        """Look at a booking, or at one that nobody has made."""
        known = self.chance.choice(self.bookings) if self.bookings else "salon-1.NONE"
        return Step("v2", "GetBookingStatus", pb.GetBookingStatusRequest(booking_id=known))

    def cancel(self) -> Step:
        """Cancel a booking, or call it a no-show."""
        request = pb.UpdateBookingRequest(update_mask={"paths": ["status"]})
        request.booking.booking_id = self.chance.choice(self.bookings)
        request.booking.status = self.chance.choice((pb.CANCELED, pb.CANCELED, pb.NO_SHOW))
        return Step("v2", "UpdateBooking", request)

    def cancel_v0(self) -> Step:
        """Cancel a booking by v0."""
        booking_id = self.chance.choice(self.bookings)
        return Step("v0", "UpdateBooking", legacy.status_request(booking_id, v0.CANCELED))

    def move(self) -> Step:
        """Move a booking."""
        request = pb.UpdateBookingRequest(update_mask={"paths": ["slot.start_time"]})
        request.booking.booking_id = self.chance.choice(self.bookings)
        request.booking.slot.start_time.seconds = self._start_s()
        return Step("v2", "UpdateBooking", request)

    def move_v0(self) -> Step:
        """Move a booking by v0."""
        booking_id = self.chance.choice(self.bookings)
        return Step("v0", "UpdateBooking", legacy.move_request(booking_id, self._start_s()))

    def look(self) -> Step:
        """Look at a lease."""
        return Step("v1", "GetLease", v1.GetLeaseRequest(lease_id=self.chance.choice(self.leases)))

    def release(self) -> Step:
        """Give a lease back."""
        lease_id = self.chance.choice(self.leases)
        request = v1.ReleaseLeaseRequest(lease_id=lease_id, reason="because")
        return Step("v1", "ReleaseLease", request)

    def _booking(self, lease_id: str | None) -> pb.CreateBookingRequest:
        token, user = self._one_of("t", 40), self._one_of("user", 5)
        wanted: dict[str, Any] = {"merchant": self._merchant(), "start_s": self._start_s()}
        return booking_request(0, token=token, user=user, lease_id=lease_id, **wanted)

    def _one_of(self, name: str, count: int) -> str:
        return f"{name}-{self.chance.randrange(count)}"

    def _merchant(self) -> str:
        return self.chance.choice(_MERCHANTS)

    def _start_s(self) -> int:
        return self.base_s + 3600 * self.chance.choice(_STARTS)


@contextmanager
def stores(topology: str) -> Iterator[str]:
    """Run one server, or three shards, with the access list of the release before."""
    if topology == "single":
        with running("valkey9") as server:
            yield server.url
    else:
        with cluster("valkey9", replicas=0) as shards:
            yield shards.url


async def walk(
    sides: dict[str, Side], reference: Side, store: ReferenceStore, seed: int
) -> list[str]:
    """Take steps at either release, repeat some at the other, and return those that differ."""
    chance = random.Random(seed)
    now_s = int(time.time())
    chooser = Chooser(chance, (now_s // _DAY_S + 30) * _DAY_S, now_s * 1000 + _FOR_MS)
    names, differing = sorted(sides), list[str]()
    for number in range(_STEPS):
        step, name = chooser.next(), chance.choice(names)
        asked = [name] if chance.random() < 0.6 else [name, names[name == names[0]]]
        for each in asked:
            store.now_ms = time.time_ns() // 1_000_000
            expected, seen = await reference.ask(step), await sides[each].ask(step)
            chooser.learn(step, expected)
            if seen != expected:
                differing.append(f"{number} {each} {step}: {seen}, not {expected}")
    assert len(set(chooser.bookings)) > 10
    return differing


@pytest.mark.parametrize("topology", ["single", "cluster"])
async def test_walks_over_two_releases_are_answered_as_by_one(
    topology: str,
    serve: Callable[[ReferenceStore], Any],
    serve_operators: Callable[[Any], Any],
    store: ReferenceStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whichever of two releases is asked about what either made, the answer is the same (84)."""
    monkeypatch.setattr(servers, "ACCESS_LIST", released.access_list_of(released.LATEST))
    seed = random.getrandbits(32)
    print(f"seed {seed}")
    partners, operators = await serve(store), await serve_operators(None)
    reference = Side(partners.channel, operators.channel)
    with stores(topology) as url, serving(REDIS_URL=url, FEED_MAX_EVENTS="1000") as new:
        old = Released(REDIS_URL=url, FEED_MAX_EVENTS="1000")
        try:
            old.wait_until_serving()
            services = {"new": new, "old": old}
            versions = {name: _version(each) for name, each in services.items()}
            assert versions["old"] == released.LATEST
            channels = {name: _channels(each) for name, each in services.items()}
            sides = {name: Side(*each) for name, each in channels.items()}
            assert await walk(sides, reference, store, seed) == []
            for each in channels.values():
                await asyncio.gather(*(channel.close() for channel in each))
            examined = json.loads(run("doctor", "--json", settings={"REDIS_URL": url}).stdout)
            assert examined["complaints"] == []
            # Of a right that the older access list lacks a finding may speak, and no more.
            assert new.http("/readyz")[0] == 200, new.http("/readyz?verbose")[1]
        finally:
            old.close()


def _channels(service: Service) -> tuple[grpc.aio.Channel, grpc.aio.Channel]:
    addresses = (service.address, str(service.told["operator_listen"]))
    partners, operators = map(grpc.aio.insecure_channel, addresses)
    return partners, operators


def _version(service: Service) -> str:
    lines = service.http("/metrics")[1].splitlines()
    (line,) = [it for it in lines if it.startswith("leasehold_build_info{")]
    return line.split('"')[1]
