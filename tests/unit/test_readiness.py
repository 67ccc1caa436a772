import asyncio
import time

import pytest

from leasehold.model.finding import Finding
from leasehold.telemetry import readiness as readiness_module
from leasehold.telemetry.findings import Findings
from leasehold.telemetry.readiness import Readiness


class Store:
    """Answers, or not, as the test says."""

    def __init__(self) -> None:
        self.answers = True

    async def ping(self) -> None:
        """Answer, or fail."""
        if not self.answers:
            raise ConnectionError("gone")


async def test_ready_follows_the_store_only_after_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An outage turns readiness once it has lasted the limit; the first answer turns it back."""
    now_s = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    store, told = Store(), list[bool]()
    readiness = Readiness(store.ping, unready_after_s=5, known=Findings())

    async def listen(ready: bool) -> None:
        told.append(ready)

    await readiness.tell(listen)
    for at_s, answers in [(100, True), (101, False), (104.9, False), (105, False), (106, True)]:
        now_s, store.answers = at_s, answers
        await readiness._ask_once()

    assert told == [False, True, False, True]


async def test_ready_is_false_until_the_first_answer() -> None:
    """A process that has never reached its store wants no calls, without any delay."""
    store = Store()
    store.answers = False
    readiness = Readiness(store.ping, unready_after_s=3600, known=Findings())

    await readiness._ask_once()
    assert not readiness.ready
    assert [finding.state for finding in readiness.findings()] == ["failed"]

    store.answers = True
    await readiness._ask_once()
    assert readiness.ready


async def test_ready_needs_every_required_finding_to_be_ok_and_none_to_have_failed() -> None:
    """What is required and unknown, or a warning, forbids calls; any failure does."""
    known = Findings(["eviction"])
    readiness = Readiness(Store().ping, unready_after_s=5, known=known)
    told = list[bool]()

    async def listen(ready: bool) -> None:
        told.append(ready)

    await readiness.tell(listen)
    for finding in (
        Finding("replicas", "warning", "0 connected"),
        Finding("eviction", "ok", "noeviction"),
        Finding("eviction", "warning", "allkeys-lru"),
        Finding("eviction", "ok", "noeviction"),
        Finding("version", "failed", "Redis 5.0"),
    ):
        known.note(finding)
        await readiness._ask_once()

    assert told == [False, True, False, True, False]
    assert [finding.state for finding in readiness.findings()] == ["ok", "warning", "ok", "failed"]


async def test_drain_ends_the_asking_by_itself_and_for_good(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The asking ends though nobody cancels it: redis-py may overhear a cancellation.

    On Python 3.11 a SIGTERM during the very first question once left a process that never ended.
    """
    monkeypatch.setattr(readiness_module, "_PING_INTERVAL_S", 3600)
    asked, answer = asyncio.Event(), asyncio.Event()

    async def ping() -> None:
        asked.set()
        await answer.wait()

    readiness = Readiness(ping, unready_after_s=5, known=Findings())
    following = asyncio.create_task(readiness.follow_store())
    await asked.wait()
    await readiness.drain()
    answer.set()
    await asyncio.wait_for(following, 5)

    assert not readiness.ready
    assert [finding.name for finding in readiness.findings()] == ["store", "drain"]
