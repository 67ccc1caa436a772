"""How commands work on the store itself, and end when it does not answer."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from leasehold.cli.console import UNAVAILABLE, UNUSABLE, fail
from leasehold.model.errors import DeadlinePassedError, StoreTrouble, StoreUnavailableError
from leasehold.model.store_url import hide_password
from leasehold.settings import Settings

_OTHER_KEY = (
    "The store's users are digested with a key that LEASEHOLD_USER_KEY_FILE does not hold."
    " Use the file of the processes that serve; leasehold doctor names the key."
)

Opened = TypeVar("Opened")
Answer = TypeVar("Answer")


def with_store(
    settings: Settings,
    open_store: Callable[[Settings], AbstractAsyncContextManager[Opened]],
    do: Callable[[Opened], Awaitable[Answer]],
) -> Answer:
    """Return what is done with the configured store, or say that it gives no answer and end."""

    async def run() -> Answer:
        async with open_store(settings) as store:
            return await do(store)

    try:
        return asyncio.run(run())
    except StoreUnavailableError as error:
        if error.trouble is StoreTrouble.USER_KEY:
            fail(_OTHER_KEY, UNUSABLE)
        fail(f"The store at {_address(settings)} gave no answer: {error}", UNAVAILABLE)
    except DeadlinePassedError:
        fail(f"The store at {_address(settings)} gave no answer in time.", UNAVAILABLE)


def _address(settings: Settings) -> str:
    if settings.redis_url:
        return hide_password(settings.redis_url)
    return f"redis://127.0.0.1:{settings.embedded_port} (LEASEHOLD_REDIS_URL names no other)"
