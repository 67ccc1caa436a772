"""Whom the link tells of what happens to it."""

from collections.abc import Callable
from dataclasses import dataclass


def tell_nobody(*_: object) -> None:
    """Take part in no counting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """What is called, at once and in the event loop, so that none of it may take long."""

    on_connect: Callable[[], object] = tell_nobody
    """There is a new connection; nothing has been asked on it yet."""
    on_reconnect: Callable[[], object] = tell_nobody
    """It takes the place of a lost one."""
    on_resend: Callable[[], object] = tell_nobody
    """A command is sent again."""
    on_answer: Callable[[float, str], object] = tell_nobody
    """The seconds from asking to the answer that counts, and the name of the script."""
    on_shortfall: Callable[[], object] = tell_nobody
    """Too few replicas have what was promised."""
    on_replica_wait: Callable[[float], object] = tell_nobody
    """The seconds of a wait for replicas, however it ended."""


NO_HOOKS = Hooks()
