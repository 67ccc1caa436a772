"""Groups of real servers for tests: a primary watched by Sentinels; clusters.py has the clusters.

Every node is a process of its own on 127.0.0.1 that can be killed (``stop``), started again,
paused and resumed as tests/servers.py says. Nothing here waits for a fixed time.
"""

import contextlib
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import redis
from tests.servers import LOGIN, TESTER, RedisServer, check_ttls, poll

SERVICE = "leasehold-test"
HEALTH_TIMEOUT_S = 40
ASK_AGAIN_S = 8.0
BINARIES = ["valkey9", pytest.param("redis7", marks=pytest.mark.long)]
"""Whom a test of minutes runs on; each names a binary as tests/servers.py knows it."""


def ask(server: RedisServer, *words: str | int) -> Any:
    """Ask one node once; raises what redis-py raises."""
    with server.client() as client:
        client.connection_pool.connection_kwargs["socket_timeout"] = 2
        return client.execute_command(*words)


def info(server: RedisServer, section: str) -> dict[str, Any]:
    """Return a section of INFO; empty when the node gives no answer."""
    with contextlib.suppress(redis.RedisError, OSError):
        found: dict[str, Any] = ask(server, "INFO", section)
        return found
    return {}


def is_primary(server: RedisServer) -> bool:
    """Tell whether a node takes itself for a primary, and answers."""
    return info(server, "replication").get("role") == "master"


def has_replicas(primary: RedisServer, count: int) -> bool:
    """Tell whether a primary has so many replicas that keep up with it."""
    found = info(primary, "replication")
    replicas = [found.get(f"slave{number}", {}) for number in range(count)]
    return all(replica.get("state") == "online" for replica in replicas)


def keeps_up(primary: RedisServer) -> bool:
    """Tell whether the replica acknowledges what is written."""
    with primary.client() as client:
        client.set("probe", "1", px=1000)
        return bool(client.wait(1, 100))


def cut_off(replica: RedisServer) -> None:
    """Let a replica follow nobody: it keeps what it has, and gets nothing more."""
    ask(replica, "REPLICAOF", "127.0.0.1", "1")


def follow(primary: RedisServer, replica: RedisServer) -> None:
    """Let a replica follow again, and wait until it does."""
    ask(replica, "REPLICAOF", "127.0.0.1", primary.port)
    poll("the replica follows", lambda: keeps_up(primary))


class SentinelServer(RedisServer):
    """One Sentinel; it keeps what it knows in a file, so it may be stopped and started again."""

    def watch(self, port: int, down_after_ms: int) -> None:
        """Write the file that makes it watch a primary."""
        (self.directory / "sentinel.conf").write_text(
            f"port {self.port}\nbind 127.0.0.1\ndir {self.directory}\n"
            f"sentinel monitor {SERVICE} 127.0.0.1 {port} 2\n"
            f"sentinel down-after-milliseconds {SERVICE} {down_after_ms}\n"
            f"sentinel failover-timeout {SERVICE} 3000\n"
            f"sentinel auth-user {SERVICE} sentinel\n"
            f"sentinel auth-pass {SERVICE} sentinel\n"
            f"user {TESTER} on >{TESTER} ~* &* +@all\n" + "\n".join(self.arguments) + "\n"
        )

    def _options(self) -> list[str]:
        return [str(self.directory / "sentinel.conf"), "--sentinel"]

    def start(self, *, wait: bool = True) -> None:
        """Start, and look around much more often than a Sentinel does by itself."""
        super().start(wait=wait)
        if wait:
            ask(self, "SENTINEL", "DEBUG", "INFO-PERIOD", 200, "PUBLISH-PERIOD", 200)


@dataclass
class Replicated:
    """A primary with its replicas, and the Sentinels that watch them."""

    servers: list[RedisServer]
    """The primary of the beginning first."""
    sentinels: list[SentinelServer]
    service: str = SERVICE

    @property
    def url(self) -> str:
        """Return the address as the service takes it."""
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{LOGIN}{hosts}/{self.service}"

    @property
    def nodes(self) -> list[RedisServer]:
        """Return every process, the Sentinels included."""
        return [*self.servers, *self.sentinels]

    @property
    def primaries(self) -> list[RedisServer]:
        """Return the primary that most Sentinels name now, in a list; empty if they disagree."""
        named = [self._named_by(sentinel) for sentinel in self.sentinels if sentinel.is_running]
        return [it for it in self.servers if named.count(it.port) * 2 > len(self.sentinels)]

    @property
    def primary(self) -> RedisServer:
        """Return the primary that most Sentinels name now."""
        (primary,) = self.primaries
        return primary

    @property
    def replicas(self) -> list[RedisServer]:
        """Return every other server."""
        primaries = self.primaries
        return [server for server in self.servers if server not in primaries]

    def _named_by(self, sentinel: RedisServer) -> int:
        with contextlib.suppress(redis.RedisError, OSError):
            found = ask(sentinel, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.service)
            return int(found[1]) if found else 0
        return 0

    def fail_over(self) -> RedisServer:
        """Let the Sentinels promote a replica while all is well; return the new primary."""
        old, asked_at_s = self.primary, -ASK_AGAIN_S

        def is_done() -> bool:
            nonlocal asked_at_s
            if self._is_led_by_another(old):
                return True
            # A failover can come to nothing, as when the replica has not been heard of for long.
            if time.monotonic() - asked_at_s >= ASK_AGAIN_S:
                asked_at_s = time.monotonic()
                with contextlib.suppress(redis.RedisError):
                    ask(self.sentinels[0], "SENTINEL", "FAILOVER", self.service)
            return False

        poll("another server is the primary", is_done, HEALTH_TIMEOUT_S)
        return self.primary

    def wait_for_new_primary(self, old: RedisServer) -> RedisServer:
        """Wait until another server is the primary; return it."""
        poll(
            "another server is the primary",
            lambda: self._is_led_by_another(old),
            HEALTH_TIMEOUT_S,
        )
        return self.primary

    def _is_led_by_another(self, old: RedisServer) -> bool:
        primaries = self.primaries
        return primaries not in ([old], []) and is_primary(primaries[0])

    def wait_until_healthy(self) -> None:
        """Wait until every server that runs replicates, and every Sentinel knows of it."""
        poll("primary, replicas and Sentinels are well", self._is_healthy, HEALTH_TIMEOUT_S)

    def _is_healthy(self) -> bool:
        count = sum(server.is_running for server in self.servers) - 1
        primaries = self.primaries
        return (
            len(primaries) == 1
            and is_primary(primaries[0])
            and has_replicas(primaries[0], count)
            and all(self._is_informed(it, count) for it in self.sentinels if it.is_running)
        )

    def _is_informed(self, sentinel: RedisServer, replica_count: int) -> bool:
        with contextlib.suppress(redis.RedisError, OSError):
            flat = ask(sentinel, "SENTINEL", "REPLICAS", self.service)
            good = [it for it in map(as_dict, flat) if it["flags"] == "slave"]
            others = ask(sentinel, "SENTINEL", "SENTINELS", self.service)
            known = {int(it["port"]) for it in map(as_dict, others)}
            running = {it.port for it in self.sentinels if it.is_running} - {sentinel.port}
            return len(good) >= replica_count and running <= known
        return False


def as_dict(reply: list[Any]) -> dict[str, Any]:
    """Return names and values that follow each other as a dict."""
    return dict(zip(reply[::2], reply[1::2], strict=True))


@contextmanager
def replicated(
    name: str, *arguments: str, replicas: int = 1, sentinels: int = 3, down_after_ms: int = 800
) -> Iterator[Replicated]:
    """Run a primary with replicas and Sentinels; healthy when it is handed over.

    ``name`` is a binary as tests/servers.py knows it, ``valkey9`` or ``redis7``; ``arguments`` go
    to every data server. At the end no key without a TTL may be on the primary, if there is one.
    """
    with ExitStack() as stack:
        primary = stack.enter_context(RedisServer(name, arguments))
        follow = (*arguments, "--replicaof", f"127.0.0.1 {primary.port}")
        quick = ("--repl-diskless-sync-delay", "0")
        others = [
            stack.enter_context(RedisServer(name, (*follow, *quick))) for _ in range(replicas)
        ]
        watchers = [SentinelServer(name) for _ in range(sentinels)]
        for watcher in watchers:
            watcher.watch(primary.port, down_after_ms)
            stack.enter_context(watcher)
        ask(primary, "CONFIG", "SET", "repl-diskless-sync-delay", 0)
        group = Replicated([primary, *others], watchers)
        group.wait_until_healthy()
        yield group
        for server in group.primaries:
            check_ttls(server.tester_url)
