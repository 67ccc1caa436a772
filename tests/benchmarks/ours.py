"""Our service, call by call, as a process on a real Redis."""

import re
from collections import Counter

from tests.benchmarks import bodies, subjects
from tests.benchmarks.bodies import CHECK_AVAILABILITY, CREATE_BOOKING, CREATE_LEASE, Leases
from tests.benchmarks.generator import Step
from tests.benchmarks.processes import BenchError
from tests.benchmarks.subjects import Bench, GrpcSubject, Work
from tests.servers import RedisServer
from tests.service import Service

GRANTED = Step(CREATE_LEASE, "1")
REFUSED = Step(CREATE_LEASE, "2")
BOOKED = Step(CREATE_BOOKING, "1")
ONE_IS_FREE = Step(CHECK_AVAILABILITY, "2=1")
# What is asked again and again, where asking changes nothing.
_SAME = 2000
_OUTCOMES = re.compile(
    r'^leasehold_outcomes_total\{api="v2",operation="(\w+)",outcome="(\w+)"\} (\S+)$', re.MULTILINE
)


class OurCall(GrpcSubject):
    """One operation of ours, whose every answer is also in the service's own counts."""

    step = GRANTED
    outcome = ("create_lease", "created")

    def __init__(self, bench: Bench, services: list[Service], store: RedisServer) -> None:
        super().__init__(bench, tuple(service.address for service in services), (self.step,))
        self._services = services
        self.store = store
        self.server_pids = tuple(service.process.pid for service in services)
        self.store_pids = (store.pid,)
        self._counted = 0

    def prepare(self, requests: int) -> None:
        """Begin with the store as it was before the first round."""
        self.clear()
        self.prepare_calls(Leases.from_now(), requests)
        for service in self._services:
            service.forget_log()
        self._counted = self._count()

    def clear(self) -> None:
        """Empty the store."""
        with self.store.client() as client:
            client.flushall(asynchronous=False)

    def prepare_calls(self, leases: Leases, requests: int) -> None:
        """Write what is to be sent, and make what it needs."""
        self.write(leases.lease_requests(0, requests))

    def check(self, work: Work) -> None:
        """Compare with the outcomes that the service has counted."""
        counted = self._count() - self._counted
        if self.outcome[1] and counted != work.requests:
            raise BenchError(f"{counted} of {work.requests} were {self.outcome[1]}")

    def _count(self) -> int:
        counts: Counter[tuple[str, str]] = Counter()
        for service in self._services:
            for operation, outcome, count in _OUTCOMES.findall(service.http("/metrics")[1]):
                counts[operation, outcome] += int(float(count))
        return counts[self.outcome]


class FreshLease(OurCall):
    """Every call gets a lease of a slot that nobody has."""

    def memory_bytes(self) -> int:
        """Return what the leases take."""
        return subjects.live_bytes(self.store)


class ReplayedLease(OurCall):
    """Every call asks for a lease that it has already."""

    outcome = ("create_lease", "replayed")

    def prepare_calls(self, leases: Leases, requests: int) -> None:
        """Make the leases first."""
        del requests
        self.call_all(GRANTED, leases.lease_requests(0, _SAME))
        self.write(leases.lease_requests(0, _SAME), repeat=True)


class RefusedLease(OurCall):
    """Every call asks for a slot that somebody else holds."""

    step = REFUSED
    outcome = ("create_lease", "slot_unavailable")

    def prepare_calls(self, leases: Leases, requests: int) -> None:
        """Let somebody hold the slots first."""
        del requests
        self.call_all(GRANTED, leases.lease_requests(0, _SAME))
        self.write(Leases.from_now("11111111").lease_requests(0, _SAME), repeat=True)


class LeasedBooking(OurCall):
    """Every call consumes a lease made before."""

    step = BOOKED
    outcome = ("create_booking", "created")
    expected_per_s = 4000.0

    def prepare_calls(self, leases: Leases, requests: int) -> None:
        """Make the leases first."""
        self.call_all(GRANTED, leases.lease_requests(0, requests))
        self.write(leases.booking_requests(0, requests))


class Availability(OurCall):
    """Every call asks about a slot that is free."""

    step = ONE_IS_FREE
    # It leaves no count; that one spot is free is in the answer.
    outcome = ("check_availability", "")

    def prepare_calls(self, leases: Leases, requests: int) -> None:
        """Ask about slots of an empty store."""
        del requests
        self.write(leases.availability_requests(0, _SAME), repeat=True)


class NoOp(GrpcSubject):
    """The same stack with nothing to do."""

    def __init__(self, bench: Bench, service: Service) -> None:
        super().__init__(bench, (service.address,), (GRANTED,))
        self.server_pids = (service.process.pid,)

    def prepare(self, requests: int) -> None:
        """Send what a fresh CreateLease sends."""
        self.write(bodies.Leases.from_now().lease_requests(0, requests))


class PlainPeer(GrpcSubject):
    """What one would write first."""

    def __init__(self, bench: Bench, service: Service, store: RedisServer) -> None:
        super().__init__(bench, (service.address,), (GRANTED,))
        self.server_pids, self.store_pids = (service.process.pid,), (store.pid,)
        self._store = store

    def prepare(self, requests: int) -> None:
        """Begin with an empty store; send what a fresh CreateLease sends."""
        with self._store.client() as client:
            client.flushall(asynchronous=False)
        self.write(bodies.Leases.from_now().lease_requests(0, requests))

    def check(self, work: Work) -> None:
        """Count the keys."""
        count = subjects.live_keys(self._store)
        if count != work.requests:
            raise BenchError(f"{work.requests} leases are {count} keys")
