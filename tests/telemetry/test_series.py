"""How many series there are, however many merchants call (failure mode 38)."""

import asyncio
import re
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pool
from tests.calls import lease_request
from tests.servers import RedisServer, running
from tests.service import Service, now_ms, serving

from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as pb
from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2_grpc as pb_grpc
from leasehold.rpc.server import OPERATOR_SERVICES, PARTNER_SERVICES

AT_ONCE = 64


def series(service: Service) -> set[str]:
    """Return the name and labels of everything that is exposed."""
    lines = service.http("/metrics")[1].splitlines()
    return {line.rpartition(" ")[0] for line in lines if not line.startswith("#")}


def test_every_method_has_a_series_for_each_code_before_any_call(valkey: RedisServer) -> None:
    """The first failure of a method is an increase, which alerts ask for, and not a new series."""
    services = [
        descriptor_pool.Default().FindServiceByName(name)
        for name in (*PARTNER_SERVICES, *OPERATOR_SERVICES)
    ]
    methods = {(service.full_name, it.name) for service in services for it in service.methods}
    codes = {code.name.replace("_", "").lower() for code in grpc.StatusCode} - {"cancelled"}

    with serving(REDIS_URL=valkey.url) as service:
        text = service.http("/metrics")[1]

    pattern = r'_handled_total\{grpc_code="(\w+)",.*method="(\w+)",grpc_service="([\w.]+)".*\} 0'
    found = {(service, method, code.lower()) for code, method, service in re.findall(pattern, text)}
    shown = {(*method, code) for method in methods for code in {*codes, "canceled"}}
    assert found == shown


@pytest.mark.parametrize(
    "merchants",
    [
        2000,
        pytest.param(100_000, marks=[pytest.mark.long, pytest.mark.timeout(600)]),
    ],
)
async def test_series_stay_as_many_however_many_merchants_call(merchants: int) -> None:
    """Nothing that a caller sends becomes a label: no id, no method that there is not."""
    with running("valkey9") as store, serving(REDIS_URL=store.url) as service:
        async with grpc.aio.insecure_channel(service.address) as channel:
            await call_all(channel, range(AT_ONCE))
            before = await asyncio.to_thread(series, service)

            await call_all(channel, range(AT_ONCE, AT_ONCE + merchants))

            after = await asyncio.to_thread(series, service)
            counted = await asyncio.to_thread(created, service)
    assert counted == AT_ONCE + merchants
    assert after == before
    assert len(before) < 1000
    assert not [each for each in after if re.search(r"salon|visitor|Unheard", each)]


async def call_all(channel: grpc.aio.Channel, numbers: range) -> None:
    """Hold a slot of each merchant, and every so often send what is wrong."""
    stub: Any = pb_grpc.BookingServiceStub(channel)
    waiting = iter(numbers)

    async def caller() -> None:
        for number in waiting:
            request = lease_request(
                now_ms(), merchant=f"salon-{number}", reference=f"visitor-{number}"
            )
            assert (await stub.CreateLease(request)).HasField("lease")
            if number % AT_ONCE == 0:
                await call_badly(channel, number)

    async with asyncio.TaskGroup() as callers:
        for _ in range(AT_ONCE):
            callers.create_task(caller())


async def call_badly(channel: grpc.aio.Channel, number: int) -> None:
    """Send what is refused, by a service, by a method and by a request of this number only."""
    refused = pb.CheckAvailabilityRequest(slot=pb.Slot(merchant_id=f"salon-{number}"))
    own = "/ext.maps.booking.partner.v2.BookingService"
    raw: Any = channel.unary_unary
    for path in (f"{own}/CheckAvailability", f"{own}/Unheard{number}", f"/Unheard{number}/Call"):
        with pytest.raises(grpc.aio.AioRpcError):
            await raw(path)(refused.SerializeToString())


def created(service: Service) -> int:
    """Return how many leases the service has counted."""
    pattern = r'leasehold_outcomes_total\{.*outcome="created"\} (\S+)'
    found = re.search(pattern, service.http("/metrics")[1])
    return round(float(found[1])) if found else 0
