"""``leasehold health``."""

import http.client
import ssl
from typing import Annotated

import typer

from leasehold.cli import options
from leasehold.cli.console import REFUSED, fail, load_settings, out, print_json
from leasehold.model.address import Address

_TIMEOUT_S = 3
_OK = "[+]"


def health(
    live: Annotated[
        bool, typer.Option("--live", help="Ask only whether the process is alive.")
    ] = False,
    as_json: options.AsRecords = False,
) -> None:
    """Ask the process at LEASEHOLD_OPS_LISTEN whether it wants calls.

    Exit code 0: it does; 1: it does not, or does not answer.
    """
    settings = load_settings()
    door, at = settings.door("ops_listen"), settings.address("ops_listen").from_here()
    # Why it is not ready is told only to those who have a token, where there are any.
    readyz = "/readyz" if door.token_file else "/readyz?verbose"
    try:
        is_good, text = _ask(at, "/livez" if live else readyz, has_tls=door.has_tls)
    except (OSError, http.client.HTTPException) as error:
        fail(f"{at} does not answer: {error}", REFUSED)
    if as_json:
        asked = "alive" if live else "ready"
        print_json({"address": str(at), asked: is_good, "findings": _findings(text)})
        raise typer.Exit(0 if is_good else REFUSED)
    if not is_good:
        found = (line for line in text.splitlines() if not line.startswith(_OK))
        fail(f"{at} is not ready: {'; '.join(found)}", REFUSED)
    out.print(f"{at} is {'alive' if live else 'ready'}")


def _findings(text: str) -> list[dict[str, str]]:
    """Read the lines of /readyz?verbose, such as ``[+] store ok: answers``."""
    lines = (line.partition(": ") for line in text.splitlines() if line.startswith("["))
    parts = ((*head.split()[1:], detail) for head, _, detail in lines)
    return [dict(zip(("name", "state", "detail"), each, strict=True)) for each in parts]


def _ask(at: Address, path: str, *, has_tls: bool) -> tuple[bool, str]:
    connection = http.client.HTTPConnection(at.host, at.port, timeout=_TIMEOUT_S)
    if has_tls:
        # The certificate names the address that others call, and nothing secret is asked or told.
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection(
            at.host, at.port, timeout=_TIMEOUT_S, context=context
        )
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status == http.HTTPStatus.OK, response.read().decode()
    finally:
        connection.close()
