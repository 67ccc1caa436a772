"""Hosts and ports."""

import ipaddress
import re
from typing import NamedTuple

LAST_PORT = 65_535
# Who listens everywhere is called here.
_HERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - nothing is bound


class Address(NamedTuple):
    """Where a server listens."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Tell whether only this machine can reach it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def from_here(self) -> "Address":
        """Return where a caller on this machine finds who listens there."""
        return Address(_HERE.get(self.host, self.host), self.port)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Read host and port, IPv6 in brackets; ValueError if it is anything else."""
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:\s]+)):([0-9]{1,5})", text)
    if not match or int(match[3]) > LAST_PORT:
        raise ValueError("is not an address")
    return Address(match[1] or match[2], int(match[3]))
