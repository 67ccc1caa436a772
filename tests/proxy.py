"""A TCP proxy between the service and its store that misbehaves as a test tells it."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.servers import LOGIN


class Proxy:
    """Passes bytes between clients and a server on 127.0.0.1, until told otherwise."""

    def __init__(self, server_port: int) -> None:
        self.server_port = server_port
        """Where connections lead that are made from now on."""
        self.port = 0
        self.connections = 0
        self.waiting = 0
        """How many connections have sent something that is held back now."""
        self._refusals = 0
        self._drop_replies = 0
        self._replies_to_pass = 0
        self._reply_bytes_left: int | None = None
        self._surplus = b""
        self._random: random.Random | None = None
        self._pass_requests = asyncio.Event()
        self._pass_replies = asyncio.Event()
        self.release()
        self._writers: set[asyncio.StreamWriter] = set()
        self._to_clients: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        """Return the address of the store as seen through the proxy."""
        return f"redis://{LOGIN}127.0.0.1:{self.port}/0"

    @property
    def open(self) -> int:
        """Return how many connections there are now."""
        return len(self._to_clients)

    def refuse(self, count: int) -> None:
        """Cut the next connections as soon as they are made."""
        self._refusals = count

    def drop_replies(self, count: int) -> None:
        """Let the next requests through, but cut the connection instead of passing the answer."""
        self._drop_replies = count

    def cut_within_replies(self, after_bytes: int) -> None:
        """Pass only so many more bytes of answers, then cut the connection once."""
        self._reply_bytes_left = after_bytes

    def add_to_reply(self, data: bytes) -> None:
        """Say something more, once, together with the next answer."""
        self._surplus = data

    def hold(self) -> None:
        """Pass nothing on, as a network that has gone dark."""
        self._pass_requests.clear()
        self._pass_replies.clear()

    def hold_replies(self, after: int = 0) -> None:
        """Let requests through and keep the answers back, but for the next few."""
        self._replies_to_pass = after
        self._pass_replies.clear()

    def release(self) -> None:
        """Pass on what has been held, and everything after it."""
        self._pass_requests.set()
        self._pass_replies.set()

    def slow_down(self, chance: random.Random) -> None:
        """Pass everything in small pieces, each a little late."""
        self._random = chance

    def answer(self, data: bytes) -> None:
        """Send every client what the server has not said."""
        for writer in self._to_clients:
            writer.write(data)

    def cut(self) -> None:
        """Cut every connection."""
        for writer in self._writers:
            writer.transport.abort()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.connections += 1
        opened = {writer}
        try:
            if self._refusals:
                self._refusals -= 1
                return
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self.server_port)
            opened.add(to_server)
            self._writers |= opened
            self._to_clients.add(writer)
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._pump_requests(reader, to_server))
                pumps.create_task(self._pump_replies(from_server, writer))
        except* (OSError, asyncio.CancelledError):
            pass
        finally:
            for each in opened:
                each.transport.abort()
            self._writers -= opened
            self._to_clients.discard(writer)

    async def _pump_requests(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter
    ) -> None:
        while data := await source.read(65_536):
            self.waiting += 1
            await self._pass_requests.wait()
            self.waiting -= 1
            await self._pass_on(data, sink)
        raise ConnectionResetError

    async def _pump_replies(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65_536):
            if self._drop_replies:
                self._drop_replies -= 1
                break
            if self._replies_to_pass:
                self._replies_to_pass -= 1
            else:
                await self._pass_replies.wait()
            data, self._surplus = data + self._surplus, b""
            left = self._reply_bytes_left
            if left is not None and left <= len(data):
                self._reply_bytes_left = None
                await self._pass_on(data[:left], sink)
                # Gone is gone: an abort would take back what has been passed.
                sink.close()
                break
            if left is not None:
                self._reply_bytes_left = left - len(data)
            await self._pass_on(data, sink)
        raise ConnectionResetError

    async def _pass_on(self, data: bytes, sink: asyncio.StreamWriter) -> None:
        while data:
            size = len(data)
            if self._random:
                size = self._random.randint(1, 200)
                await asyncio.sleep(self._random.uniform(0, 0.002))
            sink.write(data[:size])
            await sink.drain()
            data = data[size:]


@asynccontextmanager
async def proxy_to(server_port: int) -> AsyncIterator[Proxy]:
    """Run a proxy to a server on this machine."""
    proxy = Proxy(server_port)
    listener = await asyncio.start_server(proxy.handle, "127.0.0.1", 0)
    proxy.port = listener.sockets[0].getsockname()[1]
    yield proxy
    proxy.release()
    proxy.cut()
    listener.close()
