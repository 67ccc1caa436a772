"""The no-op by h2load, with one fixed body: another view of our own generator."""

import re
import shutil
import subprocess

from tests.benchmarks.bodies import CREATE_LEASE, Leases
from tests.benchmarks.generator import CONNECTIONS, STREAMS
from tests.benchmarks.processes import BenchError, MissingError
from tests.benchmarks.subjects import Bench, Subject, Work
from tests.service import Service

_DONE = re.compile(r"requests: (\d+) total, \1 started, \1 done, \1 succeeded,")
_RATE = re.compile(r"finished in .*, ([\d.]+) req/s,")


class NoOpByH2load(Subject):
    """The same no-op; h2load sees only HTTP, so the answers are not checked."""

    has_rates = False

    def __init__(self, bench: Bench, service: Service) -> None:
        if not shutil.which("h2load"):
            raise MissingError("no h2load (Debian: nghttp2-client)")
        self._body = bench.folder / "h2load.body"
        self._url = f"http://{service.address}{CREATE_LEASE}"
        self._requests = 0
        self.server_pids = (service.process.pid,)

    def prepare(self, requests: int) -> None:
        """Write the body."""
        (message,) = Leases.from_now().lease_requests(0, 1)
        self._body.write_bytes(b"\0" + len(message).to_bytes(4, "big") + message)
        self._requests = requests

    def work(self, seconds: float, rate: float) -> Work:
        """Run h2load; it takes a number of requests instead of a time."""
        del seconds, rate
        command = ["h2load", "-n", str(self._requests), "-c", str(CONNECTIONS)]
        command += ["-m", str(STREAMS), "-d", str(self._body), self._url]
        for header in ("content-type: application/grpc", "te: trailers", "grpc-timeout: 20S"):
            command += ["-H", header]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        requests, per_s = _DONE.search(done.stdout), _RATE.search(done.stdout)
        if not requests or not per_s:
            raise BenchError(f"h2load: {done.stdout[-400:]} {done.stderr}")
        return Work(int(requests[1]), int(requests[1]) / float(per_s[1]))
