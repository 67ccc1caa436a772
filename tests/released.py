"""Releases of before, from the repository: tests/releases.toml names their commits.

A release runs in this environment, whose libraries its own requirements allow; nothing is fetched.
"""

import io
import os
import subprocess
import tarfile
import tempfile
import tomllib
from functools import cache
from pathlib import Path

import pytest
from tests.service import Service

_ROOT = Path(__file__).parents[1]
_PARTS = ("service", "lua", "deploy/redis")
LATEST = "0.1.1"
"""The release that may run beside the working tree while it is rolled out, and back."""


@cache
def folder_of(release: str) -> Path:
    """Return where a release is unpacked; skip the test without its commit, and fail in CI."""
    commit = tomllib.loads((_ROOT / "tests" / "releases.toml").read_text())[release]
    words = ["git", "-C", str(_ROOT), "archive", commit, *_PARTS]
    found = subprocess.run(words, capture_output=True, check=False)
    if found.returncode:
        message = f"no commit of release {release} in this clone: {found.stderr.decode().strip()}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    holder = tempfile.TemporaryDirectory(prefix=f"leasehold-{release}-")
    _HOLDERS.append(holder)
    with tarfile.open(fileobj=io.BytesIO(found.stdout)) as archive:
        archive.extractall(holder.name, filter="data")
    return Path(holder.name)


_HOLDERS: list[tempfile.TemporaryDirectory[str]] = []
"""They go with the process that has unpacked them."""


def access_list_of(release: str) -> Path:
    """Return the access list that a release is deployed with."""
    return folder_of(release) / "deploy" / "redis" / "users.acl"


class Released(Service):
    """`leasehold serve` of the latest release."""

    def __init__(self, *arguments: str, **settings: str) -> None:
        """Find the release before the working tree."""
        self.more_environment = {"PYTHONPATH": str(folder_of(LATEST) / "service")}
        super().__init__(*arguments, **settings)
