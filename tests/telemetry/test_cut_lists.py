"""A list that leaves bookings out: whoever runs the service sees that, and not whose it was."""

import asyncio

import grpc
from tests.backends import TERMS, link_to, soon
from tests.calls import booking_request
from tests.servers import poll, running
from tests.service import now_ms, serving

from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as pb
from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2_grpc as pb_grpc
from leasehold.model.booking import MOST_LISTED
from leasehold.rpc.v2 import translate
from leasehold.store.redis_store import RedisStore

USER = "ada-of-many-bookings"


async def book(url: str, count: int) -> None:
    """Make so many bookings of the user, an hour apart, as the service makes them."""
    at_ms = now_ms()
    async with link_to(url) as link:
        store = RedisStore(link, TERMS)
        for number in range(count):
            start_s = at_ms // 1000 + 3600 * (number + 1)
            request = booking_request(at_ms, user=USER, token=f"t-{number}", start_s=start_s)
            command = translate.create_booking_command(request, 86_400)
            assert (await store.create_booking(command, soon())).status == "created"


def test_list_bookings_that_leaves_some_out_is_counted_and_logged() -> None:
    """The metric and a line say that it happened; neither says which user it was."""
    with running("valkey9") as server, serving(REDIS_URL=server.url) as service:
        asyncio.run(book(server.url, MOST_LISTED + 1))
        with grpc.insecure_channel(service.address) as channel:
            stub = pb_grpc.BookingServiceStub(channel)
            listed = stub.ListBookings(pb.ListBookingsRequest(user_id=USER), timeout=10).bookings

        assert len(listed) == MOST_LISTED
        starts = [booking.slot.start_time.seconds for booking in listed]
        assert starts == sorted(starts)
        _, metrics = service.http("/metrics")
        assert "leasehold_booking_lists_cut_total 1.0" in metrics
        # What a moment logs is written together, a little later.
        poll("its line", lambda: "booking_list_cut" in service.log_text())
        (line,) = [each for each in service.events() if each["event"] == "booking_list_cut"]
        assert line["listed"] == MOST_LISTED
        assert USER not in service.log_text() + metrics
