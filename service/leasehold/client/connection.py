"""One listener: a channel that stays open, and calls that are repeated where that is safe."""

import asyncio
import itertools
import random
import time
from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf.message import Message

from leasehold.client.access import Access, open_channel, read_address
from leasehold.client.errors import CallError, NoAnswerError, call_error

_FIRST_BACKOFF_S = 0.05
_LONGEST_BACKOFF_S = 1.0
# By then the longest one is reached; more of them would be numbers beyond all bounds.
_MOST_DOUBLINGS = 10
# What is told by the service itself with a time to come back. The same codes by gRPC alone mean a
# message that is too large, or the end of our own time.
_ONLY_WITH_RETRY_INFO = ("RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED")
# The other side cancels calls when its drain runs out of time.
_PASSING = ("UNAVAILABLE", "CANCELLED")

# A channel in one of these states has had no connection since it was last without one.
_UNCONNECTED = (grpc.ChannelConnectivity.CONNECTING, grpc.ChannelConnectivity.TRANSIENT_FAILURE)

OpenStub = Callable[[grpc.aio.Channel], Any]


class Sending:
    """Whether a request may have reached its listener, asked while the call goes on, too."""

    def __init__(self) -> None:
        """Nothing is sent yet."""
        self._channel: grpc.aio.Channel | None = None
        self._may_have_arrived = False

    def begin(self, channel: grpc.aio.Channel) -> None:
        """Note that an attempt begins."""
        is_connected = channel.get_state() is grpc.ChannelConnectivity.READY
        self._may_have_arrived = self.may_have_arrived or is_connected
        self._channel = channel

    @property
    def may_have_arrived(self) -> bool:
        """Return False only while no attempt has had a connection."""
        if self._may_have_arrived or not self._channel:
            return self._may_have_arrived
        return self._channel.get_state() not in _UNCONNECTED


class Connection:
    """A channel to one listener. Every call has ``timeout_s`` in all, however often it is tried."""

    def __init__(self, address: str, access: Access, timeout_s: float) -> None:
        """Nothing is opened yet. Raises AccessError for what is no address."""
        self._at = read_address(address)
        self._access = access
        self._timeout_s = timeout_s
        self._channel: grpc.aio.Channel | None = None
        self._stubs: dict[OpenStub, Any] = {}

    def open(self) -> None:
        """Make calls possible; raises AccessError. The listener is first reached by a call."""
        assert self._channel is None, "it is open"
        self._channel = open_channel(self._at, self._access)

    async def close(self) -> None:
        """End what is under way, and the channel."""
        if self._channel:
            channel, self._channel = self._channel, None
            self._stubs.clear()
            await channel.close()

    async def call(
        self,
        stub: OpenStub,
        name: str,
        request: Message,
        *,
        repeatable: bool = True,
        sending: Sending | None = None,
    ) -> Any:
        """Return what a method answers; raises CallError or AccessError.

        Without an answer it is asked again until the deadline, when the server wants to be asked,
        if that may be (``repeatable``) and may help; then the last error is raised.
        """
        sending = sending or Sending()
        give_up_at_s = time.monotonic() + self._timeout_s
        for attempt in itertools.count():
            timeout_s = give_up_at_s - time.monotonic()
            try:
                return await self._try(stub, name, request, timeout_s, sending)
            except CallError as error:
                if isinstance(error, NoAnswerError):
                    error.may_have_arrived = sending.may_have_arrived
                wait_s = wait_before_retry_s(error, attempt) if repeatable else None
                if wait_s is None or time.monotonic() + wait_s >= give_up_at_s:
                    raise
            await asyncio.sleep(wait_s)
        raise AssertionError("counting never ends")

    async def _try(
        self, stub: OpenStub, name: str, request: Message, timeout_s: float, sending: Sending
    ) -> Any:
        if self._channel is None:
            raise RuntimeError("a client is used inside `async with`")
        if stub not in self._stubs:
            self._stubs[stub] = stub(self._channel)
        token = self._access.token()
        metadata = (("authorization", f"Bearer {token}"),) if token else ()
        sending.begin(self._channel)
        try:
            return await getattr(self._stubs[stub], name)(
                request, timeout=timeout_s, metadata=metadata
            )
        except grpc.aio.AioRpcError as error:
            raise call_error(str(self._at), error) from None


def wait_before_retry_s(error: CallError, attempt: int) -> float | None:
    """Return how long to wait before trying again, or None when that would not help.

    Never shorter than the server asks for; random beyond that, so that those who were refused
    together do not come back together.
    """
    asked_s = error.retry_after_s
    if error.code in _ONLY_WITH_RETRY_INFO and asked_s is None:
        return None
    if error.code not in (*_PASSING, *_ONLY_WITH_RETRY_INFO):
        return None
    chance = random.uniform(0.5, 1)  # noqa: S311 - nobody gains by guessing it
    if asked_s:
        return asked_s * (1 + (chance - 0.5) / 5)
    doubled_s = _FIRST_BACKOFF_S * 2.0 ** min(attempt, _MOST_DOUBLINGS)
    return min(doubled_s, _LONGEST_BACKOFF_S) * chance
