"""The stories of docs/runbook.md, played as they stand: every command, and what it answers."""

import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.calls import lease_request
from tests.prometheus import hurried, scraping
from tests.runbook import STORIES, Place, opened
from tests.servers import poll
from tests.service import in_a_hundred_days, now_ms

from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2_grpc as pb_grpc

DAY = "2027-03-01"
# An alert comes and goes by its own time.
PATIENCE_S = 60
STEP = re.compile(r"^```sh\n(.*?)^```\n\n```text\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """What the stories happen in: a store as it is deployed, a service and a Prometheus."""
    folder = tmp_path_factory.mktemp("prometheus")
    with (
        opened(tmp_path_factory.mktemp("checkout"), has_tls=False) as place,
        scraping(folder, [place.settings["OPS_LISTEN"]], hurried(folder)) as prometheus,
    ):
        place.prometheus_port = prometheus.port
        poll("scraped", lambda: prometheus.query("leasehold_ready == 1"))
        yield place


@contextmanager
def a_full_store(place: Place) -> Iterator[None]:
    """Somebody else has filled the store, and customers go on calling."""
    is_over = threading.Event()
    customers = threading.Thread(target=keep_holding, args=(place, is_over))
    with place.store.client() as shop:
        for number in range(3000):
            shop.set(f"session:{number}", "x" * 1000, px=3_600_000)
        shop.config_set("maxmemory", shop.info("memory")["used_memory"] - 1_000_000)
    customers.start()
    try:
        yield
    finally:
        is_over.set()
        customers.join()


def keep_holding(place: Place, is_over: threading.Event) -> None:
    """Ask for twenty leases a second, whatever the answers are."""
    with grpc.insecure_channel(place.settings["LISTEN"]) as channel:
        stub, number = pb_grpc.BookingServiceStub(channel), 0
        while not is_over.wait(0.05):
            number += 1
            wanted = lease_request(now_ms(), merchant="salon-9", reference=f"visit-{number}")
            wanted.lease.slot.resources.room_id = str(number)
            with contextlib.suppress(grpc.RpcError):
                stub.CreateLease(wanted, timeout=5)


@contextmanager
def a_morning_held_by_a_probe(place: Place) -> Iterator[None]:
    """A partner's monitoring holds what customers want."""
    ten_s = int(datetime.fromisoformat(f"{in_a_hundred_days()}T10:00Z").timestamp())
    starts = {f"probe-{number}": ten_s + (number - 3) * 1800 for number in range(1, 5)}
    with grpc.insecure_channel(place.settings["LISTEN"]) as channel:
        stub = pb_grpc.BookingServiceStub(channel)

        def hold(reference: str, start_s: int) -> Any:
            wanted = lease_request(
                now_ms(), for_ms=900_000, reference=reference, start_s=start_s, staff="anna"
            )
            return stub.CreateLease(wanted, timeout=5)

        for reference, start_s in {**starts, "visit-7": ten_s + 14_400}.items():
            assert hold(reference, start_s).lease.lease_id
        assert hold("visit-8", ten_s).booking_failure.cause
    yield


BEGINNINGS: dict[str, Callable[[Place], AbstractContextManager[None]]] = {
    "The store is full": a_full_store,
    "Nobody can book ten o'clock": a_morning_held_by_a_probe,
}


def test_every_story_is_played() -> None:
    """No story is left out, and no command of one stands without its answer."""
    assert STORIES.keys() == BEGINNINGS.keys()
    for title, story in STORIES.items():
        assert len(STEP.findall(story)) == story.count("```sh") > 5, title


@pytest.mark.parametrize("title", STORIES)
def test_story_goes_as_it_is_told(place: Place, title: str) -> None:
    """From the first sign to the end, each command answers what the page says."""
    with BEGINNINGS[title](place):
        for commands, answer in STEP.findall(STORIES[title]):
            play(place, commands, answer)


def play(place: Place, commands: str, answer: str) -> None:
    """Type some commands; what only looks at alerts may be typed until they are as told."""
    give_up_at_s = time.monotonic() + (PATIENCE_S if commands == "alerts\n" else 0)
    while True:
        done = place.play(commands.replace(DAY, in_a_hundred_days()))
        told = plain(done.stdout + done.stderr)
        expected = plain(place.here(answer).replace(DAY, in_a_hundred_days()))
        pattern = re.escape(expected).replace("…", r"[^\n]+?")
        if re.fullmatch(pattern, told):
            return
        assert time.monotonic() < give_up_at_s, f"{commands}\n{told}\n{expected}"


def plain(text: str) -> str:
    """Return a text in which neither tabs, as a page shows them, nor ends of lines matter."""
    return "\n".join(" ".join(line.split()) for line in text.splitlines()).strip()


def test_hurried_rules_are_the_same_rules(tmp_path: Path) -> None:
    """Nothing but minutes is different, so that what fires here fires there."""
    for path in hurried(tmp_path):
        assert re.findall(r"\b\d+m\b", path.read_text()) == []
