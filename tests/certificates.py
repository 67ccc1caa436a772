"""Certificates for tests: an authority of their own, made with openssl where there is one."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Authority:
    """Signs certificates; ``ca_file`` is what has to be trusted."""

    directory: Path

    @property
    def ca_file(self) -> Path:
        """Return the authority's own certificate."""
        return self.directory / "ca.crt"

    def issue(
        self,
        name: str,
        *hosts: str,
        common_name: str = "",
        sans: bool = True,
        days: int = 2,
        new_key: str = "rsa:2048",
    ) -> tuple[Path, Path]:
        """Return a certificate for hosts (``IP:127.0.0.1``, ``DNS:...``), and its key.

        Without hosts it is for ``name``. It is valid from now on; with 0 ``days`` it has ended.
        ``new_key`` is what openssl is told of the key.
        """
        key, request, signed = (self.directory / f"{name}.{it}" for it in ("key", "csr", "crt"))
        extensions = self.directory / f"{name}.ext"
        listed = f"subjectAltName={','.join(hosts or (f'DNS:{name}',))}\n"
        extensions.write_text(listed if sans else "basicConstraints=CA:FALSE\n")
        _openssl(
            *("req", "-newkey", *new_key.split(), "-nodes"),
            *("-subj", f"/CN={common_name or name}"),
            *("-keyout", str(key), "-out", str(request)),
        )
        _openssl(
            *("x509", "-req", "-in", str(request), "-days", str(days), "-extfile", str(extensions)),
            *("-CA", str(self.ca_file), "-CAkey", str(self.directory / "ca.key")),
            *("-CAcreateserial", "-out", str(signed)),
        )
        return signed, key


def authority(directory: Path) -> Authority:
    """Make an authority in an empty directory, or skip the test where there is no openssl."""
    if not shutil.which("openssl"):
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no openssl on this machine")
    made = Authority(directory)
    _openssl(
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=Test CA"),
        *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        *("-keyout", str(directory / "ca.key"), "-out", str(made.ca_file)),
    )
    return made


def _openssl(*words: str) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=60)
