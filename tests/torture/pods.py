"""Several server processes that keep their addresses when they are killed and started again."""

import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from tests.servers import free_port
from tests.service import Service

SETTINGS = {
    "MIN_LEASE_S": "0.2",
}


class Pod:
    """One `leasehold serve` on a port of its own."""

    def __init__(
        self, settings: Mapping[str, str], release: Callable[..., Service] = Service
    ) -> None:
        """``release`` starts a process of the working tree, or of another release."""
        self.release = release
        self.address = f"127.0.0.1:{free_port()}"
        self._settings = {**SETTINGS, **settings, "LISTEN": self.address}
        self._service: Service | None = None

    def start(self) -> None:
        """Start it and wait until it serves."""
        self._service = self.release(**self._settings)
        self._service.wait_until_serving()

    def kill(self) -> None:
        """End it at once, with whatever it is doing."""
        if self._service:
            self._service.close()
            self._service = None

    def pause(self) -> None:
        """Stop it where it is."""
        assert self._service
        os.kill(self._service.process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self._service
        os.kill(self._service.process.pid, signal.SIGCONT)

    def log_text(self) -> str:
        """Return what it has logged since it was started."""
        return self._service.log_text() if self._service else ""


@contextmanager
def serving(count: int, settings: Mapping[str, str]) -> Iterator[Sequence[Pod]]:
    """Run so many pods with the same settings."""
    with ExitStack() as stack:
        pods = [Pod(settings) for _ in range(count)]
        for pod in pods:
            stack.callback(pod.kill)
            pod.start()
        yield pods
