"""A Prometheus of the test's own, on a free port of 127.0.0.1, with its data in a folder."""

import json
import re
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.servers import binary, free_port, poll

ROOT = Path(__file__).parents[1]
RULES = ROOT / "deploy" / "prometheus"


class Prometheus:
    """A server that runs, and its HTTP API."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._url = f"http://127.0.0.1:{port}"

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the series that an expression gives now; fail if it is none."""
        found = self._ask("/api/v1/query", query=expression)
        if isinstance(found, str):
            pytest.fail(f"{expression}\n{found}")
        return list(found["result"])

    def rules(self, kind: str) -> list[dict[str, Any]]:
        """Return all rules of a kind, ``alert`` or ``record``, with what became of them."""
        groups = self._ask("/api/v1/rules", type=kind)["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def is_ready(self) -> bool:
        """Tell whether it answers questions."""
        try:
            with urllib.request.urlopen(f"{self._url}/-/ready", timeout=5) as response:  # noqa: S310
                return bool(response.status == 200)
        except OSError:
            return False

    def _ask(self, path: str, **parameters: str) -> Any:
        """Return the data of an answer, or the text of an error."""
        url = f"{self._url}{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310
                return json.load(response)["data"]
        except urllib.error.HTTPError as error:
            with error:
                return error.read().decode()


def hurried(folder: Path) -> list[Path]:
    """Write the project's rules into a folder with seconds in the place of minutes."""
    found = []
    for name in ("rules.yml", "alerts.yml"):
        text = re.sub(r"\b(\d+)m\b", r"\1s", (RULES / name).read_text())
        (folder / name).write_text(text)
        found.append(folder / name)
    return found


@contextmanager
def scraping(
    folder: Path, targets: Sequence[str], rules: Sequence[Path] = ()
) -> Iterator[Prometheus]:
    """Run a Prometheus with the project's rules, which looks much more often than a real one."""
    program, port = binary("prometheus"), free_port()
    rules = rules or (RULES / "rules.yml", RULES / "alerts.yml")
    config = {
        "global": {"scrape_interval": "200ms", "evaluation_interval": "200ms"},
        "rule_files": [str(path) for path in rules],
        "scrape_configs": [
            {"job_name": "leasehold", "static_configs": [{"targets": list(targets)}]}
        ],
    }
    (folder / "prometheus.yml").write_text(json.dumps(config))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                program,
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        prometheus = Prometheus(port)
        poll("Prometheus answers", prometheus.is_ready)
        assert process.poll() is None, (folder / "log").read_text()
        yield prometheus
    finally:
        process.terminate()
        process.wait(20)


def promtool(*arguments: str | Path, told: str | None = None) -> None:
    """Run promtool, in the folder of the rules; fail unless it finds nothing to say against."""
    done = subprocess.run(
        [binary("promtool"), *arguments],
        cwd=RULES,
        input=told,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
