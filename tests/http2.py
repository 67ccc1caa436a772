"""A caller that speaks HTTP/2 by hand, so that it may stop in the middle of a message."""

import socket
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1
_MAX_STREAMS, _INITIAL_WINDOW, _MAX_FRAME = 3, 4, 5
_FRAME_BYTES = 16_384


def frame(kind: int, payload: bytes = b"", *, flags: int = 0, stream: int = 0) -> bytes:
    """Return one frame."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def header(name: str, value: str) -> bytes:
    """Return a header as a literal that no table of the connection remembers."""
    return b"\x00" + b"".join(_length(len(text)) + text.encode() for text in (name, value))


def _length(number: int) -> bytes:
    if number < 127:
        return bytes([number])
    number -= 127
    parts = [127]
    while number >= 128:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*parts, number))


class RawCaller:
    """One connection without TLS; it sends as much as the windows of its server allow."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=10)
        self._received = b""
        self._next_stream = 1
        self._window = self._initial_window = 65_535
        self._windows: dict[int, int] = {}
        self.settings: dict[int, int] = {}
        self.ended: set[int] = set()
        """Streams that the server has ended."""
        self.goaway: bytes | None = None
        self._socket.sendall(_PREFACE + frame(SETTINGS))

    def greet(self) -> None:
        """Take the server's first words. Raises ConnectionResetError where it has none."""
        while not self.settings:
            self.receive()

    @property
    def max_streams(self) -> int:
        """Return how many streams the server allows."""
        return self.settings[_MAX_STREAMS]

    def open(self, path: str, metadata: Mapping[str, str] | None = None) -> int:
        """Begin a call; return its stream."""
        stream, self._next_stream = self._next_stream, self._next_stream + 2
        self._windows[stream] = self._initial_window
        fixed = {
            ":method": "POST",
            ":scheme": "http",
            ":path": path,
            ":authority": "localhost",
            "content-type": "application/grpc",
            "te": "trailers",
        }
        block = b"".join(header(*each) for each in {**fixed, **(metadata or {})}.items())
        self._socket.sendall(frame(HEADERS, block, flags=_END_HEADERS, stream=stream))
        return stream

    def send(self, stream: int, data: memoryview, *, is_last: bool = False) -> int:
        """Send what the windows allow of some bytes; return how many those were."""
        sent = 0
        while sent < len(data) and stream not in self.ended:
            size = min(self._window, self._windows[stream], _FRAME_BYTES, len(data) - sent)
            if size <= 0:
                break
            flags = _END_STREAM if is_last and sent + size == len(data) else 0
            piece = data[sent : sent + size]
            self._socket.sendall(frame(DATA, bytes(piece), flags=flags, stream=stream))
            self._window -= size
            self._windows[stream] -= size
            sent += size
        return sent

    def receive(self, timeout_s: float = 10) -> bool:
        """Take what the server has sent, windows above all; return whether there was anything."""
        self._socket.settimeout(timeout_s)
        try:
            data = self._socket.recv(65_536)
        except TimeoutError:
            return False
        if not data:
            raise ConnectionResetError
        self._received += data
        while len(self._received) >= 9:
            size = int.from_bytes(self._received[:3], "big")
            if len(self._received) < 9 + size:
                break
            kind, flags, stream = struct.unpack(">BBI", self._received[3:9])
            self._take(kind, flags, stream, self._received[9 : 9 + size])
            self._received = self._received[9 + size :]
        return True

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == SETTINGS and not flags & _ACK:
            self._take_settings(payload)
        elif kind == PING and not flags & _ACK:
            self._socket.sendall(frame(PING, payload, flags=_ACK))
        elif kind == WINDOW_UPDATE:
            (more,) = struct.unpack(">I", payload)
            if stream:
                self._windows[stream] += more
            else:
                self._window += more
        elif kind == GOAWAY:
            self.goaway = payload
        elif kind == RST_STREAM or (kind in (DATA, HEADERS) and flags & _END_STREAM):
            self.ended.add(stream)

    def _take_settings(self, payload: bytes) -> None:
        self.settings |= dict(struct.iter_unpack(">HI", payload))
        window = self.settings.get(_INITIAL_WINDOW, self._initial_window)
        for stream in self._windows:
            self._windows[stream] += window - self._initial_window
        self._initial_window = window
        self._socket.sendall(frame(SETTINGS, flags=_ACK))

    def close(self) -> None:
        """End the connection."""
        self._socket.close()


@contextmanager
def raw_caller(address: str) -> Iterator[RawCaller]:
    """Connect by hand, until the context ends."""
    caller = RawCaller(address)
    try:
        caller.greet()
        yield caller
    finally:
        caller.close()


def beginning(size: int) -> bytes:
    """Return the bytes that say that a message of ``size`` bytes comes."""
    return b"\0" + struct.pack(">I", size)
