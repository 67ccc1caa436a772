"""Growth: what a fresh lease costs beside many others, and with more service processes."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial

from tests.benchmarks import bodies, subjects
from tests.benchmarks.bodies import MERCHANTS, Leases
from tests.benchmarks.ours import FreshLease
from tests.benchmarks.processes import BenchError
from tests.benchmarks.results import Filled
from tests.benchmarks.subjects import Bench, Entry, Subject
from tests.clusters import Cluster, cluster
from tests.servers import TESTER, RedisServer
from tests.service import Service, serving

from leasehold.model.lease import LeaseTerms
from leasehold.store import keys, scripts

SIZES = (1000, 100_000, 10_000_000)
PROCESSES = {1: "one service process", 2: "two service processes", 4: "four service processes"}
SHARDS = {1: "on one cluster shard", 3: "on three cluster shards"}
# Larger stores take minutes to fill, and hardly notice the leases that a round adds.
_REFILLED_UP_TO = 200_000
_CHUNK = 5000
# What fills a store must outlast the run, so it is held for longer than a service would grant.
_FILL_FOR_MS = 6 * 3_600_000
_ANSWER = b"\r\n$7\r\ncreated\r\n"


Tell = Callable[[str], None]


class FillCommands:
    """What makes leases through the real script, quickly: the store's own command as a pattern."""

    def __init__(self, leases: Leases, longer_ms: int = _FILL_FOR_MS) -> None:
        """Take what the store sends for one lease, and leave out what tells it from others.

        What is left out has the same length in all of them, so the lengths beside it stay true.
        All are held for ``longer_ms`` longer than they ask.
        """
        self._leases = leases
        command = leases.command(0)
        asked_ms = str(command.asked_expires_ms)
        later_ms = str(command.asked_expires_ms + longer_ms)
        words = bodies.create_lease_words(command, _long_terms())
        words = [later_ms if word == asked_ms else word for word in words]
        packed = b"".join(b"$%d\r\n%b\r\n" % (len(word), word.encode()) for word in words)
        pattern = b"*%d\r\n%b" % (len(words), packed.replace(b"%", b"%%"))
        for text, field in (
            (command.lease_suffix, b"%(suffix)026d"),
            (leases.reference(0), b"%(reference)036d"),
            (leases.merchant(0), b"salon-%(merchant)05d"),
            (keys.start_text(leases.start_of(0)), b"%(start)b"),
            (str(command.slot.start_ms), b"%(start_ms)d"),
        ):
            assert text.encode() in pattern
            pattern = pattern.replace(text.encode(), field)
        self._pattern = pattern

    def command(self, number: int) -> bytes:
        """Return the command for one lease, as Redis reads it."""
        start_s = self._leases.start_of(number)
        return self._pattern % {
            b"suffix": number,
            b"reference": number,
            b"merchant": number % MERCHANTS,
            b"start": keys.start_text(start_s).encode(),
            b"start_ms": start_s * 1000,
        }


def fill(store: RedisServer, count: int, tell: Tell, ends_at_s: int | None = None) -> None:
    """Make so many leases, of the first slots. Raises BenchError for any other answer.

    They outlast the run, or end in the same second.
    """
    with store.client() as client:
        client.script_load(scripts.load("create_lease").source)
    if ends_at_s is None:
        commands = FillCommands(Leases.from_now())
    else:
        commands = FillCommands(Leases(bodies.first_start_s(), ends_at_s), 0)
    with socket.create_connection(("127.0.0.1", store.port)) as connection:
        if store.has_users:
            connection.sendall(f"AUTH {TESTER} {TESTER}\r\n".encode())
            assert connection.recv(16) == b"+OK\r\n"
        for start in range(0, count, _CHUNK):
            numbers = range(start, min(start + _CHUNK, count))
            connection.sendall(b"".join(map(commands.command, numbers)))
            _read(connection, len(numbers))
            tell(f"filling a store: {numbers.stop:,} of {count:,} leases")


def _read(connection: socket.socket, count: int) -> None:
    """Read so many answers; each is a word and two numbers, and so has five line ends."""
    answers = b""
    while answers.count(b"\r\n") < 5 * count:
        received = connection.recv(1 << 20)
        if not received or b"\r\n-" in received or received.startswith(b"-"):
            raise BenchError(f"the store does not fill: {received[:200]!r}")
        answers += received
    if answers.count(_ANSWER) != count:
        raise BenchError(f"the store does not fill: {answers[:200]!r}")


def _long_terms() -> LeaseTerms:
    return replace(bodies.terms(), max_lease_ms=2 * _FILL_FOR_MS)


class CrowdedLease(FreshLease):
    """A fresh lease beside so many others."""

    def __init__(
        self, bench: Bench, services: list[Service], store: RedisServer, live: int, tell: Tell
    ) -> None:
        super().__init__(bench, services, store)
        self._live = live
        self._tell = tell
        self._next = live
        self.filled = self._fill()

    def _fill(self) -> Filled:
        with self.store.client() as client:
            client.flushall(asynchronous=False)
        before = subjects.live_bytes(self.store)
        fill(self.store, self._live, self._tell)
        taken = subjects.live_bytes(self.store) - before
        return Filled(
            leases=self._live, bytes_per_lease=taken / self._live, bytes_in_all=before + taken
        )

    def clear(self) -> None:
        """Take away what the last round has added, where that is quick and makes a difference."""
        if self._live <= _REFILLED_UP_TO and self._next != self._live:
            self._fill()
            self._next = self._live

    def prepare_calls(self, leases: Leases, requests: int) -> None:
        """Ask for slots behind those that are taken."""
        self.write(leases.lease_requests(self._next, requests))
        self._next += requests


class ShardedLease(FreshLease):
    """A fresh lease on a cluster; the store's CPU is that of all shards together."""

    def __init__(self, bench: Bench, services: list[Service], group: Cluster) -> None:
        super().__init__(bench, services, group.servers[0])
        self._group = group
        self.store_pids = tuple(server.pid for server in group.servers)

    def clear(self) -> None:
        """Empty every shard."""
        for server in self._group.servers:
            with server.client() as client:
                client.flushall(asynchronous=False)

    def memory_bytes(self) -> int:
        """Return what the leases take on all shards."""
        return sum(map(subjects.live_bytes, self._group.servers))


def entries(
    bench: Bench, store_name: str, sizes: tuple[int, ...], filled: list[Filled], tell: Tell
) -> list[Entry]:
    """List a subject for every size, every number of processes and every number of shards.

    Each of a size has a store and a service of its own; what filling showed is added to
    ``filled``.
    """

    @contextmanager
    def crowded(live: int) -> Iterator[Subject]:
        with ExitStack() as stack:
            store = stack.enter_context(RedisServer(store_name, has_users=False))
            service = stack.enter_context(serving(REDIS_URL=store.url))
            subject = CrowdedLease(bench, [service], store, live, tell)
            filled.append(subject.filled)
            yield subject

    @contextmanager
    def spread(count: int) -> Iterator[Subject]:
        with ExitStack() as stack:
            store = stack.enter_context(RedisServer(store_name, has_users=False))
            services = [stack.enter_context(serving(REDIS_URL=store.url)) for _ in range(count)]
            yield FreshLease(bench, services, store)

    @contextmanager
    def sharded(count: int) -> Iterator[Subject]:
        with ExitStack() as stack:
            group = stack.enter_context(cluster(store_name, shards=count, replicas=0))
            yield ShardedLease(bench, [stack.enter_context(serving(REDIS_URL=group.url))], group)

    return [
        *(
            Entry(f"live_{live}", f"beside {live:,} live leases", partial(crowded, live))
            for live in sizes
        ),
        *(
            Entry(f"processes_{count}", f"by {title}", partial(spread, count))
            for count, title in PROCESSES.items()
        ),
        *(
            Entry(f"shards_{count}", title, partial(sharded, count))
            for count, title in SHARDS.items()
        ),
    ]
