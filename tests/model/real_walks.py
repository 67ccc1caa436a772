"""Walks on a server, whose clock goes on by itself."""

from dataclasses import replace
from typing import Any

from tests.backends import real_backend
from tests.model.walks import Draw, Tally, Walk
from tests.servers import RedisServer, poll


class RealWalk(Walk):
    """On a server whose clock goes on: asks when nothing is about to end, waits for what ends."""

    terms = replace(Walk.terms, max_lease_ms=60_000, retention_ms=200, booking_retention_ms=0)
    asked_in_ms = (-1, 300, 300, 300, 300, 600, 600, 40_000)
    probe_ms = 200
    # A script has the time of its start, TIME that of its call: a busy machine parts them.
    tolerance_ms = 40
    quiet_ms = 50

    def __init__(self, server: RedisServer, tally: Tally) -> None:
        super().__init__(real_backend(server), tally)

    def do_wait(self, _draw: Draw) -> None:
        """Wait until the server has ended something that ends soon."""
        soon_ms = self.run(self.backend.now_ms()) + 1_500
        ending = sorted((at, k) for k, (_, at) in self.expected_keys().items() if at < soon_ms)
        if ending:
            _, key = ending[0]
            poll(f"{key} ends", lambda: not self.run(self.backend.redis.exists(key)))
            self.count("wait")
            self.compare_keys()

    def settle(self) -> None:
        """Wait until no instant is near, so that both answers belong to one side of it."""
        poll("nothing is about to end", self.is_quiet)

    def is_quiet(self) -> bool:
        """Set the reference's clock, and tell whether nothing ends about now."""
        now_ms = self.reference.now_ms = self.run(self.backend.now_ms())
        near = range(now_ms - self.tolerance_ms, now_ms + self.quiet_ms)
        return not any(at in near for at in self.instants())

    def settle_clocks(self, found: Any, expected: Any) -> None:
        """The reference wrote a record a little earlier than the server."""
        written = found.keys() if isinstance(found, dict) else ()
        for name in {"taken_at_ms", "created_at_ms", "consumed_at_ms"}.intersection(written):
            late_ms = int(found[name]) - int(expected[name])
            assert 0 <= late_ms < self.quiet_ms
            found[name] = expected[name]

    def was_slow(self) -> bool:
        """Tell whether the quiet time was over before the answer."""
        return bool(self.run(self.backend.now_ms()) >= self.reference.now_ms + self.quiet_ms)
