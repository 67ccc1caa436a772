"""What is worth knowing about a process and its store."""

from dataclasses import dataclass
from typing import Literal, get_args

State = Literal["ok", "warning", "failed"]
STATES: tuple[State, ...] = get_args(State)
"""``warning``: it works, and something may be lost. ``failed``: it cannot work."""

FINDING_NAMES = (
    "version",
    "permissions",
    "eviction",
    "persistence",
    "restart",
    "replicas",
    "clock",
    "step",
    "data",
    "slots",
    "users",
    "feeds",
    "cluster",
    "sentinels",
)
"""What is found out about a store; these are the labels of a metric, so there are few."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing worth knowing."""

    name: str
    state: State
    detail: str
    """For people. It stays as it is while nothing changes, because every change is logged."""
