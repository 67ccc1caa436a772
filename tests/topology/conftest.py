"""The link through a proxy that misbehaves, on both event loops that the service may run on."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
import uvloop
from tests.backends import Backend, Counts, link_to, real_backend
from tests.proxy import Proxy, proxy_to
from tests.servers import PROBER, RedisServer, as_prober

TIMEOUT_S = 0.3


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run what is about the link on either loop; what is about the store needs only one."""
    loops = {"asyncio": asyncio.new_event_loop}
    return {**loops, "uvloop": uvloop.new_event_loop} if "test_link" in item.path.name else loops


@pytest.fixture
async def direct(valkey: RedisServer) -> AsyncIterator[Backend]:
    """The store itself, for the test's own questions."""
    async with real_backend(valkey, PROBER) as backend:
        yield backend


@pytest.fixture
async def proxy(valkey: RedisServer) -> AsyncIterator[Proxy]:
    """A proxy to the store that can misbehave."""
    async with proxy_to(valkey.port) as proxy:
        yield proxy


@pytest.fixture
def counts() -> Counts:
    """What the link of ``behind`` tells."""
    return Counts()


@pytest.fixture
async def behind(proxy: Proxy, direct: Backend, counts: Counts) -> AsyncIterator[Backend]:
    """The store as the service sees it through the proxy, with one repeat."""
    async with through(proxy, direct, counts, retries=1) as backend:
        yield backend


@asynccontextmanager
async def through(
    proxy: Proxy, direct: Backend, counts: Counts | None = None, **limits: Any
) -> AsyncIterator[Backend]:
    """Open the store through the proxy, as impatient as a test can afford."""
    impatient = {"timeout_s": TIMEOUT_S, "connect_timeout_s": TIMEOUT_S, **limits}
    async with link_to(as_prober(proxy.url), counts, **impatient) as link:
        yield replace(direct, link=link)


async def until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.002)
