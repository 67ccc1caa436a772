"""A service whose slots are those of the inventory, while feeds are loaded."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import json_format
from tests.calls import lease_request, read_failure
from tests.servers import RedisServer, running
from tests.service import Service, now_ms, run, serving
from tests.shop import MIDNIGHT_S, Shop, date

from leasehold.generated.ext.maps.booking.partner.v0 import booking_service_pb2 as v0
from leasehold.generated.ext.maps.booking.partner.v0 import booking_service_pb2_grpc as v0_grpc
from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as v2
from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2_grpc as v2_grpc
from leasehold.generated.leasehold.v1 import inventory_service_pb2 as v1
from leasehold.generated.leasehold.v1 import inventory_service_pb2_grpc as v1_grpc
from leasehold.store import keys

Code = grpc.StatusCode
FULL = v2.BookingFailure.SLOT_UNAVAILABLE


@pytest.fixture(scope="module")
def store() -> Iterator[RedisServer]:
    """One store for all tests."""
    with running("valkey9") as server:
        yield server


@pytest.fixture(scope="module")
def service(store: RedisServer) -> Iterator[Service]:
    """One strict service."""
    with serving(REDIS_URL=store.url, INVENTORY="strict") as service:
        yield service


@pytest.fixture
def caller(service: Service, store: RedisServer, tmp_path: Path) -> Iterator["Caller"]:
    """A partner's client that wants slots of this test's merchant."""
    with grpc.insecure_channel(service.address) as channel:
        yield Caller(channel, Shop(store, tmp_path))


class Caller:
    """Asks for slots through both versions of the API."""

    def __init__(self, channel: grpc.Channel, shop: Shop) -> None:
        self.shop = shop
        self.v2: Any = v2_grpc.BookingServiceStub(channel)
        self.v0: Any = v0_grpc.BookingServiceStub(channel)

    def request(self, hour: float, reference: str = "r-1", **changes: str) -> v2.CreateLeaseRequest:
        """Return a request for a slot of half an hour."""
        start_s = int(MIDNIGHT_S + hour * 3600)
        merchant = changes.pop("merchant", self.shop.merchant)
        request = lease_request(now_ms(), merchant=merchant, reference=reference, start_s=start_s)
        request.lease.slot.service_id = changes.pop("service", "haircut")
        return request

    def v0_request(self, hour: float, **changes: str) -> v0.CreateLeaseRequest:
        """Return the same request in the words of v0."""
        lease = self.request(hour, **changes).lease
        request = v0.CreateLeaseRequest()
        found = request.lease
        found.merchant_id, found.service_id = lease.slot.merchant_id, lease.slot.service_id
        found.client_reference = lease.user_reference
        found.start_time.CopyFrom(lease.slot.start_time)
        found.duration.CopyFrom(lease.slot.duration)
        found.lease_expiration_time.CopyFrom(lease.lease_expiration_time)
        return request

    def hold(self, hour: float, reference: str = "r-1") -> bool:
        """Ask for a lease; return whether it is granted, and fail unless it is full otherwise."""
        response = self.v2.CreateLease(self.request(hour, reference), timeout=20)
        assert response.HasField("lease") or response.booking_failure.cause == FULL
        return bool(response.HasField("lease"))

    def free(self, hour: float) -> int:
        """Count the free spots of a slot."""
        request = v2.CheckAvailabilityRequest(slot=self.request(hour).lease.slot)
        return int(self.v2.CheckAvailability(request, timeout=20).count_available)

    def refusals(self, hour: float, **changes: str) -> dict[str, Any]:
        """Return how each call for a slot fails, by its name."""
        request = self.request(hour, **changes)
        check = v2.CheckAvailabilityRequest(slot=request.lease.slot)
        calls: dict[str, Callable[[], Any]] = {
            "v2 CreateLease": lambda: self.v2.CreateLease(request, timeout=20),
            "v2 CheckAvailability": lambda: self.v2.CheckAvailability(check, timeout=20),
            "v0 CreateLease": lambda: self.v0.CreateLease(
                self.v0_request(hour, **changes), timeout=20
            ),
        }
        found = {}
        for name, call in calls.items():
            with pytest.raises(grpc.RpcError) as caught:
                call()
            found[name] = read_failure(caught.value)
        return found


def test_class_of_20_is_held_20_times_by_60_callers_at_once(caller: Caller) -> None:
    """A slot is held exactly as often as it has spots; the count follows down to none."""
    caller.shop.load(caller.shop.slot(9, spots=20))
    assert caller.free(9) == 20

    with ThreadPoolExecutor(30) as callers:
        held = list(callers.map(lambda n: caller.hold(9, f"r-{n}"), range(60)))

    assert held.count(True) == 20
    assert caller.free(9) == 0
    again = [caller.hold(9, f"r-{number}") for number in range(60)]
    assert again == held


def test_spots_taken_elsewhere_are_not_given(caller: Caller) -> None:
    """Of 20 spots of which the feed calls 3 open, 3 are held; of none, none."""
    shop = caller.shop
    shop.load(shop.slot(9, spots=20, spots_open=3), shop.slot(10, spots=20, spots_open=0))

    assert [caller.hold(9, f"r-{number}") for number in range(4)] == [True] * 3 + [False]
    assert not caller.hold(10, "r-10")
    assert caller.free(10) == 0


def test_commands_hold_and_check_by_the_inventory(caller: Caller, service: Service) -> None:
    """People see the same: spots, a full slot, and what the inventory does not know."""
    caller.shop.load(caller.shop.slot(9, spots=2))
    where = ("--merchant", caller.shop.merchant, "--service", "haircut", "--duration", "30m")
    at = (*where, "--start", f"{date()}T09:00Z", "--address", service.address)

    assert run("check", *at).stdout == "Free spots: 2\n"
    ended = [run("hold", *at, "--for", "5m") for _ in range(3)]
    assert [one.returncode for one in ended] == [0, 0, 1]
    assert ended[2].stderr == "Not held: SLOT_UNAVAILABLE. The slot is held or booked.\n"
    assert run("check", *at).stdout == "Free spots: 0\n"
    nobody = run("hold", *at, "--for", "5m", "--merchant", "nobody")
    assert nobody.returncode == 2
    assert "merchant_id is no merchant of the inventory" in nobody.stderr


def test_unknown_merchant_or_service_is_the_callers_fault(caller: Caller) -> None:
    """Each has its own reason, in both versions; nothing is held."""
    caller.shop.load(caller.shop.slot(9))
    for changes, reason in (
        ({"merchant": "nobody"}, "MERCHANT_UNKNOWN"),
        ({"service": "colour"}, "SERVICE_UNKNOWN"),
    ):
        for name, failure in caller.refusals(9, **changes).items():
            found = (failure.code, failure.reason)
            assert found == (Code.INVALID_ARGUMENT, reason), name
    assert caller.free(9) == 1


def test_slot_that_vanished_looks_like_one_that_is_taken(caller: Caller) -> None:
    """Slots come and go: to ask for one that is gone is no fault of the caller."""
    caller.shop.load(caller.shop.slot(9), caller.shop.slot(10))
    caller.shop.load(caller.shop.slot(10))

    assert not caller.hold(9)
    assert caller.free(9) == 0
    with pytest.raises(grpc.RpcError) as caught:
        caller.v0.CreateLease(caller.v0_request(9), timeout=20)
    failure = read_failure(caught.value)
    assert (failure.code, failure.reason) == (Code.RESOURCE_EXHAUSTED, "SLOT_UNAVAILABLE")
    assert caller.hold(10)


def test_lease_outlives_its_slot_and_counts_when_it_comes_back(caller: Caller) -> None:
    """A feed never takes away what is held, and never gives it to a second one."""
    caller.shop.load(caller.shop.slot(9, spots=2), caller.shop.slot(10))
    assert caller.hold(9, "r-1")
    caller.shop.load(caller.shop.slot(10))
    assert caller.hold(9, "r-1")
    assert not caller.hold(9, "r-2")

    caller.shop.load(caller.shop.slot(9), caller.shop.slot(10))

    assert caller.free(9) == 0
    assert not caller.hold(9, "r-2")
    caller.shop.load(caller.shop.slot(9, spots=2))
    assert caller.hold(9, "r-2")


def test_without_any_inventory_nothing_is_the_callers_fault(tmp_path: Path) -> None:
    """Before the first load, and after all is dropped: UNAVAILABLE with a time to come back."""
    with (
        running("valkey9") as server,
        serving(REDIS_URL=server.url, INVENTORY="strict") as service,
        grpc.insecure_channel(service.address) as channel,
    ):
        caller = Caller(channel, Shop(server, tmp_path))
        for _ in range(2):
            for name, failure in caller.refusals(10).items():
                found = (failure.code, failure.reason)
                assert found == (Code.UNAVAILABLE, "NO_INVENTORY"), name
                assert "RetryInfo" in {type(detail).__name__ for detail in failure.details}
            caller.shop.load(caller.shop.slot(9))
            assert caller.hold(9, "another")
            assert caller.shop.command("drop", "--all").returncode == 0


class Watcher:
    """Looks at a merchant's day again and again, each time at one instant."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.seen: set[frozenset[str]] = set()
        self.looks = 0
        self.stop = threading.Event()

    def watch(self) -> None:
        """Note which slots have spots at once; HGETALL is one step of the store."""
        with self.shop.server.client() as client:
            while not self.stop.is_set():
                found: Any = client.hgetall(keys.spots_prefix(self.shop.merchant) + date())
                # A slot that is gone stays without spots while somebody is on it.
                there = (text for text, spots in found.items() if not spots.startswith("0 "))
                self.seen.add(frozenset(there))
                self.looks += 1


def test_load_while_leases_are_taken_never_shows_slots_of_two_feeds(
    caller: Caller, service: Service
) -> None:
    """Two feeds swap all slots of a day, 100 times; whoever looks sees slots of one of them.

    A feed closes before it opens, slot by slot, so fewer than all may be seen, and never more.
    """
    shop = caller.shop
    feeds = [[shop.slot((2 * n + odd) / 20) for n in range(200)] for odd in (0, 1)]
    shop.load(*feeds[0])
    watcher, held = Watcher(shop), []

    def hold() -> None:
        number = 0
        while not watcher.stop.is_set():
            number += 1
            held.append(caller.hold(number % 400 / 20, f"r-{number}"))

    with (
        grpc.insecure_channel(service.told["operator_listen"]) as channel,
        ThreadPoolExecutor(3) as threads,
    ):
        running_ones = [threads.submit(watcher.watch), threads.submit(hold), threads.submit(hold)]
        operators: Any = v1_grpc.InventoryServiceStub(channel)
        try:
            for number in range(1, 101):
                feed = {"service_availability": [{"availability": feeds[number % 2]}]}
                request = json_format.ParseDict(feed, v1.ReplaceAvailabilityRequest())
                operators.ReplaceAvailability(request, timeout=20)
        finally:
            watcher.stop.set()
        for one in running_ones:
            one.result()

    assert watcher.looks > 100
    assert len(held) > 100
    assert True in held
    starts = [{str(slot["start_sec"]) for slot in feed} for feed in feeds]
    seen = [
        {str(keys.parse_slot(shop.merchant, text).start_s) for text in texts}
        for texts in watcher.seen
    ]
    assert all(any(one <= feed for feed in starts) for one in seen), [len(one) for one in seen]
    assert all(feed in seen for feed in starts)
