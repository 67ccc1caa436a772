"""What a store's own settings put at risk; a store that does not tell is a warning, no error."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis.exceptions import ResponseError

from leasehold.model.deadline import Deadline
from leasehold.model.errors import StoreTrouble, StoreUnavailableError
from leasehold.model.finding import Finding, State
from leasehold.store import keys, permissions
from leasehold.store.findings import merge, of_those_that_answer
from leasehold.store.link import Link
from leasehold.store.node import Node

_OLDEST = (6, 2)
_JUDGES_ITS_FILE = (7, 0)
"""Redis since when the append-only file may be judged by the rights of the user ``default``."""
_LONGEST_OFFSET_S = 1
_NOT_TOLD = "unknown: {} is not allowed"
_CONFIG = ("appendfsync", "save", "min-replicas-to-write")
"""What INFO does not tell."""


@dataclass(frozen=True, slots=True)
class Shard:
    """One primary, and a way to name keys of it."""

    link: Link
    node: Node
    tag: str

    async def ask(self, deadline: Deadline, *words: str) -> Any | None:
        """Return the answer to a command, or None if the server does not allow or know it."""
        try:
            return await self.link.read_on(self.node, *words, deadline=deadline)
        except ResponseError:
            return None
        except StoreUnavailableError as error:
            if error.trouble is StoreTrouble.ACCESS_DENIED:
                return None
            raise


async def shards_of(link: Link, deadline: Deadline) -> list[Shard]:
    """Return all primaries; raises as Link.run does."""
    return [Shard(link, node, tag) for tag, node in (await link.shards(deadline)).items()]


@dataclass(frozen=True, slots=True)
class Told:
    """What a server tells of itself; what it does not is missing, or None."""

    info: Mapping[str, str]
    """The fields of INFO."""
    config: Mapping[str, str]
    """What CONFIG GET says, by the name of the parameter; nothing where it was not asked."""
    can_wait: bool
    """Whether WAIT is allowed."""
    lacking: Sequence[str] | None
    """Rules of an access list that the user lacks, or None when no script may be run."""
    default_lacks: str | None
    """What the user ``default`` may not do of what scripts do, or None if that is not told."""
    ahead_s: float | None
    """How far the server's clock is ahead of this process'; negative if it is behind."""


async def look(
    link: Link, deadline: Deadline, replica_acks: int, *, asks_config: bool = False
) -> list[Finding]:
    """Ask every primary about itself and return what the answers of those that do mean.

    ``replica_acks`` is how many replicas are waited for. A user who may CONFIG GET one parameter
    may get all of them, passwords included, so ``asks_config`` is for commands alone.

    Raises as Link.run does when none answers.
    """
    shards = await shards_of(link, deadline)
    # That a shard is away is told by the finding of the cluster.
    told = await of_those_that_answer(
        {shard.node.address: _ask_all(shard, deadline, asks_config) for shard in shards}
    )
    return merge({address: judge(it, replica_acks) for address, it in told.items()})


async def _ask_all(shard: Shard, deadline: Deadline, asks_config: bool) -> Told:
    return Told(
        info=_parse_info(await shard.ask(deadline, "INFO")),
        config=await _ask_config(shard, deadline) if asks_config else {},
        can_wait=await shard.ask(deadline, "WAIT", "0", "1") is not None,
        lacking=await permissions.of_scripts(shard.link, shard.tag, deadline),
        default_lacks=await _default_lacks(shard, deadline),
        ahead_s=await _ask_clock(shard, deadline),
    )


def judge(told: Told, replica_acks: int) -> list[Finding]:
    """Say what it means, in one finding for each thing that can be wrong."""
    return [
        Finding("version", *_version(told)),
        Finding("permissions", *_permissions(told)),
        Finding("eviction", *_eviction(told)),
        Finding("persistence", *_persistence(told)),
        Finding("restart", *_restart(told)),
        Finding("replicas", *_replicas(told, replica_acks)),
        Finding("clock", *_clock(told)),
    ]


async def _ask_config(shard: Shard, deadline: Deadline) -> dict[str, str]:
    config: dict[str, str] = {}
    for name in _CONFIG:
        # One after the other: Redis 6.2 takes one name only.
        flat = await shard.ask(deadline, "CONFIG", "GET", name)
        pairs = (
            flat.items() if isinstance(flat, dict) else zip(*[iter(flat or ())] * 2, strict=True)
        )
        config.update(pairs)
    return config


async def _ask_clock(shard: Shard, deadline: Deadline) -> float | None:
    asked_at_s = time.time()
    answer = await shard.ask(deadline, "TIME")
    if answer is None:
        return None
    seconds, microseconds = answer
    # On average the server looked at its clock half way.
    return int(seconds) + int(microseconds) / 1e6 - (asked_at_s + time.time()) / 2


async def _default_lacks(shard: Shard, deadline: Deadline) -> str | None:
    """Try, without doing it, what a server may judge by ``default`` when it reads its file."""
    lacks = []
    for name, *rest in _written(keys.probe_key(shard.tag)):
        answer = await shard.ask(deadline, "ACL", "DRYRUN", "default", name, *rest)
        if answer is None:
            return None
        if answer != "OK":
            lacks.append(name)
    return " ".join(lacks)


def _written(key: str) -> tuple[tuple[str, ...], ...]:
    """Return EXEC, and what scripts leave in the append-only file: one command of each kind."""
    return (
        ("EXEC",),
        ("SET", key, "1"),
        ("DEL", key),
        ("HSET", key, "f", "1"),
        ("ZADD", key, "1", "m"),
        ("XADD", key, "*", "f", "1"),
        ("PEXPIREAT", key, "1"),
    )


def _parse_info(text: Any) -> dict[str, str]:
    lines = str(text or "").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line and line[0] != "#")


Judgement = tuple[State, str]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())


def _version(told: Told) -> Judgement:
    if "redis_version" not in told.info:
        return "warning", _NOT_TOLD.format("INFO")
    version = told.info["redis_version"]
    detail = f"Redis {version}"
    if "valkey_version" in told.info:
        detail = f"Valkey {told.info['valkey_version']}, as Redis {version}"
    if _numbers(version) < _OLDEST:
        return "failed", f"{detail}; at least 6.2 is needed"
    return "ok", detail


def _permissions(told: Told) -> Judgement:
    if told.lacking is None:
        return "failed", f"no script may be run, or not on keys such as {keys.probe_key('')}"
    if told.lacking:
        return "failed", f"the store's user lacks {' '.join(told.lacking)}"
    return "ok", "the store's user has every command and key pattern that scripts need"


def _eviction(told: Told) -> Judgement:
    policy = told.info.get("maxmemory_policy")
    if policy is None:
        return "warning", _NOT_TOLD.format("INFO")
    if policy == "noeviction":
        return "ok", "noeviction: a full store refuses, and forgets nothing"
    detail = f"{policy}: a store that is full deletes live holds and bookings; set noeviction"
    if told.info.get("maxmemory") == "0":
        detail += " (as long as maxmemory is 0 it is never full)"
    if told.info.get("evicted_keys", "0") != "0":
        detail += "; keys have been evicted already"
    return "warning", detail


def _has_log(told: Told) -> bool | None:
    """Tell whether there is an append-only file; None if that is not told."""
    enabled = told.info.get("aof_enabled")
    return None if enabled is None else enabled == "1"


def _persistence(told: Told) -> Judgement:
    info, config, has_log = told.info, told.config, _has_log(told)
    if has_log is None:
        return "warning", _NOT_TOLD.format("INFO")
    if has_log and info.get("aof_last_write_status", "ok") != "ok":
        return "warning", "the append-only file cannot be written"
    if has_log:
        return _LOSS_BY_FSYNC.get(config.get("appendfsync", ""), _FSYNC_NOT_TOLD)
    if config.get("save"):
        return "warning", "snapshots only: a restart loses what is newer than the last one"
    if "save" in config:
        return "warning", "none: a restart loses every hold and booking"
    return "warning", "no append-only file: a restart loses at least what is newer than a snapshot"


_LOSS_BY_FSYNC: Mapping[str, Judgement] = {
    "always": ("ok", "append-only file, on disk before each answer"),
    "everysec": ("ok", "append-only file; a machine that fails loses up to two seconds"),
    "no": (
        "warning",
        "append-only file with appendfsync no: a machine that fails loses up to half a minute",
    ),
}
_FSYNC_NOT_TOLD: Judgement = (
    "ok",
    "append-only file; leasehold doctor tells how often it is on disk, to a user with +config|get",
)


def _restart(told: Told) -> Judgement:
    if (has_log := _has_log(told)) is None:
        return "warning", _NOT_TOLD.format("INFO")
    if not has_log:
        return "ok", "there is no append-only file to read"
    if _numbers(told.info.get("redis_version", "7.0")) < _JUDGES_ITS_FILE:
        return "ok", "all that is in the append-only file is read"
    if told.default_lacks is None:
        return "warning", _NOT_TOLD.format("ACL DRYRUN")
    if told.default_lacks:
        detail = f"the store's user default may not use {told.default_lacks}"
        return "warning", f"{detail}: a restart may drop every hold and booking"
    return "ok", "all that is in the append-only file is read"


def _replicas(told: Told, replica_acks: int) -> Judgement:
    info = told.info
    if "role" not in info:
        return "warning", _NOT_TOLD.format("INFO")
    if info["role"] != "master":
        return "warning", "a replica answers, which takes no writes"
    detail = f"{info.get('connected_slaves', '0')} connected"
    least = told.config.get("min-replicas-to-write", "0")
    if least != "0":
        detail += f"; fewer than {least} and it takes no writes"
    elif "min_slaves_good_slaves" in info:
        detail += "; with too few of them it takes no writes"
    if not told.can_wait:
        return "warning", f"{detail}; WAIT is not allowed, so nobody can wait for them"
    if int(info.get("connected_slaves", "0")) < replica_acks:
        return "warning", f"{detail}; nothing is confirmed with fewer than {replica_acks}"
    return "ok", detail


def _clock(told: Told) -> Judgement:
    if told.ahead_s is None:
        return "warning", _NOT_TOLD.format("TIME")
    if abs(told.ahead_s) <= _LONGEST_OFFSET_S:
        return "ok", f"within {_LONGEST_OFFSET_S} s of this process'"
    direction = "ahead of" if told.ahead_s > 0 else "behind"
    detail = f"the store's is {abs(told.ahead_s):.0f} s {direction} this process'"
    return "warning", f"{detail}; leases end by the store's"
