"""A store as it is deployed: with redis.conf, and users who log in."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers import RedisServer

DEPLOY = Path(__file__).parents[2] / "deploy"


def make_passwords(folder: Path) -> None:
    """Fill a folder with passwords and the access list for them."""
    script = DEPLOY / "redis" / "make-passwords"
    subprocess.run([script, folder], check=True, capture_output=True, timeout=60)


@dataclass
class DeployedStore(RedisServer):
    """A server whose settings are those of deploy/redis, but for where it listens and writes."""

    secrets: Path = Path()
    """The folder of the passwords and the access list."""

    @property
    def tester_url(self) -> str:
        """Return the address for the test's own questions."""
        return self.url_of("admin")

    @property
    def password_file(self) -> str:
        """Return where the service finds its password."""
        return str(self.secrets / "leasehold")

    def url_of(self, user: str) -> str:
        """Return the address for a user."""
        password = (self.secrets / user).read_text()
        return f"redis://{user}:{password}@127.0.0.1:{self.port}/0"

    def _options(self) -> list[str]:
        place = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.directory)]
        users = ["--aclfile", str(self.secrets / "users.acl")]
        return [str(DEPLOY / "redis" / "redis.conf"), *place, *users, *self.arguments]


@contextmanager
def deployed(name: str, access_list: Path | None = None) -> Iterator[DeployedStore]:
    """Run a store as it is deployed, or with another access list, which may let nobody in."""
    store = DeployedStore(name)
    store.secrets = store.directory / "secrets"
    make_passwords(store.secrets)
    if access_list:
        shutil.copy(access_list, store.secrets / "users.acl")
    try:
        store.start(wait=access_list is None)
        yield store
    finally:
        store.__exit__(None, None, None)
