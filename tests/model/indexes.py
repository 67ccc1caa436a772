"""What must hold of the indexes of users after every step of a walk, and whose a booking is."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.reference_store import ReferenceStore

from leasehold.store import keys
from leasehold.store.user_index import OLDER_THAN_ANY_CALL_MS

NOBODYS = b"words of nobody's"
KEYS = (None, b"one key of users" * 2, b"another of users" * 2)
# Everything at one instant, as no sequence of commands could show it on a real server.
DUMP = """
local time, found = redis.call('TIME'), {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  local kind, value = redis.call('TYPE', key).ok, nil
  if kind == 'string' then value = redis.call('GET', key)
  elseif kind == 'hash' then value = redis.call('HGETALL', key)
  elseif kind == 'zset' then value = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  else value = {} end
  found[#found + 1] = {key, kind, value, redis.call('PTTL', key)}
end
return {time, found}
"""


def user_of(_api: str, original: bytes) -> str:
    """Return who asked for a booking in the words of a walk."""
    return original.decode().rpartition(" by ")[2] if original != NOBODYS else ""


@dataclass
class Indexes:
    """The indexes of one walk, and how long each has had a reason to last."""

    latest: Counter[str] = field(default_factory=Counter)
    """The latest end, in epoch milliseconds, of any booking that its user ever had."""

    def check(
        self, found: dict[str, tuple[Any, int]], reference: ReferenceStore, tolerance_ms: int
    ) -> None:
        """An index names all that its user has, by start, and ends with the last that it named.

        ``found`` has the values and ends of all keys of indexes; what lies beside an index is of
        two minutes at most.
        """
        lasting = {key: ends_at_ms for key, (_, ends_at_ms) in found.items() if "}:" not in key}
        for key in found.keys() - lasting.keys():
            assert found[key][1] <= reference.now_ms + OLDER_THAN_ANY_CALL_MS
        for made in reference.bookings.values():
            if made.command.user_id:
                key = keys.index_key(made.user)
                start_s = found[key][0][made.command.booking_id]
                assert int(start_s) == made.current_slot.start_s
                assert lasting[key] >= made.ends_at_ms - tolerance_ms
                self.latest[key] = max(self.latest[key], made.ends_at_ms)
        for key, ends_at_ms in lasting.items():
            assert ends_at_ms <= self.latest[key] + tolerance_ms
