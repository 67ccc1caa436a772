"""Whatever arrives on the wire: a clear INVALID_ARGUMENT or the right answer, nothing half-written.

Real service, real store. Each example gets a verdict of its own, from the rules and not from the
service's code.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.calls import CREATE_LEASE, lease_request
from tests.servers import running
from tests.service import now_ms, serving

from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as pb
from leasehold.store.keys import marker_key

hostile_ids = st.one_of(
    st.text("{}:#%/ .\\'\"*?[]\u00e9\U0001f388", min_size=0, max_size=8),
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.sampled_from(
        ["", "x" * 255, "x" * 256, "é" * 127, "é" * 128, "a\x00b", "a\nb", "a\x7fb", "a\x85b"]
    ),
)
int64 = st.integers(-(2**63), 2**63 - 1)
int32 = st.integers(-(2**31), 2**31 - 1)
# Mostly what is well-formed, so that the rare hostile value does not hide behind another.
soon_s = st.integers(-5, 1000).map(lambda ahead: now_ms() // 1000 + ahead)
times_s = st.one_of(soon_s, soon_s, soon_s, int64)
durations_s = st.one_of(st.integers(1, 7200), st.integers(1, 7200), int64)
no_nanos = st.one_of(st.just(0), st.just(0), st.just(0), int32)
sizes = st.one_of(st.integers(0, 20), st.integers(0, 20), int32)


@dataclass
class Target:
    """A running service, and the store behind it."""

    call: Any
    """A method that sends and receives bytes as they are."""
    store: redis.Redis

    def ask(self, raw: bytes) -> pb.CreateLeaseResponse | grpc.StatusCode:
        """Send bytes as they are; return the response, or the status code."""
        try:
            return pb.CreateLeaseResponse.FromString(self.call(raw, timeout=10))
        except grpc.RpcError as error:
            code: grpc.StatusCode = error.code()
            return code

    def key_count(self) -> int:
        """Return how many keys there are, but for the marker, which comes by itself."""
        return len(set(self.store.scan_iter()) - {marker_key("")})


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    """One service for all examples."""
    with (
        running("valkey9") as server,
        serving(REDIS_URL=server.url) as service,
        grpc.insecure_channel(service.address) as channel,
        server.client() as client,
    ):
        yield Target(channel.unary_unary(CREATE_LEASE), client)


def is_id(value: str, *, required: bool = True) -> bool:
    """Judge an id by the contract's words."""
    controls = any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in value)
    return len(value.encode()) <= 255 and not controls and (bool(value) or not required)


@settings(max_examples=300, deadline=None)
@given(hostile_ids, hostile_ids, hostile_ids, hostile_ids, hostile_ids)
def test_hostile_ids_are_held_or_named(
    target: Target, merchant: str, service: str, staff: str, room: str, reference: str
) -> None:
    """Well-formed ids are held, however strange; others are INVALID_ARGUMENT and leave nothing."""
    target.store.flushall()
    request = lease_request(now_ms(), merchant=merchant, reference=reference, staff=staff)
    request.lease.slot.service_id = service
    request.lease.slot.resources.room_id = room
    well_formed = all(map(is_id, (merchant, service, reference))) and all(
        is_id(value, required=False) for value in (staff, room)
    )

    answer = target.ask(request.SerializeToString())

    if well_formed:
        assert isinstance(answer, pb.CreateLeaseResponse)
        assert answer.lease.slot == request.lease.slot
        (lease_key,) = target.store.scan_iter("lease:*")
        (slot_key,) = target.store.scan_iter("slot:*")
        suffix = answer.lease.lease_id.rpartition(".")[2]
        assert lease_key.endswith(f"}}:{suffix}")
        assert target.store.get(slot_key) == f"lease {suffix}"
        assert target.store.pttl(slot_key) > 0
        assert target.store.pttl(lease_key) > target.store.pttl(slot_key)
    else:
        assert answer is grpc.StatusCode.INVALID_ARGUMENT
        assert target.key_count() == 0


@settings(max_examples=300, deadline=None)
@given(times_s, no_nanos, durations_s, no_nanos, times_s, no_nanos, sizes)
def test_hostile_numbers_are_never_internal(
    target: Target,
    start_s: int,
    start_nanos: int,
    duration_s: int,
    duration_nanos: int,
    expires_s: int,
    expires_nanos: int,
    party_size: int,
) -> None:
    """Numbers from all over their ranges: refused clearly, or held until a time that exists."""
    target.store.flushall()
    request = lease_request(now_ms())
    lease = request.lease
    lease.slot.start_time.seconds, lease.slot.start_time.nanos = start_s, start_nanos
    lease.slot.duration.seconds, lease.slot.duration.nanos = duration_s, duration_nanos
    lease.lease_expiration_time.seconds = expires_s
    lease.lease_expiration_time.nanos = expires_nanos
    lease.slot.resources.party_size = party_size

    answer = target.ask(request.SerializeToString())

    if isinstance(answer, pb.CreateLeaseResponse) and answer.HasField("lease"):
        assert answer.lease.lease_expiration_time.ToMilliseconds() > now_ms() - 1000
        assert target.key_count() == 2
    else:
        assert isinstance(answer, pb.CreateLeaseResponse) or (
            answer is grpc.StatusCode.INVALID_ARGUMENT
        )
        assert target.key_count() == 0


def changed(changes: list[tuple[int, int]]) -> bytes:
    """Return the good request with some bytes replaced."""
    raw = bytearray(GOOD)
    for place, byte in changes:
        raw[place] = byte
    return bytes(raw)


GOOD = lease_request(now_ms(), staff="anna", for_ms=800_000).SerializeToString()
garbage = st.one_of(
    st.binary(max_size=200),
    st.integers(0, len(GOOD)).map(lambda cut: GOOD[:cut]),
    st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), max_size=4).map(
        changed
    ),
)


@settings(max_examples=500, deadline=None)
@given(garbage)
def test_garbage_on_the_wire_is_never_internal(target: Target, raw: bytes) -> None:
    """Random bytes, and good requests with bytes changed: INVALID_ARGUMENT or a right answer."""
    target.store.flushall()

    answer = target.ask(raw)

    if isinstance(answer, pb.CreateLeaseResponse) and answer.HasField("lease"):
        assert target.key_count() == 2
    else:
        assert isinstance(answer, pb.CreateLeaseResponse) or (
            answer is grpc.StatusCode.INVALID_ARGUMENT
        )
        assert target.key_count() == 0
