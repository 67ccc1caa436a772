"""Run a command with another wall clock: `python -m tests.shifted_clock TIME COMMAND…`.

TIME is ISO 8601 with its offset from UTC, for example 2028-02-28T23:30:00Z. The command, and
every program that it starts, sees that time, and from there on the time goes by as always. Needs
Debian's package faketime.
"""

import os
import sys
from datetime import datetime
from pathlib import Path

HERE = Path(__file__).parent


def environment(time: str) -> dict[str, str]:
    """Return the environment under which the wall clock says ``time`` now.

    Raises SystemExit where libfaketime or the malloc of the C library is missing.
    """
    offset_s = datetime.fromisoformat(time).timestamp() - datetime.now().astimezone().timestamp()
    # The clock may have been shifted already.
    offset_s += float(os.environ.get("FAKETIME", "0s").removesuffix("s"))
    # jemalloc of redis-server asks for the time while libfaketime allocates its first memory, and
    # both wait for ever. With the C library's own malloc in front of it, it is never asked.
    preloaded = (_library("faketime/libfaketimeMT.so.1"), _library("libc_malloc_debug.so.0"))
    return {
        **os.environ,
        "FAKETIME": f"{offset_s:+.3f}s",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "LD_PRELOAD": ":".join(preloaded),
        "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parents[1])]),
    }


def _library(name: str) -> str:
    for folder in ("/usr/lib", "/lib"):
        for found in sorted(Path(folder).glob(f"*/{name}")):
            return str(found)
    raise SystemExit(f"{name} is not on this machine; install Debian's packages faketime and libc6")


if __name__ == "__main__":
    if len(sys.argv) < 3 or not sys.argv[1].startswith("2"):
        raise SystemExit(__doc__)
    time, *command = sys.argv[1:]
    os.execvpe(command[0], command, environment(time))  # noqa: S606 - the command is the caller's
