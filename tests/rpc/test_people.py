"""What must be known of the person who books, in either version."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.calls import Failure, booking_request, failure_of
from tests.reference_store import ReferenceStore
from tests.rpc.conftest import FrontEnd
from tests.rpc.contract import INVALID_ARGUMENT, UNKNOWN_ID

from leasehold.generated.ext.maps.booking.partner.v0 import booking_service_pb2 as v0
from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as v2

REQUIRED_OF_ADDRESSES = (
    "address_country",
    "address_locality",
    "address_region",
    "postal_code",
    "street_address",
)
ADDRESS = dict.fromkeys(REQUIRED_OF_ADDRESSES, "x")
FITS = "é" * 2048
TOO_LONG = "is longer than 4096 bytes of UTF-8"
CONTROLS = "contains control characters"

Ask = Callable[[dict[str, Any]], Awaitable[dict[str, str]]]


async def violations_of(call: Any) -> dict[str, str]:
    """Return the faults of a call, without the path of the person; none for one that booked."""
    failure: Failure = await failure_of(call)
    if failure.reason == "LEASE_UNKNOWN":
        return {}
    assert failure.code is INVALID_ARGUMENT
    return {field.partition(".")[2]: fault for field, fault in failure.violations.items()}


@pytest.fixture(params=["v2", "v0"])
def ask(request: pytest.FixtureRequest, front: FrontEnd, store: ReferenceStore) -> Ask:
    """Book for a person who differs in some fields, and return what is wrong with these.

    The lease is unknown, which is found only after the shape.
    """

    async def ask_v2(changes: dict[str, Any]) -> dict[str, str]:
        wanted = booking_request(store.now_ms, lease_id=UNKNOWN_ID)
        for name, value in changes.items():
            wanted.user_information.ClearField(name)
            wanted.user_information.MergeFrom(v2.UserInformation(**{name: value}))
        return await violations_of(front.v2.CreateBooking(wanted))

    async def ask_v0(changes: dict[str, Any]) -> dict[str, str]:
        wanted = v0.CreateBookingRequest(lease_ref={"lease_id": UNKNOWN_ID})
        wanted.client_information.MergeFrom(v0.ClientInformation(**{"telephone": "1", **changes}))
        return await violations_of(front.v0.CreateBooking(wanted))

    return ask_v2 if request.param == "v2" else ask_v0


async def test_create_booking_of_somebody_without_an_address_is_fine(ask: Ask) -> None:
    """No address is required, and a whole one needs no post office box."""
    assert await ask({}) == {}
    assert await ask({"address": ADDRESS}) == {}
    assert await ask({"address": {**ADDRESS, "post_office_box_number": FITS}}) == {}


async def test_create_booking_with_an_address_names_what_it_lacks(ask: Ask) -> None:
    """An address that is there has all its parts but the post office box."""
    lacking = {f"address.{name}": "is required" for name in REQUIRED_OF_ADDRESSES}

    assert await ask({"address": {}}) == lacking
    assert await ask({"address": {"post_office_box_number": "1"}}) == lacking
    for name in REQUIRED_OF_ADDRESSES:
        violations = await ask({"address": {**ADDRESS, name: ""}})
        assert violations == {f"address.{name}": "is required"}


@pytest.mark.parametrize("name", [*REQUIRED_OF_ADDRESSES, "post_office_box_number"])
async def test_create_booking_with_too_long_an_address_names_the_part(ask: Ask, name: str) -> None:
    """Every part of an address has the limit of texts."""
    assert await ask({"address": {**ADDRESS, name: FITS}}) == {}
    violations = await ask({"address": {**ADDRESS, name: FITS + "x"}})
    assert violations == {f"address.{name}": TOO_LONG}


@pytest.mark.parametrize("control", ["\n", "\t", "\x00", "\x1f", "\x7f", "\x85"])
@pytest.mark.parametrize("name", ["given_name", "family_name", "telephone", "email"])
async def test_create_booking_for_somebody_with_control_characters_names_the_field(
    ask: Ask, name: str, control: str
) -> None:
    """What stands in one line of a form has no line ends, and nothing else that is not seen."""
    assert await ask({name: f"Ada{control}Eve"}) == {name: CONTROLS}


@pytest.mark.parametrize("name", [*REQUIRED_OF_ADDRESSES, "post_office_box_number"])
async def test_create_booking_with_control_characters_in_an_address_names_the_part(
    ask: Ask, name: str
) -> None:
    """An address is told part by part, so each part is one line."""
    violations = await ask({"address": {**ADDRESS, name: "a\x1fb"}})
    assert violations == {f"address.{name}": CONTROLS}


async def test_create_booking_in_a_language_with_control_characters_names_it(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """The code of a language has the limits of all texts of a user."""
    request = booking_request(store.now_ms)
    for code, fault in (("e\nn", CONTROLS), (FITS + "x", TOO_LONG)):
        request.user_information.language_code = code
        violations = await violations_of(front.v2.CreateBooking(request))
        assert violations == {"language_code": fault}

    request.user_information.language_code = FITS
    assert (await front.v2.CreateBooking(request)).HasField("booking")


@pytest.mark.parametrize("blank", [" ", "\u00a0 \u3000"])
async def test_create_booking_for_somebody_of_blanks_names_what_is_required(
    front: FrontEnd, store: ReferenceStore, blank: str
) -> None:
    """Blanks alone are no name; in v0, where names are optional, only the telephone must be one."""
    request = booking_request(store.now_ms)
    required = ("given_name", "family_name", "telephone", "email")
    for name in required:
        setattr(request.user_information, name, blank)
    violations = await violations_of(front.v2.CreateBooking(request))
    assert violations == dict.fromkeys(required, "is blank")

    legacy = v0.CreateBookingRequest(lease_ref={"lease_id": UNKNOWN_ID})
    for name in required:
        setattr(legacy.client_information, name, blank)
    legacy.client_information.address.MergeFrom(v0.PostalAddress(**{**ADDRESS, "postal_code": " "}))
    violations = await violations_of(front.v0.CreateBooking(legacy))
    assert violations == dict.fromkeys(("telephone", "address.postal_code"), "is blank")


@pytest.mark.parametrize("name", ["given_name", "family_name", "telephone", "email"])
async def test_create_booking_for_somebody_with_too_long_a_text_names_the_field(
    ask: Ask, request: pytest.FixtureRequest, name: str
) -> None:
    """Names have 40 characters in v2, which v0 does not know; all else has the limit of texts."""
    is_name_of_v2 = "v2" in request.node.name and name.endswith("_name")
    fits = "é" * 40 if is_name_of_v2 else FITS

    assert await ask({name: fits}) == {}
    fault = "is longer than 40 characters" if is_name_of_v2 else TOO_LONG
    assert await ask({name: fits + "x"}) == {name: fault}


async def test_create_booking_lets_the_words_to_the_merchant_have_lines(
    front: FrontEnd, store: ReferenceStore
) -> None:
    """Newlines and tabs are fine in additional_request, other control characters are not."""
    request = booking_request(store.now_ms, lease_id=UNKNOWN_ID)
    request.additional_request = "No onions.\r\n\tThank you."
    assert (await failure_of(front.v2.CreateBooking(request))).reason == "LEASE_UNKNOWN"

    for control in ("\x00", "\x1b", "\x7f", "\x9f"):
        request.additional_request = f"No{control}onions"
        failure = await failure_of(front.v2.CreateBooking(request))
        assert failure.violations == {"additional_request": CONTROLS}


@pytest.mark.parametrize(
    ("path", "payment"),
    [
        ("payment_transaction_id", {"payment_transaction_id": FITS}),
        ("price.currency_code", {"price": {"currency_code": FITS}}),
        ("tax_amount.currency_code", {"tax_amount": {"currency_code": FITS}}),
        ("payment_option_id", {"payment_option_id": FITS}),
        ("user_payment_option_id", {"user_payment_option_id": FITS}),
        ("deposit.deposit.currency_code", {"deposit": {"deposit": {"currency_code": FITS}}}),
        ("no_show_fee.fee.currency_code", {"no_show_fee": {"fee": {"currency_code": FITS}}}),
    ],
)
@pytest.mark.parametrize("api", ["v2", "v0"])
async def test_create_booking_with_too_long_a_text_of_payment_names_it(
    front: FrontEnd, store: ReferenceStore, api: str, path: str, payment: dict[str, Any]
) -> None:
    """What is carried is kept, so every text of it has the limit of texts, however deep."""
    request: Any = booking_request(store.now_ms, lease_id=UNKNOWN_ID)
    method = front.v2.CreateBooking
    if api == "v0":
        request = v0.CreateBookingRequest(lease_ref={"lease_id": UNKNOWN_ID})
        request.client_information.telephone, method = "1", front.v0.CreateBooking
    request.payment_information.MergeFrom(type(request.payment_information)(**payment))
    assert (await failure_of(method(request))).reason == "LEASE_UNKNOWN"

    *parents, name = path.split(".")
    holder = request.payment_information
    for parent in parents:
        holder = getattr(holder, parent)
    setattr(holder, name, FITS + "x")
    violations = (await failure_of(method(request))).violations
    assert violations == {f"payment_information.{path}": TOO_LONG}
