"""What people see of a store that is unsafe, or has lost data."""

import grpc
import pytest
from google.rpc import error_details_pb2
from tests.calls import lease_request, read_failure
from tests.servers import REAL_SERVERS, SERVICE, RedisServer, access_list, poll, running
from tests.service import Service, now_ms, serving

QUICK = {"CHECK_INTERVAL_S": "0.1", "UNREADY_AFTER_S": "0.5"}


def shows(service: Service, line: str) -> bool:
    """Tell whether /readyz?verbose has a line that begins so."""
    return any(each.startswith(line) for each in service.http("/readyz?verbose")[1].splitlines())


def counts(service: Service, series: str) -> bool:
    """Tell whether /metrics has a line."""
    return series in service.http("/metrics")[1].splitlines()


def losses(service: Service) -> list[str]:
    """Return how data was lost, by the log."""
    return [event["how"] for event in service.events() if event["event"] == "data_lost"]


@pytest.mark.parametrize("name", REAL_SERVERS)
def test_serve_on_a_store_that_evicts_warns_and_is_unready_if_that_is_required(name: str) -> None:
    """A line, a metric, a log event; readiness follows where eviction is required to be ok.

    Both ways while serving (failure mode 33).
    """
    with (
        running(name, "--maxmemory-policy", "allkeys-lru") as server,
        serving(REDIS_URL=server.url, **QUICK) as tolerant,
        serving(REDIS_URL=server.url, READY_REQUIRES="eviction", **QUICK) as strict,
    ):
        for service in (tolerant, strict):
            poll("warned", lambda it=service: shows(it, "[!] eviction warning: allkeys-lru"))
            assert counts(service, 'leasehold_finding{name="eviction",state="warning"} 1.0')
        poll("ready", lambda: tolerant.http("/readyz")[0] == 200)
        assert strict.http("/readyz")[0] == 503
        found = [it for it in tolerant.events() if it["event"] == "finding"]
        assert [it["state"] for it in found if it["name"] == "eviction"] == ["warning"]

        with server.client() as client:
            client.config_set("maxmemory-policy", "noeviction")
        poll("ready too", lambda: strict.http("/readyz")[0] == 200)
        assert counts(strict, 'leasehold_finding{name="eviction",state="warning"} 0.0')


@pytest.mark.parametrize("name", REAL_SERVERS)
def test_serve_on_a_store_that_denies_config_info_and_wait_starts_with_warnings(name: str) -> None:
    """A managed store tells little: the service says so, and serves (failure mode 42)."""
    with running(name) as server:
        with server.client() as client:
            denied = ("-config", "-info", "-wait", "-acl")
            client.execute_command(
                "ACL", "SETUSER", "guest", "on", ">guest", "~*", "+@all", *denied
            )
        with serving(REDIS_URL=server.url_of("guest"), **QUICK) as service:
            poll("warned", lambda: shows(service, "[!] eviction warning: unknown"))
            poll("ready", lambda: service.http("/readyz")[0] == 200)
            for name_of in ("version", "persistence", "restart", "replicas"):
                assert shows(service, f"[!] {name_of} warning: unknown")
            assert shows(service, "[+] permissions ok")
            assert service.create_lease(lease_request(now_ms())).HasField("lease")


def test_flush_in_mid_run_is_noticed_by_every_pod_and_refused_where_quarantine_is_on() -> None:
    """Log, counter and warning on each pod; grants wait for the longest hold (failure mode 44)."""
    settings = {"MAX_LEASE_S": "6", **QUICK}
    with (
        running("valkey9") as server,
        serving(REDIS_URL=server.url, QUARANTINE="on", **settings) as careful,
        serving(REDIS_URL=server.url, **settings) as other,
    ):
        for service in (careful, other):
            poll("known", lambda it=service: shows(it, "[+] data ok"))
        assert careful.create_lease(lease_request(now_ms())).HasField("lease")
        with server.client() as client:
            client.flushall()

        for service in (careful, other):
            poll("noticed", lambda it=service: shows(it, "[!] data warning: lost at"))
            assert counts(service, "leasehold_data_losses_total 1.0")
            poll("logged", lambda it=service: losses(it) == ["lost"])
        refused = lease_request(now_ms(), reference="r-2")
        with pytest.raises(grpc.RpcError) as caught:
            careful.create_lease(refused)
        assert read_failure(caught.value).reason == "STORE_QUARANTINED"
        delay = read_failure(caught.value).detail(error_details_pb2.RetryInfo).retry_delay
        assert delay.ToSeconds() < 6
        assert not counts(careful, "leasehold_quarantine_remaining_seconds 0.0")
        assert counts(other, "leasehold_quarantine_remaining_seconds 0.0")
        assert other.create_lease(lease_request(now_ms(), staff="anna")).HasField("lease")

        poll("over", lambda: shows(careful, "[+] data ok"))
        assert careful.create_lease(lease_request(now_ms(), reference="r-2")).HasField("lease")


def restarted_empty(server: RedisServer) -> None:
    """Kill a server that keeps nothing, and start it again."""
    server.stop()
    server.start()


def test_restart_without_the_data_gives_nothing_away_before_it_is_noticed() -> None:
    """A pod looks before its first grant after a reconnect: not one call slips through."""
    with (
        running("valkey9") as server,
        serving(REDIS_URL=server.url, QUARANTINE="on", **QUICK) as service,
    ):
        poll("known", lambda: shows(service, "[+] data ok"))
        assert service.create_lease(lease_request(now_ms())).HasField("lease")
        for number in range(3):
            restarted_empty(server)
            reasons = set[str]()
            while "STORE_QUARANTINED" not in reasons:
                with pytest.raises(grpc.RpcError) as caught:
                    service.create_lease(lease_request(now_ms(), reference=f"r-{number}"))
                reasons.add(read_failure(caught.value).reason)
            assert reasons <= {"STORE_QUARANTINED", "STORE_UNREACHABLE"}


def test_new_connection_to_a_store_without_a_right_makes_the_process_unready_at_once() -> None:
    """Redis 6.2 is not asked by the scripts, so each new connection is a reason to look."""
    rules = [it for it in access_list()[SERVICE] if it not in {"+hset", "~expiring:{*"}]
    with (
        running("redis62") as server,
        serving(REDIS_URL=server.url, CHECK_INTERVAL_S="3600") as service,
        server.client() as client,
    ):
        poll("ready", lambda: service.http("/readyz")[0] == 200)
        client.execute_command("ACL", "SETUSER", SERVICE, *rules)
        for address in server.links():
            client.execute_command("CLIENT", "KILL", address)

        denied = "[-] permissions failed: the store's user lacks ~expiring:{* +hset"
        poll("unready", lambda: shows(service, denied))
        assert service.http("/readyz")[0] == 503
