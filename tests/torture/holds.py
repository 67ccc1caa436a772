"""Who certainly had a slot, and who may have had it, as far as a history can tell."""

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.torture.history import Call, Operation

RESENT_AFTER_MS = 400.0
"""A refusal that took longer may be a second try's, while the first one is still on its way."""
CLOCK_SLACK_MS = 20.0
"""How much later than its expiry a hold may still be seen: a busy store reads its clock early."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Somebody certainly has a slot from ``begins_ms`` until just before ``ends_ms``."""

    slot: str
    owner: str
    """A lease, and the booking that it becomes; or a booking made directly."""
    begins_ms: float
    ends_ms: float
    by: Operation
    """What tells so."""


@dataclass(frozen=True, slots=True)
class Booking:
    """Everything that clients did to one booking, in no order."""

    booking_id: str
    lease_id: str
    created: tuple[Operation, ...]
    """Every CreateBooking that was answered with it."""
    tried: tuple[Operation, ...]
    """Every CreateBooking that may have made it."""
    updates: tuple[Operation, ...]
    """Every change that may have been carried out."""

    @property
    def owner(self) -> str:
        """Return the name of the owner of its slot."""
        return self.lease_id or self.booking_id

    @property
    def slot(self) -> str:
        """Return the slot that it was made for."""
        return self.created[0].slot


class Bookings:
    """The bookings that a history knows of."""

    def __init__(self, history: Iterable[Operation]) -> None:
        tried: dict[str, list[Operation]] = defaultdict(list)
        updates: dict[str, list[Operation]] = defaultdict(list)
        for operation in history:
            if operation.call is Call.CREATE_BOOKING and may_be_carried_out(operation):
                tried[operation.token].append(operation)
            elif operation.call in (Call.CANCEL, Call.MOVE) and not operation.is_refused:
                updates[operation.booking_id].append(operation)
        self.made: list[Booking] = []
        self.never_answered: list[Operation] = []
        """Every CreateBooking whose token was never answered with a booking."""
        self.by_lease: dict[str, list[Booking]] = defaultdict(list)
        for operations in tried.values():
            self._add(operations, updates)

    def _add(self, tried: list[Operation], updates: dict[str, list[Operation]]) -> None:
        created = sorted((o for o in tried if o.is_ok), key=lambda o: o.answered_ms)
        if not created:
            self.never_answered += tried
            return
        made = created[0]
        booking = Booking(
            made.booking_id,
            made.lease_id,
            tuple(created),
            tuple(tried),
            tuple(updates[made.booking_id]),
        )
        self.made.append(booking)
        self.by_lease[made.lease_id].append(booking)


def may_be_carried_out(operation: Operation) -> bool:
    """Tell whether a creation can have left something behind."""
    took_ms = operation.answered_ms - operation.asked_ms
    return not operation.is_refused or took_ms >= RESENT_AFTER_MS


def certain_holds(history: Iterable[Operation], bookings: Bookings) -> Iterator[Hold]:
    """Yield every hold that nothing in the history leaves in doubt.

    A hold begins no later than its answer. It ends when it was granted until, or at the earliest
    moment at which somebody asked for a change that may have ended it.
    """
    for operation in history:
        if operation.call is Call.CREATE_LEASE and operation.is_ok:
            ends_ms = min(
                operation.expires_ms,
                *(
                    _first_asked(booking.updates)
                    for booking in bookings.by_lease[operation.lease_id]
                ),
                math.inf,
            )
            yield from _hold(operation, operation.lease_id, ends_ms)
    for booking in bookings.made:
        yield from _hold(booking.created[0], booking.owner, _first_asked(booking.updates))
        for update in booking.updates:
            if update.call is Call.MOVE and update.is_ok:
                later = [u for u in booking.updates if _may_end(u, update)]
                yield from _hold(update, booking.owner, _first_asked(later))


def _first_asked(operations: Iterable[Operation]) -> float:
    return min((operation.asked_ms for operation in operations), default=math.inf)


def _hold(operation: Operation, owner: str, ends_ms: float) -> Iterator[Hold]:
    if operation.answered_ms < ends_ms:
        yield Hold(operation.slot, owner, operation.answered_ms, ends_ms, operation)


def _may_end(update: Operation, move: Operation) -> bool:
    """Tell whether a change may come after a move and take the booking elsewhere."""
    is_elsewhere = update.call is Call.CANCEL or update.slot != move.slot
    return is_elsewhere and update.latest_ms >= move.asked_ms


class Spans:
    """Stretches of time on one slot, merged."""

    def __init__(self, spans: Iterable[tuple[float, float]]) -> None:
        self._begins: list[float] = []
        self._ends: list[float] = []
        for begins_ms, ends_ms in sorted(spans):
            if ends_ms < begins_ms:
                continue  # A repeat that names a lease after its end.
            if self._ends and begins_ms <= self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], ends_ms)
            else:
                self._begins.append(begins_ms)
                self._ends.append(ends_ms)

    def meet(self, begins_ms: float, ends_ms: float) -> bool:
        """Tell whether any part of a stretch is among them."""
        place = bisect_right(self._begins, ends_ms) - 1
        return place >= 0 and self._ends[place] >= begins_ms

    def cover(self, begins_ms: float, ends_ms: float) -> bool:
        """Tell whether a whole stretch lies inside one of them."""
        place = bisect_left(self._begins, begins_ms) - 1
        return place >= 0 and self._ends[place] > ends_ms


def possible_spans(history: Iterable[Operation], bookings: Bookings) -> dict[str, Spans]:
    """Return for each slot when somebody may have had it."""
    spans: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for operation in history:
        if operation.call is Call.CREATE_LEASE and may_be_carried_out(operation):
            ends_ms = operation.expires_ms or operation.asked_expires_ms
            spans[operation.slot].append((operation.asked_ms, ends_ms + CLOCK_SLACK_MS))
    for booking in bookings.made:
        for slot in {booking.slot, *(u.slot for u in booking.updates if u.slot)}:
            placed = [*booking.tried, *booking.updates]
            there = [operation for operation in placed if operation.slot == slot]
            spans[slot].append((_first_asked(there), _left_by(booking, there)))
    for operation in bookings.never_answered:
        spans[operation.slot].append((operation.asked_ms, math.inf))
    return {slot: Spans(found) for slot, found in spans.items()}


def _left_by(booking: Booking, there: list[Operation]) -> float:
    """Return when a booking has certainly left a slot; ``there`` is all that may have put it there.

    It has when it is cancelled, or moved elsewhere after all of these.
    """
    # A repeat of CreateBooking puts nothing anywhere.
    first = booking.created[0]
    last_ms = max(o.latest_ms if o.call is Call.MOVE else first.answered_ms for o in there)
    slot = there[0].slot
    left = [
        update.answered_ms
        for update in booking.updates
        if update.is_ok
        and (update.call is Call.CANCEL or (update.slot != slot and last_ms < update.asked_ms))
    ]
    return min(left, default=math.inf)
