"""Real servers whose clock a test sets while they run, by libfaketime."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.servers import RedisServer, binary, check_ttls, poll

_FAKETIME = "libfaketimeMT.so.1"
# Redis of Debian brings an allocator of its own, before which libfaketime wants this.
_MALLOC = {"redis7": "libc_malloc_debug.so.0"}


@dataclass
class ClockedServer(RedisServer):
    """A server whose TIME is ahead of the machine's by what the test says last."""

    _offset_s: float = 0.0

    def start(self, *, wait: bool = True) -> None:
        """Start the process with the clock of the machine."""
        super().start(wait=wait)
        self._offset_s = self._ahead_s()

    def step_to(self, ahead_s: float) -> None:
        """Let the clock step, and return once it has."""
        self._write(ahead_s)
        poll("the clock steps", lambda: abs(self._ahead_s() - self._offset_s - ahead_s) < 1)

    def _ahead_s(self) -> float:
        with self.client() as client:
            seconds, microseconds = client.time()
        return int(seconds) + int(microseconds) / 1e6 - time.monotonic()

    @property
    def _file(self) -> Path:
        return self.directory / "ahead"

    def _write(self, ahead_s: float) -> None:
        whole = self._file.with_suffix(".new")
        whole.write_text(f"{ahead_s:+f}")
        whole.rename(self._file)

    def _command(self) -> list[str]:
        self._write(0)
        preloaded = [str(binary(_FAKETIME)), *filter(None, [_MALLOC.get(self.name)])]
        settings = {
            "LD_PRELOAD": ":".join(preloaded),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        words = (f"{name}={value}" for name, value in settings.items())
        return ["env", *words, *super()._command()]


@contextmanager
def clocked(name: str, *arguments: str) -> Iterator[ClockedServer]:
    """Run a server whose clock can be set for one test, which leaves no key without a TTL on it."""
    if "FAKETIME" in os.environ:
        pytest.skip("the clock of this run is shifted, and one cannot be shifted twice")
    with ClockedServer(name, arguments) as server:
        yield server
        check_ttls(server.tester_url)
