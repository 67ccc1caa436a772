"""Commands of the installed program, each in a process of its own that a warm server forks.

A command spends most of its time on loading what it uses. The server has loaded that, but for the
command line itself, which looks at the environment when it is loaded: each command does so with the
environment that the test gives.
"""

import atexit
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

_LOADED = [
    "google.protobuf.json_format",
    "leasehold.bootstrap",
    "leasehold.client",
    "leasehold.feed.files",
    "leasehold.store.doctor",
    "pytest",
    "rich.progress",
    "rich.table",
    "typer",
]
_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(_LOADED)


def run_command(
    arguments: tuple[str, ...], environment: Mapping[str, str], cwd: Path | None, told: str | None
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end; ``told`` is its standard input. Fails after a minute."""
    with tempfile.TemporaryDirectory() as folder:
        streams = [Path(folder) / name for name in ("in", "out", "err")]
        streams[0].write_text(told or "")
        process = _server.Process(
            target=_command, args=(arguments, dict(environment), cwd, *map(str, streams))
        )
        process.start()
        process.join(60)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(arguments, 60)
        printed = [stream.read_text() if stream.exists() else "" for stream in streams[1:]]
        return subprocess.CompletedProcess(arguments, process.exitcode, *printed)


def _command(
    arguments: tuple[str, ...],
    environment: Mapping[str, str],
    cwd: Path | None,
    told: str,
    out: str,
    err: str,
) -> None:
    """Become the command."""
    os.environ.clear()
    os.environ.update(environment)
    for number, (path, flags) in enumerate(
        ((told, os.O_RDONLY), (out, os.O_WRONLY | os.O_CREAT), (err, os.O_WRONLY | os.O_CREAT))
    ):
        opened = os.open(path, flags)
        os.dup2(opened, number)
        os.close(opened)
    encoding = environment.get("PYTHONIOENCODING", "utf-8")
    sys.stdin, sys.stdout, sys.stderr = (
        open(number, mode, encoding=encoding, closefd=False)  # noqa: SIM115 - descriptors
        for number, mode in ((0, "r"), (1, "w"), (2, "w"))
    )
    if cwd:
        os.chdir(cwd)
    sys.argv = ["leasehold", *arguments]

    from leasehold.cli.app import main  # noqa: PLC0415 - loaded in the environment of the command

    try:
        main()
    finally:
        # What multiprocessing leaves out at the end of a process: the log writes its last lines.
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
