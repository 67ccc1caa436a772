"""``leasehold script``."""

from typing import Annotated

import typer

from leasehold.cli.console import UNUSABLE, fail
from leasehold.store import scripts


def script(
    name: Annotated[str, typer.Argument(help="For example create_lease.")],
) -> None:
    """Print a Lua script as Redis gets it, and the SHA under which Redis knows it."""
    if name not in scripts.names():
        fail(f"There is no script {name}; there are: {', '.join(scripts.names())}", UNUSABLE)
    loaded = scripts.load(name)
    typer.echo(f"-- sha1 {loaded.sha}")
    typer.echo(loaded.source, nl=False)
