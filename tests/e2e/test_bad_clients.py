"""Callers who break the rules of the connection, and what that costs the others: nothing."""

import asyncio
import contextlib
import os
import socket
import ssl
import statistics
import struct
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.callers import until
from tests.calls import CREATE_LEASE, failure_of, lease_request, read_failure
from tests.certificates import authority
from tests.proxy import proxy_to
from tests.servers import RedisServer, poll
from tests.service import Service, now_ms, serving
from tests.tls import ALONE, NO_PROXY, NO_RETRIES, House, Pair, create_lease, house

CLIENTS = 100
GET_LEASE = "/leasehold.v1.LeaseService/GetLease"
_GOAWAY = 7
_PING = 6
_SETTINGS = 4
_MAX_STREAMS = 3
_ENHANCE_YOUR_CALM = 11


class Crowd:
    """Clients who connect again and again, each kind wrong in its own way, until told to stop."""

    def __init__(self, at_home: House, address: str, strange: Pair, named: Pair) -> None:
        self._host, _, port = address.rpartition(":")
        self._port = int(port)
        self._house = at_home
        self._strange = strange
        self._named = named
        self._hello = self._client_hello()
        self.attempts = 0
        self.kinds: tuple[Callable[[], Awaitable[None]], ...] = (
            self.speak_http,
            self.speak_without_tls,
            self.speak_garbage,
            self.hang_up,
            self.keep_silent,
            self.stop_half_way,
            self.speak_slowly,
            self.show_nothing,
            self.show_a_stranger,
            self.have_another_name,
        )

    async def come(self) -> None:
        """Be a hundred of them until cancelled."""

        async def again_and_again(kind: Callable[[], Awaitable[None]]) -> None:
            while True:
                self.attempts += 1
                with contextlib.suppress(OSError):
                    await kind()
                await asyncio.sleep(0.05)

        async with asyncio.TaskGroup() as clients:
            for number in range(CLIENTS):
                clients.create_task(again_and_again(self.kinds[number % len(self.kinds)]))

    def _client_hello(self) -> bytes:
        out = ssl.MemoryBIO()
        connection = self._house.context().wrap_bio(ssl.MemoryBIO(), out, server_hostname="h")
        with pytest.raises(ssl.SSLWantReadError):
            connection.do_handshake()
        return out.read()

    async def _say(self, *pieces: bytes, pause_s: float = 0) -> None:
        """Send pieces, then wait until the service hangs up."""
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(pause_s)
            while await reader.read(65_536):
                pass
        finally:
            writer.transport.abort()

    async def speak_http(self) -> None:
        """Take the service for a web server."""
        await self._say(b"GET / HTTP/1.1\r\nHost: leasehold\r\n\r\n")

    async def speak_without_tls(self) -> None:
        """Speak HTTP/2, in plain text."""
        await self._say(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9))

    async def speak_garbage(self) -> None:
        """Speak no protocol at all."""
        await self._say(os.urandom(1000))

    async def hang_up(self) -> None:
        """Connect and reset."""
        _, writer = await asyncio.open_connection(self._host, self._port)
        writer.transport.abort()

    async def keep_silent(self) -> None:
        """Connect and say nothing."""
        await self._say()

    async def stop_half_way(self) -> None:
        """Begin a handshake and say no more."""
        await self._say(self._hello[: len(self._hello) // 2])

    async def speak_slowly(self) -> None:
        """Say hello a byte at a time."""
        await self._say(*(bytes([byte]) for byte in self._hello), pause_s=0.2)

    async def show_nothing(self) -> None:
        """Do it right, but for the certificate."""
        await self._greet(None)

    async def show_a_stranger(self) -> None:
        """Show the certificate of an authority that is not trusted."""
        await self._greet(self._strange)

    async def have_another_name(self) -> None:
        """Show a certificate that is trusted, and never call: nobody has asked for the name yet."""
        await self._greet(self._named)

    async def _greet(self, pair: Pair | None) -> None:
        context = self._house.context(pair)
        reader, writer = await asyncio.open_connection(
            self._host, self._port, ssl=context, server_hostname=self._host
        )
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    while await reader.read(65_536):
                        pass
        finally:
            writer.transport.abort()


@pytest.fixture(scope="module")
def at_home(tmp_path_factory: pytest.TempPathFactory) -> House:
    """The authorities of this file's tests."""
    return house(tmp_path_factory.mktemp("house"))


def descriptors(service: Service) -> int:
    """Return how many files and connections a service has open."""
    return len(list(Path(f"/proc/{service.process.pid}/fd").iterdir()))


async def test_a_hundred_bad_tls_clients_change_nothing_for_a_good_one(
    at_home: House, valkey: RedisServer, tmp_path: Path
) -> None:
    """Every call of the good one is answered, soon; what the bad ones opened is closed again."""
    strange, named = authority(tmp_path).issue("strange"), at_home.clients.issue("other")
    with serving(REDIS_URL=valkey.url, **at_home.settings()) as service:
        await asyncio.to_thread(call_often, at_home, service.address, "before", 100)
        before = descriptors(service)
        crowd = Crowd(at_home, service.address, strange, named)
        coming = asyncio.create_task(crowd.come())
        try:
            seconds = await asyncio.to_thread(call_often, at_home, service.address, "during", 500)
            assert not coming.done()
            assert crowd.attempts > 5 * CLIENTS
        finally:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)
        # Strangers cannot fill the log either.
        assert [line for line in service.log_text().splitlines() if not line.startswith("{")] == []
        assert max(seconds) < 3
        assert statistics.median(seconds) < 0.2
        await asyncio.to_thread(
            poll, "what they opened is closed", lambda: descriptors(service) <= before, 30
        )


def call_often(at_home: House, address: str, name: str, count: int) -> list[float]:
    """Return the seconds of each call; every tenth is made on a connection of its own."""
    seconds = []
    with at_home.channel(address) as kept:
        for number in range(count):
            began_at_s = time.monotonic()
            if number % 10:
                create_lease(kept, f"{name}-{number}", merchant="m-crowd")
            else:
                with at_home.channel(address) as fresh:
                    create_lease(fresh, f"{name}-{number}", merchant="m-crowd")
            seconds.append(time.monotonic() - began_at_s)
    return seconds


def test_whoever_does_not_finish_the_handshake_is_cut_off(
    at_home: House, valkey: RedisServer
) -> None:
    """A connection on which nobody speaks is closed after ten seconds, and costs nothing then."""
    with serving(REDIS_URL=valkey.url, **at_home.settings()) as service:
        host, _, port = service.address.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=30) as silent:
            began_at_s = time.monotonic()
            assert silent.recv(1) == b""
            assert 5 < time.monotonic() - began_at_s < 20


def test_whoever_asks_for_signs_of_life_too_often_is_sent_away(valkey: RedisServer) -> None:
    """More pings than one in ten seconds end the connection, and only that."""
    with serving(REDIS_URL=valkey.url) as service, grpc.insecure_channel(service.address) as good:
        create_lease(good, "pings-before")
        host, _, port = service.address.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(_SETTINGS, b""))
            for _ in range(20):
                connection.sendall(frame(_PING, bytes(8)))
                told = [payload for kind, payload in frames(connection) if kind == _GOAWAY]
                if told:
                    break
            assert struct.unpack(">I", told[0][4:8]) == (_ENHANCE_YOUR_CALM,)
        create_lease(good, "pings-after")


def test_one_connection_has_so_many_streams_and_no_more(valkey: RedisServer) -> None:
    """The listener tells it in its first words; a caller's library waits with what is beyond."""
    with serving(REDIS_URL=valkey.url) as service:
        host, _, port = service.address.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(_SETTINGS, b""))
            kind, payload = frames(connection)[0]
    assert kind == _SETTINGS
    assert dict(struct.iter_unpack(">HI", payload))[_MAX_STREAMS] == 320


def frame(kind: int, payload: bytes) -> bytes:
    """Return a frame of HTTP/2 for the connection as a whole."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, 0]) + bytes(4) + payload


def frames(connection: socket.socket) -> list[tuple[int, bytes]]:
    """Return the next frames that arrive together, as kinds and payloads."""
    data, found = connection.recv(65_536), []
    while data:
        size = int.from_bytes(data[:3], "big")
        found.append((data[3], data[9 : 9 + size]))
        data = data[9 + size :]
    return found


def test_a_request_far_too_long_is_refused_by_grpc_and_the_connection_goes_on(
    valkey: RedisServer,
) -> None:
    """Up to 128 KiB our own limit answers in detail; beyond that the bytes are not taken."""
    with (
        serving(REDIS_URL=valkey.url) as service,
        grpc.insecure_channel(service.address, (NO_PROXY, NO_RETRIES)) as channel,
    ):
        call: Any = channel.unary_unary(CREATE_LEASE)
        ends = {}
        for size in (128 * 1024, 128 * 1024 + 1, 5 * 1024 * 1024):
            with pytest.raises(grpc.RpcError) as caught:
                call(bytes(size), timeout=10)
            error: Any = caught.value
            failure = read_failure(error)
            ends[size] = failure.code, len(failure.details)
        create_lease(channel, "long")
    assert list(ends.values()) == [
        (grpc.StatusCode.INVALID_ARGUMENT, 3),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, 0),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, 0),
    ]


def test_metadata_beyond_16_kib_is_refused_and_the_connection_goes_on(
    valkey: RedisServer,
) -> None:
    """Headers are kept in memory before anybody looks at them, so they have a limit, too."""
    with (
        serving(REDIS_URL=valkey.url) as service,
        grpc.insecure_channel(service.address, (NO_PROXY, NO_RETRIES)) as channel,
    ):
        call: Any = channel.unary_unary(CREATE_LEASE)
        request = lease_request(now_ms(), merchant="m-metadata").SerializeToString()
        call(request, metadata=(("x-large", "x" * 15_000),), timeout=10)
        with pytest.raises(grpc.RpcError) as caught:
            call(request, metadata=(("x-large", "x" * 17_000),), timeout=10)
        error: Any = caught.value
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        call(request, timeout=10)


async def test_calls_beyond_the_limit_of_a_listener_leave_the_other_one_free(
    valkey: RedisServer,
) -> None:
    """LEASEHOLD_MAX_CONCURRENT_CALLS is a limit of each: partners cannot keep operators out."""
    settings = {"MAX_CONCURRENT_CALLS": "1", "REDIS_TIMEOUT_S": "20", "CALL_TIMEOUT_S": "20"}
    async with proxy_to(valkey.port) as proxy:
        with serving(REDIS_URL=proxy.url, **settings) as service:
            await asyncio.to_thread(poll, "ready", lambda: service.http("/readyz")[0] == 200)
            async with (
                grpc.aio.insecure_channel(service.address) as partners,
                grpc.aio.insecure_channel(service.told["operator_listen"]) as operators,
            ):
                ask: Any = partners.unary_unary(CREATE_LEASE)
                # So that the store has the script, and answers it when it is sent.
                await ask(lease_request(now_ms()).SerializeToString(), timeout=10)
                proxy.hold_replies()
                request = lease_request(now_ms(), merchant="m-limit").SerializeToString()
                first = asyncio.ensure_future(ask(request, timeout=20))
                await until("it runs", lambda: "m-limit" in str(keys(valkey)))

                assert (await failure_of(ask(request, timeout=10))).reason == "OVERLOADED"
                operate: Any = operators.unary_unary(GET_LEASE)
                refused = await failure_of(operate(b"", timeout=10))
                assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
                proxy.release()
                assert await first


async def test_thousands_of_calls_at_one_instant_all_get_an_answer(valkey: RedisServer) -> None:
    """A grant, or the word to come back: none is reset by gRPC, which tells neither.

    They come over several connections, each with fewer calls than a connection has streams.
    """
    requests = [
        lease_request(now_ms(), merchant="m-burst", reference=f"r-{n}", staff=f"{n}")
        for n in range(4000)
    ]
    with serving(REDIS_URL=valkey.url, CALL_TIMEOUT_S="20") as service:
        async with contextlib.AsyncExitStack() as stack:
            channels = [
                await stack.enter_async_context(
                    grpc.aio.insecure_channel(service.address, (NO_PROXY, NO_RETRIES, ALONE))
                )
                for _ in range(20)
            ]
            for channel in channels:
                await channel.channel_ready()
            asks: list[Any] = [channel.unary_unary(CREATE_LEASE) for channel in channels]
            calls = [
                asks[number % 20](request.SerializeToString(), timeout=60)
                for number, request in enumerate(requests)
            ]
            codes = Counter([await call.code() for call in calls])
    assert set(codes) <= {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert codes[grpc.StatusCode.OK] > 1000


def keys(store: RedisServer) -> list[object]:
    """Return the names of all keys."""
    with store.client() as client:
        return list(client.scan_iter(count=1000))
