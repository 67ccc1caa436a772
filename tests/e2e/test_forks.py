"""No process is started once gRPC has threads: a fork would copy their locks and not them."""

from pathlib import Path

from tests.callers import calls_of, load, until
from tests.service import Service


class ToldService(Service):
    """A service that tells of every process that it starts."""

    program = ("tests.forks", "serve")


def children(pid: int) -> set[str]:
    """Return the processes that a process has started and not yet buried, by all its threads."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return {child for task in tasks for child in (task / "children").read_text().split()}


async def test_serve_starts_processes_only_before_grpc_has_threads(tmp_path: Path) -> None:
    """The embedded store comes first, from a single thread, and nothing later (failure mode 40)."""
    service = ToldService("--embedded", EMBEDDED_DIR=str(tmp_path))
    try:
        service.wait_until_serving()
        before = children(service.process.pid)
        async with load(service.address, "m-forks") as callers:
            await until("it serves", lambda: calls_of(service) > 500)
        assert children(service.process.pid) == before
        assert service.stop() == 0
        events = [each["event"] for each in service.events()]
        starts = [each for each in service.events() if each["event"] == "started_a_process"]
        assert [each["threads"] for each in starts] == [1]
        assert events.index("started_a_process") < events.index("serving")
        assert callers.failures == []
    finally:
        service.close()
