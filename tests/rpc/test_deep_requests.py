"""Bookings whose unknown fields are nested as deeply as protobuf reads, or nearly so.

A fuzzer found it: such a booking was made, its answer could not be read again, and from then on
every call that met it, ListBookings of that user too, was INTERNAL.
"""

from typing import Any

import grpc
from google.protobuf.message import Message
from tests.calls import booking_request, lease_request
from tests.reference_store import ReferenceStore
from tests.rpc import legacy
from tests.rpc.conftest import FrontEnd

from leasehold.generated.ext.maps.booking.partner.v0 import booking_service_pb2 as v0
from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as v2
from leasehold.rpc.server import V0, V2

_BEGIN_GROUP, _END_GROUP = b"\x7b", b"\x7c"


def with_nested(request: Message, field: str, depth: int) -> bytes:
    """Return a request with unknown groups in one of its messages, so many in each other."""
    number = request.DESCRIPTOR.fields_by_name[field].number
    inside = getattr(request, field).SerializeToString() + _BEGIN_GROUP * depth + _END_GROUP * depth
    request.ClearField(field)
    length = bytes([len(inside) & 0x7F | 0x80, len(inside) >> 7])
    return b"".join((request.SerializeToString(), bytes([number << 3 | 2]), length, inside))


async def is_made(call: Any, raw: bytes, response: type[Message]) -> bool:
    """Tell whether a booking was made with an answer that can be read; else it was refused."""
    try:
        answer = await call(raw)
    except grpc.aio.AioRpcError as error:
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT  # noqa: PT017 - or made
        return False
    response.FromString(answer)
    return True


async def test_create_booking_nested_deeply_is_refused_or_read_by_everybody(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """Whatever depth a request has, a booking that is made can be looked up, listed and changed."""
    made = []
    for depth in range(90, 102):
        request = booking_request(store.now_ms, token=f"{depth}", user="ada", merchant=f"m-{depth}")
        raw = with_nested(request, "user_information", depth)
        made.append(await is_made(front.raw(f"/{V2}/CreateBooking"), raw, v2.CreateBookingResponse))

    assert made == sorted(made, reverse=True)
    assert made[0]
    assert not made[-1]
    listed = await front.v2.ListBookings(v2.ListBookingsRequest(user_id="ada"))
    assert len(listed.bookings) == sum(made) == len(store.bookings)


async def test_create_booking_v0_nested_deeply_is_refused_or_read_by_everybody(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """The same holds for v0, whose bookings are read through v2 as well."""
    made = []
    for depth in range(90, 102):
        leased = await front.v2.CreateLease(lease_request(store.now_ms, merchant=f"m-{depth}"))
        request = legacy.booking_request(leased.lease.lease_id)
        raw = with_nested(request, "client_information", depth)
        is_there = await is_made(front.raw(f"/{V0}/CreateBooking"), raw, v0.CreateBookingResponse)
        made.append(is_there)

    assert made == sorted(made, reverse=True)
    assert made[0]
    assert not made[-1]
    assert len(store.bookings) == sum(made)
