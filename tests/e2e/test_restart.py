"""What callers see of a process that ends while they call; none of them repeats an answer."""

import asyncio
import contextlib
import signal
from collections import Counter
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from tests.callers import OPTIONS, calls_of, load, until
from tests.proxy import proxy_to
from tests.servers import RedisServer, free_port
from tests.service import Service, serving
from tests.tls import ALONE, NO_PROXY, create_lease

# Every connection reaches its age within the grace, and can be asked to end.
LEAVING = {"MAX_CONNECTION_AGE_S": "0.5", "DRAIN_GRACE_S": "4"}
CALLERS = 30
GET_LEASE = "/leasehold.v1.LeaseService/GetLease"
WITH_RETRIES = (NO_PROXY, ALONE)
"""As gRPC is by default: it repeats what no process saw, and nothing else."""
ROUND_ROBIN = ("grpc.service_config", '{"loadBalancingConfig": [{"round_robin": {}}]}')


def is_answer(failure: str) -> bool:
    """Tell whether a failure is more than the caller's own library saying that no process saw it.

    That is a connection that could not be made, or a call that was begun on a connection in the
    instant in which the process asked the connection to end. gRPC begins the second again by itself
    on another connection, unless its retries are off.
    """
    unseen = (
        "failed to connect to all addresses",
        "Stream removed (GOAWAY received; Error code: 0",
    )
    return not failure.startswith(tuple(f"UNAVAILABLE: {each}" for each in unseen))


async def ask_operators(address: str, answers: Counter[str]) -> None:
    """Ask the operators' listener again and again, on one connection after the other."""
    async with grpc.aio.insecure_channel(address, OPTIONS) as channel:
        call: Any = channel.unary_unary(GET_LEASE)
        while True:
            try:
                await call(b"", timeout=10)
            except grpc.aio.AioRpcError as error:
                answers[f"{error.code().name}: {error.details()}"] += 1
            await asyncio.sleep(0.002)


async def end(service: Service) -> None:
    """Let a process end, and see that it does so by itself."""
    service.process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(service.process.wait, 20) == 0
    assert "calls_cut_off" not in service.log_text()


@contextlib.contextmanager
def two(valkey: RedisServer) -> Iterator[tuple[Service, Service]]:
    """Run two processes on one store."""
    with (
        serving(REDIS_URL=valkey.url, **LEAVING) as old,
        serving(REDIS_URL=valkey.url, **LEAVING) as new,
    ):
        yield old, new


async def test_restart_gives_direct_callers_no_answer_that_is_not_ours(
    valkey: RedisServer,
) -> None:
    """A call is served, or finds no process: gRPC answers nothing by itself (failure mode 64).

    The new process listens where the old one did.
    """
    at = {name: f"127.0.0.1:{free_port()}" for name in ("LISTEN", "OPERATOR_LISTEN")}
    settings = {"REDIS_URL": valkey.url, **LEAVING, **at}
    operators = Counter[str]()
    with contextlib.ExitStack() as stack:
        old = stack.enter_context(serving(**settings))
        async with load(at["LISTEN"], "m-restart", count=CALLERS) as callers:
            asking = asyncio.create_task(ask_operators(at["OPERATOR_LISTEN"], operators))
            await until("the old one serves", lambda: calls_of(old) > 10 * CALLERS)
            await end(old)
            new = stack.enter_context(serving(**settings))
            await until("the new one serves", lambda: calls_of(new) > 10 * CALLERS)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
    assert [each for each in callers.failures if is_answer(each)] == []
    assert {each.partition(":")[0] for each in operators if is_answer(each)} == {"INVALID_ARGUMENT"}


@pytest.mark.long
async def test_restart_behind_a_balancer_of_connections_loses_no_call(valkey: RedisServer) -> None:
    """The balancer makes new connections elsewhere, and the old ones move there by themselves."""
    with two(valkey) as (old, new):
        async with (
            proxy_to(int(old.address.rpartition(":")[2])) as balancer,
            load(
                f"127.0.0.1:{balancer.port}", "m-balanced", count=CALLERS, options=WITH_RETRIES
            ) as callers,
        ):
            await until("the old one serves", lambda: calls_of(old) > 10 * CALLERS)
            balancer.server_port = int(new.address.rpartition(":")[2])
            await end(old)
            await until("the new one serves", lambda: calls_of(new) > 10 * CALLERS)
    assert callers.failures == []


@pytest.mark.long
async def test_restart_loses_no_call_of_callers_who_know_both_addresses(
    valkey: RedisServer,
) -> None:
    """With round robin, calls go to the other process once a connection has ended."""
    with two(valkey) as (old, new):
        address = f"ipv4:{old.address},{new.address}"
        options = (*WITH_RETRIES, ROUND_ROBIN)
        async with load(address, "m-robin", count=CALLERS, options=options) as callers:
            for each in (old, new):
                await until("it serves", lambda each=each: calls_of(each) > 5 * CALLERS)
            await end(old)
            count = calls_of(new)
            await until("the other one serves", lambda: calls_of(new) > count + 5 * CALLERS)
    assert callers.failures == []


def test_a_process_whose_connections_outlive_its_drain_says_so(valkey: RedisServer) -> None:
    """Where an age is longer than the grace nothing is waited for, and the log tells of it."""
    with (
        serving(REDIS_URL=valkey.url, MAX_CONNECTION_AGE_S="60") as service,
        grpc.insecure_channel(service.address, OPTIONS) as channel,
    ):
        create_lease(channel, "outlives")
        assert service.stop() == 0
        (told,) = [
            each for each in service.events() if each["event"] == "connections_outlive_drain"
        ]
    assert told["connections"] == 1
