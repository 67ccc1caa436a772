"""A real Prometheus scrapes a real run, and answers what dashboard and alerts ask."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import grpc
import pytest
from tests.calls import booking_request, lease_request
from tests.prometheus import ROOT, RULES, Prometheus, promtool, scraping
from tests.servers import poll, running
from tests.service import Service, now_ms, serving

from leasehold.generated.ext.maps.booking.partner.v0 import booking_service_pb2 as v0
from leasehold.generated.ext.maps.booking.partner.v0 import booking_service_pb2_grpc as v0_grpc
from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as v2
from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2_grpc as v2_grpc
from leasehold.generated.leasehold.v1 import inventory_service_pb2 as v1
from leasehold.generated.leasehold.v1 import inventory_service_pb2_grpc as v1_grpc
from leasehold.model.errors import StoreTrouble

ONLY_WITH_TLS = {
    "leasehold_certificate_expires_timestamp_seconds",
    "leasehold_credential_reload_failures_total",
}
"""Metrics that a service without certificates does not show."""

EMPTY_WHEN_HEALTHY = {
    'min(leasehold_certificate_expires_timestamp_seconds{job="leasehold"}) - time()': (
        "without TLS there is no certificate"
    ),
}
"""Queries of the dashboard that show nothing here, and why."""


def call_everything(channel: Any, operators: Any, number: int) -> None:
    """Call every method of every service, well and badly."""
    partner: Any = v2_grpc.BookingServiceStub(channel)
    operator: Any = v1_grpc.InventoryServiceStub(operators)
    legacy: Any = v0_grpc.BookingServiceStub(channel)
    merchant = f"m-{number}"
    asked = lease_request(now_ms(), merchant=merchant)
    partner.CheckAvailability(v2.CheckAvailabilityRequest(slot=asked.lease.slot))
    lease_id = partner.CreateLease(asked).lease.lease_id
    partner.CreateLease(asked)
    partner.CreateLease(lease_request(now_ms(), merchant=merchant, reference="another"))
    wanted = booking_request(now_ms(), merchant=merchant, lease_id=lease_id)
    wanted.slot.CopyFrom(asked.lease.slot)
    booking = partner.CreateBooking(wanted).booking
    partner.GetBookingStatus(v2.GetBookingStatusRequest(booking_id=booking.booking_id))
    partner.ListBookings(v2.ListBookingsRequest(user_id="ada"))
    cancelled = v2.Booking(booking_id=booking.booking_id, status=v2.CANCELED)
    partner.UpdateBooking(v2.UpdateBookingRequest(booking=cancelled))
    refusals: tuple[Callable[[], Any], ...] = (
        lambda: partner.CreateLease(v2.CreateLeaseRequest()),
        lambda: partner.GetBookingStatus(v2.GetBookingStatusRequest(booking_id="m.0")),
        lambda: legacy.CreateLease(v0.CreateLeaseRequest()),
        lambda: legacy.CreateBooking(v0.CreateBookingRequest()),
        lambda: legacy.UpdateBooking(v0.UpdateBookingRequest()),
        lambda: operator.ReplaceAvailability(v1.ReplaceAvailabilityRequest()),
    )
    for refused in refusals:
        with suppress(grpc.RpcError):
            refused()


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """A service under a little load, whose store has a replica that must acknowledge."""
    with (
        running("valkey9", "--repl-diskless-sync-delay", "0") as primary,
        running("valkey9", "--replicaof", f"127.0.0.1 {primary.port}"),
        serving(REDIS_URL=primary.url, REPLICA_ACKS="1", REPLICA_ACK_TIMEOUT_S="5") as service,
    ):
        with primary.client() as client:
            poll("the replica follows", lambda: client.wait(1, 100) == 1)
        is_over = threading.Event()
        load = threading.Thread(target=keep_calling, args=(service, is_over))
        load.start()
        try:
            yield service
        finally:
            is_over.set()
            load.join()


def keep_calling(service: Service, is_over: threading.Event) -> None:
    """Call everything ten times a second."""
    with (
        grpc.insecure_channel(service.address) as channel,
        grpc.insecure_channel(service.told["operator_listen"]) as operators,
    ):
        number = 0
        while not is_over.wait(0.1):
            call_everything(channel, operators, number := number + 1)


@pytest.fixture(scope="module")
def metrics(service: Service) -> str:
    """What the service exposes once every method has been called."""
    poll(
        "all is called",
        lambda: re.search(
            r'_started_total\{.*"ReplaceAvailability".*\} [1-9]', service.http("/metrics")[1]
        ),
    )
    return service.http("/metrics")[1]


@pytest.fixture(scope="module")
def prometheus(
    service: Service, metrics: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """A Prometheus that scrapes the service."""
    assert metrics
    with scraping(tmp_path_factory.mktemp("prometheus"), [service.told["ops_listen"]]) as started:
        yield started


def panels() -> list[dict[str, Any]]:
    """Return what the dashboard shows."""
    text = (ROOT / "deploy" / "grafana" / "leasehold.json").read_text()
    return [panel for panel in json.loads(text)["panels"] if panel["type"] != "row"]


def dashboard_queries() -> list[str]:
    """Return every query of the dashboard, for the job of the test."""
    return [
        target["expr"].replace("$job", "leasehold") for it in panels() for target in it["targets"]
    ]


def test_metrics_of_a_real_run_pass_promtool(metrics: str) -> None:
    """Names, units and help of everything that is exposed are as Prometheus wants them."""
    promtool("check", "metrics", told=metrics)


def test_configuration_and_rules_pass_promtool() -> None:
    """What is deployed is what Prometheus takes."""
    promtool("check", "config", "--lint=all", "--lint-fatal", "prometheus.yml")
    promtool("check", "rules", "--lint=all", "--lint-fatal", "rules.yml", "alerts.yml")


def test_alerts_fire_as_their_cases_say() -> None:
    """Each alert fires when it should, and not a moment before."""
    promtool("test", "rules", "alerts_test.yml")


def test_every_alert_has_a_case_and_says_what_to_do() -> None:
    """No alert is untried, and each has a severity, a summary and its section of the runbook."""
    alerts = (RULES / "alerts.yml").read_text()
    names = re.findall(r"- alert: (\w+)", alerts)
    tried = re.findall(
        r"alertname: (\w+)\n +exp_alerts:\n", (RULES / "alerts_test.yml").read_text()
    )

    assert set(tried) == set(names)
    for block in alerts.split("- alert: ")[1:]:
        name = block.split("\n", 1)[0]
        assert re.search(r"\n +for: \d+[mh]\n +labels: \{severity: (critical|warning)\}\n", block)
        assert re.search(r"\n +summary: \".+\"\n", block)
        assert f"/docs/runbook.md#{name.lower()}\n" in block


RUNBOOK = ROOT / "docs" / "runbook.md"


def test_every_alert_has_its_section_in_the_runbook() -> None:
    """Whoever is woken finds what to do."""
    names = set(re.findall(r"- alert: (\w+)", (RULES / "alerts.yml").read_text()))

    assert names <= set(re.findall(r"^#+ (\w+)$", RUNBOOK.read_text(), re.MULTILINE))


def test_every_reason_of_the_store_raises_an_alert() -> None:
    """A new kind of trouble cannot be forgotten."""
    alerts = (RULES / "alerts.yml").read_text()
    several = re.findall(r'reason=~"STORE_\((.+)\)"', alerts)
    watched = [f"STORE_{reason}" for group in several for reason in group.split("|")]
    watched += re.findall(r'reason="(\w+)"', alerts)
    # These have metrics, and alerts, of their own.
    watched += [StoreTrouble.QUARANTINED, StoreTrouble.NOT_REPLICATED]

    assert sorted(watched) == sorted(StoreTrouble)


def test_queries_name_metrics_that_exist(prometheus: Prometheus, metrics: str) -> None:
    """A metric that is called otherwise now would leave an alert silent for ever."""
    exposed = set(re.findall(r"^(\w+)[{ ]", metrics, re.MULTILINE))
    asked = dashboard_queries()
    asked += [rule["query"] for kind in ("record", "alert") for rule in prometheus.rules(kind)]
    without_values = re.sub(r'"[^"]*"', "", "\n".join(asked))
    named = set(re.findall(r"(?<![\w:])(?:leasehold|grpc_server|process)_\w+", without_values))

    assert len(named) > 20
    assert named - exposed <= ONLY_WITH_TLS


@pytest.mark.parametrize("query", dashboard_queries())
def test_every_panel_shows_something_in_a_healthy_run(prometheus: Prometheus, query: str) -> None:
    """What the dashboard asks has an answer, or a reason why there is none."""
    if query in EMPTY_WHEN_HEALTHY:
        assert prometheus.query(query) == []
    else:
        poll(f"a number for {query}", lambda: numbers(prometheus, query))


def numbers(prometheus: Prometheus, query: str) -> list[str]:
    """Return the values of a query that are any."""
    values = [series["value"][1] for series in prometheus.query(query)]
    return [value for value in values if value != "NaN"]


def test_every_recorded_series_is_there_in_a_healthy_run(prometheus: Prometheus) -> None:
    """Rules that alerts and panels rest on give something, and no error."""
    rules = prometheus.rules("record")
    assert len(rules) == 6
    for rule in rules:
        poll(f"a number for {rule['name']}", lambda rule=rule: numbers(prometheus, rule["name"]))


def test_every_alert_can_be_asked_and_a_healthy_run_wakes_nobody(prometheus: Prometheus) -> None:
    """All alerts are judged without error, and none that is critical so much as waits."""
    poll("scraped", lambda: prometheus.query("leasehold_ready == 1"))
    # What was pending before the first scrape is judged again.
    poll("quiet", lambda: not critical(prometheus))
    rules = prometheus.rules("alert")
    assert len(rules) == len(re.findall("- alert: ", (RULES / "alerts.yml").read_text()))
    for rule in rules:
        prometheus.query(rule["query"])
        assert (rule["health"], rule["name"]) == ("ok", rule["name"]), rule.get("lastError")


def critical(prometheus: Prometheus) -> list[str]:
    """Return the critical alerts that fire, or are about to, or have not been judged."""
    return [
        rule["name"]
        for rule in prometheus.rules("alert")
        if rule["health"] != "ok"
        or (rule["labels"]["severity"] == "critical" and rule["state"] != "inactive")
    ]


def test_dashboard_is_one_that_grafana_can_take() -> None:
    """Ids are unique, no panel lies over another, and each is explained."""
    shown = panels()
    assert len({panel["id"] for panel in shown}) == len(shown) > 20
    assert all(panel["description"] and panel["targets"] for panel in shown)
    places = {
        (column, line)
        for grid in (panel["gridPos"] for panel in shown)
        for column in range(grid["x"], grid["x"] + grid["w"])
        for line in range(grid["y"], grid["y"] + grid["h"])
    }
    areas = [panel["gridPos"]["w"] * panel["gridPos"]["h"] for panel in shown]
    assert len(places) == sum(areas)
    assert max(column for column, _ in places) < 24
