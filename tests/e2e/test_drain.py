"""How a process leaves, and how connections move to one that has come."""

import signal
import time
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tests.callers import OPTIONS, calls_of, load, until
from tests.proxy import proxy_to
from tests.servers import RedisServer, poll
from tests.service import Service, serving
from tests.tls import create_lease

DELAY_S = 2


def test_sigterm_goes_on_serving_for_the_delay_while_it_is_unready(valkey: RedisServer) -> None:
    """Not ready comes first; new connections are taken until the delay is over, then no more."""
    with (
        serving(REDIS_URL=valkey.url, DRAIN_DELAY_S=str(DELAY_S)) as service,
        grpc.insecure_channel(service.address) as watching,
    ):
        poll("ready", lambda: service.http("/readyz")[0] == 200)
        stub: Any = health_pb2_grpc.HealthStub(watching)
        changes = stub.Watch(health_pb2.HealthCheckRequest())
        assert next(changes).status == health_pb2.HealthCheckResponse.SERVING

        began_at_s = time.monotonic()
        service.process.send_signal(signal.SIGTERM)

        assert next(changes).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert service.http("/readyz")[0] == 503
        served = 0
        while time.monotonic() - began_at_s < DELAY_S - 0.5:
            with grpc.insecure_channel(service.address, OPTIONS) as fresh:
                served += create_lease(fresh, f"drain-{served}").HasField("lease")
        assert served > 3
        poll("new connections are refused", lambda: refuses(service))
        assert time.monotonic() - began_at_s >= DELAY_S
        assert service.process.wait(10) == 0


def refuses(service: Service) -> bool:
    """Tell whether a new connection finds nobody."""
    with grpc.insecure_channel(service.address, OPTIONS) as fresh:
        try:
            create_lease(fresh, "drain-late")
        except grpc.RpcError as error:
            # A busy machine may be slow as well, which is no refusal.
            return error.code() is grpc.StatusCode.UNAVAILABLE
    return False


async def test_load_moves_to_a_new_process_when_connections_have_reached_their_age(
    valkey: RedisServer,
) -> None:
    """Connections end at their age and lose no call; the next may lead elsewhere (failure mode 36).

    The balancer is one that knows connections only.
    """
    with (
        serving(REDIS_URL=valkey.url, MAX_CONNECTION_AGE_S="2") as old,
        serving(REDIS_URL=valkey.url, MAX_CONNECTION_AGE_S="2") as new,
    ):
        async with (
            proxy_to(int(old.address.rpartition(":")[2])) as balancer,
            load(f"127.0.0.1:{balancer.port}", "m-age") as callers,
        ):
            await until("the old one serves", lambda: calls_of(old) > 100)
            balancer.server_port = int(new.address.rpartition(":")[2])
            connections = balancer.connections
            assert calls_of(new) == 0
            await until("all connections are new", lambda: balancer.connections >= connections + 8)
            await until("the new one serves", lambda: calls_of(new) > 100)
            count = calls_of(old)
            served = callers.served
            await until("calls go on", lambda: callers.served > served + 100)
            assert calls_of(old) == count
    assert callers.failures == []
