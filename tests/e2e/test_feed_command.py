"""`leasehold feed tail`, against running services."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.servers import RedisServer, free_port, poll, running
from tests.service import Service, environment, in_a_hundred_days, run, serving

ON = {"FEED_MAX_EVENTS": "1000", "MIN_LEASE_S": "0.2"}


@pytest.fixture(scope="module")
def store() -> Iterator[RedisServer]:
    """One store for all the services."""
    with running("valkey9") as store:
        yield store


@pytest.fixture
def service(store: RedisServer) -> Iterator[Service]:
    """A service that keeps events, on an empty store."""
    with store.client() as client:
        client.flushall()
    with serving(REDIS_URL=store.url, **ON) as service:
        yield service


def hold(service: Service, staff: str, length: str = "5m") -> str:
    """Hold a slot and return the lease id."""
    slot = ("--merchant", "salon-1", "--service", "haircut", "--staff", staff, "--duration", "30m")
    when = ("--start", f"{in_a_hundred_days()}T10:00Z", "--for", length)
    held = run("hold", *slot, *when, "--address", service.address)
    assert held.returncode == 0, held.stderr
    (lease_id,) = re.findall(r"salon-1\.[0-9A-Z]{26}", held.stdout)
    return str(lease_id)


def tail(service: Service, *words: str) -> subprocess.CompletedProcess[str]:
    """Print what there is, and end."""
    address = ("--address", str(service.told["operator_listen"]))
    return run("feed", "tail", "--merchant", "salon-1", "--no-follow", *words, *address)


def told(service: Service, *words: str) -> list[Any]:
    """Return the events as a program reads them."""
    ended = tail(service, "--json", *words)
    assert ended.returncode == 0, ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()]


class Follower:
    """A `feed tail` that goes on."""

    def __init__(self, address: str) -> None:
        self.out, self.err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
        words = ("feed", "tail", "--merchant", "salon-1", "--json", "--address", address)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "leasehold", *words],
            env=environment(),
            stdout=self.out,
            stderr=self.err,
        )

    def events(self) -> list[Any]:
        """Return the events printed so far."""
        text = os.pread(self.out.fileno(), 1_000_000, 0).decode()
        return [json.loads(line) for line in text.rpartition("\n")[0].splitlines()]

    def said(self) -> str:
        """Return what it has said beside them."""
        return os.pread(self.err.fileno(), 1_000_000, 0).decode()


@contextmanager
def following(address: str) -> Iterator[Follower]:
    """Follow for the time of a test."""
    follower = Follower(address)
    try:
        yield follower
    finally:
        follower.process.kill()
        follower.process.wait()
        follower.out.close()
        follower.err.close()


def test_feed_tail_prints_what_has_happened_and_resumes_by_token(service: Service) -> None:
    """For people a line an event, for programs the API's JSON; a token leads to what came after."""
    first, second = hold(service, "anna"), hold(service, "bo")
    address = ("--address", str(service.told["operator_listen"]))
    assert run("lease", "release", first, "--reason", "INC-1", *address).returncode == 0

    lines = tail(service).stdout.splitlines()
    assert len(lines) == 3
    assert re.search(rf"UTC  held +{re.escape(first)}, .* staff anna, spot 1, until ", lines[0])
    assert re.search(rf"UTC  released +{re.escape(first)}, .*, reason: INC-1$", lines[2])
    events = told(service)
    assert [(it["kind"], it["lease_id"]) for it in events] == [
        ("EVENT_KIND_HELD", first),
        ("EVENT_KIND_HELD", second),
        ("EVENT_KIND_RELEASED", first),
    ]
    assert told(service, "--after", events[0]["token"]) == events[1:]
    assert told(service, "--after", events[2]["token"]) == []


def test_feed_tail_follows_until_ctrl_c(service: Service) -> None:
    """What happens is printed soon after, expiries too, and Ctrl-C is no failure."""
    first = hold(service, "anna", "1s")
    with following(str(service.told["operator_listen"])) as follower:
        poll("the hold and its end are told", lambda: len(follower.events()) == 2)
        second = hold(service, "bo")
        poll("the next hold is told", lambda: len(follower.events()) == 3)
        follower.process.send_signal(signal.SIGINT)

        assert follower.process.wait(10) == 0
        assert [(it["kind"], it["lease_id"]) for it in follower.events()] == [
            ("EVENT_KIND_HELD", first),
            ("EVENT_KIND_EXPIRED", first),
            ("EVENT_KIND_HELD", second),
        ]
        assert "Traceback" not in follower.said()


def test_feed_tail_goes_on_when_the_service_comes_back(store: RedisServer) -> None:
    """A restart is said on standard error, and no event is lost or told twice."""
    with store.client() as client:
        client.flushall()
    address = f"127.0.0.1:{free_port()}"
    settings = {**ON, "REDIS_URL": store.url, "OPERATOR_LISTEN": address}
    with serving(**settings) as service:
        first = hold(service, "anna")
        with following(address) as follower:
            poll("the first hold is told", lambda: len(follower.events()) == 1)
            service.stop()
            poll("it says that nobody answers", lambda: "UNAVAILABLE" in follower.said())
            with serving(**settings) as successor:
                second = hold(successor, "bo")
                poll("the second hold is told", lambda: len(follower.events()) == 2)

            assert [it["lease_id"] for it in follower.events()] == [first, second]
            assert "Asking again each second." in follower.said()
            assert f"{address} answers again." in follower.said()


def test_feed_tail_ends_when_events_may_have_been_missed(
    store: RedisServer, service: Service
) -> None:
    """Exit code 1, and what to do about it."""
    hold(service, "anna")
    (event,) = told(service)
    with store.client() as client:
        client.delete("events:{salon-1}")

    ended = tail(service, "--after", event["token"])

    assert ended.returncode == 1
    assert "begin again without a page_token" in ended.stderr


def test_feed_tail_where_no_events_are_kept_names_the_setting(store: RedisServer) -> None:
    """Off by default: exit code 1, and how to turn it on."""
    with serving(REDIS_URL=store.url) as service:
        ended = tail(service)

    assert ended.returncode == 1
    assert "LEASEHOLD_FEED_MAX_EVENTS is 0" in ended.stderr


def test_feed_tail_of_nobody_ends_at_once() -> None:
    """Without any answer at the beginning there is nothing to follow: exit code 3."""
    address = ("--address", "127.0.0.1:1")
    ended = run("feed", "tail", "--merchant", "salon-1", *address)
    assert (ended.returncode, ended.stdout) == (3, "")


def test_feed_tail_with_a_token_of_nothing_is_at_fault(service: Service) -> None:
    """What can be no token is refused before anything is looked up."""
    ended = tail(service, "--after", "yesterday")

    assert ended.returncode == 2
    assert "page_token is none that an answer has given" in ended.stderr
