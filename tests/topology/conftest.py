"""A store with a proxy before it."""

from collections.abc import AsyncIterator

import pytest
from tests.backends import Backend, RealClock, client_of
from tests.proxy import Proxy, proxy_to
from tests.servers import RedisServer


@pytest.fixture
async def direct(valkey: RedisServer) -> AsyncIterator[Backend]:
    """The store itself, for the test's own questions."""
    backend = Backend(client_of(valkey.url), RealClock())
    yield backend
    await backend.redis.aclose()


@pytest.fixture
async def proxy(valkey: RedisServer) -> AsyncIterator[Proxy]:
    """A proxy to the store that can misbehave."""
    async with proxy_to(valkey.port) as proxy:
        yield proxy
