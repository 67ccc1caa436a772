"""Redis alone, by redis-benchmark: our script, and the plain SET that it is compared with."""

import csv
import shutil
import subprocess
import time

from tests.benchmarks import bodies, subjects
from tests.benchmarks.bodies import LEASE_FOR_S, Leases
from tests.benchmarks.processes import BenchError, MissingError
from tests.benchmarks.subjects import Subject, Work
from tests.servers import RedisServer

from leasehold.model.lease import CreateLease
from leasehold.model.slot import Slot
from leasehold.store import keys, scripts

CLIENTS = 64
PIPELINE = 16
# redis-benchmark puts twelve random digits wherever this stands.
_RANDOM = "__rand_int__"
_DIGITS = "888888888888"
_RANGE = 2_000_000_000
# So seldom is a number drawn twice.
_LEAST_NEW = 0.999


class BareRedis(Subject):
    """One command, sent by many connections with fresh keys."""

    has_rates = False
    expected_per_s = 50_000.0
    keys_per_call = 1

    def __init__(self, store: RedisServer, *, pipelined: bool) -> None:
        self._store = store
        self._pipeline = PIPELINE if pipelined else 1
        self._requests = 0
        self.store_pids = (store.pid,)

    def words(self) -> list[str]:
        """Return the command."""
        raise NotImplementedError

    def prepare(self, requests: int) -> None:
        """Begin with an empty store that knows the script."""
        with self._store.client() as client:
            client.flushall(asynchronous=False)
            client.script_load(scripts.load("create_lease").source)
        # It sends a whole pipeline at a time, so another number would be exceeded.
        at_a_time = CLIENTS * self._pipeline
        self._requests = -(-requests // at_a_time) * at_a_time

    def work(self, seconds: float, rate: float) -> Work:
        """Run redis-benchmark; it takes a number of requests instead of a time."""
        del seconds, rate
        program = shutil.which("redis-benchmark")
        assert program
        command = [program, "-p", str(self._store.port), "-n", str(self._requests)]
        command += ["-c", str(CLIENTS), "-P", str(self._pipeline), "-r", str(_RANGE), "--csv"]
        done = subprocess.run(
            [*command, *self.words()], capture_output=True, text=True, check=False
        )
        if done.returncode or "rror" in done.stderr:
            raise BenchError(f"redis-benchmark: {done.stdout} {done.stderr}")
        (row,) = csv.DictReader(done.stdout.splitlines())
        return Work(self._requests, self._requests / float(row["rps"]))

    def check(self, work: Work) -> None:
        """Count the keys: each call made its own."""
        made = subjects.live_keys(self._store) / self.keys_per_call
        if not _LEAST_NEW * work.requests <= made <= work.requests:
            raise BenchError(f"{work.requests} calls made {made:.0f} leases")


def _example() -> CreateLease:
    """Return a lease that has the same twelve digits wherever two leases differ."""
    leases = Leases.from_now()
    slot = Slot("salon-00001", "haircut", leases.start_s, 1800, staff_id=_DIGITS)
    return CreateLease(slot, f"00000000-0000-4000-8000-{_DIGITS}", leases.expires_s * 1000)


class BareScript(BareRedis):
    """The script of CreateLease, as the service would send it."""

    keys_per_call = 2

    def words(self) -> list[str]:
        """Return what the store sends, with random digits in keys and values."""
        example = _example()
        words = bodies.create_lease_words(example, bodies.terms())
        suffix = example.lease_suffix
        random_suffix = suffix[: -len(_DIGITS)] + _RANDOM
        return [word.replace(suffix, random_suffix).replace(_DIGITS, _RANDOM) for word in words]


class BareSet(BareRedis):
    """The least that a hold could cost."""

    def words(self) -> list[str]:
        """Return a SET of the key and value that the script would set."""
        example = _example()
        key = keys.spot_key(example.slot, 1).replace(_DIGITS, _RANDOM)
        expires_ms = str((int(time.time()) + LEASE_FOR_S) * 1000)
        return ["SET", key, f"lease {example.lease_suffix}", "NX", "PXAT", expires_ms]


def bare(store: RedisServer, kind: type[BareRedis], *, pipelined: bool) -> BareRedis:
    """Return a subject, if redis-benchmark is there."""
    if not shutil.which("redis-benchmark"):
        raise MissingError("no redis-benchmark (Debian: redis-tools)")
    return kind(store, pipelined=pipelined)
