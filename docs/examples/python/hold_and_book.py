"""Holds a slot while a customer decides, and books it or gives it back."""

import asyncio
from datetime import UTC, datetime, timedelta

from leasehold.client import (
    Booked,
    Client,
    NoAnswerError,
    Operators,
    Person,
    Refused,
    RefusedError,
    slot_at,
)

SLOT = slot_at(
    "salon-1",
    "haircut",
    datetime(2027, 3, 1, 10, tzinfo=UTC),
    timedelta(minutes=30),
    staff_id="anna",
)
ADA = Person("ada", "Ada", "Lovelace", "+44 20 7946 0000", "ada@example.com")


async def main() -> None:
    """Hold and book; whatever leaves the inner block without a booking frees the slot."""
    operators = Operators("127.0.0.1:50052")
    async with Client("127.0.0.1:50051", operators=operators) as client:
        try:
            async with client.hold(SLOT, timedelta(minutes=5)) as hold:
                print(f"held until {hold.expires_at:%H:%M:%S} UTC")
                # Here the customer types name and card.
                match await hold.book(ADA):
                    case Booked(booking_id=booking_id):
                        print(f"booked: {booking_id}")
                    case Refused(cause=cause):
                        print(f"not booked: {cause}")
        except RefusedError as error:
            print(f"not held: {error.refused.cause}")
        except NoAnswerError as error:
            print(f"nobody answered in time: {error}")


asyncio.run(main())
