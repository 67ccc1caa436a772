"""Reads the records of bookings as the scripts write them."""

import base64
from typing import Any

from leasehold.model.booking import BookingRecord, BookingStatus
from leasehold.store import keys

NOBODY = "nobody"
"""Stands where a digest would, and is none: digests have 26 characters."""
RECORD_FIELDS = ("api", "original", "status", "current_slot")
"""What read_record wants, in this order."""


def read_record(merchant_id: str, fields: list[Any]) -> BookingRecord:
    """Return a booking as it is now."""
    api, original, status, current_slot = fields
    return BookingRecord(
        api=api,
        original=base64.b64decode(original),
        status=BookingStatus(status),
        slot=keys.parse_slot(merchant_id, current_slot),
    )
