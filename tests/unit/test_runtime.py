"""What the commands run on: the event loop, and gRPC's switches."""

import asyncio
import os
import subprocess
import sys

import pytest
import uvloop

from leasehold.cli import serve

VARIABLE = "GRPC_EXPERIMENTS"
START_A_SERVER = f"""
import os
import leasehold.cli.app
import asyncio, grpc
async def main():
    server = grpc.aio.server()
    server.add_insecure_port("127.0.0.1:0")
    await server.start()
    await server.stop(None)
asyncio.run(main())
print(os.environ["{VARIABLE}"])
"""


def run(**environment: str) -> subprocess.CompletedProcess[str]:
    """Start a gRPC server in a process that has imported the commands."""
    inherited = {name: value for name, value in os.environ.items() if name != VARIABLE}
    return subprocess.run(
        [sys.executable, "-c", START_A_SERVER],
        env={**inherited, "GRPC_VERBOSITY": "error", **environment},
        check=True,
        capture_output=True,
        text=True,
    )


def test_serve_runs_on_uvloop_where_there_is_one() -> None:
    """The faster loop is taken without being asked for."""
    loop = serve._new_event_loop()
    loop.close()

    assert isinstance(loop, uvloop.Loop)


def test_serve_runs_on_asyncio_where_there_is_no_uvloop(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service needs no more than Python's own loop."""
    monkeypatch.setitem(sys.modules, "uvloop", None)
    loop = serve._new_event_loop()
    loop.close()

    assert isinstance(loop, asyncio.SelectorEventLoop)


def test_grpc_switches_are_known_to_grpc() -> None:
    """They are set before gRPC is used, and this release of it understands each of them."""
    started = run()

    assert started.stdout.strip() == "-event_engine_client,-event_engine_listener"
    assert "experiment" not in started.stderr


@pytest.mark.parametrize("value", ["", "-nonsense"])
def test_grpc_switches_of_the_operator_stand(value: str) -> None:
    """Whoever sets the variable decides; a name that gRPC does not know harms nothing."""
    started = run(**{VARIABLE: value})

    assert started.stdout.strip() == value
    assert ("Unknown experiment" in started.stderr) == bool(value)
