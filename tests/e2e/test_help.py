"""The help of the command line, its completion, and what it says of a mistyped command."""

import json
import subprocess
import sys

import pytest
from tests.service import environment
from typer.testing import CliRunner

from leasehold.cli.app import app
from leasehold.cli.commands import SECTIONS, Family

LIGHT = {"leasehold.cli", "leasehold.cli.app", "leasehold.cli.commands"}
# Not pydantic: typer reads the values of options with it.
HEAVY = {"grpc", "google.protobuf", "redis", "rich", "aiohttp", "structlog"}
MODULES = """
import json, sys
from leasehold.cli.app import app
try:
    app(prog_name="leasehold")
except SystemExit:
    pass
print(json.dumps(sorted(sys.modules)))
"""
# Without it typer looks for the shell that began this process, which is another one under make.
OF_NAMED_SHELL = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
COMPLETE = {"_LEASEHOLD_COMPLETE": "complete_bash"}


@pytest.mark.parametrize(
    ("words", "variables", "shown"),
    [
        ("--help", {}, "hold"),
        ("--version", {}, "leasehold 0."),
        ("lease --help", {}, "extend"),
        ("--show-completion bash", OF_NAMED_SHELL, "complete -o default"),
        ("", {**COMPLETE, "COMP_WORDS": "leasehold inv", "COMP_CWORD": "1"}, "inventory\n"),
        ("", {**COMPLETE, "COMP_WORDS": "leasehold lease e", "COMP_CWORD": "2"}, "extend\n"),
    ],
)
def test_help_and_completion_import_no_command(
    words: str, variables: dict[str, str], shown: str
) -> None:
    """Names and summaries of the commands are there without what the commands use."""
    done = subprocess.run(
        [sys.executable, "-c", MODULES, *words.split()],
        env={**environment(), **variables},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    printed, _, modules = done.stdout.rpartition("[")
    loaded = set(json.loads(f"[{modules}"))
    assert shown in f"{printed}\n"
    assert {name for name in loaded if name.startswith("leasehold.")} == LIGHT
    assert loaded & HEAVY == set()


def test_help_shows_every_command_in_its_section() -> None:
    """One line for each command, in 80 columns, without boxes."""
    lines = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "80"}).stdout.splitlines()
    for title, section in SECTIONS.items():
        begin = lines.index(f"{title}:")
        shown = [line.split() for line in lines[begin + 1 : begin + 1 + len(section)]]
        assert shown == [[name, *at.summary.split()] for name, at in section.items()]
        for name, at in section.items():
            if isinstance(at, Family):
                family = CliRunner().invoke(app, [name, "--help"]).stdout.splitlines()
                members = family[-len(at.commands) :]
                assert [line.split()[0] for line in members] == list(at.commands)


def test_help_of_flags_asks_for_no_value() -> None:
    """A flag stands alone; what takes a value says which."""
    shown = CliRunner().invoke(app, ["hold", "--help"]).stdout
    assert "<bool>" not in shown
    assert "-q, --quiet  " in shown
    assert "--start TIME  " in shown


@pytest.mark.parametrize(
    ("words", "meant"), [(["hols"], "hold"), (["lease", "lst"], "list"), (["docter"], "doctor")]
)
def test_a_mistyped_command_is_answered_with_the_one_meant(words: list[str], meant: str) -> None:
    """Exit code 2, and the command of the most similar name."""
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert f"No such command {words[-1]!r}. Did you mean {meant!r}?" in done.stderr
