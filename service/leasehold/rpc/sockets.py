"""The sockets of gRPC's listeners, found among our descriptors, because gRPC shows none."""

import os
import socket
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

_DESCRIPTORS = Path("/dev/fd")


def listening() -> frozenset[int]:
    """Return the descriptors that this process listens on."""
    return frozenset(
        number
        for number, found in _sockets()
        if found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    )


def close(descriptors: Iterable[int]) -> None:
    """Take no new connections on these; the connections that there are stay.

    gRPC can only close its listeners together with everything else. The descriptors stay its own,
    so they are not closed, but lead to nothing from now on.
    """
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number in descriptors:
        os.dup2(nothing, number, inheritable=False)
    os.close(nothing)


def connections(port: int) -> int:
    """Return how many connections to one of our ports there are."""
    count = 0
    for _, found in _sockets():
        try:
            found.getpeername()
            count += found.getsockname()[1] == port
        except OSError:
            continue
    return count


def _sockets() -> Iterator[tuple[int, socket.socket]]:
    """Yield a copy of each internet socket among our descriptors, valid until the next one."""
    for name in list(_DESCRIPTORS.iterdir()):
        number = int(name.name)
        try:
            if not stat.S_ISSOCK(os.fstat(number).st_mode):
                continue
            copy = socket.socket(fileno=os.dup(number))
        except OSError:
            continue  # It was closed meanwhile, as the one is that lists the others.
        with copy:
            if copy.family in (socket.AF_INET, socket.AF_INET6):
                yield number, copy
