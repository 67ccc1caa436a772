"""What several tests of deploy/ read: YAML, and settings as the service takes them."""

from pathlib import Path
from typing import Any

import yaml
from tests.service import run

from leasehold.settings import PREFIX, Settings

KNOWN = {PREFIX + name.upper() for name in Settings.model_fields}


def read(path: Path) -> list[dict[str, Any]]:
    """Return every document of a file."""
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def placed(settings: dict[str, str], folder: Path) -> dict[str, str]:
    """Return settings, without their prefix, whose files lie below a folder instead of the root."""
    return {
        name.removeprefix(PREFIX): str(folder / value[1:]) if value.startswith("/run/") else value
        for name, value in settings.items()
    }


def check_settings(settings: dict[str, str], folder: Path) -> None:
    """Fail unless a process would start with these settings, given the files that they name."""
    assert set(settings) <= KNOWN
    given = placed(settings, folder)
    for file in (Path(value) for value in given.values() if value.startswith(f"{folder}/")):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    shown = run("config", settings=given)
    assert shown.returncode == 0, shown.stderr
    assert "Warning" not in shown.stderr


def patience_s(settings: dict[str, str]) -> float:
    """Return how long a process may take to end, by its settings."""
    names = ("drain_delay_s", "drain_grace_s")
    return sum(
        float(settings.get(PREFIX + name.upper(), Settings.model_fields[name].default))
        for name in names
    )
