"""Random histories of the reference store are legal; the same with one answer spoilt are not."""

import asyncio
import contextlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.backends import TERMS
from tests.reference_store import ReferenceStore
from tests.torture.checker import Kind, check
from tests.torture.history import Call, Operation, Outcome

from leasehold.model import ids
from leasehold.model.booking import BookingStatus, CreateBooking, UpdateBooking
from leasehold.model.deadline import Deadline
from leasehold.model.lease import CreateLease
from leasehold.model.slot import Slot

NOW_MS = 1_800_000_000_000
HOURS = range(1, 4)
MERCHANT = "m"
ANY = Deadline.within(60, None)
SEEDS = st.integers(0, 2**32 - 1)


def slot_at(hour: str) -> Slot:
    """Return a slot by its name."""
    return Slot(MERCHANT, "haircut", NOW_MS // 1000 + 86_400 + int(hour) * 3600, 1800)


@dataclass
class Shop:
    """Clients of the reference store whose calls overlap, and whose answers may be lost."""

    chance: random.Random
    store: ReferenceStore = field(default_factory=lambda: ReferenceStore(TERMS, NOW_MS))
    history: list[Operation] = field(default_factory=list)
    leases: list[Operation] = field(default_factory=list)
    bookings: list[Operation] = field(default_factory=list)
    late: list[tuple[float, Operation]] = field(default_factory=list)
    """Calls that nobody waits for any more, and when they are carried out."""

    async def run(self, steps: int) -> list[Operation]:
        """Ask at random, then look at what is left; return the history."""
        for _ in range(steps):
            self.store.now_ms += self.chance.choice((0, 1, 5, 40, 150))
            await self._carry_out_late()
            await self._ask(self._choose())
        # Nobody has said when the late calls end, so the last look comes after all of them.
        self.store.now_ms += 10_000
        await self._carry_out_late()
        for number, hour in enumerate(HOURS):
            wanted = self._lease(f"final-{number}", str(hour))
            await self._ask(replace(wanted, is_final=True), loses_answers=False)
        for made in {each.booking_id: each for each in self.bookings}.values():
            wanted = Operation(Call.GET_BOOKING_STATUS, 0, 0, Outcome.OK)
            wanted = replace(wanted, booking_id=made.booking_id, is_final=True)
            await self._ask(wanted, loses_answers=False)
            await self._ask(replace(self._list(made), is_final=True), loses_answers=False)
        return self.history

    def _choose(self) -> Operation:
        chance, hour = self.chance, str(self.chance.choice(HOURS))
        booking = chance.choice(self.bookings[-3:]) if self.bookings else None
        match chance.randrange(14):
            case 0 if self.leases:
                return self._lease(chance.choice(self.leases).reference, "")
            case 1 | 2 if self.leases:
                leased = chance.choice(self.leases[-4:])
                return self._booking(leased.slot, leased.lease_id)
            case 3 | 8 | 9 if booking:
                return Operation(Call.CANCEL, 0, 0, Outcome.OK, booking_id=booking.booking_id)
            case 4 if booking:
                told: dict[str, Any] = {"booking_id": booking.booking_id, "slot": hour}
                return Operation(Call.MOVE, 0, 0, Outcome.OK, **told)
            case 5 if booking:
                return Operation(
                    Call.GET_BOOKING_STATUS, 0, 0, Outcome.OK, booking_id=booking.booking_id
                )
            case 10 if booking:
                return self._list(booking)
            case 6:
                return Operation(Call.CHECK_AVAILABILITY, 0, 0, Outcome.OK, slot=hour)
            case 7:
                return self._booking(hour, "")
        return self._lease(f"r-{len(self.history)}", hour)

    def _lease(self, reference: str, hour: str) -> Operation:
        known = [each for each in self.leases if each.reference == reference]
        asked_expires_ms = self.store.now_ms + self.chance.choice((150, 300, 900))
        return Operation(
            Call.CREATE_LEASE,
            0,
            0,
            Outcome.OK,
            slot=known[0].slot if known else hour,
            reference=reference,
            asked_expires_ms=asked_expires_ms,
        )

    def _booking(self, hour: str, lease_id: str) -> Operation:
        made = [each for each in self.bookings if each.lease_id == lease_id and each.slot == hour]
        repeats = made and self.chance.random() < 0.5
        token = made[-1].token if repeats else f"t-{len(self.history)}"
        told: dict[str, Any] = {"slot": hour, "lease_id": lease_id, "token": token}
        return Operation(Call.CREATE_BOOKING, 0, 0, Outcome.OK, **told)

    def _list(self, made: Operation) -> Operation:
        named: dict[str, Any] = {"booking_id": made.booking_id, "token": made.token}
        return Operation(Call.LIST_BOOKINGS, 0, 0, Outcome.OK, **named)

    async def _ask(self, wanted: Operation, *, loses_answers: bool = True) -> None:
        chance, store = self.chance, self.store
        asked_ms = store.now_ms - chance.choice((0, 0, 1, 30))
        wanted = replace(wanted, asked_ms=asked_ms)
        answered_ms = store.now_ms + chance.choice((0, 0, 1, 30))
        fate = chance.random() if loses_answers else 1
        if fate < 0.1:  # It is on its way for long, or for ever.
            if fate < 0.07:
                self.late.append((store.now_ms + chance.randrange(3000), wanted))
            answer = replace(wanted, outcome=Outcome.UNKNOWN)
        else:
            answer = await self._carry_out(wanted)
        if 0.1 <= fate < 0.2:
            answer = replace(wanted, outcome=Outcome.UNKNOWN)
        answer = replace(answer, answered_ms=answered_ms)
        self.history.append(answer)
        if answer.is_ok and answer.call is Call.CREATE_LEASE and not self._knows(answer):
            self.leases.append(answer)
        if answer.is_ok and answer.call is Call.CREATE_BOOKING:
            self.bookings.append(answer)

    def _knows(self, answer: Operation) -> bool:
        return any(each.reference == answer.reference for each in self.leases)

    async def _carry_out_late(self) -> None:
        due = [each for at_ms, each in self.late if at_ms <= self.store.now_ms]
        self.late = [each for each in self.late if each[0] > self.store.now_ms]
        for wanted in due:
            await self._carry_out(wanted)

    async def _carry_out(self, wanted: Operation) -> Operation:
        match wanted.call:
            case Call.CREATE_LEASE:
                return await self._create_lease(wanted)
            case Call.CREATE_BOOKING:
                return await self._create_booking(wanted)
            case Call.CANCEL | Call.MOVE:
                return await self._update(wanted)
            case Call.CHECK_AVAILABILITY:
                found = await self.store.check_availability(slot_at(wanted.slot), ANY)
                return replace(wanted, count=found.count)
            case Call.LIST_BOOKINGS:
                return await self._list_bookings(wanted)
        record = await self.store.get_booking(reference_of(wanted.booking_id), ANY)
        assert record
        return replace(wanted, answer=record.status.name)

    async def _create_lease(self, wanted: Operation) -> Operation:
        command = CreateLease(
            slot_at(wanted.slot), wanted.reference, wanted.asked_expires_ms, availability_tag=""
        )
        outcome = await self.store.create_lease(command, ANY)
        if outcome.status not in ("created", "replayed", "consumed"):
            return refused(wanted, outcome.status)
        return replace(wanted, lease_id=command.lease_id, expires_ms=outcome.expires_at_ms)

    async def _create_booking(self, wanted: Operation) -> Operation:
        command = CreateBooking(
            slot=slot_at(wanted.slot),
            token=wanted.token,
            api="v2",
            user_id=wanted.token,
            original=wanted.token.encode(),
            lease=ids.parse_wire_id(wanted.lease_id) if wanted.lease_id else None,
            additional_request="",
        )
        outcome = await self.store.create_booking(command, ANY)
        if outcome.status not in ("created", "replayed"):
            return refused(wanted, outcome.status)
        return replace(wanted, booking_id=command.booking_id, answer=outcome.original.decode())

    async def _list_bookings(self, wanted: Operation) -> Operation:
        records = await self.store.list_bookings(wanted.token, ANY)
        shown = [hour for hour in map(str, HOURS) for r in records or () if r.slot == slot_at(hour)]
        return replace(wanted, token="", slot=shown[0] if shown else "")

    async def _update(self, wanted: Operation) -> Operation:
        status = BookingStatus.CANCELED if wanted.call is Call.CANCEL else None
        start_s = slot_at(wanted.slot).start_s if wanted.slot else None
        command = UpdateBooking(reference_of(wanted.booking_id), status, start_s, None, None)
        outcome = await self.store.update_booking(command, ANY)
        return wanted if outcome.record else refused(wanted, outcome.status)


def reference_of(booking_id: str) -> ids.Reference:
    """Take a booking id apart."""
    found = ids.parse_wire_id(booking_id)
    assert found
    return found


def refused(wanted: Operation, status: str) -> Operation:
    """Return a refusal with the API's word for it."""
    is_taken = status in ("slot_unknown", "slot_unavailable", "lease_consumed")
    cause = "SLOT_UNAVAILABLE" if is_taken else status.upper()
    return replace(wanted, outcome=Outcome.REFUSED, cause=cause)


def legal(seed: int, steps: int = 150) -> list[Operation]:
    """Return a history that a seed makes."""
    return asyncio.run(Shop(random.Random(seed)).run(steps))


@settings(max_examples=150, deadline=None)
@given(SEEDS)
def test_check_of_a_legal_history_finds_nothing(seed: int) -> None:
    """Whatever overlaps, is lost or comes late: what the reference store answers is right."""
    assert [str(violation) for violation in check(legal(seed))] == []


class NothingToSpoilError(Exception):
    """A history has no such answer."""


Spoil = Callable[[list[Operation], random.Random], list[Operation]]


def grant_twice(told: list[Operation], chance: random.Random) -> list[Operation]:
    """Tell somebody else OK while a lease is held."""
    held = pick(told, chance, lambda o: o.call is Call.CREATE_LEASE and is_long(o, told))
    other = replace(held, reference="other", lease_id="other", asked_ms=held.answered_ms)
    return [*told, replace(other, answered_ms=held.answered_ms + 1)]


def use_twice(told: list[Operation], chance: random.Random) -> list[Operation]:
    """Make a second booking from a lease."""
    made = pick(told, chance, lambda o: o.call is Call.CREATE_BOOKING and o.lease_id != "")
    return [*told, replace(made, token="other", booking_id="other")]


def change_expiry(told: list[Operation], chance: random.Random) -> list[Operation]:
    """Answer a repeat with another expiry."""
    held = pick(told, chance, lambda o: o.call is Call.CREATE_LEASE)
    return [*told, replace(held, expires_ms=held.expires_ms + 1)]


def change_response(told: list[Operation], chance: random.Random) -> list[Operation]:
    """Answer a repeat with another booking."""
    made = pick(told, chance, lambda o: o.call is Call.CREATE_BOOKING)
    return [*told, replace(made, booking_id="other")]


def refuse_the_holder(told: list[Operation], chance: random.Random) -> list[Operation]:
    """Tell the holder in the middle that the lease has ended."""
    held = pick(told, chance, lambda o: o.call is Call.CREATE_LEASE and is_long(o, told))
    refusal = refused(replace(held, lease_id="", expires_ms=0), "lease_expired")
    at_ms = held.answered_ms
    return [*told, replace(refusal, asked_ms=at_ms + 1, answered_ms=at_ms + 2)]


def lose_booking(told: list[Operation], chance: random.Random) -> list[Operation]:
    """Find nothing at the end."""
    seen = pick(told, chance, lambda o: o.call is Call.GET_BOOKING_STATUS and o.is_final)
    lost = replace(seen, outcome=Outcome.REFUSED, answer="")
    return [lost if operation is seen else operation for operation in told]


def forget_in_the_list(told: list[Operation], chance: random.Random) -> list[Operation]:
    """List nothing of a user whose booking stands."""
    cancelled = {o.booking_id for o in told if o.call is Call.CANCEL}
    seen = pick(told, chance, lambda o: o.is_final and o.slot and is_list_of_others(o, cancelled))
    lost = replace(seen, slot="")
    return [lost if operation is seen else operation for operation in told]


def is_list_of_others(operation: Operation, bookings: set[str]) -> bool:
    """Tell a list of the user of a booking that is none of these."""
    return operation.call is Call.LIST_BOOKINGS and operation.booking_id not in bookings


def list_elsewhere(told: list[Operation], chance: random.Random) -> list[Operation]:
    """Show a booking where it was before it moved, or where it never was."""
    seen = pick(told, chance, lambda o: o.call is Call.LIST_BOOKINGS and o.is_final and o.slot)
    lost = replace(seen, slot="elsewhere")
    return [lost if operation is seen else operation for operation in told]


def refuse_at_the_end(told: list[Operation], chance: random.Random) -> list[Operation]:
    """Call a slot taken at the end that the last look could have."""
    free = pick(told, chance, lambda o: o.call is Call.CREATE_LEASE and o.is_final)
    taken = refused(replace(free, lease_id="", expires_ms=0), "slot_unavailable")
    return [taken if operation is free else operation for operation in told]


def pick(
    told: list[Operation], chance: random.Random, fits: Callable[[Operation], Any]
) -> Operation:
    """Return a random operation that went well and fits."""
    found = [operation for operation in told if operation.is_ok and fits(operation)]
    if not found:
        raise NothingToSpoilError
    return chance.choice(found)


def spoilt_history(spoil: Spoil, seed: int, steps: int = 300) -> list[Operation]:
    """Return a spoilt history, the first that has something to spoil from this seed on."""
    while True:
        with contextlib.suppress(NothingToSpoilError):
            return spoil(legal(seed, steps), random.Random(seed))
        seed += 1000


def is_long(held: Operation, told: list[Operation]) -> bool:
    """Tell whether a hold lasts for a while, whatever became of it."""
    booked = any(o.lease_id == held.lease_id for o in told if o.call is Call.CREATE_BOOKING)
    return not booked and held.expires_ms > held.answered_ms + 10


SPOILT: dict[str, tuple[Spoil, Kind]] = {
    "grant twice": (grant_twice, Kind.TWO_OWNERS),
    "use twice": (use_twice, Kind.LEASE_USED_TWICE),
    "change expiry": (change_expiry, Kind.UNEQUAL_ANSWERS),
    "change response": (change_response, Kind.UNEQUAL_ANSWERS),
    "refuse the holder": (refuse_the_holder, Kind.FORGOTTEN),
    "lose booking": (lose_booking, Kind.BOOKING_MISSING),
    "forget in the list": (forget_in_the_list, Kind.BOOKING_MISSING),
    "list elsewhere": (list_elsewhere, Kind.WRONG_SLOT),
}


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(("spoil", "kind"), SPOILT.values(), ids=SPOILT.keys())
def test_check_of_a_spoilt_history_finds_what_was_spoilt(
    spoil: Spoil, kind: Kind, seed: int
) -> None:
    """One wrong answer among hundreds of right ones is seen."""
    spoilt = spoilt_history(spoil, seed)

    assert kind in {violation.kind for violation in check(spoilt)}


def test_check_of_a_slot_refused_at_the_end_finds_it_unless_it_may_be_taken() -> None:
    """A slot that is refused at the end is stuck, where no lost answer can have taken it."""
    found = 0
    for seed in range(30):
        spoilt = spoilt_history(refuse_at_the_end, seed, 20)
        found += Kind.SLOT_STUCK in {violation.kind for violation in check(spoilt)}

    assert found >= 10
