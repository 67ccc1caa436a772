"""A slot that is held for as long as a block of code runs."""

import asyncio
import uuid
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from leasehold.client.errors import AccessError, ClientError, NoAnswerError
from leasehold.client.leases import Extended
from leasehold.client.operators import Operators
from leasehold.client.values import Booked, Held, Person, Refused
from leasehold.model.slot import Slot

if TYPE_CHECKING:
    from leasehold.client.partners import Client

_RELEASE_REASON = "its holder left without booking"
_EXTEND_REASON = "its holder needs longer"
_LEASE_EXPIRED = "LEASE_EXPIRED"


class Hold:
    """What ``Client.hold`` holds. It may have ended by itself when the block takes too long."""

    def __init__(self, client: "Client", slot: Slot, held: Held) -> None:
        self._client = client
        # For all attempts: a caller who books again after an error gets the same booking. A token
        # belongs to a request with its lease, so booking directly needs a token of its own.
        self._token, self._direct_token = str(uuid.uuid4()), str(uuid.uuid4())
        self.slot = slot
        self.lease_id = held.lease_id
        self.reference = held.reference
        self.expires_at = held.expires_at
        """The end of the hold by the server's clock."""
        self.booking: Booked | None = None
        """What it became, once ``book`` has said so; then leaving gives nothing back."""
        self.release_error: ClientError | None = None
        """After leaving: why it could not be given back, so that it ends with its expiry."""

    async def book(self, person: Person, *, additional_request: str = "") -> Booked | Refused:
        """Turn the hold into a booking; after an error it may be asked again. Raises CallError.

        A hold that has run out is booked directly, which succeeds where its slot is still free.
        """
        booked = await self._client.create_booking(
            self.slot,
            person,
            lease_id=self.lease_id,
            token=self._token,
            additional_request=additional_request,
        )
        if isinstance(booked, Refused) and booked.cause == _LEASE_EXPIRED:
            booked = await self._client.create_booking(
                self.slot,
                person,
                token=self._direct_token,
                additional_request=additional_request,
            )
        if isinstance(booked, Booked):
            self.booking = booked
        return booked

    async def extend(self, for_: timedelta, reason: str = _EXTEND_REASON) -> Extended | Refused:
        """Hold it for so long from now, as far as that is granted; needs ``operators``.

        Raises CallError, or AccessError without ``operators``.
        """
        if not self._client.operators:
            raise AccessError("to hold longer needs the operators' listener")
        until = datetime.now(UTC) + for_
        answer = await self._client.operators.extend_lease(self.lease_id, until, reason)
        if isinstance(answer, Extended):
            self.expires_at = answer.expires_at
        return answer


class Leaving:
    """Gives back what was held, even while the holders are being cancelled."""

    def __init__(self, operators: Operators | None) -> None:
        self._operators = operators
        self._releases: set[asyncio.Task[ClientError | None]] = set()

    async def give_back(self, lease_id: str) -> ClientError | None:
        """Release a lease, in the time of one call; return what went wrong.

        That it is not held any more is fine. Cancelled, it stops waiting, but goes on.
        """
        return await asyncio.shield(self._start(self._release(lease_id)))

    def give_back_later(self, lease_id: str) -> None:
        """Release a lease without a wait for it."""
        self._start(self._release(lease_id))

    async def give_back_granted(
        self, asking: asyncio.Task[Held | Refused], lease_id: str, until_s: float
    ) -> None:
        """Release what a CreateLease grants that nobody waits for any more.

        To release sooner would be of no use: the request may still be on its way. The wait ends at
        ``until_s`` of the loop's clock, or when it is cancelled; the work goes on.
        """
        task = self._start(self._finish(asking, lease_id))
        await asyncio.wait((task,), timeout=until_s - asyncio.get_running_loop().time())

    def _start(
        self, releasing: Coroutine[None, None, ClientError | None]
    ) -> asyncio.Task[ClientError | None]:
        task = asyncio.create_task(releasing)
        self._releases.add(task)
        task.add_done_callback(self._releases.discard)
        return task

    async def _finish(
        self, asking: asyncio.Task[Held | Refused], lease_id: str
    ) -> ClientError | None:
        try:
            if isinstance(await asking, Refused):
                return None
        except NoAnswerError as error:
            if not error.may_have_arrived:
                return None
        except ClientError:
            return None
        return await self._release(lease_id)

    async def _release(self, lease_id: str) -> ClientError | None:
        if self._operators is None:
            return None
        try:
            await self._operators.release_lease(lease_id, _RELEASE_REASON)
        except ClientError as error:
            return error
        return None

    async def finish(self) -> None:
        """Return when nothing is being released."""
        await asyncio.gather(*self._releases)
