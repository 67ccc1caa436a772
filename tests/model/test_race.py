"""Many callers, several server processes, one slot (failure mode 19)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from itertools import cycle
from typing import Any

import grpc
import pytest
from tests.backends import link_to
from tests.calls import booking_request, lease_request
from tests.servers import RedisServer, running
from tests.service import now_ms, serving

from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as pb
from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2_grpc as pb_grpc
from leasehold.model.inventory import Availability, FeedItem, Scope
from leasehold.model.slot import Slot
from leasehold.store import keys
from leasehold.store.redis_inventory import RedisInventory

CALLERS = 200
PROCESSES = 3
LOST = pb.BookingFailure.SLOT_UNAVAILABLE


@pytest.mark.parametrize(
    "rounds",
    [
        pytest.param(15, id="short"),
        pytest.param(1000, id="long", marks=[pytest.mark.long, pytest.mark.timeout(1200)]),
    ],
)
async def test_create_lease_raced_over_processes_has_one_winner_each_round(rounds: int) -> None:
    """Each round one caller wins the slot; every other is told SLOT_UNAVAILABLE; Redis agrees."""
    with running("valkey9") as server:
        async with stubs_of(server) as stubs:
            for number in range(rounds):
                await race(server, stubs, number)
                if rounds > 100 and number % 100 == 99:
                    print(f"{number + 1} of {rounds} rounds: one winner each")


async def race(server: RedisServer, stubs: list[pb_grpc.BookingServiceStub], number: int) -> None:
    """Let all callers want one slot at once, and check what came of it."""
    start_s = now_ms() // 1000 + 86_400
    merchant = f"m-race-{number}"
    requests = [
        lease_request(now_ms(), merchant=merchant, reference=f"r-{n}", start_s=start_s)
        for n in range(CALLERS)
    ]

    responses = await asyncio.gather(
        *(
            stub.CreateLease(request, timeout=20, wait_for_ready=True)
            for stub, request in zip(cycle(stubs), requests, strict=False)
        )
    )

    winners = [response.lease for response in responses if response.HasField("lease")]
    causes = [r.booking_failure.cause for r in responses if r.HasField("booking_failure")]
    assert len(winners) == 1
    assert causes == [LOST] * (CALLERS - 1)
    owner = f"lease {winners[0].lease_id.rpartition('.')[2]}"
    with server.client() as client:
        assert client.get(keys.spot_key(Slot(merchant, "haircut", start_s, 1800), 1)) == owner
        assert len(list(client.scan_iter(f"*{{{merchant}}}*", count=10_000))) == 2


@pytest.mark.parametrize("leased", [False, True], ids=["direct", "leased"])
async def test_create_booking_raced_over_processes_makes_one_booking(leased: bool) -> None:
    """Callers with one lease and callers with none want one spot: one booking, of the lease."""
    with running("valkey9") as server:
        async with stubs_of(server) as stubs:
            for number in range(10):
                await race_to_book(server, stubs, f"m-race-{number}", leased=leased)


async def race_to_book(
    server: RedisServer, stubs: list[pb_grpc.BookingServiceStub], merchant: str, *, leased: bool
) -> None:
    """Let all callers book one slot at once, every other one with its only lease."""
    wanted: dict[str, Any] = {"merchant": merchant, "start_s": now_ms() // 1000 + 86_400}
    lease_id = None
    if leased:
        response = await stubs[0].CreateLease(lease_request(now_ms(), **wanted))
        lease_id = response.lease.lease_id
    requests = [
        booking_request(
            now_ms(),
            token=f"{merchant} {n}",
            user=f"{merchant} {n}",
            lease_id=None if n % 2 else lease_id,
            **wanted,
        )
        for n in range(CALLERS)
    ]

    responses = await asyncio.gather(
        *(
            stub.CreateBooking(request, timeout=20, wait_for_ready=True)
            for stub, request in zip(cycle(stubs), requests, strict=False)
        )
    )

    winners = [n for n, response in enumerate(responses) if response.HasField("booking")]
    causes = [r.booking_failure.cause for r in responses if r.HasField("booking_failure")]
    assert len(winners) == 1
    assert not leased or winners[0] % 2 == 0
    assert causes == [LOST] * (CALLERS - 1)
    with server.client() as client:
        (booking_key,) = client.scan_iter(f"booking:{{{merchant}}}:*", count=10_000)
        suffix = booking_key.rpartition(":")[2]
        owner = client.get(f"slot:{{{merchant}}}:{client.hget(booking_key, 'slot')}#1")
        assert owner.startswith(f"booking {suffix} ")


@pytest.mark.parametrize(
    "rounds",
    [
        pytest.param(4, id="short"),
        pytest.param(300, id="long", marks=[pytest.mark.long, pytest.mark.timeout(1200)]),
    ],
)
async def test_create_lease_raced_for_a_class_of_20_grants_exactly_20(rounds: int) -> None:
    """Each round 20 of 200 callers get a spot, each one of its own, and all others are refused."""
    with running("valkey9") as server:
        async with stubs_of(server, INVENTORY="strict") as stubs:
            for number in range(rounds):
                await race_for_class(server, stubs, Slot(f"m-class-{number}", "yoga", 0, 3600))


async def race_for_class(
    server: RedisServer, stubs: list[pb_grpc.BookingServiceStub], slot: Slot
) -> None:
    """Put a class into the inventory, and let all callers want it at once."""
    slot = replace(slot, start_s=now_ms() // 1000 + 86_400)
    items: list[FeedItem] = [Scope(slot.merchant_id), Availability("", slot, 20, 20)]
    async with link_to(server.url) as link:
        inventory = RedisInventory(link, 3_600_000)
        await inventory.commit(await inventory.stage(items, lambda _: None), None, lambda *_: None)
    requests = [
        lease_request(now_ms(), merchant=slot.merchant_id, reference=f"r-{n}", start_s=slot.start_s)
        for n in range(CALLERS)
    ]
    for request in requests:
        request.lease.slot.service_id = slot.service_id
        request.lease.slot.duration.seconds = slot.duration_s

    responses = await asyncio.gather(
        *(
            stub.CreateLease(request, timeout=20, wait_for_ready=True)
            for stub, request in zip(cycle(stubs), requests, strict=False)
        )
    )

    granted = {r.lease.lease_id.rpartition(".")[2] for r in responses if r.HasField("lease")}
    causes = [r.booking_failure.cause for r in responses if r.HasField("booking_failure")]
    with server.client() as redis:
        owners = redis.mget([keys.spot_key(slot, spot) for spot in range(1, 22)])
    assert len(granted) == 20
    assert causes == [LOST] * (CALLERS - 20)
    assert {*owners} == {f"lease {suffix}" for suffix in granted} | {None}
    assert owners[20] is None


@asynccontextmanager
async def stubs_of(
    server: RedisServer, **options: str
) -> AsyncIterator[list[pb_grpc.BookingServiceStub]]:
    """Run several server processes on one store, and open a channel to each."""
    async with AsyncExitStack() as stack:
        stubs = []
        for _ in range(PROCESSES):
            service = stack.enter_context(serving(REDIS_URL=server.url, **options))
            channel = await stack.enter_async_context(grpc.aio.insecure_channel(service.address))
            stubs.append(pb_grpc.BookingServiceStub(channel))
        yield stubs
