"""How commands work on the store itself, and end when it does not answer."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from leasehold.cli.console import UNAVAILABLE, fail
from leasehold.model.errors import DeadlinePassedError, StoreUnavailableError
from leasehold.model.store_url import hide_password
from leasehold.settings import Settings

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
        fail(f"The store at {_address(settings)} gave no answer: {error}", UNAVAILABLE)
    except DeadlinePassedError:
        fail(f"The store at {_address(settings)} gave no answer in time.", UNAVAILABLE)


def _address(settings: Settings) -> str:
    if settings.redis_url:
        return hide_password(settings.redis_url)
    return f"redis://127.0.0.1:{settings.embedded_port} (LEASEHOLD_REDIS_URL names no other)"
