"""Hand-written histories: each violation is found, and nothing legal is called one."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.torture import history
from tests.torture.calls import (
    REFUSED,
    UNKNOWN,
    booking,
    call,
    cancel,
    count,
    expired,
    lease,
    listed,
    look,
    move,
    taken,
)
from tests.torture.checker import Kind, check
from tests.torture.history import Call, Operation

WRONG: dict[str, tuple[Kind, Sequence[Operation]]] = {
    "two leases": (Kind.TWO_OWNERS, [lease("a", 0, 5, 300), lease("b", 100, 105, 400)]),
    "two leases at once": (Kind.TWO_OWNERS, [lease("a", 0, 50, 300), lease("b", 0, 50, 300)]),
    "a lease until just before the other's end": (
        Kind.TWO_OWNERS,
        [lease("a", 0, 5, 300), lease("b", 280, 298, 900)],
    ),
    "a third one, hidden by the second's early end": (
        Kind.TWO_OWNERS,
        [
            lease("a", 0, 5, 900),
            lease("a", 10, 12, 900),
            booking("k", 20, 25, by="a"),
            lease("b", 950, 960, 1500),
        ],
    ),
    "a booking where another holds": (
        Kind.TWO_OWNERS,
        [lease("a", 0, 5, 300), booking("k", 100, 110)],
    ),
    "a lease where another has booked": (
        Kind.TWO_OWNERS,
        [booking("k", 0, 10), lease("a", 9000, 9010, 9300)],
    ),
    "a lease where a booking was moved to": (
        Kind.TWO_OWNERS,
        [
            booking("k", 0, 10, slot="other"),
            move("k", 20, 30, "s"),
            lease("a", 900, 910, 1200),
        ],
    ),
    "a lease where a booking went by a second move": (
        Kind.TWO_OWNERS,
        [
            booking("k", 0, 10, slot="other"),
            move("k", 20, 30, "another"),
            move("k", 40, 50, "s"),
            lease("a", 900, 910, 1200),
        ],
    ),
    "two bookings": (Kind.TWO_OWNERS, [booking("k", 0, 10), booking("l", 5, 20)]),
    "a lease while a cancel was refused": (
        Kind.TWO_OWNERS,
        [booking("k", 0, 10), cancel("k", 20, 30, REFUSED), lease("a", 40, 50, 300)],
    ),
    "two bookings by one lease": (
        Kind.LEASE_USED_TWICE,
        [lease("a", 0, 5, 300), booking("k", 10, 20, by="a"), booking("l", 30, 40, by="a")],
    ),
    "one lease booked again after a cancel": (
        Kind.LEASE_USED_TWICE,
        [
            lease("a", 0, 5, 300),
            booking("k", 10, 20, by="a"),
            cancel("k", 30, 40),
            booking("l", 50, 60, by="a"),
        ],
    ),
    "another expiry for the same reference": (
        Kind.UNEQUAL_ANSWERS,
        [lease("a", 0, 5, 300), lease("a", 10, 15, 310)],
    ),
    "another lease for the same reference": (
        Kind.UNEQUAL_ANSWERS,
        [lease("a", 0, 5, 300), lease("a", 400, 405, 300, lease_id="lease z")],
    ),
    "another booking for the same token": (
        Kind.UNEQUAL_ANSWERS,
        [booking("k", 0, 10), booking("k", 20, 30, booking_id="booking z")],
    ),
    "another response for the same token": (
        Kind.UNEQUAL_ANSWERS,
        [booking("k", 0, 10), booking("k", 20, 30, answer="something else")],
    ),
    "the holder is told that it has ended": (
        Kind.FORGOTTEN,
        [lease("a", 0, 5, 300), expired("a", 200, 298)],
    ),
    "the holder is told that it has ended before its booking is cancelled": (
        Kind.FORGOTTEN,
        [
            lease("a", 0, 5, 900),
            booking("k", 10, 20, by="a"),
            expired("a", 30, 40),
            cancel("k", 50, 60),
        ],
    ),
    "the holder is told that somebody else has it": (
        Kind.FORGOTTEN,
        [lease("a", 0, 5, 300), taken("a", 100, 110)],
    ),
    "the holder cannot book": (
        Kind.FORGOTTEN,
        [lease("a", 0, 5, 300), booking("k", 100, 110, REFUSED, by="a", cause="LEASE_EXPIRED")],
    ),
    "the holder's lease is unknown": (
        Kind.FORGOTTEN,
        [lease("a", 0, 5, 300), booking("k", 100, 110, REFUSED, by="a", cause="LEASE_UNKNOWN")],
    ),
    "a repeated booking is refused": (
        Kind.FORGOTTEN,
        [booking("k", 0, 10), booking("k", 20, 30, REFUSED, cause="SLOT_UNAVAILABLE")],
    ),
    "the booking is unknown at the end": (
        Kind.BOOKING_MISSING,
        [booking("k", 0, 10), look("k", 500, "", REFUSED)],
    ),
    "nobody has cancelled it": (
        Kind.BOOKING_MISSING,
        [booking("k", 0, 10), look("k", 500, "CANCELED")],
    ),
    "its cancel is gone": (
        Kind.BOOKING_MISSING,
        [booking("k", 0, 10), cancel("k", 20, 30), look("k", 500, "CONFIRMED")],
    ),
    "its user's index does not name it": (
        Kind.BOOKING_MISSING,
        [booking("k", 0, 10), listed("k", 500, "")],
    ),
    "its user is not found": (
        Kind.BOOKING_MISSING,
        [booking("k", 0, 10), listed("k", 500, "", REFUSED)],
    ),
    "listed though it is cancelled": (
        Kind.BOOKING_MISSING,
        [booking("k", 0, 10), cancel("k", 20, 30), listed("k", 500, "s")],
    ),
    "not listed, in the middle": (
        Kind.STALE_ANSWER,
        [booking("k", 0, 10), listed("k", 20, "", is_final=False)],
    ),
    "listed where it never was": (
        Kind.WRONG_SLOT,
        [booking("k", 0, 10), listed("k", 500, "t")],
    ),
    "listed where it was before its move": (
        Kind.WRONG_SLOT,
        [booking("k", 0, 10), move("k", 20, 30, "t"), listed("k", 500, "s")],
    ),
    "listed where it was before two moves": (
        Kind.WRONG_SLOT,
        [
            booking("k", 0, 10),
            move("k", 20, 30, "t"),
            move("k", 40, 50, "u"),
            listed("k", 500, "t", is_final=False),
        ],
    ),
    "moved to another slot than asked for": (
        Kind.WRONG_SLOT,
        [booking("k", 0, 10), replace(move("k", 20, 30, "t"), answer="u")],
    ),
    "a slot that nobody ever had": (Kind.SLOT_STUCK, [taken("a", 900, 910, is_final=True)]),
    "a slot whose hold has ended": (
        Kind.SLOT_STUCK,
        [lease("a", 0, 5, 300), taken("b", 900, 910, is_final=True)],
    ),
    "a slot whose booking was cancelled": (
        Kind.SLOT_STUCK,
        [booking("k", 0, 10), cancel("k", 20, 30), taken("b", 900, 910, is_final=True)],
    ),
    "a slot whose booking was moved away": (
        Kind.SLOT_STUCK,
        [booking("k", 0, 10), move("k", 20, 30, "t"), taken("b", 900, 910, is_final=True)],
    ),
    "taken, in the middle": (
        Kind.STALE_ANSWER,
        [lease("a", 0, 5, 300), taken("b", 400, 410)],
    ),
    "counted as taken": (Kind.STALE_ANSWER, [lease("a", 0, 5, 300), count(400, 410, 0)]),
    "counted as free": (Kind.STALE_ANSWER, [lease("a", 0, 5, 300), count(100, 110, 1)]),
    "cancelled before anybody asked for it": (
        Kind.STALE_ANSWER,
        [booking("k", 0, 10), look("k", 20, "CANCELED", is_final=False), cancel("k", 50, 60)],
    ),
    "not found, in the middle": (
        Kind.STALE_ANSWER,
        [booking("k", 0, 10), look("k", 20, "", REFUSED, is_final=False)],
    ),
}

LEGAL: dict[str, Sequence[Operation]] = {
    "the next lease at the very instant": [lease("a", 0, 5, 300), lease("b", 290, 301, 900)],
    "the next lease with the clocks read at odds": [
        lease("a", 0, 5, 300),
        lease("b", 290, 299.5, 900),
    ],
    "a lease that was asked long before its answer": [
        lease("a", 0, 5, 300),
        lease("b", 6, 305, 900),
    ],
    "an answer after the lease had ended": [lease("a", 0, 500, 300), lease("b", 310, 320, 700)],
    "no answer, and somebody else gets it": [
        lease("a", 0, 5, 300, UNKNOWN),
        lease("b", 10, 15, 310),
    ],
    "no answer, and it is taken until it would have ended": [
        lease("a", 0, 5, 300, UNKNOWN),
        taken("b", 10, 300),
        lease("c", 302, 310, 900),
    ],
    "no answer, and the repeat finds another expiry": [
        lease("a", 0, 5, 300, UNKNOWN),
        lease("a", 10, 15, 310),
        lease("a", 20, 25, 330, expires_ms=310),
    ],
    "a lease becomes a booking": [
        lease("a", 0, 5, 300),
        booking("k", 10, 20, by="a"),
        lease("a", 30, 40, 300),
        taken("b", 9000, 9010),
        booking("k", 9000, 9010, by="a"),
        look("k", 9900, "CONFIRMED"),
    ],
    "a booking without an answer keeps the slot": [
        lease("a", 0, 5, 300),
        booking("k", 10, 20, UNKNOWN, by="a"),
        taken("b", 9000, 9010, is_final=True),
    ],
    "a booking without an answer was never made": [
        lease("a", 0, 5, 300),
        booking("k", 10, 20, UNKNOWN, by="a"),
        lease("b", 310, 320, 600),
    ],
    "cancel, then book again": [
        booking("k", 0, 10),
        cancel("k", 20, 30),
        booking("l", 25, 35),
        booking("k", 40, 50),
        look("k", 900, "CANCELED"),
    ],
    "a cancel without an answer was carried out": [
        booking("k", 0, 10),
        cancel("k", 20, 30, UNKNOWN),
        lease("a", 900, 910, 1200),
        look("k", 2000, "CANCELED"),
    ],
    "a cancel without an answer was not carried out": [
        booking("k", 0, 10),
        cancel("k", 20, 30, UNKNOWN),
        taken("a", 900, 910, is_final=True),
        look("k", 2000, "CONFIRMED"),
    ],
    "a leased slot is free early once its booking is cancelled": [
        lease("a", 0, 5, 900),
        booking("k", 10, 20, by="a"),
        cancel("k", 30, 40),
        lease("b", 50, 60, 500),
        lease("a", 70, 80, 900),
    ],
    "a lease has ended once its booking is cancelled": [
        lease("a", 0, 5, 900),
        booking("k", 10, 20, by="a"),
        cancel("k", 30, 40),
        expired("a", 70, 80),
    ],
    "a lease has ended once its booking may have moved away": [
        lease("a", 0, 5, 900),
        booking("k", 10, 20, by="a"),
        move("k", 30, 40, "t", UNKNOWN),
        expired("a", 70, 80),
    ],
    "a booking moves away": [
        booking("k", 0, 10),
        move("k", 20, 30, "t"),
        lease("a", 25, 35, 300),
        lease("b", 40, 50, 300, REFUSED, slot="t", cause="SLOT_UNAVAILABLE"),
    ],
    "a booking moves away and back": [
        booking("k", 0, 10),
        move("k", 20, 30, "t"),
        move("k", 40, 50, "s"),
        taken("a", 900, 910, is_final=True),
        lease("b", 900, 910, 1200, slot="t", is_final=True),
    ],
    "two moves at once": [
        booking("k", 0, 10),
        move("k", 20, 90, "t"),
        move("k", 30, 80, "u"),
        lease("b", 900, 910, 1200, slot="t"),
    ],
    "a move without an answer, carried out after another": [
        booking("k", 0, 10),
        move("k", 20, 30, "t", UNKNOWN),
        move("k", 40, 50, "u"),
        lease("b", 900, 910, 1200, slot="u"),
    ],
    "a move is refused and changes nothing": [
        booking("k", 0, 10),
        booking("l", 0, 10, slot="t"),
        call(
            Call.MOVE, 20, 30, REFUSED, booking_id="booking k", slot="t", cause="SLOT_UNAVAILABLE"
        ),
        look("k", 900, "CONFIRMED"),
    ],
    "the lease ends while it is being booked": [
        lease("a", 0, 5, 300),
        booking("k", 290, 310, REFUSED, by="a", cause="LEASE_EXPIRED"),
    ],
    "a lease that somebody else has booked": [
        lease("a", 0, 5, 300),
        booking("k", 10, 20, by="a"),
        booking("l", 30, 40, REFUSED, by="a", cause="SLOT_UNAVAILABLE"),
    ],
    "expired, and so it is": [lease("a", 0, 5, 300), expired("a", 290, 310)],
    "a slow refusal whose first try came through": [
        taken("b", 0, 600, reference="b"),
        taken("a", 610, 620),
    ],
    "refused while the same was being granted": [
        lease("b", 0, 5, 20),
        lease("a", 10, 50, 300),
        taken("a", 10, 40),
        booking("k", 10, 60, by="a"),
        booking("k", 10, 50, REFUSED, by="a", cause="LEASE_EXPIRED"),
    ],
    "not found before it was made": [
        booking("k", 0, 10),
        look("k", 5, "", REFUSED, is_final=False),
    ],
    "taken by a booking whose lease is told again after its end": [
        lease("a", 0, 5, 300),
        booking("k", 10, 20, by="a"),
        cancel("k", 470, 480),
        lease("a", 490, 495, 300),
        taken("b", 450, 500),
    ],
    "counted while it changes": [
        lease("a", 0, 5, 300),
        count(2, 8, 1),
        count(4, 8, 0),
        count(290, 305, 1),
        count(302, 308, 0),
    ],
    "a look that crosses a cancel": [
        booking("k", 0, 10),
        cancel("k", 20, 30),
        look("k", 20.5, "CANCELED", is_final=False),
        look("k", 29.5, "CONFIRMED", is_final=False),
    ],
    "listed where a move may have come or not": [
        booking("k", 0, 10),
        move("k", 20, 30, "t", UNKNOWN),
        listed("k", 40, "s", is_final=False),
        listed("k", 500, "t"),
    ],
    "listed while it moves": [
        booking("k", 0, 10),
        move("k", 20, 30, "t"),
        listed("k", 25, "s", is_final=False),
        listed("k", 29, "t", is_final=False),
    ],
    "listed after two moves at once": [
        booking("k", 0, 10),
        move("k", 20, 90, "t"),
        move("k", 30, 80, "u"),
        listed("k", 500, "t"),
    ],
    "not listed after a cancel without an answer": [
        booking("k", 0, 10),
        cancel("k", 20, 30, UNKNOWN),
        listed("k", 500, ""),
    ],
    "not listed before it was made": [
        booking("k", 0, 10),
        listed("k", 5, "", REFUSED, is_final=False),
    ],
    "a list without an answer": [booking("k", 0, 10), listed("k", 500, "", UNKNOWN)],
    "a look without an answer": [booking("k", 0, 10), look("k", 500, "", UNKNOWN)],
}


@pytest.mark.parametrize(("kind", "told"), WRONG.values(), ids=WRONG.keys())
def test_check_of_what_cannot_be_finds_it(kind: Kind, told: Sequence[Operation]) -> None:
    """Each of these histories has exactly the one kind of violation that it was written for."""
    assert {violation.kind for violation in check(told)} == {kind}


@pytest.mark.parametrize("told", LEGAL.values(), ids=LEGAL.keys())
def test_check_of_what_is_legal_finds_nothing(told: Sequence[Operation]) -> None:
    """Whatever may have happened without an answer is given the benefit of the doubt."""
    assert [str(violation) for violation in check(told)] == []


def test_check_tells_each_pair_of_owners_once() -> None:
    """Repeats of one overlap are one violation."""
    told = [lease("a", t, t + 1, 300) for t in range(9)] + [lease("b", 10, 12, 400)]

    assert len(check(told)) == 1


def test_violation_names_the_calls_that_show_it() -> None:
    """Who reads a violation sees when each call was made and what it was answered."""
    (violation,) = check([lease("a", 0, 5, 300), lease("b", 100, 105, 400)])

    assert "two owners: s" in str(violation)
    assert "0.0..5.0 create_lease ok slot=s reference=a lease_id=lease a until 300" in str(
        violation
    )


def test_history_is_read_as_it_was_written(tmp_path: Path) -> None:
    """A saved history is the same history."""
    told = [operation for _, each in WRONG.values() for operation in each]

    history.save(tmp_path / "history", told)

    assert history.load(tmp_path / "history") == told
