"""What errors of libraries and of the interpreter leave in the log: no text of a stranger."""

import json
import subprocess
import sys

import pytest

_PROGRAM = """
import asyncio, logging, sys
from leasehold.cli.serve import _new_event_loop
from leasehold.telemetry import log

class Fading:
    def __del__(self):
        raise ValueError("secret of an object")

async def fail():
    raise ValueError("secret of a task")

async def main():
    try:
        raise ValueError("secret of a library")
    except ValueError:
        logging.getLogger("library").exception("it has failed")
    Fading()
    task = asyncio.create_task(fail())
    await asyncio.wait({task})

log.configure(sys.argv[1], "info")
with asyncio.Runner(loop_factory=_new_event_loop) as runner:
    runner.run(main())
"""


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_errors_of_libraries_are_logged_without_their_words(log_format: str) -> None:
    """Which error it was, and where, is there; what it says is not."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, log_format], capture_output=True, text=True, check=True
    )

    assert "secret" not in done.stderr
    for event in ("it has failed", "unraisable_error", "loop_error"):
        assert event in done.stderr
    if log_format == "json":
        events = [json.loads(line) for line in done.stderr.splitlines()]
        assert [event["error"] for event in events] == ["ValueError"] * 3
        assert all('File "<string>", line' in event["traceback"] for event in events)
