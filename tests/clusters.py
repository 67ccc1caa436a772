"""A cluster of real servers for tests; every node is a process of its own, as in topologies.py."""

import contextlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import redis
from redis.crc import key_slot
from tests.servers import LOGIN, TESTER, RedisServer, check_ttls, poll
from tests.topologies import HEALTH_TIMEOUT_S, ask, info, is_primary

SLOTS = 16_384


@dataclass
class Migration:
    """One hash slot on its way from its owner to another primary, step by step."""

    cluster: "Cluster"
    slot: int
    source: RedisServer
    target: RedisServer

    def begin(self) -> None:
        """Tell both sides; from now on ASK and TRYAGAIN may be answered."""
        source_id, target_id = self.cluster.id_of(self.source), self.cluster.id_of(self.target)
        ask(self.target, "CLUSTER", "SETSLOT", self.slot, "IMPORTING", source_id)
        ask(self.source, "CLUSTER", "SETSLOT", self.slot, "MIGRATING", target_id)

    def keys(self, count: int = 1000) -> list[str]:
        """Return keys of the slot that are still with the source."""
        found: list[str] = ask(self.source, "CLUSTER", "GETKEYSINSLOT", self.slot, count)
        return found

    def move(self, keys: Iterable[str]) -> None:
        """Move these keys."""
        for key in keys:
            login = ("AUTH2", TESTER, TESTER)
            ask(self.source, "MIGRATE", "127.0.0.1", self.target.port, key, 0, 5000, *login)

    def move_all(self) -> None:
        """Move keys until none is left with the source."""
        while keys := self.keys():
            self.move(keys)

    def finish(self) -> None:
        """Make the target the owner; the others hear of it."""
        target_id = self.cluster.id_of(self.target)
        for server in (self.target, self.source, *self.cluster.primaries):
            with contextlib.suppress(redis.ConnectionError):
                ask(server, "CLUSTER", "SETSLOT", self.slot, "NODE", target_id)

    def abandon(self) -> None:
        """Leave the slot where it was; what has been moved is not moved back."""
        for server in (self.target, self.source):
            ask(server, "CLUSTER", "SETSLOT", self.slot, "STABLE")


@dataclass
class Cluster:
    """A cluster of shards, each a primary and its replicas."""

    servers: list[RedisServer]
    """The primaries of the beginning first, then their replicas in the same order."""
    _ids: dict[int, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Return the address as the service takes it: the primaries of the beginning."""
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in self.servers[:3])
        return f"redis+cluster://{LOGIN}{hosts}"

    @property
    def nodes(self) -> list[RedisServer]:
        """Return every process."""
        return self.servers

    @property
    def primaries(self) -> list[RedisServer]:
        """Return the primaries that answer and own slots, as the nodes see it now."""
        owners = set(self.owners().values())
        return [server for server in self.servers if server.port in owners and is_primary(server)]

    @property
    def replicas(self) -> list[RedisServer]:
        """Return every server that is no primary, those that do not answer included."""
        primaries = self.primaries
        return [server for server in self.servers if server not in primaries]

    def id_of(self, server: RedisServer) -> str:
        """Return the node's id, which it keeps for its life."""
        if server.port not in self._ids:
            self._ids[server.port] = str(ask(server, "CLUSTER", "MYID"))
        return self._ids[server.port]

    def owners(self, seen_by: RedisServer | None = None) -> dict[range, int]:
        """Return the port of the primary for each range of slots, as one node sees it."""
        for server in [seen_by] if seen_by else self.servers:
            with contextlib.suppress(redis.RedisError, OSError):
                found = ask(server, "CLUSTER", "SLOTS")
                return {range(low, high + 1): p[1] for low, high, p, *_ in sorted(found)}
        return {}

    def owner_of(self, slot_or_key: int | str) -> RedisServer:
        """Return the primary that owns a hash slot, or the slot of a key, now."""
        slot = self.slot_of(slot_or_key) if isinstance(slot_or_key, str) else slot_or_key
        port = next(port for slots, port in self.owners().items() if slot in slots)
        return next(server for server in self.servers if server.port == port)

    def slot_of(self, key: str) -> int:
        """Return the hash slot of a key."""
        return int(key_slot(key.encode()))

    def replicas_of(self, primary: RedisServer) -> list[RedisServer]:
        """Return the replicas that follow a primary, as they say."""
        return [
            server
            for server in self.servers
            if info(server, "replication").get("master_port") == primary.port
        ]

    def fail_over(self, primary: RedisServer, *options: str) -> RedisServer:
        """Let a replica take over from its primary (``FORCE``, ``TAKEOVER``); return it."""
        replica = self.replicas_of(primary)[0]

        def is_done() -> bool:
            with contextlib.suppress(redis.RedisError):
                ask(replica, "CLUSTER", "FAILOVER", *options)
            return is_primary(replica)

        poll("the replica takes over", is_done, HEALTH_TIMEOUT_S)
        return replica

    def wait_for_takeover(self, old: RedisServer) -> None:
        """Wait until a primary that was killed or paused owns nothing in anybody's eyes."""
        others = [it for it in self.servers if it is not old and it.is_running]
        poll(
            "a replica has taken over",
            lambda: all(
                (owners := self.owners(it)) and old.port not in owners.values() for it in others
            ),
            HEALTH_TIMEOUT_S,
        )

    def migration(self, slot: int, target: RedisServer | None = None) -> Migration:
        """Return the move of a slot to another primary, not begun."""
        source = self.owner_of(slot)
        others = [server for server in self.primaries if server is not source]
        return Migration(self, slot, source, target or others[0])

    def move_slot(self, slot: int, target: RedisServer | None = None) -> RedisServer:
        """Move a hash slot with all its keys; return its new owner."""
        migration = self.migration(slot, target)
        migration.begin()
        migration.move_all()
        migration.finish()
        return migration.target

    def add_primary(self, server: RedisServer) -> None:
        """Take a started, empty server in; it owns no slot until some are moved to it."""
        ask(self.servers[0], "CLUSTER", "MEET", "127.0.0.1", server.port)
        self.servers.append(server)
        poll("the new node is known", self._all_know_all, HEALTH_TIMEOUT_S)

    def wait_until_healthy(self) -> None:
        """Wait until all that run agree on who owns what, and every replica keeps up."""
        poll("the cluster is well", self._is_healthy, HEALTH_TIMEOUT_S)

    def _running(self) -> list[RedisServer]:
        return [server for server in self.servers if server.is_running]

    def _all_know_all(self) -> bool:
        return all(
            _cluster_info(server).get("cluster_known_nodes") == str(len(self.servers))
            for server in self._running()
        )

    def _is_healthy(self) -> bool:
        running = self._running()
        views = [self.owners(server) for server in running]
        owners = set(views[0].values())
        return (
            all(view == views[0] for view in views)
            and sum(map(len, views[0])) == SLOTS
            and owners <= {server.port for server in running}
            and all(_cluster_info(it).get("cluster_state") == "ok" for it in running)
            and all(_keeps_up(it) for it in running if it.port not in owners)
        )


def _cluster_info(server: RedisServer) -> dict[str, str]:
    with contextlib.suppress(redis.RedisError, OSError):
        lines = str(ask(server, "CLUSTER", "INFO")).split()
        return dict(line.split(":", 1) for line in lines)
    return {}


def _keeps_up(server: RedisServer) -> bool:
    """Tell whether a node is a replica in step, or a primary that owns nothing."""
    found = info(server, "replication")
    return found.get("role") == "master" or found.get("master_link_status") == "up"


@contextmanager
def cluster(
    name: str,
    *arguments: str,
    shards: int = 3,
    replicas: int = 1,
    node_timeout_ms: int = 1000,
    full_coverage: bool = True,
) -> Iterator[Cluster]:
    """Run a cluster; healthy when it is handed over.

    ``name`` is a binary as tests/servers.py knows it, ``valkey9`` or ``redis7`` (Redis 6.2 lacks
    ADDSLOTSRANGE); ``arguments`` go to every server. ``replicas`` is their number for each shard.
    At the end no key without a TTL may be on any primary that is left.
    """
    options = (
        *("--cluster-enabled", "yes", "--cluster-node-timeout", str(node_timeout_ms)),
        *("--cluster-require-full-coverage", "yes" if full_coverage else "no"),
        *("--repl-diskless-sync-delay", "0", "--cluster-replica-validity-factor", "0"),
        *arguments,
    )
    with ExitStack() as stack:
        count = shards * (1 + replicas)
        servers = [stack.enter_context(RedisServer(name, options)) for _ in range(count)]
        group = Cluster(servers)
        form(group, shards)
        group.wait_until_healthy()
        # Servers that a test has added are its own to end.
        yield group
        for server in group.primaries:
            check_ttls(server.tester_url)


def form(group: Cluster, shards: int) -> None:
    """Make a cluster of servers that run and know nothing yet."""
    first, *rest = group.servers
    for server in rest:
        ask(first, "CLUSTER", "MEET", "127.0.0.1", server.port)
    primaries, replicas = group.servers[:shards], group.servers[shards:]
    for number, server in enumerate(primaries):
        low, high = number * SLOTS // shards, (number + 1) * SLOTS // shards - 1
        ask(server, "CLUSTER", "ADDSLOTSRANGE", low, high)
    poll("the nodes know each other", group._all_know_all, HEALTH_TIMEOUT_S)
    for number, server in enumerate(replicas):
        _until_taken(server, "CLUSTER", "REPLICATE", group.id_of(primaries[number % shards]))


def _until_taken(server: RedisServer, *words: str | int) -> None:
    """Ask until it is not refused: gossip may be a moment behind."""

    def is_taken() -> bool:
        with contextlib.suppress(redis.ResponseError):
            ask(server, *words)
            return True
        return False

    poll(f"{words[1]} is taken", is_taken)
