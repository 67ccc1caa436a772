"""How a cluster is as a whole: shards that answer, hash slots that are covered or on the move."""

import asyncio
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from redis.exceptions import RedisError

from leasehold.model.deadline import Deadline
from leasehold.model.errors import DeadlinePassedError, StoreTrouble, StoreUnavailableError
from leasehold.model.finding import Finding
from leasehold.store.node import Node

_SLOTS = 16_384
_MOST_NAMED = 3
# A node tells of itself alone which slots are on their way, out or in: [93->-id], [93-<-id].
_ON_THE_MOVE = re.compile(r"\[(\d+)-[<>]-")


@dataclass(frozen=True, slots=True)
class _Told:
    """What one shard tells."""

    answers: bool
    moving: frozenset[int] | None
    """Hash slots on their way to or from it, or None if that is not told."""


async def look(nodes: Mapping[str, Node], owners: Counter[str], deadline: Deadline) -> Finding:
    """Ask every primary, by its address; ``owners`` counts the hash slots of each."""
    told = await asyncio.gather(*(_ask(node, deadline) for node in nodes.values()))
    return _judge(dict(zip(nodes, told, strict=True)), owners)


async def _ask(node: Node, deadline: Deadline) -> _Told:
    try:
        nodes = str(await node.ask(("CLUSTER", "NODES"), deadline))
    except (DeadlinePassedError, StoreUnavailableError, RedisError) as error:
        is_denied = getattr(error, "trouble", None) is StoreTrouble.ACCESS_DENIED
        return _Told(is_denied or isinstance(error, RedisError), None)
    return _Told(answers=True, moving=frozenset(map(int, _ON_THE_MOVE.findall(nodes))))


def _judge(told: Mapping[str, _Told], owners: Counter[str]) -> Finding:
    """Say what it means; no shard's trouble is that of the merchants of the others."""
    away = sorted(at for at, it in told.items() if not it.answers)
    covered = sum(owners[at] for at, it in told.items() if it.answers)
    moving = sorted({slot for it in told.values() for slot in it.moving or ()})
    is_told = all(it.moving is not None for it in told.values() if it.answers)
    parts = [f"{len(told) - len(away)} of {len(told)} shards answer"]
    if away:
        parts[0] += f", not {', '.join(away)}"
    parts.append(f"{covered} of {_SLOTS} slots are covered")
    parts.append(_moves(moving) if is_told else "on the move unknown: CLUSTER NODES is not allowed")
    is_well = is_told and not away and not moving and covered == _SLOTS
    return Finding("cluster", "ok" if is_well else "warning", "; ".join(parts))


def _moves(moving: list[int]) -> str:
    if not moving:
        return "none is on the move"
    named = ", ".join(map(str, moving[:_MOST_NAMED]))
    more = ", …" if len(moving) > _MOST_NAMED else ""
    return f"{len(moving)} on the move: {named}{more}"
