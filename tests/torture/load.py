"""Many clients that want the same few slots, and at the end a look at everything they have."""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterable

from tests.torture.clients import Clients, now_ms
from tests.torture.history import Call, Operation, Outcome

MERCHANTS = ("m-1", "m-2", "m-3", "m-4")
"""On different shards of a cluster."""
_SLOTS_EACH = 3
_KEEPS_SLOT = 0.5
_FORGETS_CANCELLED = 0.7
_GIVES_UP_SLOT = 0.03
_LISTS = 0.5
_PATIENCE = 5
_SHORTEST_LEASE_MS, _LONGEST_LEASE_MS = 250, 1500
_FINAL_LEASE_MS = 600_000
_FINAL_TIMEOUT_S = 3.0
_FINAL_TRIES = 30
_FINAL_AT_ONCE = 32


class Load:
    """Workers that choose at random, from their seed, what to ask next."""

    def __init__(self, clients: Clients, seed: str) -> None:
        self._clients = clients
        self._seed = seed
        self._goes_on = True
        self._slots = [f"{merchant}/{n}" for merchant in MERCHANTS for n in range(_SLOTS_EACH)]
        self._next_number = _SLOTS_EACH
        self._leases: deque[Operation] = deque(maxlen=24)
        self._bookings: deque[Operation] = deque(maxlen=24)
        """Acknowledged lately."""
        self._in_doubt: deque[Operation] = deque(maxlen=24)
        """Creations without an answer."""

    async def run(self, workers: int, pause_s: float) -> None:
        """Ask until ``stop``; each worker rests between calls, ``pause_s`` on average."""
        async with asyncio.TaskGroup() as group:
            for number in range(workers):
                group.create_task(self._work(f"{number}", pause_s))

    def stop(self) -> None:
        """Let every worker finish what it asks."""
        self._goes_on = False

    async def _work(self, name: str, pause_s: float) -> None:
        chance = random.Random(f"{self._seed}/{name}")
        step = 0
        while self._goes_on:
            step += 1
            asked = await self._step(chance, f"{name}-{step}")
            # While the store is away there is little to see.
            longer = _PATIENCE if asked.outcome is Outcome.UNKNOWN else 1
            await asyncio.sleep(chance.uniform(0, 2 * pause_s * longer))

    async def _step(self, chance: random.Random, name: str) -> Operation:
        # Who is impatient leaves before the answer, sometimes before it can have come.
        patience_s = chance.choice((3.0, 3.0, 3.0, 1.0, 0.3, chance.uniform(0.001, 0.02)))
        lease, booking = _any(chance, self._leases), _any(chance, self._bookings)
        doubtful = _any(chance, self._in_doubt)
        match chance.randrange(20):
            case 0 | 1 if lease:
                return await self._lease(lease.slot, lease.reference, chance, patience_s)
            case 2 | 3 | 4 | 5 if lease:
                return await self._book(lease.slot, f"t-{name}", lease.lease_id, chance, patience_s)
            case 6 if booking:
                same = (booking.slot, booking.token, booking.lease_id)
                return await self._book(*same, chance, patience_s)
            case 7 | 8 | 9 if booking:
                return await self._cancel(booking, chance, patience_s)
            case 10 if booking:
                to = chance.choice([s for s in self._slots if _shop(s) == _shop(booking.slot)])
                return await self._clients.move(booking.booking_id, to, patience_s)
            case 11:
                return await self._clients.check_availability(
                    chance.choice(self._slots), patience_s
                )
            case 12 if booking:
                if chance.random() < _LISTS:
                    named = (booking.booking_id, booking.token)
                    return await self._clients.list_bookings(*named, patience_s)
                return await self._clients.get_booking_status(booking.booking_id, patience_s)
            case 13 if chance.random() < 0.5:
                return await self._book(
                    chance.choice(self._slots), f"t-{name}", "", chance, patience_s
                )
            case 14 | 15 if doubtful:
                return await self._ask_again(doubtful, chance, patience_s)
            case _:
                return await self._lease(
                    chance.choice(self._slots), f"r-{name}", chance, patience_s
                )

    async def _ask_again(
        self, asked: Operation, chance: random.Random, patience_s: float
    ) -> Operation:
        if asked.call is Call.CREATE_LEASE:
            return await self._lease(asked.slot, asked.reference, chance, patience_s)
        return await self._book(asked.slot, asked.token, asked.lease_id, chance, patience_s)

    async def _lease(
        self, slot: str, reference: str, chance: random.Random, patience_s: float
    ) -> Operation:
        for_ms = chance.randrange(_SHORTEST_LEASE_MS, _LONGEST_LEASE_MS)
        asked = await self._clients.create_lease(slot, reference, for_ms, patience_s)
        if asked.is_ok:
            self._leases.append(asked)
        elif asked.outcome is Outcome.UNKNOWN:
            self._in_doubt.append(asked)
        elif chance.random() < _GIVES_UP_SLOT:
            self._leave_alone(slot)
        return asked

    async def _book(
        self, slot: str, token: str, lease_id: str, chance: random.Random, patience_s: float
    ) -> Operation:
        asked = await self._clients.create_booking(slot, token, lease_id, patience_s)
        if asked.outcome is Outcome.UNKNOWN:
            self._in_doubt.append(asked)
        elif asked.is_ok and chance.random() < _KEEPS_SLOT:
            self._leave_alone(slot)
        elif asked.is_ok:
            self._bookings.append(asked)
        return asked

    async def _cancel(
        self, booking: Operation, chance: random.Random, patience_s: float
    ) -> Operation:
        asked = await self._clients.cancel(booking.booking_id, patience_s)
        if asked.is_ok and booking in self._bookings and chance.random() < _FORGETS_CANCELLED:
            self._bookings.remove(booking)
        return asked

    def _leave_alone(self, slot: str) -> None:
        """Let a booking stand until the end, and want another slot instead.

        Or whatever it is that has the slot: of bookings without an answer nobody knows.
        """
        if slot in self._slots:
            self._slots.remove(slot)
            self._slots.append(f"{_shop(slot)}/{self._next_number}")
            self._next_number += 1

    def acknowledged(self) -> dict[str, str]:
        """Return the bookings that clients know of, and the token of each."""
        history = self._clients.recorder.history
        created = (o for o in history if o.call is Call.CREATE_BOOKING and o.is_ok)
        return {operation.booking_id: operation.token for operation in created}

    async def look_at_the_end(self) -> None:
        """Once all holds have ended, look up every booking and want every slot.

        Raises AssertionError when some of it has no answer after many tries.
        """
        history = list(self._clients.recorder.history)
        last_end_ms = max((max(o.asked_expires_ms, o.expires_ms) for o in history), default=0)
        while now_ms() < last_end_ms + 100:
            await asyncio.sleep(0.05)
        made = self.acknowledged()
        slots = sorted({o.slot for o in history if o.slot and o.call is not Call.LIST_BOOKINGS})
        await _each(sorted(made), self._look_up)
        await _each(sorted(made), lambda booking_id: self._list(booking_id, made[booking_id]))
        await _each(slots, self._want)

    async def _look_up(self, booking_id: str) -> Operation:
        return await self._clients.get_booking_status(booking_id, _FINAL_TIMEOUT_S, is_final=True)

    async def _list(self, booking_id: str, token: str) -> Operation:
        return await self._clients.list_bookings(booking_id, token, _FINAL_TIMEOUT_S, is_final=True)

    async def _want(self, slot: str) -> Operation:
        reference = f"final {slot}"
        return await self._clients.create_lease(
            slot, reference, _FINAL_LEASE_MS, _FINAL_TIMEOUT_S, is_final=True
        )


async def _each(names: Iterable[str], ask: Callable[[str], Awaitable[Operation]]) -> None:
    """Ask about each of many until there is an answer, some at a time."""
    places = asyncio.Semaphore(_FINAL_AT_ONCE)

    async def until_answered(name: str) -> None:
        async with places:
            for _ in range(_FINAL_TRIES):
                asked = await ask(name)
                if asked.outcome is not Outcome.UNKNOWN:
                    return
                await asyncio.sleep(0.3)
        raise AssertionError(f"no answer at the end: {asked}")

    async with asyncio.TaskGroup() as group:
        for name in names:
            group.create_task(until_answered(name))


def _any(chance: random.Random, of: deque[Operation]) -> Operation | None:
    return chance.choice(of) if of else None


def _shop(slot: str) -> str:
    return slot.partition("/")[0]
