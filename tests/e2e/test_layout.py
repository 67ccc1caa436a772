"""Records of a later release, as every caller of a service sees them."""

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from tests.calls import read_failure
from tests.rpc import legacy
from tests.servers import RedisServer, poll, running
from tests.service import Service, now_ms, run, serving

from leasehold.client import Booked, Client, Held, NoAnswerError, Operators, Person
from leasehold.generated.ext.maps.booking.partner.v0 import booking_service_pb2 as v0
from leasehold.generated.ext.maps.booking.partner.v0 import booking_service_pb2_grpc as v0_grpc
from leasehold.model import ids
from leasehold.model.slot import Slot

ADA = Person("ada", "Ada", "Lovelace", "+44 20 7946 0000", "ada@example.com")


def slot(hours: int) -> Slot:
    """Return a slot that starts after so many hours."""
    return Slot("salon-1", "haircut", now_ms() // 3_600_000 * 3600 + hours * 3600, 1800)


def raise_layouts(server: RedisServer, v: str = "2") -> None:
    """Let every lease and booking be one of a later release."""
    with server.client() as client:
        for family in ("lease", "booking"):
            for key in client.scan_iter(f"{family}:*"):
                client.hset(key, "v", v)


async def refused(*calls: Awaitable[Any]) -> None:
    """Wait for calls that only a later release can answer."""
    for call in calls:
        with pytest.raises(NoAnswerError) as raised:
            await call
        error = raised.value
        assert (error.code, error.reason) == ("UNAVAILABLE", "STORE_LAYOUT_UNKNOWN")
        assert error.retry_after_s == 1


async def make_calls(service: Service, server: RedisServer) -> None:
    """Hold and book, then ask about what a later release has written meanwhile."""
    first, second = slot(24), slot(48)
    until = datetime.now(UTC) + timedelta(minutes=5)
    operators = Operators(service.told["operator_listen"], timeout_s=0.9)
    async with Client(service.address, operators=operators, timeout_s=0.9) as client:
        held = await client.create_lease(first, until, reference="reference-1")
        other = await client.create_lease(second, until, reference="reference-2")
        assert isinstance(held, Held)
        assert isinstance(other, Held)
        with_other = {"lease_id": other.lease_id, "token": "token-1"}
        booked = await client.create_booking(second, ADA, **with_other)
        assert isinstance(booked, Booked)
        raise_layouts(server)
        await refused(
            client.create_lease(first, until, reference="reference-1"),
            client.create_booking(second, ADA, **with_other),
            client.create_booking(first, ADA, lease_id=held.lease_id),
            client.get_booking_status(booked.booking_id),
            client.cancel_booking(booked.booking_id),
            operators.get_lease(held.lease_id),
            operators.release_lease(held.lease_id, "why"),
            operators.extend_lease(held.lease_id, until + timedelta(minutes=5), "why"),
        )
        assert await client.list_bookings("ada") == []
        assert [lease async for lease in operators.list_leases("salon-1")] == []
        for each in (first, second):
            assert await client.check_availability(each) == 0
        raise_layouts(server, "1")
        assert await client.create_lease(first, until, reference="reference-1") == held


def test_call_about_a_record_of_a_later_release_is_layout_unknown_in_every_api() -> None:
    """UNAVAILABLE with a time to come back, lists go on and say so, and nothing is changed (83).

    The process stays ready, and once it may read the records every call is answered.
    """
    with running("valkey9") as server, serving(REDIS_URL=server.url) as service:
        asyncio.run(make_calls(service, server))
        with grpc.insecure_channel(service.address) as channel:
            legacy_calls = v0_grpc.BookingServiceStub(channel)
            now = now_ms()
            lease = legacy_calls.CreateLease(legacy.lease_request(now, reference="v0")).lease
            book = legacy.booking_request(lease.lease_id)
            booking = legacy_calls.CreateBooking(book).booking
            raise_layouts(server)
            cancel = legacy.status_request(booking.booking_id, v0.CANCELED)
            for call, request in (
                (legacy_calls.CreateLease, legacy.lease_request(now, reference="v0")),
                (legacy_calls.CreateBooking, book),
                (legacy_calls.UpdateBooking, cancel),
                (legacy_calls.UpdateBooking, legacy.move_request(booking.booking_id, 2**31)),
            ):
                with pytest.raises(grpc.RpcError) as raised:
                    call(request, timeout=5)
                failure = read_failure(raised.value)
                assert (failure.code, failure.reason) == (
                    grpc.StatusCode.UNAVAILABLE,
                    "STORE_LAYOUT_UNKNOWN",
                )
        metrics = service.http("/metrics")[1].splitlines()
        assert "leasehold_records_left_out_total 3.0" in metrics
        assert service.http("/readyz")[0] == 200
        poll("its line", lambda: "records_left_out" in service.log_text())

        ended = run("doctor", "--json", settings={"REDIS_URL": server.url})
        assert ended.stdout.count('"layout_unknown"') == 5
        forgotten = run("forget", "--user", "ada", settings={"REDIS_URL": server.url})
        assert (forgotten.returncode, "STORE_LAYOUT_UNKNOWN" in forgotten.stderr) == (3, True)
        key = f"booking:{{salon-1}}:{ids.booking_suffix('v2', 'token-1')}"
        with server.client() as client:
            assert client.hget(key, "user") == ids.user_digest("ada")
