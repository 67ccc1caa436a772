"""What must be known of the person who books, in either version.

Source: contract 2.5 for users and addresses, 3 for clients.
"""

from leasehold.generated.ext.maps.booking.partner.v0 import booking_service_pb2 as v0
from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as v2
from leasehold.model import checks
from leasehold.rpc.faults import Faults

_REQUIRED_OF_ADDRESSES = (
    "address_country",
    "address_locality",
    "address_region",
    "postal_code",
    "street_address",
)


def check_user(user: v2.UserInformation, path: str, faults: Faults) -> None:
    """Note every fault of a v2 user."""
    faults.note(f"{path}.user_id", checks.new_id_fault(user.user_id))
    faults.note(f"{path}.given_name", checks.name_fault(user.given_name))
    faults.note(f"{path}.family_name", checks.name_fault(user.family_name))
    faults.note(f"{path}.telephone", checks.line_fault(user.telephone, required=True))
    faults.note(f"{path}.email", checks.line_fault(user.email, required=True))
    faults.note(f"{path}.language_code", checks.line_fault(user.language_code))
    if user.HasField("address"):
        _check_address(user.address, f"{path}.address", faults)


def check_client(client: v0.ClientInformation, path: str, faults: Faults) -> None:
    """Note every fault of a v0 client, of whom only the telephone number is required."""
    faults.note(f"{path}.telephone", checks.line_fault(client.telephone, required=True))
    for name in ("given_name", "family_name", "email"):
        faults.note(f"{path}.{name}", checks.line_fault(getattr(client, name)))
    if client.HasField("address"):
        _check_address(client.address, f"{path}.address", faults)


def _check_address(address: v2.PostalAddress | v0.PostalAddress, path: str, faults: Faults) -> None:
    for name in _REQUIRED_OF_ADDRESSES:
        faults.note(f"{path}.{name}", checks.line_fault(getattr(address, name), required=True))
    box = address.post_office_box_number
    faults.note(f"{path}.post_office_box_number", checks.line_fault(box))
