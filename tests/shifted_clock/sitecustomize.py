"""Loaded by every Python that runs under a shifted clock (`make test-at`).

libfaketime 0.9.10 refuses the call by which Python 3.11 and later sleep, with "Invalid argument",
where the monotonic clock is left as it is; and with a shifted one threads wait for ever.
"""

import select
import time
from typing import SupportsIndex


def _sleep(seconds: float | SupportsIndex) -> None:
    select.select([], [], [], float(seconds))


time.sleep = _sleep
