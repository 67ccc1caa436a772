import re
import shlex
import subprocess
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings
from tests.service import run

from leasehold import settings as settings_module
from leasehold.client_settings import ClientSettings
from leasehold.model.errors import StoreTrouble
from leasehold.rpc import server
from leasehold.rpc.server import Connections
from leasehold.rpc.status import Fault
from leasehold.rpc.v1 import status as v1
from leasehold.rpc.v2 import status
from leasehold.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
TRACKED = subprocess.run(
    ["git", "ls-files", "*.md"], cwd=ROOT, check=True, capture_output=True, text=True
).stdout.split()


def settings_table(kind: type[BaseSettings]) -> str:
    """Write a table of docs/configuration.md from the settings."""
    rows = [
        f"| `{variable}` | {settings_module.default(name, kind)} |"
        f" {settings_module.allowed(name, kind)} | {kind.model_fields[name].description} |"
        for name, variable in settings_module.variables(kind).items()
    ]
    return "\n".join(
        ["| variable | default | allowed | meaning |", "| --- | --- | --- | --- |", *rows]
    )


@pytest.mark.parametrize("kind", [Settings, ClientSettings])
def test_configuration_document_lists_every_setting_as_it_is(kind: type[BaseSettings]) -> None:
    """Names, defaults, allowed values and meanings are those of the code."""
    text = (ROOT / "docs" / "configuration.md").read_text()

    assert settings_table(kind) in text


def test_every_setting_is_used() -> None:
    """A setting that nothing reads is a dead option."""
    code = "\n".join(
        path.read_text()
        for path in (ROOT / "service" / "leasehold").rglob("*.py")
        if "generated" not in path.parts
    )
    unused = [
        name
        for name in (*Settings.model_fields, *ClientSettings.model_fields)
        if not re.search(rf"(?:settings|self)\.{name}\b|\"{name}\"", code)
    ]
    assert unused == []


def test_documents_name_no_setting_that_is_none() -> None:
    """Every LEASEHOLD_... name that people read about exists."""
    known = set(settings_module.known_names())
    for name in [*TRACKED, "Makefile", "pyproject.toml"]:
        named = set(re.findall(rf"\b{PREFIX}[A-Z_]*[A-Z]\b", (ROOT / name).read_text()))
        assert named <= known, name


def test_api_document_names_every_reason() -> None:
    """Whoever reads a reason in an error finds it explained."""
    text = (ROOT / "docs" / "api.md").read_text()
    reasons = {trouble.value for trouble in StoreTrouble}
    for table in (
        status.CHECK_AVAILABILITY,
        status.CREATE_LEASE,
        status.CREATE_BOOKING,
        status.UPDATE_BOOKING,
    ):
        reasons |= {entry.reason for entry in table.values() if isinstance(entry, Fault)}
    for operators in (v1.RELEASE_LEASE, v1.EXTEND_LEASE, v1.INSPECT_SLOT, v1.LIST_EVENTS):
        reasons |= {entry.reason for entry in operators.values() if entry}

    assert [reason for reason in sorted(reasons) if f"`{reason}`" not in text] == []


@pytest.mark.parametrize("document", TRACKED)
def test_links_lead_somewhere(document: str) -> None:
    """Every link to a file of the project finds it."""
    path = ROOT / document
    links = re.findall(r"\]\((?!https?://)([^)#]+)", path.read_text())

    assert [link for link in links if not (path.parent / link).exists()] == []


@cache
def help_of(*command: str) -> str:
    """Return what a command says of itself; fail if there is none."""
    shown = run(*command, "--help")
    assert shown.returncode == 0, shown.stderr
    return shown.stdout


def test_commands_of_the_documents_exist() -> None:
    """Every `leasehold` command and option in a document is one that the program has."""
    for document in TRACKED:
        blocks = re.findall(
            r"^```sh\n(.*?)^```", (ROOT / document).read_text(), re.MULTILINE | re.DOTALL
        )
        for line in "".join(blocks).splitlines():
            words: list[str] = []
            # Other programs' commands may go on over several lines.
            if line.startswith("leasehold "):
                words = shlex.split(line.partition(" | ")[0], comments=True)
            if words[1:] and words[1] != "--version":
                command = [word for word in words[1:3] if not word.startswith("-")]
                shown = help_of(*command)
                options = {word for word in words if word.startswith("--")}
                assert all(option in shown for option in options), line


def test_security_document_has_the_limits_that_listeners_have() -> None:
    """What a connection may take, and what all share, is what gRPC is given (failure mode 66)."""
    any_age = Connections(**{each.name: 1 for each in fields(Connections)})
    given = dict(server.channel_options(any_age, server.PARTNERS))
    partners, operators = server.PARTNERS, server.OPERATORS
    _, connection, shared = re.split(
        r"^## What (?:one connection may take|all callers of a listener share)\n",
        (ROOT / "docs" / "security.md").read_text(),
        flags=re.MULTILINE,
    )

    for row in (
        f"| metadata of a call | {given['grpc.max_metadata_size'] // 1024} KiB |",
        f"| streams of one connection | {partners.streams} (operators: {operators.streams}) |",
        f"| {partners.messages} (operators: {operators.messages}) | the others wait",
        f"| a message on the wire | {partners.most_message_bytes >> 10} KiB",
        f"| {partners.unread_bytes >> 10} KiB (operators: {operators.unread_bytes >> 10} KiB) |",
        f"| time for a handshake | {given['grpc.server_handshake_timeout_ms'] // 1000} s |",
        f"| silence | a ping after {given['grpc.keepalive_time_ms'] // 1000} s |",
    ):
        assert row in connection
    for row in (
        "| calls that a listener handles at a time, read or not | `LEASEHOLD_MAX_CONCURRENT",
        "| connections of a listener | `LEASEHOLD_MAX_CONNECTIONS` |",
        f"| about {given['grpc.server.max_pending_requests']} |",
    ):
        assert row in shared
        assert row not in connection
