"""docs/runbook.md, and a place to try it in: a checkout with its secrets, a store and a service."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.certificates import authority
from tests.deploy.deployed_store import DEPLOY, DeployedStore, make_passwords
from tests.servers import binary, free_port, poll
from tests.service import Service, environment, serving

ROOT = DEPLOY.parent
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
_RULES, _STORIES = RUNBOOK.split("\n# Two nights\n")
PREAMBLE, *_BLOCKS = re.findall(r"^```sh\n(.*?)^```", _RULES, re.MULTILINE | re.DOTALL)
BLOCKS = [block for block in _BLOCKS if not block.startswith("sentinel")]
"""What is typed for one store; ``PREAMBLE`` comes first, and the stories have more."""
BY_SENTINELS, *FAILOVERS = [block for block in _BLOCKS if block.startswith("sentinel")]
"""What is typed first where Sentinels watch the store, and the failovers: paused, coordinated."""
STORIES = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", _STORIES, re.MULTILINE | re.DOTALL))
"""What happened in a night, by its title."""


class Place:
    """A checkout with its secrets beside a running store and service, as the runbook assumes."""

    def __init__(self, folder: Path, store: DeployedStore, service: Service) -> None:
        self.folder, self.store, self.service = folder, store, service
        self.prometheus_port = 0
        self.settings = {
            "LISTEN": service.address,
            "OPERATOR_LISTEN": str(service.told["operator_listen"]),
            "OPS_LISTEN": str(service.told["ops_listen"]),
            "REDIS_URL": f"redis://leasehold@127.0.0.1:{store.port}/0",
            "REDIS_PASSWORD_FILE": str(folder / "deploy" / "secrets" / "leasehold"),
        }
        self._other_port = free_port()

    def play(self, text: str) -> subprocess.CompletedProcess[str]:
        """Run something of the runbook in a shell, at this test's addresses."""
        # The server that reads a copy must not be older than the one that wrote it.
        folders = [binary("redis7").parent, Path(sys.executable).parent, binary("redis62").parent]
        path = [*map(str, folders), os.environ["PATH"]]
        return subprocess.run(
            ["sh", "-c", self.here(PREAMBLE + text)],
            env={**environment(**self.settings), "PATH": os.pathsep.join(path), "COLUMNS": "120"},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def here(self, text: str) -> str:
        """Return a text of the runbook with this test's addresses."""
        text = text.replace("redis.internal -p 6379", f"127.0.0.1 -p {self.store.port}")
        text = text.replace("prometheus.internal:9090", f"127.0.0.1:{self.prometheus_port}")
        text = text.replace("127.0.0.1:9464", self.settings["OPS_LISTEN"])
        text = text.replace("127.0.0.1:50051", self.settings["LISTEN"])
        return text.replace("6380", str(self._other_port))


@contextmanager
def opened(folder: Path, *, has_tls: bool) -> Iterator[Place]:
    """Open a place for tests; with TLS its partner listener has a certificate."""
    shutil.copytree(DEPLOY / "redis", folder / "deploy" / "redis")
    make_passwords(folder / "deploy" / "secrets")
    tls = {}
    if has_tls:
        certificate, key = authority(folder).issue("server")
        certificate.rename(folder / "server.pem")
        tls = {"TLS_CERT_FILE": str(folder / "server.pem"), "TLS_KEY_FILE": str(key)}
    with DeployedStore("redis7", secrets=folder / "deploy" / "secrets") as store:
        url = f"redis://leasehold@127.0.0.1:{store.port}/0"
        with serving(REDIS_URL=url, REDIS_PASSWORD_FILE=store.password_file, **tls) as service:
            poll("ready", lambda: service.http("/readyz")[0] == 200)
            yield Place(folder, store, service)
