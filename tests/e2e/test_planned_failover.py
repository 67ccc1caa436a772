"""The store's upgrade by the runbook, under load: a failover that is asked of the Sentinels."""

import asyncio
import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.runbook import BY_SENTINELS, FAILOVERS
from tests.servers import binary, poll
from tests.service import Service, serving
from tests.topologies import Replicated, ask, is_primary, replicated
from tests.topology.test_serve import CALLERS, NOT_NOW, load_on

PAUSED, COORDINATED = FAILOVERS
AS_DEPLOYED = ("INFO-PERIOD", 10_000, "PUBLISH-PERIOD", 2000)
# Two seconds are promised; the rest is for a machine that is busy with other tests.
LONGEST_STAY_S = 5

LONG = pytest.mark.long


@contextmanager
def watched(name: str, replicas: int = 1) -> Iterator[Replicated]:
    """Run a group whose Sentinels take as long for everything as where they are deployed."""
    with replicated(name, replicas=replicas) as group:
        for sentinel in group.sentinels:
            ask(sentinel, "SENTINEL", "DEBUG", *AS_DEPLOYED)
        yield group


def play(text: str, group: Replicated, folder: Path) -> None:
    """Run a failover of the runbook in a shell, at this test's addresses."""
    secrets = folder / "deploy" / "secrets"
    secrets.mkdir(parents=True)
    # The password of each user of the tests' servers is its name.
    (secrets / "admin").write_text("admin")
    script = (BY_SENTINELS + text).replace(
        "sentinel.internal -p 26379", f"127.0.0.1 -p {group.sentinels[0].port}"
    )
    path = [str(binary("redis7").parent), os.environ["PATH"]]
    done = subprocess.run(
        ["sh", "-eu", "-c", re.sub(r"\bleasehold\b", group.service, script)],
        env={"PATH": os.pathsep.join(path)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, ""), done
    assert "ERR" not in done.stdout, done


def events(service: Service, name: str) -> list[dict[str, object]]:
    """Return what a process has logged under a name."""
    return [event for event in service.events() if event["event"] == name]


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        pytest.param("valkey9", PAUSED, id="valkey9-paused"),
        pytest.param("valkey9", COORDINATED, id="valkey9-coordinated", marks=LONG),
        pytest.param("redis7", PAUSED, id="redis7-paused", marks=LONG),
    ],
)
async def test_planned_failover_by_the_runbook_loses_no_acknowledged_lease(
    name: str, steps: str, tmp_path: Path
) -> None:
    """Nothing is lost without replica acknowledgements; callers are asked to come back at most."""
    with watched(name) as group, serving(REDIS_URL=group.url) as service:
        old = group.primary
        async with load_on(service) as load:
            await asyncio.to_thread(play, steps, group, tmp_path)
            await asyncio.to_thread(poll, "left", lambda: events(service, "primary_replaced"))
            await load.until_served()
        group.wait_until_healthy()
        print(len(load.granted), load.refused)

        assert group.primary is not old
        assert load.lost([group.primary]) == []
        assert set(load.refused) <= NOT_NOW
        assert not events(service, "data_lost")


@pytest.mark.parametrize(
    ("name", "acks"),
    [
        pytest.param("valkey9", 0, id="valkey9-acks-0"),
        pytest.param("valkey9", 1, id="valkey9-acks-1-of-2", marks=LONG),
        pytest.param("redis7", 0, id="redis7-acks-0", marks=LONG),
        pytest.param("redis7", 1, id="redis7-acks-1-of-2", marks=LONG),
    ],
)
async def test_failover_without_the_pause_is_noticed_by_the_next_heartbeat(
    name: str, acks: int
) -> None:
    """The old primary serves on for ten seconds; nothing more is confirmed by it."""
    with (
        watched(name, replicas=1 + acks) as group,
        serving(REDIS_URL=group.url, REPLICA_ACKS=str(acks)) as service,
    ):
        old = group.primary
        async with load_on(service) as load:
            ask(group.sentinels[0], "SENTINEL", "FAILOVER", group.service)
            await asyncio.to_thread(
                poll, "most name another", lambda: group.primaries not in ([], [old])
            )
            named_at_s = time.monotonic()
            await asyncio.to_thread(poll, "left", lambda: events(service, "primary_replaced"))
            stayed_s = time.monotonic() - named_at_s
            # Each caller may have an answer on its way that the process gave before.
            confirmed_by_old = len(load.granted) + CALLERS
            await load.until_served()
            assert is_primary(old)
            assert old.links() == []
        lost = load.lost([group.primary])
        print(len(load.granted), "lost", len(lost), load.refused, f"{stayed_s:.2f} s")

        assert stayed_s < LONGEST_STAY_S
        assert not set(lost) & set(load.granted[confirmed_by_old:])
        assert set(load.refused) <= NOT_NOW
