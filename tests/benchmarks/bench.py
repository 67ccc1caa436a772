"""Who is compared: every subject of ``make bench``, with what it needs."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache

from tests.benchmarks import etcd, ours
from tests.benchmarks.bare_redis import BareRedis, BareScript, BareSet, bare
from tests.benchmarks.h2load import NoOpByH2load
from tests.benchmarks.ours import NoOp, OurCall, PlainPeer
from tests.benchmarks.postgres import PostgresHold, cluster
from tests.benchmarks.subjects import Bench, Entry, Subject
from tests.servers import RedisServer
from tests.service import Service

Maker = Callable[[], Subject]

# As in gRPC's examples, where 8 and 16 were the fastest of a few; and one for each call on its way.
FEW, MANY = "10", "64"


class _NoOp(Service):
    program = ("tests.benchmarks.noop", "serve")


class _Peer(Service):
    program = ("tests.benchmarks.plain_peer",)


@dataclass(frozen=True, slots=True)
class Servers:
    """What several subjects share."""

    store: RedisServer
    service: Service
    noop: Service
    peer: Service
    threaded_peer: Service


@contextmanager
def servers(store_name: str) -> Iterator[Servers]:
    """Start Redis, our service, the no-op and the plain peer, each as a process."""
    with ExitStack() as stack:
        store = stack.enter_context(RedisServer(store_name, has_users=False))

        def start(kind: type[Service], *arguments: str) -> Service:
            service = stack.enter_context(closing(kind(*arguments, REDIS_URL=store.url)))
            service.wait_until_serving()
            return service

        yield Servers(
            store=store,
            service=start(Service),
            noop=start(_NoOp),
            peer=start(_Peer, FEW),
            threaded_peer=start(_Peer, MANY),
        )


def entries(bench: Bench, at: Servers, stack: ExitStack) -> list[Entry]:
    """List every subject, in the order of the table."""
    # Started for the first who asks, and kept for the others.
    postgres = cache(lambda: stack.enter_context(cluster()))

    def our(kind: type[OurCall]) -> Maker:
        return lambda: kind(bench, [at.service], at.store)

    def redis(kind: type[BareRedis], *, pipelined: bool = False) -> Maker:
        return lambda: bare(at.store, kind, pipelined=pipelined)

    def hold(*, waits: bool) -> Maker:
        return lambda: PostgresHold(postgres(), waits_for_disk=waits)

    def ready(name: str, title: str, make: Maker) -> Entry:
        return Entry(name, title, lambda: nullcontext(make()))

    return [
        ready("create_lease_fresh", "CreateLease, fresh", our(ours.FreshLease)),
        ready("create_lease_replayed", "CreateLease, replayed", our(ours.ReplayedLease)),
        ready("create_lease_refused", "CreateLease, refused", our(ours.RefusedLease)),
        ready("create_booking_leased", "CreateBooking with a lease", our(ours.LeasedBooking)),
        ready("check_availability", "CheckAvailability", our(ours.Availability)),
        ready("noop", "no-op RPC on the same stack", lambda: NoOp(bench, at.noop)),
        ready("noop_h2load", "no-op RPC, called by h2load", lambda: NoOpByH2load(bench, at.noop)),
        ready(
            "plain_peer",
            f"plain peer, {FEW} threads",
            lambda: PlainPeer(bench, at.peer, at.store),
        ),
        ready(
            "plain_peer_threaded",
            f"plain peer, {MANY} threads",
            lambda: PlainPeer(bench, at.threaded_peer, at.store),
        ),
        Entry("etcd", "etcd (LeaseGrant, then Txn)", lambda: etcd.etcd(bench)),
        ready("postgres", "PostgreSQL (insert if free)", hold(waits=True)),
        ready("postgres_async", "PostgreSQL, not waiting for the disk", hold(waits=False)),
        ready("bare_evalsha", "bare EVALSHA of create_lease", redis(BareScript)),
        ready("bare_set", "bare SET NX PXAT", redis(BareSet)),
        ready(
            "bare_evalsha_pipelined",
            "bare EVALSHA of create_lease, pipelined",
            redis(BareScript, pipelined=True),
        ),
        ready("bare_set_pipelined", "bare SET NX PXAT, pipelined", redis(BareSet, pipelined=True)),
    ]
