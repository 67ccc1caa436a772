"""From the URL of the store to a link: one server, Sentinels and their primary, or a cluster."""

import asyncio
import functools
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from pathlib import Path
from ssl import TLSVersion
from typing import Any

from redis.asyncio.cluster import ClusterNode, NodesManager
from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider
from redis.exceptions import NoPermissionError, ReadOnlyError, RedisClusterException

from leasehold.model import store_url
from leasehold.model.address import Address
from leasehold.model.store_url import StoreUrl
from leasehold.store.cluster import Cluster, Map
from leasehold.store.hooks import NO_HOOKS, Hooks
from leasehold.store.link import Link
from leasehold.store.node import Limits, Node
from leasehold.store.sentinels import Sentinel, Sentinels

_PRIMARY = "master"
# A Sentinel that is silent must not keep the others' answers for long.
_LONGEST_PATIENCE_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What opens the store, beside its URL."""

    password_file: Path | None = None
    """Read again for every connection, so that a password may change."""
    sentinel_username: str | None = None
    sentinel_password: str | None = None
    sentinel_password_file: Path | None = None
    """Read again likewise."""
    ca_file: Path | None = None
    """Whom to trust; without it the authorities of the machine."""
    cert_file: Path | None = None
    key_file: Path | None = None


def open_link(
    url: str,
    limits: Limits,
    access: Access | None = None,
    hooks: Hooks = NO_HOOKS,
) -> Link:
    """Return a link to the store of a URL; it connects when there is something to ask.

    Raises ValueError for a URL that is none.
    """
    parsed, access = store_url.parse(url), access or Access()
    options = _options(parsed, limits, access)
    make_node = functools.partial(Node, limits=limits, hooks=hooks)
    make_link = functools.partial(Link, limits=limits, hooks=hooks)
    match parsed.shape:
        case "cluster":
            cluster = Cluster(
                functools.partial(_map_cluster, parsed, options),
                lambda at: make_node(str(at), functools.partial(_connection, parsed, at, options)),
                hooks,
            )
            return make_link(cluster)
        case "sentinel":
            return make_link(_sentinels(parsed, options, access, make_node, hooks))
    at = parsed.hosts[0] if parsed.hosts else None
    node = make_node(str(at or parsed.socket), functools.partial(_connection, parsed, at, options))
    return make_link(node)


def _options(url: StoreUrl, limits: Limits, access: Access) -> dict[str, Any]:
    """Return what every connection is made with.

    Every limit is ours: redis-py retries and times nothing, because only the link knows the
    deadlines and which scripts may be sent again.
    """
    return {
        **_transport(url, access),
        **_login(url.username, url.password, access.password_file),
        "db": url.database,
        # Silence is watched for all commands in flight at once.
        "socket_timeout": None,
        "socket_connect_timeout": limits.connect_timeout_s,
        "decode_responses": True,
        # A foreign value that is no text must not break the connection under everybody else.
        "encoding_errors": "surrogateescape",
        **_PLAIN,
    }


def _login(username: str | None, password: str | None, file: Path | None) -> dict[str, Any]:
    if file:
        return {"credential_provider": _PasswordFile(username, file)}
    return {"username": username, "password": password}


_PLAIN: dict[str, Any] = {
    "health_check_interval": 0,
    "retry": Retry(NoBackoff(), 0),
    "protocol": 2,
    "client_name": "leasehold",
    # Redis 7.0 and older do not know the command, and an access list for all cannot name it.
    "driver_info": None,
}


class _PasswordFile(CredentialProvider):
    """Reads the password whenever a connection logs in."""

    def __init__(self, username: str | None, path: Path) -> None:
        self._username = username
        self._path = path

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        password = self._path.read_text(encoding="utf-8-sig").strip()
        return (self._username, password) if self._username else (password,)

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        # redis-py would do the same, and write into people's terminals that it does.
        return self.get_credentials()


def _transport(url: StoreUrl, access: Access) -> dict[str, Any]:
    if url.socket:
        return {}
    if not url.is_tls:
        return {"socket_keepalive": True}
    files = {
        "ssl_ca_certs": access.ca_file,
        "ssl_certfile": access.cert_file,
        "ssl_keyfile": access.key_file,
    }
    return {
        "socket_keepalive": True,
        "ssl_min_version": TLSVersion.TLSv1_2,
        **{name: str(path) for name, path in files.items() if path},
    }


def _connection(url: StoreUrl, at: Address | None, options: dict[str, Any]) -> AbstractConnection:
    if at is None:
        return UnixDomainSocketConnection(path=url.socket, **options)
    kind = SSLConnection if url.is_tls else Connection
    return kind(host=at.host, port=at.port, **options)


def _sentinels(
    url: StoreUrl,
    options: dict[str, Any],
    access: Access,
    make_node: Callable[[str, Callable[[], AbstractConnection]], Node],
    hooks: Hooks,
) -> Sentinels:
    """Return the primary that the Sentinels of a URL watch."""
    patience_s = min(options["socket_connect_timeout"], _LONGEST_PATIENCE_S)
    sentinel_options = {
        **_transport(url, access),
        **_login(access.sentinel_username, access.sentinel_password, access.sentinel_password_file),
        "socket_timeout": None,
        "socket_connect_timeout": patience_s,
        "decode_responses": True,
        **_PLAIN,
    }
    asked = [
        Sentinel(functools.partial(_connection, url, at, sentinel_options), url.service, patience_s)
        for at in url.hosts
    ]
    kind = _PrimaryByTls if url.is_tls else _Primary

    def make_primary(at: Address) -> Node:
        return make_node(
            url.service, functools.partial(kind, host=at.host, port=at.port, **options)
        )

    return Sentinels(url.service, asked, make_primary, hooks)


class _Primary(Connection):
    """Connects to a server that the Sentinels name, if it says itself that it is a primary.

    Not redis-py's SentinelManagedConnection, for which READONLY, a plain refusal, breaks the
    connection under everything else in flight.
    """

    async def connect(self) -> None:
        """Connect; ReadOnlyError if the server is no primary (any more)."""
        await super().connect()  # type: ignore[no-untyped-call]
        await self.send_command("ROLE")
        try:
            role, *_ = await self.read_response()
        except NoPermissionError:
            return  # Then a write has to find out.
        if role != _PRIMARY:
            raise ReadOnlyError("READONLY The Sentinels name a server that is no primary.")


class _PrimaryByTls(_Primary, SSLConnection):
    """The same by TLS."""


async def _map_cluster(url: StoreUrl, options: dict[str, Any], known: Iterable[Address]) -> Map:
    """Ask the nodes in turn who owns which slot; those of the URL are asked, too."""
    kind = SSLConnection if url.is_tls else Connection
    limits = {
        "connection_class": kind,
        **options,
        "socket_timeout": options["socket_connect_timeout"],
    }
    first = {*known, *url.hosts}
    manager = NodesManager(
        [ClusterNode(at.host, at.port, **limits) for at in first],
        # What is covered is served.
        require_full_coverage=False,
        connection_kwargs=limits,
        dynamic_startup_nodes=False,
    )
    await _to_its_end(_draw(manager))
    owners = {slot: _address(nodes[0]) for slot, nodes in manager.slots_cache.items()}
    return Map(
        owners=owners,
        primaries=frozenset(owners.values()),
        nodes=frozenset(map(_address, manager.nodes_cache.values())),
    )


async def _draw(manager: NodesManager) -> None:
    try:
        await manager.initialize()
    except IndexError:
        raise RedisClusterException("No node owns a slot yet.") from None
    finally:
        await manager.aclose("nodes_cache")
        await manager.aclose("startup_nodes")


async def _to_its_end(drawing: Coroutine[Any, Any, None]) -> None:
    """Await it; if cancelled only when it has ended, because redis-py leaves connections open."""
    task = asyncio.create_task(drawing)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise


def _address(node: ClusterNode) -> Address:
    return Address(str(node.host), int(node.port))
