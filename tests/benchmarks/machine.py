"""Where a run was made: the machine, and the version of everything that had a part in it."""

import os
import platform
import subprocess
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tests.benchmarks import etcd, postgres
from tests.benchmarks.processes import MissingError
from tests.servers import RedisServer

_PACKAGES = ("grpcio", "protobuf", "redis", "hiredis", "uvloop")
ROOT = Path(__file__).parents[2]


def machine() -> dict[str, str]:
    """Describe the machine, and how busy it was when the run began."""
    return {
        "cores": str(os.cpu_count()),
        "CPU": _named("/proc/cpuinfo", "model name"),
        "memory": f"{int(_named('/proc/meminfo', 'MemTotal').split()[0]) / 2**20:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release().partition('-')[0]}",
        "load before the run": f"{os.getloadavg()[0]:.2f}",
    }


def _named(path: str, name: str) -> str:
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "unknown"


def versions(store: RedisServer) -> dict[str, str]:
    """Name the version of everything that is there."""
    with store.client() as client:
        server = client.info("server")
    named = server.get("server_name", "redis")
    found = {
        "Leasehold": _commit(),
        "Python": platform.python_version(),
        **{name: _package(name) for name in _PACKAGES},
        "store": f"{named} {server.get(f'{named}_version', server['redis_version'])}",
    }
    found |= {"etcd": _if_there(etcd.version), "PostgreSQL": _if_there(postgres.version)}
    return {name: text for name, text in found.items() if text}


def _if_there(ask: Callable[[], str]) -> str:
    try:
        return ask()
    except MissingError:
        return ""


def _package(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _commit() -> str:
    told = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return told.stdout.strip() or "not a checkout"
