"""The program as a whole: started as its users start it."""

import asyncio
import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import grpc
import pytest
import redis
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tests.calls import SERVICE, lease_request, read_failure
from tests.proxy import proxy_to
from tests.servers import RedisServer, poll, running
from tests.service import ANY_PORT, Service, environment, now_ms, run, serving

from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as pb
from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2_grpc as pb_grpc
from leasehold.listeners import LISTENERS
from leasehold.rpc import server
from leasehold.settings import Settings

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def health_stub(channel: Any) -> Any:
    """Return a stub of the health service, which publishes no types."""
    return health_pb2_grpc.HealthStub(channel)


def health(service: Service, name: str = "") -> int:
    """Ask for the health of a service."""
    with grpc.insecure_channel(service.address) as channel:
        stub = health_stub(channel)
        answer = stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=5)
        return int(answer.status)


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that is dead and not yet reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_serve_without_a_store_refuses_to_start() -> None:
    """A process that silently opened a store of its own would grant every slot again."""
    ended = run("serve")

    assert ended.returncode == 2
    assert "LEASEHOLD_REDIS_URL" in ended.stderr
    assert "--embedded" in ended.stderr


def test_serve_with_two_stores_refuses_to_start() -> None:
    """An address and --embedded together leave open which store is meant."""
    ended = run("serve", "--embedded", settings={"REDIS_URL": "redis://127.0.0.1:1"})

    assert ended.returncode == 2
    assert "Use one." in ended.stderr


def test_serve_with_bad_settings_names_all_of_them() -> None:
    """A bad setting refuses to start and says which, why and what is allowed."""
    ended = run("serve", "--embedded", settings={"MAX_LEASE_S": "soon", "LOG_LEVEL": "loud"})

    assert ended.returncode == 2
    assert "LEASEHOLD_MAX_LEASE_S='soon': Input should be a valid number" in ended.stderr
    assert "allowed: debug, info, warning or error" in ended.stderr


def test_serve_warns_of_unknown_settings() -> None:
    """A misspelt name is warned of, with the one that was probably meant."""
    ended = run("serve", settings={"LISTNE": "127.0.0.1:1"})

    assert "LEASEHOLD_LISTNE is not a setting; did you mean LEASEHOLD_LISTEN?" in ended.stderr


def test_serve_on_a_taken_port_refuses_to_start(tmp_path: Path) -> None:
    """Two processes do not share a port: the second says which setting to change."""
    with serving("--embedded", EMBEDDED_DIR=str(tmp_path / "1")) as service:
        ended = run(
            "serve",
            "--embedded",
            settings={
                "LISTEN": service.address,
                "EMBEDDED_DIR": str(tmp_path / "2"),
                "EMBEDDED_PORT": "0",
            },
        )
    assert ended.returncode == 2
    assert f"Cannot listen on {service.address}" in ended.stderr
    assert "Set LEASEHOLD_LISTEN" in ended.stderr


def test_embedded_store_ends_with_its_service_however_it_ends(tmp_path: Path) -> None:
    """Neither SIGTERM nor SIGKILL leaves a store behind."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
        with serving("--embedded", EMBEDDED_DIR=str(tmp_path)) as service:
            pid = service.told["embedded_pid"]
            assert is_alive(pid)
            code = service.stop(number)
            assert code == (-number if number == signal.SIGKILL else 0)
            poll("the store ends too", lambda pid=pid: not is_alive(pid))


def test_embedded_data_is_kept_between_starts(tmp_path: Path) -> None:
    """A lease survives a restart: the repeat finds it, with the same expiry."""
    request = lease_request(now_ms())
    with serving("--embedded", EMBEDDED_DIR=str(tmp_path)) as service:
        first = service.create_lease(request)
        service.stop()
    with serving("--embedded", EMBEDDED_DIR=str(tmp_path)) as service:
        assert service.create_lease(request) == first


def test_embedded_directory_is_locked_against_a_second_store(tmp_path: Path) -> None:
    """Two stores on one directory would each write over the other's data."""
    with serving("--embedded", EMBEDDED_DIR=str(tmp_path)):
        ended = run("serve", "--embedded", settings={"EMBEDDED_DIR": str(tmp_path)})

    assert ended.returncode == 2
    assert f"Another embedded store uses {tmp_path}" in ended.stderr


def test_a_repeat_from_another_process_gets_the_same_lease(valkey: RedisServer) -> None:
    """Pods keep no state: whichever is asked names the same lease with the same expiry."""
    request = lease_request(now_ms(), merchant="m-another-process")
    with serving(REDIS_URL=valkey.url) as one, serving(REDIS_URL=valkey.url) as other:
        first = one.create_lease(request)
        with valkey.client() as client:
            client.script_flush()
        assert other.create_lease(request) == first


def test_readiness_and_health_follow_the_store_and_liveness_does_not() -> None:
    """The store away: calls fail fast with UNAVAILABLE, the pod is unready but alive; and back."""
    with (
        running("valkey9") as redis_server,
        serving(REDIS_URL=redis_server.url, UNREADY_AFTER_S="0.5") as service,
    ):
        poll("ready", lambda: service.http("/readyz")[0] == 200)
        assert health(service) == health(service, SERVICE) == SERVING
        assert service.create_lease(lease_request(now_ms())).HasField("lease")

        redis_server.stop()
        started_s = time.monotonic()
        with pytest.raises(grpc.RpcError) as caught:
            service.create_lease(lease_request(now_ms(), reference="r-2"))
        # Three tries, of which each fails at once, and two short pauses.
        assert time.monotonic() - started_s < 3
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        failure = read_failure(caught.value)
        assert failure.reason == "STORE_UNREACHABLE"
        assert "RetryInfo" in {type(detail).__name__ for detail in failure.details}
        poll("unready", lambda: service.http("/readyz")[0] == 503)
        assert health(service) == health(service, SERVICE) == NOT_SERVING
        assert service.http("/livez")[0] == 200
        assert "[-] store failed: STORE_UNREACHABLE" in service.http("/readyz?verbose")[1]
        assert "leasehold_ready 0.0" in service.http("/metrics")[1]

        redis_server.start()
        poll("ready again", lambda: service.http("/readyz")[0] == 200)
        assert health(service) == health(service, SERVICE) == SERVING
        assert service.create_lease(lease_request(now_ms())).HasField("lease")
        assert service.process.poll() is None


def test_a_short_outage_does_not_turn_readiness() -> None:
    """A failover within the limit empties no balancer: the pod stays ready all the while."""
    with (
        running("valkey9") as redis_server,
        serving(REDIS_URL=redis_server.url, UNREADY_AFTER_S="30") as service,
    ):
        poll("ready", lambda: service.http("/readyz")[0] == 200)
        redis_server.stop()
        with pytest.raises(grpc.RpcError):
            service.create_lease(lease_request(now_ms()))
        assert service.http("/readyz")[0] == 200
        redis_server.start()
        poll(
            "grants again", lambda: service.create_lease(lease_request(now_ms())).HasField("lease")
        )
        assert not [event for event in service.events() if event["event"] == "store_away"]


def test_serve_starts_before_its_store_and_waits() -> None:
    """A store that is not there yet makes the pod unready, not dead."""
    server = RedisServer("valkey9")
    with serving(REDIS_URL=server.url) as service:
        assert service.http("/readyz")[0] == 503
        assert service.http("/livez")[0] == 200
        assert health(service) == NOT_SERVING
        with server:
            poll("ready", lambda: service.http("/readyz")[0] == 200)
            assert health(service) == SERVING


async def test_sigterm_drains_health_first_and_finishes_running_calls(valkey: RedisServer) -> None:
    """SIGTERM: health turns, new calls are refused, the running call gets its answer, exit 0."""
    async with proxy_to(valkey.port) as proxy:
        with serving(
            REDIS_URL=proxy.url, REDIS_TIMEOUT_S="10", CALL_TIMEOUT_S="20", DRAIN_GRACE_S="20"
        ) as service:
            await asyncio.to_thread(poll, "ready", lambda: service.http("/readyz")[0] == 200)
            async with grpc.aio.insecure_channel(service.address) as channel:
                watching = health_stub(channel).Watch(health_pb2.HealthCheckRequest())
                assert (await watching.read()).status == SERVING
                proxy.hold_replies()
                request = lease_request(now_ms(), merchant="m-drain")
                running_call = pb_grpc.BookingServiceStub(channel).CreateLease(request, timeout=20)
                with valkey.client() as client:
                    await asyncio.to_thread(
                        poll, "the call runs", lambda: client.exists(*_lease_keys(client))
                    )

                service.process.send_signal(signal.SIGTERM)

                assert (await watching.read()).status == NOT_SERVING
                assert (await asyncio.to_thread(service.http, "/readyz"))[0] == 503
                await asyncio.to_thread(poll, "new calls are refused", lambda: refuses(service))
                assert not running_call.done()
                proxy.release()
                assert (await running_call).HasField("lease")
            assert await asyncio.to_thread(service.process.wait, 10) == 0


def _lease_keys(client: object) -> list[str]:
    assert hasattr(client, "scan_iter")
    return list(client.scan_iter(match="lease:{m-drain}:*")) or ["none"]


def refuses(service: Service) -> bool:
    """Tell whether a new connection finds nobody."""
    with grpc.insecure_channel(service.address) as channel:
        try:
            pb_grpc.BookingServiceStub(channel).CreateLease(pb.CreateLeaseRequest(), timeout=1)
        except grpc.RpcError as error:
            return bool(error.code() is grpc.StatusCode.UNAVAILABLE)
    return False


def test_a_lost_log_costs_no_call(tmp_path: Path) -> None:
    """Nobody reads standard error any more: calls are answered, and SIGTERM still drains."""
    process = subprocess.Popen(
        [sys.executable, "-m", "leasehold", "serve", "--embedded"],
        env={**environment(), **ANY_PORT, "LEASEHOLD_EMBEDDED_DIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr
        told = json.loads(process.stderr.readline())
        process.stderr.close()
        with grpc.insecure_channel(told["listen"]) as channel:
            stub = pb_grpc.BookingServiceStub(channel)
            for number in range(3):
                request = lease_request(now_ms(), merchant=f"m-{number}")
                assert stub.CreateLease(request, timeout=10).HasField("lease")
        process.terminate()
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()


def test_serve_prints_where_everything_can_be_reached(tmp_path: Path) -> None:
    """On the console a table names listeners, metrics and store, each by its address."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "leasehold", "serve", "--embedded"],
        env={
            **environment(),
            **ANY_PORT,
            "LEASEHOLD_EMBEDDED_DIR": str(tmp_path),
            "LEASEHOLD_LOG_FORMAT": "console",
            "COLUMNS": "200",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout
        rows = {}
        while "data" not in rows:
            line = process.stdout.readline()
            assert line, "the service ended by itself"
            name, _, value = line.rstrip("\n").partition("\t")
            rows[name] = value
        with grpc.insecure_channel(rows["gRPC, operators"]) as channel:
            for name in ("", *server.OPERATOR_SERVICES):
                health_stub(channel).Check(health_pb2.HealthCheckRequest(service=name), timeout=5)
        with grpc.insecure_channel(rows["gRPC, partners"]) as channel:
            stub = pb_grpc.BookingServiceStub(channel)
            assert stub.CreateLease(lease_request(now_ms()), timeout=10).HasField("lease")
        with urllib.request.urlopen(rows["metrics"], timeout=5) as response:  # noqa: S310
            assert b"leasehold_outcomes_total" in response.read()
        port = int(rows["store"].removeprefix("redis-cli -p "))
        with redis.Redis(port=port) as client:
            assert client.ping()
        assert rows["data"] == str(tmp_path)
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_ops_listener_tells_what_it_should(tmp_path: Path) -> None:
    """Metrics in the field's names, readiness with its warnings, settings without secrets."""
    with serving("--embedded", EMBEDDED_DIR=str(tmp_path), MAX_LEASE_S="60") as service:
        poll("ready", lambda: service.http("/readyz")[0] == 200)
        service.create_lease(lease_request(now_ms()))

        # The probe of the store is in flight now and then.
        poll("idle", lambda: "leasehold_link_in_flight 0.0" in service.http("/metrics")[1])
        metrics = service.http("/metrics")[1]
        assert (
            'leasehold_outcomes_total{api="v2",operation="create_lease",outcome="created"} 1.0'
            in (metrics)
        )
        assert "grpc_server_handled_total{" in metrics
        assert "leasehold_link_resent_total 0.0" in metrics
        assert "leasehold_link_reconnects_total 0.0" in metrics
        verbose = service.http("/readyz?verbose")[1]
        assert "[+] store ok" in verbose
        assert "[!] inventory warning: open" in verbose
        assert '"LEASEHOLD_MAX_LEASE_S": "60"' in service.http("/config")[1]
        assert service.http("/nothing")[0] == 404


def test_a_default_start_listens_on_loopback_only(tmp_path: Path) -> None:
    """Nothing that a default start opens can be reached from another machine."""
    # The default addresses, but for their ports, which may be taken here.
    defaults = {
        name.upper(): re.sub(r"\d+$", "0", Settings.model_fields[name].default)
        for name in LISTENERS
    }
    with serving("--embedded", EMBEDDED_DIR=str(tmp_path), **defaults) as service:
        pids = {service.process.pid, service.told["embedded_pid"]}
        addresses = {address for pid in pids for address in _listening(pid)}

    assert len(addresses) == 4
    # gRPC listens by IPv6 on the mapped address ::ffff:127.0.0.1.
    assert {address.rpartition(":")[0][-8:] for address in addresses} == {"0100007F"}


def _listening(pid: int) -> set[str]:
    """Return the hexadecimal addresses on which a process listens."""
    inodes = {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()}
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *rest = line.split()
            if state == "0A" and f"socket:[{rest[5]}]" in inodes:
                found.add(local)
    return found
