"""What processes have used of the machine, as Linux counts it."""

import os
from collections.abc import Iterable
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
# Of /proc/<pid>/stat, counted from the field that follows the program's name.
_PARENT, _OWN, _REAPED = 1, slice(11, 13), slice(13, 15)


class MissingError(Exception):
    """Something that a subject needs is not on this machine; says what, and where it comes from."""


class BenchError(Exception):
    """A round that proves nothing: a wrong answer, or a client that failed."""


def cpu_s(pids: Iterable[int]) -> float:
    """Return the CPU seconds of processes: all threads, and all children that ever were.

    PostgreSQL's server is a tree of processes, and those that have ended count as well.
    """
    families = _children()
    ticks = 0
    waiting = list(pids)
    while waiting:
        pid = waiting.pop()
        waiting += families.get(pid, [])
        fields = _stat(pid)
        ticks += sum(map(int, [*fields[_OWN], *fields[_REAPED]])) if fields else 0
    return ticks / _TICKS_PER_S


def resident_bytes(pid: int) -> int:
    """Return the memory that a process itself has in use now."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * _PAGE_BYTES


def _children() -> dict[int, list[int]]:
    families: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        fields = _stat(int(entry.name)) if entry.name.isdigit() else []
        if fields:
            families.setdefault(int(fields[_PARENT]), []).append(int(entry.name))
    return families


def _stat(pid: int) -> list[str]:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []  # It has ended, and its parent counts it from now on.
    return text.rpartition(")")[2].split()
