"""Contract 6.2, "Personal data": kept in the booking record, and nowhere else."""

import base64
import binascii
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import generate_latest
from structlog.testing import capture_logs
from tests.backends import Backend
from tests.calls import booking_request, failure_of
from tests.rpc import legacy
from tests.rpc.conftest import FrontEnd
from tests.rpc.contract import UNKNOWN_ID, lease_id, update_request

from leasehold.generated.ext.maps.booking.partner.v0 import booking_service_pb2 as v0
from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as pb
from leasehold.model import ids
from leasehold.model.store import LeaseStore
from leasehold.store import keys

Serve = Callable[[LeaseStore], Any]

CLIENT = {
    "given_name": "Zebedee",
    "family_name": "Quixwood",
    "telephone": "+44-555-0199-773",
    "email": "zq@quix.example",
    "address": {
        "address_country": "GB",
        "address_locality": "Quixham",
        "address_region": "Zedshire",
        "postal_code": "QX7-7ZZ",
        "street_address": "77 Xylophone Row",
    },
}
USER = "u5er-Zebedee"
TRANSACTION = "txn-zyx-4711"
FREE_TEXT = "bring the walrus"
PERSONAL = (
    *("ebedee", "uixwood", "0199-773", "quix.example", "Quixham", "Zedshire"),
    *("QX7-7ZZ", "Xylophone", "zyx-4711", FREE_TEXT),
)


async def test_personal_data_are_in_the_booking_record_and_nowhere_else(
    serve: Serve, backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    """No key, log event, metric or error text holds them; the records that do have an end."""
    caplog.set_level("DEBUG")
    front, mine = await serve(backend.store()), backend.merchant
    with capture_logs() as logs:
        made, *said = await _talk_v2(front, await backend.now_ms(), mine)
        made_v0, *said_v0 = await _talk_v0(front, await backend.now_ms(), mine)

    handled = [it for it in logs if it["event"] == "call_handled"]
    assert {(it["service"].split(".")[-2], it["method"]) for it in handled} == {
        ("v2", "CreateLease"),
        ("v2", "CreateBooking"),
        ("v2", "UpdateBooking"),
        ("v2", "ListBookings"),
        ("v0", "CreateLease"),
        ("v0", "CreateBooking"),
        ("v0", "UpdateBooking"),
    }
    told = (*said, *said_v0, logs, caplog.text, generate_latest().decode())
    assert _personal(str([key async for key in backend.redis.scan_iter(count=1000)])) == []
    assert [(text, _personal(str(text))) for text in told if _personal(str(text))] == []
    index = await backend.redis.zrange(keys.index_key(ids.user_digest(USER)), 0, -1)
    assert index
    assert _personal(_readable(index)) == []
    holding = {
        k: ttl for k, (it, ttl) in (await backend.dump()).items() if _personal(_readable(it))
    }
    records = {keys.booking_key(mine, it.rpartition(".")[2]) for it in (made, made_v0)}
    assert set(holding) == records
    assert min(holding.values()) > 0


async def _talk_v2(front: FrontEnd, now_ms: int, merchant: str) -> list[str]:
    """Book and change with personal data in every request; return the id and what was refused."""
    held = await lease_id(front, now_ms, merchant=merchant)
    good = booking_request(now_ms, merchant=merchant, lease_id=held)
    person = pb.UserInformation(user_id=USER, **CLIENT)  # type: ignore[arg-type]
    good.user_information.CopyFrom(person)
    good.payment_information.payment_transaction_id = TRANSACTION
    good.additional_request = FREE_TEXT
    booking = (await front.v2.CreateBooking(good)).booking
    listed = await front.v2.ListBookings(pb.ListBookingsRequest(user_id=USER))
    assert list(listed.bookings) == [booking]
    bad, other, late, again = (pb.CreateBookingRequest() for _ in range(4))
    for request in (bad, other, late, again):
        request.CopyFrom(good)
    bad.user_information.given_name = "Zebedee Quixwood" * 9
    bad.user_information.user_id = "u5er-Zebedee\n"
    bad.user_information.email = "zq@quix.example\t"
    bad.payment_information.payment_transaction_id = TRANSACTION * 999
    bad.additional_request = FREE_TEXT * 999
    other.slot.resources.room_id = "2"
    late.lease_ref.lease_id, late.idempotency_token = UNKNOWN_ID, "token-3"
    again.idempotency_token = "token-4"
    said = [str(await failure_of(front.v2.CreateBooking(it))) for it in (bad, other, late)]
    said.append(str((await front.v2.CreateBooking(again)).booking_failure))

    carried = pb.Booking(user_information=person, payment_information=good.payment_information)
    update = update_request(booking.booking_id, "status")
    update.booking.MergeFrom(carried)
    update.booking.status = pb.NO_SHOW
    assert (await front.v2.UpdateBooking(update)).booking.user_information == person
    update.booking.status = pb.CANCELED
    said.append(str((await front.v2.UpdateBooking(update)).booking_failure))
    masked = update_request(booking.booking_id, "user_information", "status")
    unknown, misspelt = (update_request(it, "status", status=3) for it in (UNKNOWN_ID, "Zebedee"))
    for wrong in (masked, unknown, misspelt):
        wrong.booking.MergeFrom(carried)
        said.append(str(await failure_of(front.v2.UpdateBooking(wrong))))
    nobody = pb.ListBookingsRequest(user_id="Zebedee Quixwood")
    said.append(str(await failure_of(front.v2.ListBookings(nobody))))
    return [booking.booking_id, *said]


async def _talk_v0(front: FrontEnd, now_ms: int, merchant: str) -> list[str]:
    """Do the same through v0."""
    held = await legacy.held(front, now_ms, merchant=merchant, reference="r-0", staff_id="anna")
    good = legacy.booking_request(held)
    client = v0.ClientInformation(**CLIENT)  # type: ignore[arg-type]
    good.client_information.CopyFrom(client)
    good.payment_information.payment_transaction_id = TRANSACTION
    booking = (await front.v0.CreateBooking(good)).booking
    assert booking.client_information == client
    bad, late, misspelt = (v0.CreateBookingRequest() for _ in range(3))
    for request in (bad, late, misspelt):
        request.CopyFrom(good)
    bad.client_information.email = "zq@quix.example\t"
    bad.client_information.given_name = "Zebedee Quixwood" * 999
    late.lease_ref.lease_id, misspelt.lease_ref.lease_id = UNKNOWN_ID, "Zebedee"
    said = [str(await failure_of(front.v0.CreateBooking(it))) for it in (bad, late, misspelt)]

    carried = v0.Booking(client_information=client, payment_information=good.payment_information)
    update = legacy.status_request(booking.booking_id, v0.NO_SHOW)
    update.booking.MergeFrom(carried)
    assert (await front.v0.UpdateBooking(update)).booking.client_information == client
    forbidden = legacy.status_request(booking.booking_id, v0.CANCELED)
    masked = legacy.update_request(booking.booking_id, "client_information")
    unknown = legacy.status_request(UNKNOWN_ID, v0.CANCELED)
    for wrong in (forbidden, masked, unknown, legacy.status_request("Zebedee", v0.CANCELED)):
        wrong.booking.MergeFrom(carried)
        said.append(str(await failure_of(front.v0.UpdateBooking(wrong))))
    return [booking.booking_id, *said]


def _personal(text: str) -> list[str]:
    return [word for word in PERSONAL if word in text]


def _readable(value: Any) -> str:
    """Return every text of a Redis value, with what it says where it is base64."""
    texts = [value] if isinstance(value, str) else [*value, *getattr(value, "values", list)()]
    for text in list(texts):
        try:
            texts.append(base64.b64decode(text, validate=True).decode("latin-1"))
        except (binascii.Error, ValueError):
            continue
    return " ".join(texts)
