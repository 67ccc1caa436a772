"""The marker of the data set: what each process is told when data is lost."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from tests.backends import Backend, soon

from leasehold.store import keys, scripts

CLOCK_STEP_MS = 5_000


@pytest.fixture
async def store(backend: Backend) -> AsyncIterator[Backend]:
    """A store without a marker."""
    await backend.redis.delete(keys.marker_key(""))
    yield backend
    await backend.redis.delete(keys.marker_key(""))


@dataclass
class Process:
    """One that beats, and knows what it was told last."""

    store: Backend
    name: str
    known: list[Any] = field(default_factory=lambda: ["", 0, 0])
    beats: int = 0
    back_by_ms: int = 0

    async def beat(self, *, answer_is_lost: bool = False) -> tuple[str, int]:
        """Beat once; return the status and when data was lost."""
        self.beats += 1
        arguments = [self.name, f"{self.name}{self.beats}", *self.known, CLOCK_STEP_MS]
        beat = scripts.load("beat")
        status, *known, lost_at_ms, _, self.back_by_ms = await self.store.link.run(
            beat, [keys.marker_key("")], arguments, soon()
        )
        if not answer_is_lost:
            self.known = known
        return status, lost_at_ms

    @property
    def data_set(self) -> str:
        """Return the data set that this process knows."""
        return str(self.known[0])


@dataclass
class Snapshot:
    """What a store that goes back in time has of the marker."""

    store: Backend
    fields: Any

    @classmethod
    async def of(cls, store: Backend) -> "Snapshot":
        """Take one now."""
        return cls(store, await store.redis.hgetall(keys.marker_key("")))

    async def restore(self) -> None:
        """Go back to it."""
        await self.store.redis.delete(keys.marker_key(""))
        await self.store.redis.hset(keys.marker_key(""), mapping=self.fields)


async def later(store: Backend) -> None:
    """Let the store's clock go on."""
    await store.wait_until(await store.now_ms() + 2)


async def test_beat_without_a_marker_makes_one_that_every_process_takes_over(
    store: Backend,
) -> None:
    """A new data set has one id, whoever asks; nothing is lost, and the marker has no TTL."""
    one, other = Process(store, "a"), Process(store, "b")

    assert await one.beat() == ("created", 0)
    assert [await other.beat(), await one.beat(), await other.beat()] == [("advanced", 0)] * 3
    assert one.data_set == other.data_set == "a1"
    assert await store.redis.pttl(keys.marker_key("")) == -1


async def test_beat_that_repeats_an_unanswered_one_loses_nothing(store: Backend) -> None:
    """Whether a beat whose answer was lost has been carried out makes no difference."""
    process = Process(store, "a")
    await process.beat(answer_is_lost=True)
    assert await process.beat() == ("advanced", 0)
    await process.beat(answer_is_lost=True)
    assert await process.beat() == ("advanced", 0)


async def test_beat_after_a_flush_is_lost_for_every_process_and_from_one_moment(
    store: Backend,
) -> None:
    """Each process notices once, and all are told the same time of the loss."""
    one, other = Process(store, "a"), Process(store, "b")
    for process in (one, other):
        await process.beat()
    before_ms = await store.now_ms()
    await later(store)
    await store.redis.delete(keys.marker_key(""))

    status, lost_at_ms = await one.beat()
    assert status == "lost"
    assert before_ms < lost_at_ms <= await store.now_ms()
    await later(store)
    assert await other.beat() == ("lost", lost_at_ms)
    assert await one.beat() == await other.beat() == ("advanced", lost_at_ms)
    assert await Process(store, "c").beat() == ("advanced", lost_at_ms)


async def test_beat_of_a_stranger_after_a_flush_hides_no_loss(store: Backend) -> None:
    """A process that has just started takes an empty store for new; one that knew better tells."""
    process, stranger = Process(store, "a"), Process(store, "b")
    await process.beat()
    await later(store)
    await store.redis.delete(keys.marker_key(""))

    assert await stranger.beat() == ("created", 0)
    made_at_ms = stranger.known[2]
    assert await process.beat() == ("lost", made_at_ms)
    assert await stranger.beat() == ("advanced", made_at_ms)


async def test_beat_on_an_older_state_went_back_and_is_lost_for_the_others(
    store: Backend,
) -> None:
    """Whoever finds the data older than what it knew renames it, so that all others notice too."""
    one, other = Process(store, "a"), Process(store, "b")
    for process in (one, other):
        await process.beat()
    snapshot = await Snapshot.of(store)
    for process in (one, other):
        await process.beat()
    await later(store)
    await snapshot.restore()

    status, lost_at_ms = await one.beat()
    assert status == "went_back"
    assert lost_at_ms > 0
    assert await other.beat() == ("lost", lost_at_ms)
    assert await one.beat() == ("advanced", lost_at_ms)


async def test_beat_of_which_one_was_lost_went_back_though_others_reached_its_number(
    store: Backend,
) -> None:
    """The last beat of one process is missing, although another has made one of that number."""
    one, other = Process(store, "a"), Process(store, "b")
    for process in (one, other):
        await process.beat()
    snapshot = await Snapshot.of(store)
    assert await one.beat() == ("advanced", 0)
    await snapshot.restore()
    assert await other.beat() == ("advanced", 0)
    assert other.known[1] == one.known[1]

    assert (await one.beat())[0] == "went_back"
    assert (await other.beat())[0] == "lost"


async def test_beat_on_another_older_data_set_went_back_from_now(store: Backend) -> None:
    """A copy from before an earlier loss has an older id: the loss counts from now, not then."""
    process = Process(store, "a")
    await process.beat()
    snapshot = await Snapshot.of(store)
    await later(store)
    await store.redis.delete(keys.marker_key(""))
    _, first_lost_at_ms = await process.beat()
    await later(store)
    await snapshot.restore()

    status, lost_at_ms = await process.beat()
    assert status == "went_back"
    assert lost_at_ms > first_lost_at_ms


async def test_beat_of_a_process_that_was_away_for_long_loses_nothing(store: Backend) -> None:
    """The fields of old beats are used again, which is no loss; the marker stays small."""
    away, busy = Process(store, "a"), Process(store, "b")
    await away.beat()
    for _ in range(600):
        await busy.beat()
    assert await away.beat() == ("advanced", 0)
    assert await store.redis.hlen(keys.marker_key("")) == 7 + 256


async def last_beat_at(store: Backend, in_ms: int | None) -> None:
    """Let the last beat be so far ahead of the clock, or without its time as by release 0.1.1."""
    number = int(await store.redis.hget(keys.marker_key(""), "beat") or 0)
    at = "" if in_ms is None else f" {await store.now_ms() + in_ms}"
    field = f"beat:{number % 256}"
    await store.redis.hset(keys.marker_key(""), field, f"{number} a{at}")


async def test_beat_before_the_last_one_tells_every_process_that_the_clock_stepped_back(
    store: Backend,
) -> None:
    """A process that starts after the first one has seen it is told, too."""
    process = Process(store, "a")
    await process.beat()
    await last_beat_at(store, 3_600_000)

    for each in (Process(store, "b"), process, Process(store, "c")):
        await each.beat()
        assert 3_590_000 < each.back_by_ms <= 3_600_000


@pytest.mark.parametrize("ahead_ms", [CLOCK_STEP_MS - 1_000, -3_600_000, None])
async def test_beat_after_a_gap_or_a_small_step_tells_of_no_step(
    store: Backend, ahead_ms: int | None
) -> None:
    """A gap forward is a time in which nobody ran; a beat without its time says nothing."""
    process = Process(store, "a")
    await process.beat()
    await last_beat_at(store, ahead_ms)

    assert await process.beat() == ("advanced", 0)
    assert process.back_by_ms == 0


async def test_beat_of_a_clock_that_made_up_for_its_step_tells_of_no_step(store: Backend) -> None:
    """It has stepped back by an hour, and forward again by as much."""
    process = Process(store, "a")
    await process.beat()
    await last_beat_at(store, 3_600_000)
    await process.beat()
    await last_beat_at(store, -3_600_001)

    await process.beat()
    assert process.back_by_ms == 0


async def test_beat_of_release_0_1_1_is_no_loss(store: Backend) -> None:
    """That release writes no time, and two releases share a marker during a rollout."""
    older, newer = Process(store, "a"), Process(store, "b")
    await older.beat()
    await last_beat_at(store, None)

    assert await newer.beat() == ("advanced", 0)
    assert await older.beat() == ("advanced", 0)


async def test_beat_is_written_as_release_0_1_1_reads_it(store: Backend) -> None:
    """That release asks whether its last beat is there, and reads those of others as well."""
    process = Process(store, "a")
    await process.beat()
    await process.beat()

    kept = await store.redis.hget(keys.marker_key(""), "beat:2")
    read_by_0_1_1 = re.fullmatch(r"(\d+) (.*)", cast("str", kept))
    assert read_by_0_1_1
    assert read_by_0_1_1[1] == "2"
