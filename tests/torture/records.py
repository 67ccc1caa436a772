"""What the store itself must hold at the end, beside what callers are shown of it."""

from collections.abc import Iterator, Sequence

from tests.servers import RedisServer

from leasehold.model.ids import wire_id
from leasehold.store import keys


def faults(primaries: Sequence[RedisServer], acknowledged: set[str]) -> Iterator[str]:
    """Yield the records of bookings that contradict their slots, or that no index names.

    Callers are shown the slot; the start beside it decides what a later change may do, and when
    the record ends. An intent hides a missing index for two minutes. ``acknowledged`` are the
    ids of the bookings that an index must name if they stand.
    """
    records: dict[str, dict[str, str]] = {}
    named: dict[str, set[str]] = {}
    for primary in primaries:
        with primary.client() as client:
            records |= {key: client.hgetall(key) for key in client.scan_iter("booking:*")}
            indexes = list(client.scan_iter("bookings-of:{*}"))
            named |= {key: set(client.zrange(key, 0, -1)) for key in indexes}
    for key, record in records.items():
        reference = keys.parse_booking_key(key)
        assert reference
        slot = keys.parse_slot(reference.merchant_id, record["current_slot"])
        beside = int(record["start_ms"]), int(record["duration_ms"])
        if beside != (slot.start_ms, slot.duration_s * 1000):
            yield f"{key}: start and duration {beside}, slot {record['current_slot']}"
        booking_id = wire_id(reference.merchant_id, reference.suffix)
        must_be_named = booking_id in acknowledged and record["status"] == "confirmed"
        if must_be_named and booking_id not in named.get(keys.index_key(record["user"]), ()):
            yield f"{key}: the index of its user does not name it"
