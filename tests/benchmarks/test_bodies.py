from pathlib import Path

import pytest
from tests.benchmarks import etcd, generator
from tests.benchmarks.bodies import Leases, create_lease_words, terms
from tests.benchmarks.growth import FillCommands

from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as pb
from leasehold.model import ids
from leasehold.store import scripts

LEASES = Leases(start_s=1_800_000_000, expires_s=1_799_990_000)


def words_of(command: bytes) -> list[bytes]:
    """Take a RESP command apart, by its own lengths."""
    count, _, rest = command.removeprefix(b"*").partition(b"\r\n")
    words = []
    while rest:
        size, _, rest = rest.removeprefix(b"$").partition(b"\r\n")
        words.append(rest[: int(size)])
        assert rest[int(size) :].startswith(b"\r\n")
        rest = rest[int(size) + 2 :]
    assert len(words) == int(count)
    return words


@pytest.mark.parametrize("number", [1, 4999, 5000, 9_999_999])
def test_fill_command_is_what_the_store_would_send(number: int) -> None:
    """But for the lease's names and its end, a filled lease is one of the service's."""
    sent = create_lease_words(LEASES.command(number), terms())
    command = LEASES.command(number)
    own = (command.lease_suffix, command.reference, str(command.asked_expires_ms), "900000")

    filled = words_of(FillCommands(LEASES).command(number))

    assert len(sent) == len(filled)
    for expected, found in zip(sent, filled, strict=True):
        if not any(text in expected for text in own):
            assert found.decode() == expected
        assert len(found) == len(expected) or expected == "900000"


def test_words_are_those_of_the_script() -> None:
    """The EVALSHA has the keys and arguments that the header of the script names."""
    script = scripts.load("create_lease")

    words = create_lease_words(LEASES.command(1), terms())

    assert words[:3] == ["EVALSHA", script.sha, str(len(script.header.keys))]
    assert len(words) == 3 + len(script.header.keys) + len(script.header.arguments)


def test_requests_differ_in_slot_and_reference() -> None:
    """Every prepared lease is fresh."""
    requests = [
        pb.CreateLeaseRequest.FromString(raw) for raw in LEASES.lease_requests(4990, 10_020)
    ]

    slots = {request.lease.slot.SerializeToString() for request in requests}
    assert len(slots) == len({request.lease.user_reference for request in requests}) == 10_020


def test_booking_consumes_the_lease_of_the_same_number() -> None:
    """The lease's id, which the service has yet to give, is known beforehand."""
    (raw,) = LEASES.booking_requests(7, 1)
    booking = pb.CreateBookingRequest.FromString(raw)

    suffix = ids.lease_suffix(LEASES.reference(7))
    assert booking.lease_ref.lease_id == f"salon-00007.{suffix}"


def test_bodies_are_framed_twice(tmp_path: Path) -> None:
    """A size for the generator, then the prefix of gRPC, then the message."""
    assert generator.write_bodies(tmp_path / "bodies", [b"abc", b""]) == 2

    expected = b"\x08\0\0\0\0\0\0\0\x03abc\x05\0\0\0\0\0\0\0\0"
    assert (tmp_path / "bodies").read_bytes() == expected


def test_etcd_messages_are_protobuf() -> None:
    """The hand-written messages hold what etcd's rpc.proto says, field by field."""
    assert etcd.lease_grant(300, 600) == bytes.fromhex("08d804 10ac02")

    txn = etcd.put_if_free(b"k", b"v", 5)

    compare = bytes.fromhex("1001 1a016b 2800")  # created, key "k", at revision 0
    put = bytes.fromhex("0a016b 120176 1805")  # key "k", value "v", lease 5
    operation = b"\x12" + bytes([len(put)]) + put
    assert txn == (
        b"\x0a" + bytes([len(compare)]) + compare + b"\x12" + bytes([len(operation)]) + operation
    )
