"""The built wheel, outside the checkout: what is installed is what is tested."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import leasehold
from leasehold.store import scripts

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, made the long way: checkout, source archive, wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    build = ("-m", "hatchling", "build", "-t", "sdist", "-d", folder)
    subprocess.run([sys.executable, *build], cwd=ROOT, check=True, capture_output=True)
    (archive,) = folder.glob("*.tar.gz")
    command = ("-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet")
    subprocess.run([sys.executable, *command, "--wheel-dir", folder, archive], check=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing but the wheel's content, ahead of the checkout on the path."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def run(site: Path, *arguments: str) -> str:
    """Run Python in the folder, with the wheel's package instead of the checkout's."""
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"},
        cwd=site,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout


def test_wheel_carries_every_script_and_include(wheel: Path) -> None:
    """The Lua files travel inside the package."""
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.endswith(".lua")}

    on_disk = {
        f"leasehold/lua/{path.relative_to(ROOT / 'lua')}" for path in ROOT.glob("lua/**/*.lua")
    }
    assert packed == on_disk
    with zipfile.ZipFile(wheel) as archive:
        assert "leasehold/py.typed" in archive.namelist()
    assert on_disk


def test_wheel_works_outside_the_checkout(site: Path) -> None:
    """Installed from the wheel, the scripts load and are the same ones."""
    where = run(site, "-c", "import leasehold; print(leasehold.__file__)")
    assert where.strip() == str(site / "leasehold" / "__init__.py")

    assert run(site, "-m", "leasehold", "--version") == f"leasehold {leasehold.__version__}\n"
    printed = run(site, "-m", "leasehold", "script", "create_lease")
    assert (
        printed
        == f"-- sha1 {scripts.load('create_lease').sha}\n{scripts.load('create_lease').source}"
    )


def test_wheel_serves_a_lease(site: Path, tmp_path: Path) -> None:
    """The program of the wheel holds a slot on its embedded store."""
    story = f"""
import sys
sys.path.insert(1, {str(ROOT)!r})
import leasehold
from tests.calls import lease_request
from tests.service import now_ms, serving
with serving("--embedded", EMBEDDED_DIR={str(tmp_path)!r}) as service:
    print(service.create_lease(lease_request(now_ms())).lease.lease_id)
"""
    assert run(site, "-c", story).startswith("salon-1.")
