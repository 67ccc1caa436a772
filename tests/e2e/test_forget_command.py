"""`leasehold forget`: afterwards nothing of a person is in any key, on every kind of store."""

import base64
import binascii
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.calls import booking_request, lease_request, read_failure
from tests.clusters import cluster
from tests.servers import RedisServer, running
from tests.service import Service, now_ms, run, serving
from tests.topologies import replicated

from leasehold.generated.ext.maps.booking.partner.v0 import booking_service_pb2 as v0
from leasehold.generated.ext.maps.booking.partner.v0 import booking_service_pb2_grpc as v0_grpc
from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as pb
from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2_grpc as pb_grpc
from leasehold.model import ids
from leasehold.store import keys
from leasehold.store.user_index import OLDER_THAN_ANY_CALL_MS

USER = "u5er-Zebedee"
CLIENT = {
    "given_name": "Zebedee",
    "family_name": "Quixwood",
    "telephone": "+44-555-0199-773",
    "email": "zq@quix.example",
}
ADDRESS = {
    "address_country": "GB",
    "address_locality": "Quixham",
    "address_region": "Zedshire",
    "postal_code": "QX7-7ZZ",
    "street_address": "77 Xylophone Row",
}
WORDS = "bring the walrus"
TRANSACTION = "txn-zyx-4711"
REFERENCE = "reference of Zebedee"
PERSONAL = {
    *(*CLIENT.values(), *ADDRESS.values(), USER, WORDS, TRANSACTION, REFERENCE),
    ids.user_digest(USER),
} - {"GB"}
MERCHANTS = [f"salon-{number}" for number in range(1, 7)]


@dataclass
class Shop:
    """A service with the servers of its store."""

    service: Service
    url: str
    primaries: list[RedisServer]

    def forget(self, *words: str, told: str | None = None) -> tuple[int, Any]:
        """Run the command; return its exit code and its JSON."""
        done = run("forget", *words, "--json", settings={"REDIS_URL": self.url}, told=told)
        shown = done.stdout + done.stderr
        assert [word for word in PERSONAL if word in shown] == []
        return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr

    def personal(self) -> set[str]:
        """Return what the store has of the person, in any key or value."""
        texts = [text for server in self.primaries for text in everything(server)]
        return {word for word in PERSONAL if any(word in text for text in texts)}


def everything(server: RedisServer) -> Iterator[str]:
    """Yield every key and every value of a server, and what is in it where it is base64."""
    with server.client() as client:
        for key in client.scan_iter(count=1000):
            # It keeps calls that were decided before from naming the user again.
            if str(key) == keys.moves_key(ids.user_digest(USER)):
                assert 0 < client.pttl(key) <= OLDER_THAN_ANY_CALL_MS
                continue
            yield str(key)
            for value in values(client, str(key)):
                yield value
                try:
                    yield base64.b64decode(value, validate=True).decode("latin-1")
                except (binascii.Error, ValueError):
                    continue


def values(client: Any, key: str) -> Iterator[str]:
    """Yield what a key holds, of whatever type it is."""
    match client.type(key):
        case "string":
            yield str(client.get(key))
        case "hash":
            for name, value in client.hgetall(key).items():
                yield from (name, value)
        case "zset":
            yield from client.zrange(key, 0, -1)
        case other:
            assert other == "none", f"{key} is a {other}"


@pytest.fixture(params=["single", "sentinel", "cluster"])
def shop(request: pytest.FixtureRequest) -> Iterator[Shop]:
    """A service on a store of each kind."""
    with ExitStack() as stack:
        match request.param:
            case "single":
                server = stack.enter_context(running("valkey9"))
                url, primaries = server.url, [server]
            case "sentinel":
                group = stack.enter_context(replicated("valkey9"))
                url, primaries = group.url, group.primaries
            case _:
                shards = stack.enter_context(cluster("valkey9", replicas=0))
                url, primaries = shards.url, shards.primaries
        service = stack.enter_context(serving(REDIS_URL=url))
        yield Shop(service, url, primaries)


def person_books(channel: Any, at_ms: int) -> list[str]:
    """Hold and book with every merchant; move one, cancel another; return the booking ids."""
    stub = pb_grpc.BookingServiceStub(channel)
    booked = []
    for number, merchant in enumerate(MERCHANTS):
        start_s = at_ms // 1000 + 86_400 * (number + 1)
        reference = f"{REFERENCE} {number}"
        held = lease_request(at_ms, merchant=merchant, reference=reference, start_s=start_s)
        lease_id = stub.CreateLease(held, timeout=10).lease.lease_id
        wanted = booking_request(at_ms, merchant=merchant, lease_id=lease_id, start_s=start_s)
        person = pb.UserInformation(user_id=USER, **CLIENT, address=ADDRESS)
        wanted.user_information.CopyFrom(person)
        wanted.payment_information.payment_transaction_id = TRANSACTION
        wanted.payment_information.prepayment_status = pb.PREPAYMENT_PROVIDED
        wanted.additional_request = WORDS
        booked.append(stub.CreateBooking(wanted, timeout=10).booking)
    moved, cancelled = booked[0], pb.Booking(booking_id=booked[1].booking_id, status=pb.CANCELED)
    moved.slot.start_time.seconds += 1800
    for change in (moved, cancelled):
        assert stub.UpdateBooking(pb.UpdateBookingRequest(booking=change), timeout=10).booking
    return [booking.booking_id for booking in booked]


def test_forget_user_leaves_bookings_and_nothing_of_the_person(shop: Shop) -> None:
    """What was in keys and values is gone from all of them; the bookings stand and are nobody's."""
    at_ms = now_ms()
    with grpc.insecure_channel(shop.service.address) as channel:
        stub = pb_grpc.BookingServiceStub(channel)
        booking_ids = person_books(channel, at_ms)
        other = booking_request(at_ms, merchant="salon-9", user="bo")
        stub.CreateBooking(other, timeout=10)
        assert shop.personal() == PERSONAL

        assert shop.forget("--user", "-", told=f"{USER}\n") == (
            0,
            {"booking_ids": sorted(booking_ids), "still_named": 0},
        )

        assert shop.personal() == set()
        assert shop.forget("--user", USER) == (0, {"booking_ids": [], "still_named": 0})
        with pytest.raises(grpc.RpcError) as caught:
            stub.ListBookings(pb.ListBookingsRequest(user_id=USER), timeout=10)
        assert read_failure(caught.value).reason == "USER_UNKNOWN"
        assert (
            len(stub.ListBookings(pb.ListBookingsRequest(user_id="bo"), timeout=10).bookings) == 1
        )
        for number, booking_id in enumerate(booking_ids):
            asked = pb.GetBookingStatusRequest(booking_id=booking_id)
            told = stub.GetBookingStatus(asked, timeout=10)
            assert told.booking_status == (pb.CANCELED if number == 1 else pb.CONFIRMED)
            assert told.prepayment_status == pb.PREPAYMENT_PROVIDED
    done = run("cancel", "--booking", booking_ids[0], "--address", shop.service.address)
    assert done.returncode == 0, done.stderr
    assert shop.personal() == set()
    assert [word for word in PERSONAL if word in shop.service.log_text()] == []


@pytest.fixture(scope="module")
def single() -> Iterator[Shop]:
    """A service on one server, for what is the same on all."""
    with running("valkey9") as server, serving(REDIS_URL=server.url) as service:
        yield Shop(service, server.url, [server])


def test_forget_booking_of_v0_leaves_nothing_of_the_person(single: Shop) -> None:
    """V0 names no user, so the booking is named; a repeat answers without the person."""
    with grpc.insecure_channel(single.service.address) as channel:
        stub = v0_grpc.BookingServiceStub(channel)
        lease = v0.Lease(merchant_id="salon-v0", service_id="haircut", client_reference=REFERENCE)
        lease.start_time.seconds = now_ms() // 1000 + 86_400
        lease.duration.seconds = 1800
        lease.lease_expiration_time.FromMilliseconds(now_ms() + 300_000)
        held = stub.CreateLease(v0.CreateLeaseRequest(lease=lease), timeout=10).lease
        wanted = v0.CreateBookingRequest(client_information=v0.ClientInformation(**CLIENT))  # type: ignore[arg-type]
        wanted.lease_ref.lease_id = held.lease_id
        booking_id = stub.CreateBooking(wanted, timeout=10).booking.booking_id
        assert single.personal() == {*CLIENT.values(), REFERENCE}

        expected = (0, {"booking_ids": [booking_id], "still_named": 0})
        assert single.forget("--booking", booking_id) == expected

        assert single.personal() == set()
        repeat = stub.CreateBooking(wanted, timeout=10).booking
        assert (repeat.booking_id, repeat.client_information.telephone) == (booking_id, "")


def test_forget_prints_what_was_forgotten_and_what_is_left(single: Shop) -> None:
    """For people there is a table; exit code 1 says that something may still come."""
    at_ms, settings = now_ms(), {"REDIS_URL": single.url}
    with grpc.insecure_channel(single.service.address) as channel:
        stub = pb_grpc.BookingServiceStub(channel)
        wanted = booking_request(at_ms, user="cy", staff="cy")
        booking_id = stub.CreateBooking(wanted, timeout=10).booking.booking_id
        wanted.idempotency_token = "token-2"
        assert stub.CreateBooking(wanted, timeout=10).booking_failure.cause

    shown = run("forget", "--user", "cy", settings=settings)

    assert shown.returncode == 1
    assert booking_id in shown.stdout
    assert "perhaps in the making: 1. Run it again in two minutes." in shown.stderr


@pytest.mark.parametrize(
    ("words", "told", "code", "said"),
    [
        ((), "", 2, "Say --user or --booking."),
        (("--user", USER, "--booking", "x"), "", 2, "Say --user or --booking."),
        (("--booking", "x", "--thorough"), "", 2, "--thorough goes with --user."),
        (("--user", "-"), "", 2, "The user id is required."),
        (("--user", f"{USER}\n{USER}"), "", 2, "The user id contains control characters."),
        (("--booking", USER), "", 2, "No such booking is remembered."),
        (("--booking", f"m.{ids.booking_suffix('v2', 'never')}"), "", 2, "No such booking"),
    ],
)
def test_forget_of_what_cannot_be_meant_says_so(
    single: Shop, words: tuple[str, ...], told: str, code: int, said: str
) -> None:
    """What is wrong is said without saying whom it was about."""
    ended, shown = single.forget(*words, told=told)

    assert ended == code
    assert said in shown


def test_forget_without_a_store_says_so_and_can_be_repeated(tmp_path: Path) -> None:
    """A store that gives no answer has an exit code of its own."""
    away = {"REDIS_URL": "redis://127.0.0.1:1/0"}
    done = run("forget", "--user", USER, settings=away, cwd=tmp_path)

    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    assert USER not in done.stderr
