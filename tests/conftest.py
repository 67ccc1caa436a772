"""Fixtures that more than one folder needs."""

from collections.abc import AsyncIterator, Iterator

import pytest
from tests.backends import Backend, FakeClock, cluster_backend, fake_backend, real_backend
from tests.clusters import Cluster, cluster
from tests.servers import REAL_SERVERS, RedisServer, check_ttls

# Files of these folders take longest, above all by waiting.
_FIRST = ("topology", "torture", "model")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest: files run side by side, and should end together."""
    items.sort(key=lambda item: item.path.parent.name not in _FIRST)


@pytest.fixture(scope="session")
def real_servers() -> Iterator[dict[str, RedisServer]]:
    """Servers shared by all tests, started when first asked for."""
    servers: dict[str, RedisServer] = {}
    yield servers
    for server in servers.values():
        server.__exit__(None, None, None)


def shared_server(name: str, servers: dict[str, RedisServer]) -> RedisServer:
    """Return the shared server of a name."""
    if name not in servers:
        servers[name] = RedisServer(name).__enter__()
    return servers[name]


@pytest.fixture
def valkey(real_servers: dict[str, RedisServer]) -> Iterator[RedisServer]:
    """The one real server that is there wherever the project is set up."""
    server = shared_server("valkey9", real_servers)
    yield server
    check_ttls(server.tester_url)


@pytest.fixture
async def fake(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Backend]:
    """A fakeredis whose clock the test moves."""
    async with fake_backend(monkeypatch) as backend:
        yield backend


@pytest.fixture
def fake_clock(fake: Backend) -> FakeClock:
    """The clock of ``fake``."""
    assert isinstance(fake.clock, FakeClock)
    return fake.clock


@pytest.fixture(scope="session")
def shared_cluster() -> Iterator[Cluster]:
    """A cluster of three shards for tests that leave it as it is."""
    with cluster("valkey9", replicas=0) as shared:
        yield shared


@pytest.fixture(params=["fake", *REAL_SERVERS, "cluster"])
async def backend(
    request: pytest.FixtureRequest,
    real_servers: dict[str, RedisServer],
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Backend]:
    """Every store at hand, one after the other: the same test on each."""
    match request.param:
        case "fake":
            opened = fake_backend(monkeypatch)
        case "cluster":
            opened = cluster_backend(request.getfixturevalue("shared_cluster"))
        case name:
            opened = real_backend(shared_server(name, real_servers))
    async with opened as backend:
        yield backend
