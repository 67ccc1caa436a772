"""Operations as the tests of the checker write them: who asked for what, when, and the answer."""

from typing import Any

from tests.torture.history import Call, Operation, Outcome

OK, REFUSED, UNKNOWN = Outcome.OK, Outcome.REFUSED, Outcome.UNKNOWN


def call(
    kind: Call, asked_ms: float, answered_ms: float, outcome: Outcome, **told: Any
) -> Operation:
    """Return an operation."""
    return Operation(kind, asked_ms, answered_ms, outcome, **told)


def lease(  # noqa: D103 - told by what it returns
    name: str,
    asked_ms: float,
    answered_ms: float,
    until_ms: int,
    outcome: Outcome = OK,
    slot: str = "s",
    **told: Any,
) -> Operation:
    granted = {"lease_id": f"lease {name}", "expires_ms": until_ms} if outcome is OK else {}
    wanted: dict[str, Any] = {"reference": name, "asked_expires_ms": until_ms, "slot": slot}
    given = {**wanted, **granted, **told}
    return call(Call.CREATE_LEASE, asked_ms, answered_ms, outcome, **given)


def booking(  # noqa: D103 - told by what it returns
    name: str,
    asked_ms: float,
    answered_ms: float,
    outcome: Outcome = OK,
    by: str = "",
    slot: str = "s",
    **told: Any,
) -> Operation:
    made = {"booking_id": f"booking {name}", "answer": name} if outcome is OK else {}
    wanted = {"token": name, "slot": slot, "lease_id": f"lease {by}" if by else ""}
    given = {**wanted, **made, **told}
    return call(Call.CREATE_BOOKING, asked_ms, answered_ms, outcome, **given)


def cancel(name: str, asked_ms: float, answered_ms: float, outcome: Outcome = OK) -> Operation:
    """Return a cancel of a booking."""
    return call(Call.CANCEL, asked_ms, answered_ms, outcome, booking_id=f"booking {name}")


def move(
    name: str, asked_ms: float, answered_ms: float, to: str, outcome: Outcome = OK
) -> Operation:
    """Return a move of a booking."""
    told = {"booking_id": f"booking {name}", "slot": to}
    return call(Call.MOVE, asked_ms, answered_ms, outcome, **told)


def look(
    name: str, asked_ms: float, state: str, outcome: Outcome = OK, *, is_final: bool = True
) -> Operation:
    """Return a GetBookingStatus that takes a millisecond."""
    told: dict[str, Any] = {"booking_id": f"booking {name}", "answer": state, "is_final": is_final}
    return call(Call.GET_BOOKING_STATUS, asked_ms, asked_ms + 1, outcome, **told)


def listed(
    name: str, asked_ms: float, at: str, outcome: Outcome = OK, *, is_final: bool = True
) -> Operation:
    """Return a ListBookings that takes a millisecond and shows a booking in a slot, or not."""
    told: dict[str, Any] = {"booking_id": f"booking {name}", "slot": at, "is_final": is_final}
    return call(Call.LIST_BOOKINGS, asked_ms, asked_ms + 1, outcome, **told)


def taken(name: str, asked_ms: float, answered_ms: float, **told: Any) -> Operation:
    """Return a CreateLease that is told that the slot is taken."""
    until_ms = int(answered_ms) + 300
    given = {"cause": "SLOT_UNAVAILABLE", **told}
    return lease(name, asked_ms, answered_ms, until_ms, REFUSED, **given)


def count(asked_ms: float, answered_ms: float, free: int) -> Operation:
    """Return a CheckAvailability."""
    return call(Call.CHECK_AVAILABILITY, asked_ms, answered_ms, OK, slot="s", count=free)


def expired(name: str, asked_ms: float, answered_ms: float) -> Operation:
    """Return a repeat of a CreateLease that is told that the lease has ended."""
    return lease(name, asked_ms, answered_ms, 0, REFUSED, cause="LEASE_EXPIRED")
