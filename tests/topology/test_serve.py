"""`leasehold serve` on every topology: before the store is there, and while it changes."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field

import grpc
import pytest
from tests.calls import lease_request
from tests.clusters import Cluster, cluster, form
from tests.servers import RedisServer, free_port, poll
from tests.service import Service, now_ms, serving
from tests.topologies import Replicated, replicated

from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as pb
from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2_grpc as pb_grpc
from leasehold.model import ids
from leasehold.model.slot import Slot
from leasehold.store import keys

MERCHANTS = 200
CALLERS = 8
NOT_NOW = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}


@dataclass
class Load:
    """Callers that hold slots of many merchants, each slot once, and what they were told."""

    stub: pb_grpc.BookingServiceStub
    start_s: int = field(default_factory=lambda: now_ms() // 1000 + 86_400)
    granted: list[int] = field(default_factory=list)
    refused: Counter[grpc.StatusCode] = field(default_factory=Counter)
    _asked: int = 0

    def slot(self, number: int) -> Slot:
        """Return the slot of a call."""
        merchant = f"m-{number % MERCHANTS}"
        return Slot(merchant, "haircut", self.start_s + number, 1800)

    async def call_for_ever(self) -> None:
        """Call, one after the other."""
        while True:
            self._asked += 1
            number = self._asked
            slot = self.slot(number)
            request = lease_request(
                now_ms(), merchant=slot.merchant_id, reference=f"r-{number}", start_s=slot.start_s
            )
            try:
                response = await self.stub.CreateLease(request, timeout=5)
            except grpc.aio.AioRpcError as error:
                self.refused[error.code()] += 1
            else:
                assert isinstance(response, pb.CreateLeaseResponse)
                assert response.HasField("lease"), response
                self.granted.append(number)

    async def until_served(self) -> None:
        """Wait until a hundred more calls have been granted."""
        wanted = len(self.granted) + 100
        async with asyncio.timeout(30):
            while len(self.granted) < wanted:
                await asyncio.sleep(0.02)

    def lost(self, primaries: list[RedisServer]) -> list[int]:
        """Return the granted calls whose slot is not theirs in the store."""
        owners: dict[str, str] = {}
        for server in primaries:
            with server.client() as client:
                found = list(client.scan_iter("slot:*", count=10_000))
                pipeline = client.pipeline(transaction=False)
                for key in found:
                    pipeline.get(key)
                owners.update(zip(found, pipeline.execute(raise_on_error=False), strict=True))
        return [
            number
            for number in self.granted
            if owners.get(keys.spot_key(self.slot(number), 1))
            != f"lease {ids.lease_suffix(f'r-{number}')}"
        ]


@asynccontextmanager
async def load_on(service: Service) -> AsyncIterator[Load]:
    """Call a service as long as the test goes on."""
    async with grpc.aio.insecure_channel(service.address) as channel:
        load = Load(pb_grpc.BookingServiceStub(channel))
        callers = [asyncio.create_task(load.call_for_ever()) for _ in range(CALLERS)]
        try:
            await load.until_served()
            yield load
            await load.until_served()
        finally:
            for caller in callers:
                caller.cancel()
            ended = await asyncio.gather(*callers, return_exceptions=True)
    assert {type(end) for end in ended} == {asyncio.CancelledError}


async def test_serve_on_a_cluster_that_is_resharded_and_failed_over_loses_nothing() -> None:
    """Slots move and replicas take over under load: every lease that was granted is there."""
    with cluster("valkey9") as shards, serving(REDIS_URL=shards.url) as service:
        async with load_on(service) as load:
            target = shards.primaries[0]
            moving = [s for s in range(0, 16_384, 150) if shards.owner_of(s) is not target]
            for slot in moving:
                await asyncio.to_thread(shards.move_slot, slot, target)
            await load.until_served()
            for primary in shards.primaries:
                await asyncio.to_thread(shards.fail_over, primary)
                await asyncio.to_thread(shards.wait_until_healthy)
                await load.until_served()
        print(len(load.granted), load.refused)

        assert set(load.refused) <= NOT_NOW
        assert load.lost(shards.primaries) == []
        assert service.http("/readyz")[0] == 200


async def test_serve_on_a_cluster_whose_primary_is_killed_serves_on() -> None:
    """A shard that dies is away until its replica is there; nobody is told anything else."""
    with (
        cluster("valkey9", full_coverage=False) as shards,
        serving(REDIS_URL=shards.url) as service,
    ):
        async with load_on(service) as load:
            old = shards.primaries[0]
            old.stop()
            await asyncio.to_thread(shards.wait_for_takeover, old)
            await load.until_served()
            assert service.http("/readyz")[0] == 200
        print(len(load.granted), load.refused)

        assert set(load.refused) <= NOT_NOW


async def test_serve_by_sentinels_whose_primary_is_killed_serves_on() -> None:
    """The primary dies, the Sentinels name another one, and the process goes on with it."""
    with replicated("valkey9") as group, serving(REDIS_URL=group.url) as service:
        async with load_on(service) as load:
            old = group.primary
            old.stop()
            await asyncio.to_thread(group.wait_for_new_primary, old)
            await load.until_served()
        print(len(load.granted), load.refused)

        assert set(load.refused) <= NOT_NOW


def late_server(stack: ExitStack) -> tuple[str, Callable[[], object]]:
    """Return the address of a server, and what starts it."""
    server = RedisServer("valkey9")
    return server.url, lambda: stack.enter_context(server)


def late_sentinels(stack: ExitStack) -> tuple[str, Callable[[], object]]:
    """Return the address of Sentinels, and what starts them and their servers."""
    group = stack.enter_context(replicated("valkey9"))
    for node in group.nodes:
        node.stop()
    return group.url, lambda: start_all(group)


def start_all(group: Replicated) -> None:
    """Start what has been stopped."""
    for node in group.nodes:
        node.start()


def late_cluster(stack: ExitStack) -> tuple[str, Callable[[], object]]:
    """Return the address of a cluster, and what starts it and makes it one."""
    options = ("--cluster-enabled", "yes")
    shards = Cluster([RedisServer("valkey9", options, port=free_port()) for _ in range(3)])

    def start() -> None:
        for server in shards.servers:
            stack.enter_context(server)
        form(shards, 3)

    return shards.url, start


@pytest.mark.parametrize("late", [late_server, late_sentinels, late_cluster])
def test_serve_starts_before_its_store_and_waits_for_it(
    late: Callable[[ExitStack], tuple[str, Callable[[], object]]],
) -> None:
    """Alive and not ready until the store is there, then ready, in one life (27)."""
    with ExitStack() as stack:
        url, start = late(stack)
        with serving(REDIS_URL=url) as service:
            poll(
                "the process waits for its store",
                lambda: any(it.get("event") == "store_awaited" for it in service.events()),
            )
            assert service.http("/livez")[0] == 200
            assert service.http("/readyz")[0] == 503

            start()

            poll("the process is ready", lambda: service.http("/readyz")[0] == 200)
            # A cluster answers a little before it serves.
            poll("a slot is held", lambda: grants(service))
            assert service.process.poll() is None


def grants(service: Service) -> bool:
    """Tell whether a slot can be held now."""
    try:
        return service.create_lease(lease_request(now_ms())).HasField("lease")
    except grpc.RpcError:
        return False
