"""`leasehold serve`, telling of every process that it starts and how many threads it has then."""

import json
import os
import sys
from typing import Any

_STARTS = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system"}


def _tell(event: str, _arguments: tuple[Any, ...]) -> None:
    if event in _STARTS:
        threads = len(os.listdir("/proc/self/task"))  # noqa: PTH208 - no more than needed
        line = json.dumps({"event": "started_a_process", "by": event, "threads": threads})
        os.write(2, f"{line}\n".encode())


if __name__ == "__main__":
    sys.addaudithook(_tell)
    from leasehold.cli.app import main

    main()
