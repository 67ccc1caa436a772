"""The address of the store: one URL for each shape that a Redis can have."""

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

from leasehold.model.address import LAST_PORT, Address

_URL = re.compile(
    r"(?P<scheme>redis|rediss|unix|rediss?\+(?:sentinel|cluster))://"
    r"(?:(?P<user>[^/?#:]*?)(?::(?P<password>[^/?#]*))?@)?"
    r"(?P<hosts>[^/?#@]*)(?P<path>/[^?#]*)?(?:\?(?P<query>[^#]*))?"
)
_HOST = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[^\[\]:,\s]+))(?::(?P<port>\d{1,5}))?")
_REDIS_PORT, _SENTINEL_PORT = 6379, 26_379


@dataclass(frozen=True, slots=True)
class StoreUrl:
    """What a URL of the store says."""

    shape: Literal["server", "sentinel", "cluster"]
    hosts: tuple[Address, ...]
    """One server, or the Sentinels, or some nodes of the cluster; empty for a socket."""
    is_tls: bool
    username: str | None
    password: str | None
    database: int
    socket: str
    """The path of a Unix socket, or empty."""
    service: str
    """What the Sentinels call the primary, or empty."""


def parse(url: str) -> StoreUrl:
    """Read a URL; ValueError says everything that is wrong with it, and repeats none of it."""
    match = _URL.fullmatch(url)
    if not match:
        raise ValueError("is not a Redis URL")
    scheme, path, faults = match["scheme"], match["path"] or "", list[str]()
    shape: Literal["server", "sentinel", "cluster"] = "server"
    if scheme.endswith("+sentinel"):
        shape = "sentinel"
    elif scheme.endswith("+cluster"):
        shape = "cluster"
    hosts = () if scheme == "unix" else _hosts(match["hosts"], shape, faults)
    if scheme == "unix" and (match["hosts"] or not path.strip("/")):
        faults.append("names no socket, as in unix:///run/redis.sock")
    service, database = _place(scheme, path, match["query"], faults)
    if faults:
        raise ValueError("; it ".join(faults))
    return StoreUrl(
        shape=shape,
        hosts=hosts,
        is_tls=scheme.startswith("rediss"),
        username=unquote(match["user"] or "") or None,
        password=unquote(match["password"] or "") or None,
        database=database,
        socket=unquote(path) if scheme == "unix" else "",
        service=service,
    )


def _hosts(text: str, shape: str, faults: list[str]) -> tuple[Address, ...]:
    found = []
    for one in text.split(","):
        match = _HOST.fullmatch(one)
        default = _SENTINEL_PORT if shape == "sentinel" else _REDIS_PORT
        port = int(match["port"] or default) if match else 0
        if not match or not 0 < port <= LAST_PORT:
            faults.append("names no host, or no port, where one should be")
            break
        found.append(Address(match["six"] or unquote(match["name"]), port))
    if shape == "server" and len(found) > 1:
        faults.append("names several servers, which takes redis+sentinel:// or redis+cluster://")
    return tuple(found)


def _place(scheme: str, path: str, query: str | None, faults: list[str]) -> tuple[str, int]:
    """Return the service and the number of the database."""
    service = ""
    if scheme.endswith("+sentinel"):
        _, service, *rest = [*path.split("/", 2), ""]
        service, path = unquote(service), "/".join(["", *rest[:1]]).rstrip("/")
        if not service:
            faults.append("names no service, as in redis+sentinel://host:26379/service")
    if scheme == "unix":
        path = ""
    options = re.fullmatch(r"db=(\d+)", query or "")
    if query and (not options or "+" in scheme):
        faults.append("carries options; timeouts and the like have settings of their own")
    if not re.fullmatch(r"(?:/\d*)?", path):
        faults.append("names no database by its number")
        return service, 0
    database = int(path.strip("/") or (options[1] if options else 0))
    if scheme.endswith("+cluster") and database:
        faults.append("names a database, and a cluster has only number 0")
    return service, database


def hide_password(url: str) -> str:
    """Return a URL without its password, for people and logs."""
    url = re.sub(r"^([\w+]+://[^:@/?]*):.*@", r"\1:***@", url)
    return re.sub(r"\?.*", "?***", url)
