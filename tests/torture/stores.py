"""The stores to torture: one server, a primary with a replica and Sentinels, or a cluster.

All of them offer the same ways to suffer. What cuts a primary off is its own access list: the
user ``peers``, by which replicas and Sentinels log in, loses every right, and its connections are
killed. So the primary is alone, and still serves whoever it served.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Protocol

import pytest
import redis
from tests import clusters, topologies
from tests.clusters import Cluster
from tests.proxy import Proxy, proxy_to
from tests.servers import RedisServer, running
from tests.topologies import Replicated, ask

_PEERS, _PASSWORD = "peers", "torture"
_USER = ("--user", _PEERS, "on", f">{_PASSWORD}", "~*", "&*", "+@all")
_LONGEST_FAILOVER_S, _BETWEEN_LOOKS_S = 20, 0.2
_PATIENCE = 2
_LOGIN = ("--masteruser", _PEERS, "--masterauth", _PASSWORD)


class Store(Protocol):
    """What the faults need."""

    @property
    def url(self) -> str:
        """Return the address as the service takes it."""

    @property
    def servers(self) -> list[RedisServer]:
        """Return every server that holds data."""

    def primaries(self) -> list[RedisServer]:
        """Return those that take writes now; empty if nobody can tell."""

    def replicas(self) -> list[RedisServer]:
        """Return the others."""

    def cut_off(self, primary: RedisServer) -> None:
        """Keep everybody but the service from a primary."""

    def rejoin(self, primary: RedisServer) -> None:
        """Let them in again."""

    def fail_over(self, primary: RedisServer, how: str) -> None:
        """Ask for another primary; ``how`` is a word that the store knows, or empty."""

    def wait_until_healthy(self) -> None:
        """Wait until all is as it was, with whichever primary."""


@dataclass
class Single:
    """One server behind a proxy, which alone the service reaches."""

    server: RedisServer
    proxy: Proxy
    loop: asyncio.AbstractEventLoop
    """Where the proxy runs; the faults come from a thread."""

    @property
    def url(self) -> str:
        """Return the address of the proxy."""
        return self.proxy.url

    @property
    def servers(self) -> list[RedisServer]:
        """Return the only one."""
        return [self.server]

    def primaries(self) -> list[RedisServer]:
        """Return the only one."""
        return [self.server]

    def replicas(self) -> list[RedisServer]:
        """Return none."""
        return []

    def cut_off(self, _primary: RedisServer) -> None:
        """Keep the service from the server: nothing passes, in either direction."""
        self.loop.call_soon_threadsafe(self.proxy.hold)

    def rejoin(self, _primary: RedisServer) -> None:
        """Pass on what has been held back."""
        self.loop.call_soon_threadsafe(self.proxy.release)

    def fail_over(self, _primary: RedisServer, how: str) -> None:
        """Cut every connection: there is nobody else to take over."""
        assert not how
        self.loop.call_soon_threadsafe(self.proxy.cut)

    def wait_until_healthy(self) -> None:
        """Do nothing: whoever starts it waits for it."""


@dataclass
class Group:
    """A primary with its replica and three Sentinels, or a cluster of three such shards."""

    group: Replicated | Cluster

    @property
    def url(self) -> str:
        """Return the address of the Sentinels, or of some nodes."""
        return self.group.url

    @property
    def servers(self) -> list[RedisServer]:
        """Return every server that holds data."""
        return self.group.servers

    def primaries(self) -> list[RedisServer]:
        """Return those that are primaries in the eyes of the others."""
        return self.group.primaries

    def replicas(self) -> list[RedisServer]:
        """Return the others."""
        return self.group.replicas

    def cut_off(self, primary: RedisServer) -> None:
        """Keep its replica from the primary, and the Sentinels, so that they replace it.

        The nodes of a cluster have a bus of their own, without an access list.
        """
        ask(primary, "ACL", "SETUSER", _PEERS, "-@all")
        ask(primary, "CLIENT", "KILL", "USER", _PEERS)

    def rejoin(self, primary: RedisServer) -> None:
        """Let them in again."""
        ask(primary, "ACL", "SETUSER", _PEERS, "+@all")

    def fail_over(self, primary: RedisServer, how: str) -> None:
        """Ask a Sentinel; or the replica, which can be told FORCE (with votes) or TAKEOVER."""
        if isinstance(self.group, Replicated):
            self._ask_sentinel(self.group)
        else:
            # A replica that is cut off still says whom it follows.
            self.group.fail_over(primary, *([how] if how else []))

    def _ask_sentinel(self, group: Replicated) -> None:
        """Ask until there is another primary: Sentinels accept some failovers and drop them."""
        old, give_up_at_s = group.primaries, time.monotonic() + _LONGEST_FAILOVER_S
        while group.primaries in (old, []) and time.monotonic() < give_up_at_s:
            with contextlib.suppress(redis.ResponseError):
                ask(group.sentinels[0], "SENTINEL", "FAILOVER", group.service)
            time.sleep(_BETWEEN_LOOKS_S)

    def wait_until_healthy(self) -> None:
        """Wait until all replicate and agree, on a busy machine for long."""
        for _ in range(_PATIENCE):
            with contextlib.suppress(pytest.fail.Exception):
                self.group.wait_until_healthy()
                return
        self.group.wait_until_healthy()


@asynccontextmanager
async def single(binary: str, fsync: str) -> AsyncIterator[Store]:
    """Run one server and the proxy before it."""
    with running(binary, *_persistence(fsync)) as server:
        async with proxy_to(server.port) as proxy:
            yield Single(server, proxy, asyncio.get_running_loop())


@contextmanager
def sentinel(binary: str, fsync: str, acks: int) -> Iterator[Store]:
    """Run a primary with a replica and three Sentinels."""
    arguments = (*_persistence(fsync), *_USER, *_LOGIN, *_wants_replicas(acks))
    with topologies.replicated(binary, *arguments) as group:
        for sentinel in group.sentinels:
            for name, value in (("auth-user", _PEERS), ("auth-pass", _PASSWORD)):
                ask(sentinel, "SENTINEL", "SET", group.service, name, value)
        group.wait_until_healthy()
        yield Group(group)


@contextmanager
def shards(binary: str, fsync: str, acks: int) -> Iterator[Store]:
    """Run a cluster of three shards with a replica each."""
    arguments = (*_persistence(fsync), *_USER, *_LOGIN, *_wants_replicas(acks))
    with clusters.cluster(binary, *arguments) as group:
        yield Group(group)


def _persistence(fsync: str) -> tuple[str, ...]:
    return ("--appendonly", "yes", "--appendfsync", fsync)


def _wants_replicas(acks: int) -> tuple[str, ...]:
    return ("--min-replicas-to-write", str(acks), "--min-replicas-max-lag", "2") if acks else ()
