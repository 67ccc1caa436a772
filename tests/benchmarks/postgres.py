"""PostgreSQL: insert a hold unless the slot has one that has not expired, by pgbench."""

import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.histogram import Histogram
from tests.benchmarks.processes import BenchError, MissingError
from tests.benchmarks.subjects import Subject, Work

CLIENTS = 32
_TABLE = """
CREATE TABLE hold (slot text PRIMARY KEY, lease text NOT NULL, expires_at timestamptz NOT NULL);
"""
# No other colons: pgbench takes what follows one for a variable, even inside quotes.
_INSERT_IF_FREE = """\
\\set number random(1, 1000000000000000)
INSERT INTO hold VALUES
  ('salon-00001/haircut/20261201T100000Z/PT30M/anna/' || :number::bigint,
   'lease ' || :number::bigint, now() + interval '600 s')
ON CONFLICT (slot) DO UPDATE SET lease = excluded.lease, expires_at = excluded.expires_at
WHERE hold.expires_at <= now();
"""
_DONE = re.compile(r"number of transactions actually processed: (\d+)")
_RATE = re.compile(r"tps = ([\d.]+) \(without initial connection time\)")


@dataclass(frozen=True, slots=True)
class Cluster:
    """A server of this run's own; it listens on a socket in its folder and nowhere else."""

    programs: Path
    folder: Path
    user: str | None
    """Whom the programs run as; None for whoever runs the benchmark."""
    pid: int

    def run(self, program: str, *arguments: str) -> str:
        """Run a client and return what it prints."""
        command = [str(self.programs / program), "--host", str(self.folder), "--username", "bench"]
        done = subprocess.run(
            [*command, *arguments, "postgres"],
            cwd=self.folder,
            user=self.user,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise BenchError(f"{program}: {done.stderr.strip()}")
        return done.stdout


class PostgresHold(Subject):
    """A row for each hold."""

    def __init__(self, cluster: Cluster, *, waits_for_disk: bool) -> None:
        self._cluster = cluster
        self._commit = "on" if waits_for_disk else "off"
        self.store_pids = (cluster.pid,)

    def prepare(self, requests: int) -> None:
        """Empty the table; pgbench makes its keys itself."""
        del requests
        for statement in (
            "TRUNCATE hold",
            "CHECKPOINT",
            f"ALTER SYSTEM SET synchronous_commit = {self._commit}",
            "SELECT pg_reload_conf()",
        ):
            self._cluster.run("psql", "--quiet", "--command", statement)

    def work(self, seconds: float, rate: float) -> Work:
        """Run pgbench; at a rate it counts latencies from the time that was due."""
        script = self._cluster.folder / "insert.sql"
        log = self._cluster.folder / "latencies"
        arguments = ["--no-vacuum", "--client", str(CLIENTS), "--jobs", "1"]
        arguments += ["--protocol", "prepared", "--time", str(max(1, round(seconds)))]
        arguments += ["--rate", str(rate)] if rate else []
        arguments += ["--log", "--log-prefix", str(log), "--file", str(script)]
        printed = self._cluster.run("pgbench", *arguments)
        requests, per_s = _DONE.search(printed), _RATE.search(printed)
        if not requests or not per_s:
            raise BenchError(f"pgbench says: {printed}")
        return Work(int(requests[1]), int(requests[1]) / float(per_s[1]), _latencies(log))

    def check(self, work: Work) -> None:
        """Count the rows; a number drawn twice is one row less."""
        told = self._cluster.run("psql", "--tuples-only", "--command", "SELECT count(*) FROM hold")
        if int(told) < 0.999 * work.requests:
            raise BenchError(f"{work.requests} holds are {int(told)} rows")


def _latencies(log: Path) -> Histogram:
    """Read pgbench's own log, whose third column is a latency in microseconds."""
    values_ns: list[int] = []
    for path in log.parent.glob(f"{log.name}.*"):
        lines = path.read_text(encoding="ascii").splitlines()
        values_ns += [int(line.split(" ", 3)[2]) * 1000 for line in lines]
        path.unlink()
    return Histogram.of(values_ns)


def _programs() -> Path:
    """Find the folder of the server's programs, which Debian keeps off the path."""
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        raise MissingError("no PostgreSQL (Debian: postgresql)")
    return found[-1].parent


def _user() -> str | None:
    """Return whom to run as: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        raise MissingError("PostgreSQL does not run as root, and no user is postgres") from None


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Start a server with Debian's settings and nothing in it."""
    programs, user = _programs(), _user()
    # In a folder of its own, because its user may not look into ours.
    with tempfile.TemporaryDirectory(prefix="leasehold-pg-") as name:
        folder = Path(name)
        if user:
            shutil.chown(folder, user)
        initdb = [str(programs / "initdb"), "--pgdata", str(folder / "data")]
        subprocess.run(
            [
                *initdb,
                "--username",
                "bench",
                "--auth",
                "trust",
                "--encoding",
                "UTF8",
                "--no-locale",
            ],
            cwd=folder,
            user=user,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        (folder / "insert.sql").write_text(_INSERT_IF_FREE)
        (folder / "insert.sql").chmod(0o644)
        server = [str(programs / "postgres"), "-D", str(folder / "data")]
        server += ["-k", name, "-c", "listen_addresses="]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(server, cwd=folder, user=user, stdout=log, stderr=log)
        try:
            running = Cluster(programs, folder, user, process.pid)
            _wait(running, process)
            running.run("psql", "--quiet", "--command", _TABLE)
            yield running
        finally:
            process.terminate()
            process.wait()


def _wait(running: Cluster, process: subprocess.Popen[bytes]) -> None:
    ready = subprocess.run(
        [running.programs / "pg_isready", "--quiet", "--host", running.folder],
        check=False,
    )
    while ready.returncode:
        if process.poll() is not None:
            raise BenchError((running.folder / "log").read_text())
        ready = subprocess.run(ready.args, check=False)


def version() -> str:
    """Return PostgreSQL's version. Raises MissingError."""
    told = subprocess.run(
        [_programs() / "postgres", "--version"], capture_output=True, text=True, check=True
    )
    return told.stdout.split()[2]
