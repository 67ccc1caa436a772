"""What the store itself must hold at the end, whatever was lost on the way."""

from collections.abc import Iterator
from urllib.parse import unquote

from tests.servers import RedisServer

from leasehold.store import keys


def faults(primary: RedisServer) -> Iterator[str]:
    """Yield every record of a booking whose start or duration is not that of its slot.

    Callers are shown the slot; the start beside it decides what a later change may do, and when
    the record ends.
    """
    with primary.client() as client:
        for key in client.scan_iter("booking:*"):
            record = client.hgetall(key)
            merchant = unquote(key.partition("{")[2].partition("}")[0])
            slot = keys.parse_slot(merchant, record["current_slot"])
            told = int(record["start_ms"]), int(record["duration_ms"])
            if told != (slot.start_ms, slot.duration_s * 1000):
                yield f"{key}: start and duration {told}, slot {record['current_slot']}"
