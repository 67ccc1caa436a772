"""The tests can be run at any hour of any day: under a clock that Python and every server share."""

import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.servers import REAL_SERVERS, binary

ROOT = Path(__file__).parents[2]
AT = "2028-02-28T23:30:00+00:00"
ASK = """
import sys, time
from datetime import UTC, datetime
from tests.servers import running

time.sleep(0.01)
with running(sys.argv[1]) as server, server.client() as client:
    seconds, _ = client.time()
print(datetime.now(UTC).isoformat(), datetime.fromtimestamp(seconds, UTC).isoformat())
"""


@pytest.mark.parametrize("name", REAL_SERVERS)
def test_shifted_clock_is_that_of_python_and_of_the_server(name: str) -> None:
    """Under a shifted clock a test, and the server that it starts, see one and the same time."""
    binary("faketime")
    binary(name)
    shifted = [sys.executable, "-m", "tests.shifted_clock", AT]
    words = [*shifted, sys.executable, "-c", ASK, name]

    told = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)

    python, store = map(datetime.fromisoformat, told.stdout.split())
    assert abs(python - store) < timedelta(seconds=5)
    assert timedelta() <= python - datetime.fromisoformat(AT) < timedelta(minutes=2)
