"""What is found on several nodes, told as one."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from typing import TypeVar

from leasehold.model.errors import DeadlinePassedError, OverloadedError, StoreUnavailableError
from leasehold.model.finding import STATES, Finding

T = TypeVar("T")
_NO_ANSWER = (StoreUnavailableError, DeadlinePassedError, OverloadedError)


async def of_those_that_answer(asked: Mapping[str, Awaitable[T]]) -> dict[str, T]:
    """Return the answers that come, each by its name; raises as the first does if none comes."""
    told = await asyncio.gather(*asked.values(), return_exceptions=True)
    errors = [each for each in told if isinstance(each, BaseException)]
    bugs = [each for each in errors if not isinstance(each, _NO_ANSWER)]
    if bugs or len(errors) == len(told):
        raise (bugs or errors)[0]
    named = zip(asked, told, strict=True)
    return {name: each for name, each in named if not isinstance(each, BaseException)}


def merge(by_address: Mapping[str, Sequence[Finding]]) -> list[Finding]:
    """Return one finding of each name: the worst, with the addresses of those that are so bad.

    Every node has found the same names in the same order.
    """
    names = next(iter(by_address.values()), ())
    return [
        _worst({address: found[place] for address, found in by_address.items()})
        for place in range(len(names))
    ]


def _worst(by_address: Mapping[str, Finding]) -> Finding:
    worst = max(by_address.values(), key=lambda finding: STATES.index(finding.state))
    if len(set(by_address.values())) == 1:
        return worst
    bad = (f"{at}: {it.detail}" for at, it in by_address.items() if it.state == worst.state)
    return Finding(worst.name, worst.state, "; ".join(bad))
