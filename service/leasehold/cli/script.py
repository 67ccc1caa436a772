"""``leasehold script``."""

from typing import Annotated

import typer

from leasehold.cli import options
from leasehold.cli.console import UNUSABLE, fail, print_json, write
from leasehold.store import scripts


def script(
    name: Annotated[str, typer.Argument(help="For example create_lease.")],
    as_json: options.AsRecords = False,
) -> None:
    """Print a Lua script as Redis gets it, and the SHA under which Redis knows it."""
    if name not in scripts.names():
        fail(f"There is no script {name}; there are: {', '.join(scripts.names())}", UNUSABLE)
    loaded = scripts.load(name)
    if as_json:
        print_json({"name": name, "sha1": loaded.sha, "source": loaded.source})
    else:
        write(f"-- sha1 {loaded.sha}")
        write(loaded.source.removesuffix("\n"))
