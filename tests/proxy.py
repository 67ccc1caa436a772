"""A TCP proxy between the service and its store that misbehaves as a test tells it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager


class Proxy:
    """Passes bytes between clients and a server on 127.0.0.1, until told otherwise."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self.port = 0
        self.connections = 0
        self._drop_replies = 0
        self._fatal_words = b""
        self._meanwhile: Callable[[], Awaitable[None]] | None = None
        self._pass_requests = asyncio.Event()
        self._pass_replies = asyncio.Event()
        self.release()
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        """Return the address of the store as seen through the proxy."""
        return f"redis://127.0.0.1:{self.port}/0"

    def drop_replies(self, count: int) -> None:
        """Let the next requests through, but cut the connection instead of passing the answer."""
        self._drop_replies = count

    def drop_reply_to(self, words: bytes, meanwhile: Callable[[], Awaitable[None]]) -> None:
        """Let the next request that holds ``words`` through, and lose its answer.

        Once the server has answered, ``meanwhile`` is done, and then the connection is cut.
        """
        self._fatal_words, self._meanwhile = words, meanwhile

    def hold(self) -> None:
        """Pass nothing on, as a network that has gone dark."""
        self._pass_requests.clear()
        self._pass_replies.clear()

    def hold_replies(self) -> None:
        """Let requests through and keep the answers back."""
        self._pass_replies.clear()

    def release(self) -> None:
        """Pass on what has been held, and everything after it."""
        self._pass_requests.set()
        self._pass_replies.set()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.connections += 1
        to_server = await asyncio.open_connection("127.0.0.1", self._server_port)
        self._writers |= {writer, to_server[1]}
        is_doomed = asyncio.Event()
        try:
            await asyncio.gather(
                self._pump(reader, to_server[1], is_doomed, replies=False),
                self._pump(to_server[0], writer, is_doomed, replies=True),
            )
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            for each in (writer, to_server[1]):
                each.close()
                self._writers.discard(each)

    async def _pump(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        is_doomed: asyncio.Event,
        *,
        replies: bool,
    ) -> None:
        while data := await source.read(65_536):
            if not replies and self._fatal_words and self._fatal_words in data:
                self._fatal_words = b""
                is_doomed.set()
            if replies and is_doomed.is_set():
                assert self._meanwhile
                await self._meanwhile()
                raise ConnectionResetError
            if replies and self._drop_replies:
                self._drop_replies -= 1
                raise ConnectionResetError
            await (self._pass_replies if replies else self._pass_requests).wait()
            sink.write(data)
            await sink.drain()
        raise ConnectionResetError

    def close(self) -> None:
        """Cut every connection."""
        for writer in self._writers:
            writer.transport.abort()


@asynccontextmanager
async def proxy_to(server_port: int) -> AsyncIterator[Proxy]:
    """Run a proxy to a server on this machine."""
    proxy = Proxy(server_port)
    listener = await asyncio.start_server(proxy.handle, "127.0.0.1", 0)
    proxy.port = listener.sockets[0].getsockname()[1]
    yield proxy
    proxy.release()
    proxy.close()
    listener.close()
