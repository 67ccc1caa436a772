"""The Lua scripts: read from the package, includes expanded, headers parsed.

A script says ``--@include name`` on a line of its own where ``lua/include/name.lua`` shall stand.
A helper may include others; each stands once in the expanded script, where it is first asked for.
"""

import hashlib
import re
from collections.abc import Callable, Container
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import NamedTuple

_INCLUDE = re.compile(r"^--@include (?P<name>\w+)$")
_HEADER_LINE = re.compile(r"^-- ?(?P<text>.*)$")
_PARAMETER = re.compile(r"^(?P<list>KEYS|ARGV)\[(?P<index>\d+)\]\s+(?P<name>\w+)\s+\S+.*$")
_STATUS = re.compile(r"^  (?P<name>\w+)(?:\s+(?P<fields>\w+(?: \w+)*))?\s{2,}\S.*$")


_RIGHTS = re.compile(r"(?P<commands>[A-Z]+(?: [A-Z]+)*)(?: (?P<family>[a-z-]+))?")


class ScriptError(Exception):
    """A Lua file that cannot be used as it stands: a mistake of ours, found when loading."""


class Right(NamedTuple):
    """A command that the store's user must be allowed, on the keys of one family."""

    command: str
    """In capitals, as Redis names it."""
    family: str
    """What keys begin with, as ``slot`` or ``bookings-of``; empty for a command without keys."""


@dataclass(frozen=True, slots=True)
class Header:
    """The contract of a script, as its header states it."""

    keys: tuple[str, ...]
    arguments: tuple[str, ...]
    statuses: dict[str, tuple[str, ...]]
    """Status to the fields that follow it in the reply, in order of precedence."""
    rights: frozenset[Right]
    """Every command that the script may run, with the keys that it may run it on."""
    repeatable: bool
    """Whether the script may be sent again when its reply was lost."""
    promises: frozenset[str]
    """Statuses that tell a caller of something kept: replicas may have to have it first."""


@dataclass(frozen=True, slots=True)
class Script:
    """One operation on the store."""

    name: str
    source: str
    """The expanded script, as Redis gets it."""
    sha: str
    header: Header


def names() -> list[str]:
    """List the scripts of the package, one an operation."""
    entries = (entry.name for entry in (files("leasehold") / "lua").iterdir())
    return sorted(name.removesuffix(".lua") for name in entries if name.endswith(".lua"))


@cache
def load(name: str) -> Script:
    """Return one script, or raise ScriptError."""
    source = expand(name, _read_packaged)
    sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
    return Script(name, source, sha, parse_header(name, source))


def _read_packaged(path: str) -> str:
    try:
        return (files("leasehold") / "lua" / path).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ScriptError(f"lua/{path} does not exist") from error


def expand(name: str, read: Callable[[str], str]) -> str:
    """Return the script with its includes in place; ``read`` takes a path below lua/."""
    done: set[str] = set()

    def expand_file(path: str, open_files: tuple[str, ...]) -> str:
        if path in open_files:
            raise ScriptError(f"lua/{path} includes itself: {' -> '.join((*open_files, path))}")
        if path in done:
            return ""
        lines = []
        for line in read(path).splitlines(keepends=True):
            include = _INCLUDE.match(line)
            if line.startswith("--@") and not include:
                raise ScriptError(f"lua/{path}: not an include: {line.strip()}")
            if include:
                lines.append(expand_file(f"include/{include['name']}.lua", (*open_files, path)))
            else:
                lines.append(line)
        done.add(path)
        return "".join(lines)

    return expand_file(f"{name}.lua", ())


def parse_header(name: str, source: str) -> Header:
    """Read the contract from the comment that opens a script, or raise ScriptError."""
    lines = []
    for line in source.splitlines():
        comment = _HEADER_LINE.match(line)
        if not comment:
            break
        lines.append(comment["text"])
    if not lines or not lines[0].startswith(f"{name}: "):
        raise ScriptError(f"{name}: the header does not open with the name of the script")
    parameters = [match for match in map(_PARAMETER.match, lines) if match]
    repeatable = [line for line in lines if line.startswith("Repeatable: ")]
    if len(repeatable) != 1 or not re.match(r"Repeatable: (yes|no)\b", repeatable[0]):
        raise ScriptError(f"{name}: the header does not say whether the script is repeatable")
    promises = [line.removeprefix("Promises: ") for line in lines if line.startswith("Promises: ")]
    if len(promises) != 1:
        raise ScriptError(f"{name}: the header does not say what the script promises")
    for required in ("Keeps: ", "Cost: ", "Returns {status"):
        if not any(line.startswith(required) for line in lines):
            raise ScriptError(f"{name}: the header has no line {required.strip()!r}")
    statuses = _statuses(name, lines)
    rights = re.findall(r"^Rights: (.*(?:\n  .*)*)\.$", "\n".join(lines), re.MULTILINE)
    if len(rights) != 1:
        raise ScriptError(f"{name}: the header does not say which rights the script needs")
    return Header(
        keys=_listed(name, "KEYS", parameters),
        arguments=_listed(name, "ARGV", parameters),
        statuses=statuses,
        rights=parse_rights(rights[0]),
        repeatable=repeatable[0].startswith("Repeatable: yes"),
        promises=_promises(name, promises[0], statuses),
    )


def parse_rights(text: str) -> frozenset[Right]:
    """Read ``TIME; GET SET slot``: commands, then the family of keys; or raise ScriptError."""
    if text == "none":
        return frozenset()
    rights = set()
    for part in text.split(";"):
        match = _RIGHTS.fullmatch(" ".join(part.split()))
        if not match:
            raise ScriptError(f"not commands with a family of keys: {part.strip()!r}")
        rights |= {Right(it, match["family"] or "") for it in match["commands"].split()}
    return frozenset(rights)


def _listed(name: str, kind: str, parameters: list[re.Match[str]]) -> tuple[str, ...]:
    found = [match for match in parameters if match["list"] == kind]
    if [int(match["index"]) for match in found] != list(range(1, len(found) + 1)):
        raise ScriptError(f"{name}: {kind} are not numbered from 1 without gaps")
    return tuple(match["name"] for match in found)


def _promises(name: str, text: str, statuses: Container[str]) -> frozenset[str]:
    if text == "nothing.":
        return frozenset()
    promised = text.removesuffix(".").split(", ")
    if any(status not in statuses for status in promised):
        raise ScriptError(f"{name}: promises what is not among its statuses: {text}")
    return frozenset(promised)


def _statuses(name: str, lines: list[str]) -> dict[str, tuple[str, ...]]:
    statuses: dict[str, tuple[str, ...]] = {}
    start = next(i for i, line in enumerate(lines) if line.startswith("Returns {status"))
    for line in lines[start + 1 :]:
        if not line.startswith("  "):
            break
        match = _STATUS.match(line)
        if not match or match["name"] in statuses:
            raise ScriptError(f"{name}: not a status, or named twice: {line.strip()}")
        statuses[match["name"]] = tuple((match["fields"] or "").split())
    return statuses
