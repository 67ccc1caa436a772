"""Reads a history and finds what no correct service could have answered.

Only what is certain is told: a call without an answer may have been carried out at any time or
never, and a client's question was judged at some moment between its asking and its answer.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tests.torture.history import Call, Operation
from tests.torture.holds import Booking, Bookings, Hold, Spans, certain_holds, possible_spans

TOLERANCE_MS = 1.0
"""Redis counts whole milliseconds."""
_TAKEN = "SLOT_UNAVAILABLE"
_ENDED = ("LEASE_EXPIRED", "LEASE_UNKNOWN")


class Kind(StrEnum):
    """What can be wrong."""

    TWO_OWNERS = "two owners"
    """Two were told that the same spot is theirs, for a time that overlaps."""
    LEASE_USED_TWICE = "lease used twice"
    """Two bookings were made from one lease."""
    UNEQUAL_ANSWERS = "unequal answers"
    """A repeat was granted something else than what it repeats."""
    FORGOTTEN = "forgotten"
    """What was acknowledged and had not ended was refused to the one who had it."""
    BOOKING_MISSING = "booking missing"
    """At the end an acknowledged booking, or an acknowledged change of one, is not there."""
    WRONG_SLOT = "wrong slot"
    """A booking was shown in a slot where it cannot be."""
    SLOT_STUCK = "slot stuck"
    """At the end a slot is refused that nobody can have."""
    STALE_ANSWER = "stale answer"
    """During the run an answer told what was certainly not so; nobody was given anything."""


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that cannot be, and the calls that show it."""

    kind: Kind
    about: str
    shown_by: tuple[Operation, ...]

    def __str__(self) -> str:
        """Tell it in a line for each call."""
        return "\n  ".join([f"{self.kind}: {self.about}", *map(_told, self.shown_by)])


def _told(operation: Operation) -> str:
    names = ("slot", "reference", "lease_id", "token", "booking_id", "cause", "answer")
    told = [f"{name}={value}" for name in names if (value := getattr(operation, name))]
    if operation.expires_ms:
        told.append(f"until {operation.expires_ms}")
    times = f"{operation.asked_ms:.1f}..{operation.answered_ms:.1f}"
    return " ".join([times, operation.call, operation.outcome, *told])


def check(history: Sequence[Operation]) -> list[Violation]:
    """Return everything in a history that cannot be."""
    bookings = Bookings(history)
    holds = list(certain_holds(history, bookings))
    return [
        *_two_owners(holds),
        *_leases_used_twice(bookings),
        *_unequal_answers(history),
        *_forgotten(history, bookings),
        *_missing(history, bookings),
        *_listed_wrong(history, bookings),
        *_moved_wrong(history),
        *_told_wrong(history, holds, possible_spans(history, bookings)),
    ]


def _two_owners(holds: Iterable[Hold]) -> Iterator[Violation]:
    by_slot: dict[str, list[Hold]] = defaultdict(list)
    for hold in holds:
        by_slot[hold.slot].append(hold)
    seen: set[tuple[str, str]] = set()
    for slot, found in by_slot.items():
        longest: dict[str, Hold] = {}
        """The hold of each owner that ends last, of those that may still last."""
        for hold in sorted(found, key=lambda each: each.begins_ms):
            longest = {
                owner: other
                for owner, other in longest.items()
                if other.ends_ms > hold.begins_ms + TOLERANCE_MS
            }
            for owner, other in longest.items():
                if owner != hold.owner and (owner, hold.owner) not in seen:
                    seen |= {(owner, hold.owner), (hold.owner, owner)}
                    yield Violation(Kind.TWO_OWNERS, slot, (other.by, hold.by))
            mine = longest.get(hold.owner)
            if mine is None or mine.ends_ms < hold.ends_ms:
                longest[hold.owner] = hold


def _leases_used_twice(bookings: Bookings) -> Iterator[Violation]:
    for lease_id, made in bookings.by_lease.items():
        if lease_id and len({booking.booking_id for booking in made}) > 1:
            shown_by = tuple(booking.created[0] for booking in made)
            yield Violation(Kind.LEASE_USED_TWICE, lease_id, shown_by)


def _unequal_answers(history: Iterable[Operation]) -> Iterator[Violation]:
    first: dict[str, Operation] = {}
    told: set[str] = set()
    for operation in history:
        if not operation.is_ok or not (name := operation.reference or operation.token):
            continue
        other = first.setdefault(name, operation)
        if _granted(other) != _granted(operation) and name not in told:
            told.add(name)
            yield Violation(Kind.UNEQUAL_ANSWERS, name, (other, operation))


def _granted(operation: Operation) -> tuple[object, ...]:
    if operation.call is Call.CREATE_LEASE:
        return operation.lease_id, operation.expires_ms
    return operation.booking_id, operation.answer


def _forgotten(history: Sequence[Operation], bookings: Bookings) -> Iterator[Violation]:
    granted: dict[str, Operation] = {}
    """The first acknowledgement of each reference, lease and token."""
    for operation in sorted(history, key=lambda each: each.answered_ms):
        if operation.is_ok and operation.call is Call.CREATE_LEASE:
            granted.setdefault(operation.reference, operation)
            granted.setdefault(operation.lease_id, operation)
        elif operation.is_ok and operation.call is Call.CREATE_BOOKING:
            granted.setdefault(operation.token, operation)
        elif operation.is_refused:
            first = _what_it_has(operation, granted)
            if (
                first
                and first.answered_ms < operation.asked_ms
                and not _may_have_left(operation, bookings.by_lease.get(first.lease_id, ()))
            ):
                about = operation.reference or operation.token
                yield Violation(Kind.FORGOTTEN, about, (first, operation))


def _may_have_left(refused: Operation, booked: Iterable[Booking]) -> bool:
    """Tell whether a lease may have ended because its booking was cancelled or moved away."""
    updates = (update for booking in booked for update in booking.updates)
    is_lease = refused.call is Call.CREATE_LEASE and refused.cause == "LEASE_EXPIRED"
    return is_lease and any(update.asked_ms <= refused.answered_ms for update in updates)


def _what_it_has(refused: Operation, granted: dict[str, Operation]) -> Operation | None:
    """Return what the one who was refused has, if it cannot have ended."""
    booked, leased = granted.get(refused.token), granted.get(refused.reference)
    if refused.call is Call.CREATE_BOOKING and booked:
        return booked
    if refused.call is Call.CREATE_BOOKING and refused.cause in _ENDED:
        leased = granted.get(refused.lease_id)
    return leased if leased and refused.answered_ms < leased.expires_ms else None


def _missing(history: Iterable[Operation], bookings: Bookings) -> Iterator[Violation]:
    known = {booking.booking_id: booking for booking in bookings.made}
    for operation in history:
        booking = known.get(operation.booking_id)
        if operation.call is not Call.GET_BOOKING_STATUS or not booking:
            continue
        if operation.is_refused:
            fault: Operation | None = booking.created[0]
        elif operation.is_ok:
            fault = _contradicted(operation, booking.created[0], booking.updates)
        else:
            continue
        if fault and fault.answered_ms < operation.asked_ms:
            kind = Kind.BOOKING_MISSING if operation.is_final else Kind.STALE_ANSWER
            yield Violation(kind, booking.booking_id, (fault, operation))


def _contradicted(
    seen: Operation, created: Operation, updates: Iterable[Operation]
) -> Operation | None:
    """Return the acknowledgement that the state of a booking contradicts."""
    cancels = [update for update in updates if update.call is Call.CANCEL]
    if seen.answer == "CANCELED":
        was_asked = any(cancel.asked_ms <= seen.answered_ms for cancel in cancels)
        return None if was_asked else created
    acknowledged = (c for c in cancels if c.is_ok and c.answered_ms < seen.asked_ms)
    return next(acknowledged, None)


def _listed_wrong(history: Iterable[Operation], bookings: Bookings) -> Iterator[Violation]:
    """Yield bookings that the list of their user lacks, or shows where they cannot be."""
    known = {booking.booking_id: booking for booking in bookings.made}
    for operation in history:
        booking = known.get(operation.booking_id)
        if operation.call is not Call.LIST_BOOKINGS or not booking or not _is_known(operation):
            continue
        if operation.slot:
            fault = _contradicted(operation, booking.created[0], booking.updates)
            if not _may_be_at(operation, booking):
                shown_by = (*booking.created[:1], *booking.updates, operation)
                yield Violation(Kind.WRONG_SLOT, booking.booking_id, shown_by)
        else:
            cancels = (update for update in booking.updates if update.call is Call.CANCEL)
            may_be_cancelled = any(c.asked_ms <= operation.answered_ms for c in cancels)
            fault = None if may_be_cancelled else booking.created[0]
        if fault and fault.answered_ms < operation.asked_ms:
            kind = Kind.BOOKING_MISSING if operation.is_final else Kind.STALE_ANSWER
            yield Violation(kind, booking.booking_id, (fault, operation))


def _is_known(operation: Operation) -> bool:
    """Tell whether there was an answer; a user who is not found has no bookings."""
    return operation.is_ok or operation.is_refused


def _may_be_at(listed: Operation, booking: Booking) -> bool:
    """Tell whether something may have put a booking where it is shown, and no move came after it.

    A repeat of CreateBooking puts nothing anywhere.
    """
    moves = [update for update in booking.updates if update.call is Call.MOVE]
    placed = [(booking.slot, booking.created[0].answered_ms)]
    placed += [(m.slot, m.latest_ms) for m in moves if m.asked_ms <= listed.answered_ms]
    done = [m for m in moves if m.is_ok and m.answered_ms < listed.asked_ms]
    return any(
        slot == listed.slot and not any(m.slot != slot and latest_ms < m.asked_ms for m in done)
        for slot, latest_ms in placed
    )


def _moved_wrong(history: Iterable[Operation]) -> Iterator[Violation]:
    for operation in history:
        is_move = operation.call is Call.MOVE and operation.is_ok
        if is_move and operation.answer and operation.answer != operation.slot:
            yield Violation(Kind.WRONG_SLOT, operation.booking_id, (operation,))


def _told_wrong(
    history: Iterable[Operation], holds: Iterable[Hold], possible: dict[str, Spans]
) -> Iterator[Violation]:
    """Yield slots that were called taken though nobody can have had them, and the reverse."""
    spans: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for hold in holds:
        spans[hold.slot].append((hold.begins_ms, hold.ends_ms))
    certain = {slot: Spans(found) for slot, found in spans.items()}
    nobody = Spans(())
    for operation in history:
        times = (operation.asked_ms, operation.answered_ms)
        if _calls_taken(operation) and not possible.get(operation.slot, nobody).meet(*times):
            kind = Kind.SLOT_STUCK if operation.is_final else Kind.STALE_ANSWER
            yield Violation(kind, operation.slot, (operation,))
        calls_free = operation.call is Call.CHECK_AVAILABILITY and operation.count > 0
        if calls_free and certain.get(operation.slot, nobody).cover(*times):
            yield Violation(Kind.STALE_ANSWER, operation.slot, (operation,))


def _calls_taken(operation: Operation) -> bool:
    if operation.call is Call.CHECK_AVAILABILITY:
        return operation.is_ok and operation.count == 0
    is_direct = operation.call is Call.CREATE_BOOKING and not operation.lease_id
    is_asked = is_direct or operation.call in (Call.CREATE_LEASE, Call.MOVE)
    return is_asked and operation.is_refused and operation.cause == _TAKEN
