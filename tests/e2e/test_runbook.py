"""docs/runbook.md: every alert has its section, and every command there works."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.certificates import authority
from tests.deploy.deployed_store import DEPLOY, DeployedStore, make_passwords
from tests.servers import binary, free_port, poll
from tests.service import Service, environment, serving

ROOT = DEPLOY.parent
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
# Spaces within numbers are narrow ones there.
BENCHMARKS = re.sub(r"[^\S\n]", " ", (ROOT / "docs" / "benchmarks.md").read_text())
PREAMBLE, *BLOCKS = re.findall(r"^```sh\n(.*?)^```", RUNBOOK, re.MULTILINE | re.DOTALL)


class Place:
    """A checkout with its secrets beside a running store and service, as the runbook assumes."""

    def __init__(self, folder: Path, store: DeployedStore, service: Service) -> None:
        self.folder, self.store = folder, store
        self._settings = {
            "LISTEN": service.address,
            "OPS_LISTEN": str(service.told["ops_listen"]),
            "REDIS_URL": f"redis://leasehold@127.0.0.1:{store.port}/0",
            "REDIS_PASSWORD_FILE": str(folder / "deploy" / "secrets" / "leasehold"),
        }
        self._other_port = free_port()

    def play(self, text: str) -> subprocess.CompletedProcess[str]:
        """Run something of the runbook in a shell, at this test's addresses."""
        here = (PREAMBLE + text).replace(
            "redis.internal -p 6379", f"127.0.0.1 -p {self.store.port}"
        )
        here = here.replace("127.0.0.1:9464", self._settings["OPS_LISTEN"])
        here = here.replace("127.0.0.1:50051", self._settings["LISTEN"])
        # The server that reads a copy must not be older than the one that wrote it.
        folders = [binary("redis7").parent, Path(sys.executable).parent, binary("redis62").parent]
        return subprocess.run(
            ["sh", "-c", here.replace("6380", str(self._other_port))],
            env={
                **environment(**self._settings),
                "PATH": os.pathsep.join([*map(str, folders), os.environ["PATH"]]),
            },
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """What the runbook's commands work on."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(DEPLOY / "redis", folder / "deploy" / "redis")
    make_passwords(folder / "deploy" / "secrets")
    certificate, key = authority(folder).issue("server")
    certificate.rename(folder / "server.pem")
    tls = {"TLS_CERT_FILE": str(folder / "server.pem"), "TLS_KEY_FILE": str(key)}
    with DeployedStore("redis7", secrets=folder / "deploy" / "secrets") as store:
        url = f"redis://leasehold@127.0.0.1:{store.port}/0"
        with serving(REDIS_URL=url, REDIS_PASSWORD_FILE=store.password_file, **tls) as service:
            poll("ready", lambda: service.http("/readyz")[0] == 200)
            yield Place(folder, store, service)


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
