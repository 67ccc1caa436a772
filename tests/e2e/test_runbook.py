"""docs/runbook.md: every alert has its section, and every command there works."""

import re
import shutil
from collections.abc import Iterator

import pytest
from tests.deploy.deployed_store import DEPLOY, DeployedStore
from tests.runbook import BLOCKS, ROOT, RUNBOOK, Place, opened

from leasehold.model import ids

# Spaces within numbers are narrow ones there.
BENCHMARKS = re.sub(r"[^\S\n]", " ", (ROOT / "docs" / "benchmarks.md").read_text())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """What the runbook's commands work on."""
    with opened(tmp_path_factory.mktemp("checkout"), has_tls=True) as place:
        yield place


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.split("\n")[0][:40])
def test_runbook_commands_work(place: Place, block: str) -> None:
    """Each line ends well and is refused by nobody; a search may find nothing."""
    for line in block.splitlines():
        done = place.play(line)
        finds_nothing = "| grep" in line or line == "leasehold inventory show"
        is_talkative = finds_nothing or "--rdb" in line
        assert done.returncode in ((0, 1) if finds_nothing else (0,)), (line, done)
        refused = r"^(?:\(error\)|ERR|NOPERM|NOAUTH|WRONGPASS|Unknown)|not found|unrecognized"
        assert not re.search(refused, done.stdout + done.stderr, re.MULTILINE), (line, done)
        assert is_talkative or not done.stderr, line


def test_runbook_looks_show_what_they_are_for(place: Place) -> None:
    """What the person on call reads first says what it should."""
    assert "[+] store ok: answers" in place.play("ops '/readyz?verbose'").stdout
    assert "role:master" in place.play("look INFO replication").stdout
    assert place.play("look ACL WHOAMI").stdout == "oncall\n"
    assert place.play("repair ACL WHOAMI").stdout == "admin\n"
    assert "NOPERM" in place.play("look CONFIG SET maxmemory 1").stdout


def test_runbook_restores_a_copy_with_all_that_was_in_it(place: Place) -> None:
    """A key with its end is there again, in a folder that starts with its append-only file on."""
    with place.store.client() as client:
        client.set("slot:{m}:x#1", "lease x", px=600_000)
        ends_in_ms = client.pttl("slot:{m}:x#1")
    (copy,) = [block for block in BLOCKS if block.startswith("repair --rdb")]
    (restore,) = [block for block in BLOCKS if block.startswith("mkdir restored")]
    shutil.rmtree(place.folder / "restored", ignore_errors=True)
    for line in (copy + restore).splitlines():
        done = place.play(line)
        assert done.returncode == 0, (line, done)

    folder = place.folder / "restored"
    log_exists = any(folder.glob("appendonlydir/*.aof")) or (folder / "appendonly.aof").exists()
    assert log_exists
    server = DeployedStore("redis7", secrets=place.store.secrets, directory=folder)
    with server, server.client() as client:
        assert client.get("slot:{m}:x#1") == "lease x"
        assert 0 < client.pttl("slot:{m}:x#1") <= ends_in_ms


def test_runbook_erasing_leaves_nothing_in_the_files_of_the_store(place: Place) -> None:
    """What has been forgotten is neither in the append-only file nor in the snapshot any more."""
    owner, key = f"booking {ids.booking_suffix('v2', 't')} ", "slot:{m}:erased#1"
    digest = ids.user_digest("ada")
    (block,) = [block for block in BLOCKS if block.startswith("repair BGREWRITEAOF")]

    def files_with_it() -> set[str]:
        files = [path for path in place.store.directory.rglob("*") if path.is_file()]
        return {path.suffix for path in files if digest.encode() in path.read_bytes()}

    with place.store.client() as client:
        client.set(key, owner + digest, px=600_000)
        client.save()
        assert files_with_it() == {".aof", ".rdb"}
        client.set(key, f"{owner}nobody", keepttl=True)
        for line in block.splitlines():
            done = place.play(line)
            assert done.returncode == 0, (line, done)
        client.delete(key)

    assert done.stdout.count(":ok") == 2
    assert files_with_it() == set()


def test_runbook_has_a_section_for_every_alert() -> None:
    """Whoever is woken finds a symptom, what to look at and what to do."""
    alerts = re.findall(
        r"- alert: (\w+)", (DEPLOY / "prometheus" / "alerts.yml").read_text(), re.MULTILINE
    )
    parts = re.findall(r"^## (Leasehold\w+)\n(.*?)(?=^##? )", RUNBOOK, re.MULTILINE | re.DOTALL)
    sections = dict(parts)

    assert set(sections) == set(alerts)
    for name, text in sections.items():
        assert re.findall(r"^\*\*(\w+)\.\*\*", text, re.MULTILINE) == [
            "Symptom",
            "Check",
            "Action",
        ], name


def test_runbook_plans_with_the_figures_of_the_benchmarks() -> None:
    """Each figure is that of the row it names, give or take a fifth."""
    rows = re.findall(r"^\| ([^|]+) \| ([\d ]+) \| ([^|]+) \|$", RUNBOOK, re.MULTILINE)
    assert len(rows) == 5
    columns = {"a second": 1, "µs": 3, "bytes": 1}
    for what, figure, row in rows:
        (column,) = (number for unit, number in columns.items() if what.endswith(unit))
        found = re.search(rf"^\| {re.escape(row)} \| \d.*$", BENCHMARKS, re.MULTILINE)
        assert found, row
        cell = found[0].strip("| ").split(" | ")[column]
        measured = float(re.sub(r"\(.*|\s", "", cell))
        assert abs(float(figure.replace(" ", "")) / measured - 1) <= 0.2, (what, measured)
