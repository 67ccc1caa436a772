"""The installed program as a process: started, watched and stopped by the test."""

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.commands import run_command
from tests.servers import check_ttls, poll

from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as pb
from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2_grpc as pb_grpc

ANY_PORT = {
    "LEASEHOLD_LISTEN": "127.0.0.1:0",
    "LEASEHOLD_OPERATOR_LISTEN": "127.0.0.1:0",
    "LEASEHOLD_OPS_LISTEN": "127.0.0.1:0",
    "LEASEHOLD_EMBEDDED_PORT": "0",
    "LEASEHOLD_LOG_FORMAT": "json",
}


def environment(**settings: str) -> dict[str, str]:
    """Return this process's environment with just these settings."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("LEASEHOLD_")}
    return {**inherited, **{f"LEASEHOLD_{name}": value for name, value in settings.items()}}


class Service:
    """One `leasehold serve`, or another module that tells its address as that does."""

    program: tuple[str, ...] = ("leasehold", "serve")
    more_environment: Mapping[str, str] = {}

    def __init__(self, *arguments: str, **settings: str) -> None:
        self._log_file = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed in close()
        self.process = subprocess.Popen(
            [sys.executable, "-m", *self.program, *arguments],
            env={**environment(), **ANY_PORT, **environment(**settings), **self.more_environment},
            stdout=subprocess.DEVNULL,
            stderr=self._log_file,
        )
        self.told: dict[str, Any] = {}

    def wait_until_serving(self) -> None:
        """Wait for the event that tells the addresses."""
        poll("the service serves", self._has_told)

    def _has_told(self) -> bool:
        if self.process.poll() is not None:
            pytest.fail(f"the service ended by itself:\n{self.log_text()}")
        events = [event for event in self.events() if event.get("event") == "serving"]
        self.told = events[0] if events else {}
        return bool(self.told)

    def log_text(self) -> str:
        """Return everything logged so far."""
        return os.pread(self._log_file.fileno(), 10_000_000, 0).decode()

    def forget_log(self) -> None:
        """Free the room of everything logged so far."""
        os.ftruncate(self._log_file.fileno(), 0)

    def events(self) -> list[dict[str, Any]]:
        """Return the log lines that are complete and JSON."""
        lines = self.log_text().rpartition("\n")[0].splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    @property
    def address(self) -> str:
        """Return the partner listener."""
        return str(self.told["listen"])

    def http(self, path: str) -> tuple[int, str]:
        """Ask the ops listener."""
        try:
            url = f"http://{self.told['ops_listen']}{path}"
            with urllib.request.urlopen(url, timeout=5) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def create_lease(self, request: pb.CreateLeaseRequest) -> pb.CreateLeaseResponse:
        """Call CreateLease once."""
        with grpc.insecure_channel(self.address) as channel:
            response: pb.CreateLeaseResponse = pb_grpc.BookingServiceStub(channel).CreateLease(
                request, timeout=10
            )
            return response

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            pytest.fail(f"the service does not end:\n{self.log_text()}")

    def close(self) -> None:
        """Kill what still runs."""
        self.stop(signal.SIGKILL)
        self._log_file.close()


@contextmanager
def serving(*arguments: str, **settings: str) -> Iterator[Service]:
    """Run a service for one test."""
    service = Service(*arguments, **settings)
    try:
        service.wait_until_serving()
        yield service
        if service.told["embedded_pid"]:
            check_ttls(str(service.told["redis_url"]))
    finally:
        service.close()


def run(
    *arguments: str,
    settings: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    extra: Mapping[str, str] | None = None,
    told: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run one command of the command line to its end; ``told`` is its standard input."""
    given = {**environment(**(settings or {})), "COLUMNS": "200", **(extra or {})}
    return run_command(arguments, given, cwd, told)


def on_a_terminal(*arguments: str, columns: int = 200, encoding: str = "utf-8") -> str:
    """Run one command as on a terminal of some width, and return what people see."""
    ours, theirs = pty.openpty()
    with (
        os.fdopen(ours, "rb", buffering=0) as screen,
        subprocess.Popen(
            [sys.executable, "-m", "leasehold", *arguments],
            env={
                **environment(),
                "COLUMNS": str(columns),
                "TERM": "dumb",
                "PYTHONIOENCODING": encoding,
            },
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
        ),
    ):
        os.close(theirs)
        seen = b""
        # When the other end of a terminal is gone, reading it is an error and not an end of file.
        with contextlib.suppress(OSError):
            while piece := screen.read(65_536):
                seen += piece
    return seen.decode().replace("\r\n", "\n")


@cache
def in_a_hundred_days() -> str:
    """Return a day that is always ahead, as it is typed; the same one also after midnight."""
    return f"{datetime.now(UTC) + timedelta(days=100):%Y-%m-%d}"


def now_ms() -> int:
    """Return this machine's clock, which the test's servers share."""
    return time.time_ns() // 1_000_000
