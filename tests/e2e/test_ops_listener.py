"""Strangers at ops HTTP: nothing of what they send is kept, and no other caller is kept out."""

import asyncio
import contextlib
import gzip
import re
import resource
import socket
import ssl
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from aiohttp import web
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs
from tests.calls import lease_request
from tests.servers import RedisServer, poll
from tests.service import Service, now_ms, serving
from tests.tls import House, house

from leasehold.telemetry import metrics, ops_http

SECRET = b"sEcReT"
_END = b"\r\nHost: leasehold\r\n\r\n"
_HEAD = b"GET /livez HTTP/1.1\r\nHost: leasehold\r\n"
_POST = b"POST /livez HTTP/1.1\r\nHost: leasehold\r\n"
BAD = {
    "a blank before the colon": _HEAD + b"Authorization : Bearer sEcReT\r\n\r\n",
    "a zero byte": _HEAD + b"Authorization: Bearer sEcReT\x00\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nsEcReT",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00sEcReT" + bytes(300),
    "an expectation": _HEAD + b"Expect: sEcReT\r\n\r\n",
    "half an address": b"GET http://[sEcReT HTTP/1.1" + _END,
    "no port": b"GET http://sEcReT:99999999/livez HTTP/1.1" + _END,
    "no method": b"sEcReT\xff /livez HTTP/1.1" + _END,
    "a method of its own": b"SECRET /sEcReT HTTP/1.1" + _END,
    "a long line": _HEAD + b"A: " + SECRET * 2000 + b"\r\n\r\n",
    "no page": b"GET /sEcReT?sEcReT HTTP/1.1" + _END,
    "no size of a chunk": _POST + b"Transfer-Encoding: chunked\r\n\r\nsEcReT\r\n",
    "no gzip": _POST + b"Content-Encoding: gzip\r\nContent-Length: 6\r\n\r\nsEcReT",
    "another protocol": _HEAD + b"Upgrade: sEcReT\r\nConnection: upgrade\r\n\r\nsEcReT",
    "bytes that are no text": _HEAD + b"Authorization: Bearer \xff\xfesEcReT\r\n\r\n",
    "a second request": _HEAD + b"\r\nsEcReT\x00\r\n\r\n",
}
MUCH = 50_000_000
COUNTED = 'leasehold_ops_connections_cut_total{reason="%s"} '


@pytest.fixture(scope="module")
def at_home(tmp_path_factory: pytest.TempPathFactory) -> House:
    """The authorities of this file's tests."""
    return house(tmp_path_factory.mktemp("house"))


def place(address: str) -> tuple[str, int]:
    """Return host and port."""
    host, _, port = address.rpartition(":")
    return host, int(port)


def say(address: str, words: bytes) -> bytes:
    """Return what a listener answers until it hangs up, or has nothing to say for a moment."""
    answer = b""
    with socket.create_connection(place(address), timeout=0.2) as connection:
        connection.sendall(words)
        with contextlib.suppress(OSError):
            while piece := connection.recv(65_536):
                answer += piece
    return answer


def cut(service: Service, reason: str) -> float:
    """Return how many connections have ended without an answer from a page, for a reason."""
    begin = COUNTED % reason
    (line,) = [it for it in service.http("/metrics")[1].splitlines() if it.startswith(begin)]
    return float(line.removeprefix(begin))


def ops_tls(at_home: House) -> dict[str, str]:
    """Return the settings of ops HTTP with a certificate."""
    chain, key = at_home.server
    return {"OPS_TLS_CERT_FILE": str(chain), "OPS_TLS_KEY_FILE": str(key)}


def test_strangers_of_any_kind_leave_nothing_that_they_sent(valkey: RedisServer) -> None:
    """Neither log, metrics nor answers repeat it, on any listener; malformed ones are counted."""
    with serving(REDIS_URL=valkey.url) as service:
        poll("ready", lambda: service.http("/readyz")[0] == 200)
        for listener in ("ops_listen", "listen", "operator_listen"):
            answers = {name: say(service.told[listener], words) for name, words in BAD.items()}
            assert [name for name, answer in answers.items() if SECRET in answer] == []

        assert cut(service, "malformed") >= 8
        assert SECRET.decode() not in service.http("/metrics")[1]
        service.create_lease(lease_request(now_ms(), merchant="m-strangers"))
        poll("its line", lambda: "call_handled" in service.log_text())
        assert SECRET.decode() not in service.log_text()
        assert [event for event in service.events() if event["level"] == "error"] == []
        assert [line for line in service.log_text().splitlines() if line[:1] != "{"] == []


def test_a_handshake_that_names_no_host_leaves_nothing_of_the_name(
    at_home: House, valkey: RedisServer
) -> None:
    """A server name that is no text is an error that Python prints with the name in it."""
    out = ssl.MemoryBIO()
    wrapped = at_home.context().wrap_bio(ssl.MemoryBIO(), out, server_hostname="xsecretname")
    with pytest.raises(ssl.SSLWantReadError):
        wrapped.do_handshake()
    hello = out.read().replace(b"xsecretname", b"\xffsecretname")
    with serving(REDIS_URL=valkey.url, **ops_tls(at_home)) as service:
        say(service.told["ops_listen"], hello)
        say(service.told["ops_listen"], b"GET /livez HTTP/1.1" + _END)
        poll("it is noted", lambda: "unraisable_error" in service.log_text())
        assert "secretname" not in service.log_text()
        assert [line for line in service.log_text().splitlines() if line[:1] != "{"] == []


@contextmanager
def descriptors(most: int) -> Iterator[None]:
    """Let processes that are started meanwhile open only so many files and connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def opened(address: str, count: int, words: bytes) -> Iterator[list[socket.socket]]:
    """Open connections, say the same on each, and leave them open."""
    with contextlib.ExitStack() as stack:
        connections = []
        for _ in range(count):
            connection = stack.enter_context(socket.create_connection(place(address), timeout=10))
            # Those that had to make room are not there to hear it.
            with contextlib.suppress(OSError):
                connection.sendall(words)
            connections.append(connection)
        yield connections


def open_files(service: Service) -> int:
    """Return how many files and connections a service has open."""
    return len(list(Path(f"/proc/{service.process.pid}/fd").iterdir()))


def test_three_hundred_unfinished_requests_leave_livez_and_partners_served(
    valkey: RedisServer,
) -> None:
    """With 256 descriptors, partners and kubelets are served while 300 strangers stay."""
    kinds = (b"", b"GET /livez HTTP/1.1\r\nHost: ", _POST + b"Content-Length: 9\r\n\r\n")
    with contextlib.ExitStack() as stack:
        with descriptors(256):
            service = stack.enter_context(serving(REDIS_URL=valkey.url))
        poll("ready", lambda: service.http("/readyz")[0] == 200)
        before = open_files(service)
        for number, words in enumerate(kinds, 1):
            with opened(service.told["ops_listen"], 300, words):
                assert service.http("/livez") == (200, "ok\n")
                request = lease_request(now_ms(), merchant=f"m-crowded-{number}")
                assert service.create_lease(request).HasField("lease")
                assert cut(service, "displaced") >= number * (300 - 64)
                assert service.http("/readyz")[0] == 200
        poll("all is closed", lambda: open_files(service) <= before)


def test_three_hundred_unfinished_handshakes_leave_livez_and_partners_served(
    at_home: House, valkey: RedisServer
) -> None:
    """A connection counts from its first moment, not from the end of its handshake."""
    context = ssl.create_default_context(cafile=at_home.servers.ca_file)
    with contextlib.ExitStack() as stack:
        with descriptors(256):
            service = stack.enter_context(serving(REDIS_URL=valkey.url, **ops_tls(at_home)))
        address, before = service.told["ops_listen"], open_files(service)
        with opened(address, 300, b"\x16\x03\x01"):
            with (
                socket.create_connection(place(address), timeout=10) as raw,
                context.wrap_socket(raw, server_hostname="127.0.0.1") as connection,
            ):
                connection.sendall(b"GET /livez HTTP/1.1" + _END)
                assert connection.recv(65_536).startswith(b"HTTP/1.1 200 OK")
            request = lease_request(now_ms(), merchant="m-crowded-tls")
            assert service.create_lease(request).HasField("lease")
        # The connections to the store and of the call may have come meanwhile.
        poll("all is closed", lambda: open_files(service) <= before + 16)


def ask_for(service: Service, path: str, **headers: str) -> tuple[str, bytes, str]:
    """Return the content type of a page, its body and the encoding of the body."""
    request = urllib.request.Request(
        f"http://{service.told['ops_listen']}{path}",
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )
    with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310
        found = response.headers
        return found["Content-Type"], response.read(), found["Content-Encoding"] or ""


TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"
# What Prometheus 2.53 and 3.5 send.
PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;"
    "q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;"
    "escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


def test_metrics_honour_accept_and_compress(valkey: RedisServer) -> None:
    """Text 0.0.4 is the default; OpenMetrics and gzip come where preferred; `/` is an index."""
    wanted = {
        "": TEXT,
        "*/*": TEXT,
        "text/html,*/*;q=0.8": TEXT,
        "text/plain;version=1.0.0": TEXT,
        "application/openmetrics-text;version=sEcReT": OPEN,
        "application/openmetrics-text;q=0.1,text/plain;q=0.9": TEXT,
        "application/openmetrics-text;q=sEcReT": TEXT,
        PROMETHEUS_2: OPEN,
        PROMETHEUS_3: OPEN,
    }
    with serving(REDIS_URL=valkey.url) as service:
        found = {accept: ask_for(service, "/metrics", Accept=accept)[0] for accept in wanted}
        assert found == wanted

        _, plain, encoding = ask_for(service, "/metrics", Accept_Encoding="gzip;q=0, deflate")
        assert encoding == ""
        assert list(text_string_to_metric_families(plain.decode()))
        kind, packed, encoding = ask_for(
            service, "/metrics", Accept=PROMETHEUS_3, Accept_Encoding="gzip"
        )
        assert (kind, encoding) == (OPEN, "gzip")
        assert len(packed) < len(plain) / 4
        text = gzip.decompress(packed).decode()
        families = open_families(text)  # type: ignore[no-untyped-call]
        assert "leasehold_ready" in {family.name for family in families}

        kind, index, _ = ask_for(service, "/")
        assert kind == "text/html; charset=utf-8"
        pages = re.findall(r'href="([^"]+)"', index.decode())
        assert {page: service.http(page)[0] for page in pages} == dict.fromkeys(pages, 200)
        assert {"/metrics", "/livez", "/readyz", "/config"} <= set(pages)


def test_serve_with_a_folder_for_several_processes_ignores_it(
    valkey: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable of prometheus_client has no effect, and the log says so."""
    for name in ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"):
        monkeypatch.setenv(name, str(tmp_path / "absent"))
    with serving(REDIS_URL=valkey.url) as service:
        assert "leasehold_ready" in service.http("/metrics")[1]
        ignored = [e for e in service.events() if e["event"] == "variable_ignored"]
        assert [e["level"] for e in ignored] == ["warning"] * 2
        assert ignored[0]["variable"] == "PROMETHEUS_MULTIPROC_DIR"


async def much(_: web.Request) -> web.Response:
    """Answer more than the buffers of a connection hold."""
    return web.Response(body=bytes(MUCH))


async def fail(request: web.Request) -> web.Response:
    """Fail, with what the caller has sent in the text of the error."""
    raise ValueError(request.query_string)


@asynccontextmanager
async def listening(tls: ssl.SSLContext | None, limit_s: float) -> AsyncIterator[tuple[str, int]]:
    """Serve a page that is too much, and give each connection some time."""
    application = web.Application()
    application.add_routes([web.get("/much", much), web.get("/fail", fail)])
    stack: AsyncExitStack
    stack, port = await ops_http.start(application, "127.0.0.1", 0, tls, limit_s)
    async with stack:
        yield "127.0.0.1", port


NEVER_ENDING = {
    "nothing": (False, b"", b""),
    "a head": (False, b"GET /much HTTP/1.1\r\nHost: ", b"x"),
    "a body": (False, _POST + b"Content-Length: 9999\r\n\r\n", b"x"),
    "chunks": (False, _POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "an answer that is not read": (False, b"GET /much HTTP/1.1\r\nHost: x\r\n\r\n", b""),
    "no handshake": (True, b"", b""),
    "half a handshake": (True, b"\x16\x03\x01\x02\x00\x01\x00", b""),
}


@pytest.mark.parametrize(
    ("is_secure", "begin", "more"), NEVER_ENDING.values(), ids=NEVER_ENDING.keys()
)
async def test_an_unfinished_connection_ends_with_its_time(
    at_home: House, begin: bytes, more: bytes, *, is_secure: bool
) -> None:
    """The time is counted from the first moment, however slowly or often something comes."""
    tls = None
    if is_secure:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*at_home.server)
    before = late()
    async with listening(tls, limit_s=0.3) as (host, port):
        reader, writer = await asyncio.open_connection(host, port, limit=1)
        writer.write(begin)
        async with asyncio.timeout(20):
            while late() == before:
                writer.write(more)
                await asyncio.sleep(0.01)
        size = 0
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(1_000_000):
                size += len(piece)
        assert size < MUCH
        writer.transport.abort()


async def test_a_page_that_fails_is_logged_by_type_and_place_of_its_error() -> None:
    """The text of an error may quote the caller, so neither log nor answer has it."""
    async with listening(tls=None, limit_s=10) as (host, port):
        with capture_logs() as events:
            question = b"GET /fail?sEcReT HTTP/1.1" + _END
            answer = await asyncio.to_thread(say, f"{host}:{port}", question)

    assert answer.startswith(b"HTTP/1.1 500 ")
    assert SECRET not in answer
    (event,) = events
    assert (event["event"], event["error"]) == ("ops_request_failed", "ValueError")
    assert SECRET.decode() not in str(event)
    assert "in fail" in event["traceback"]


def late() -> float:
    """Return how many connections of this process have ended by their time."""
    return float(metrics.ops_connections_cut.labels("late")._value.get())
