"""The load generator: compiled when it is first needed, then run once a round."""

import json
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.histogram import Histogram
from tests.benchmarks.processes import BenchError, MissingError

SOURCES = Path(__file__).parent / "load"
# With these, 64 calls are on their way at a time in the closed loop.
CONNECTIONS, STREAMS = 4, 16
# In the open loop more may be: what stalls for a moment is worked off, as by many callers.
OPEN_STREAMS = 64
_WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Werror")


@dataclass(frozen=True, slots=True)
class Step:
    """One call of a unit of work."""

    path: str
    wanted: str
    """What the answer must say: `1` when field 1 is present, `2=1` when field 2 is 1."""


@dataclass(frozen=True, slots=True)
class Load:
    """What the generator did; every answer was as expected."""

    requests: int
    """Units of work."""
    elapsed_s: float
    latencies: Histogram


def compile_to(folder: Path) -> Path:
    """Compile the generator and return the program. Raises MissingError."""
    compiler = shutil.which("cc")
    if not compiler:
        raise MissingError("no C compiler for the load generator (Debian: gcc)")
    program = folder / "load"
    sources = sorted(SOURCES.glob("*.c"))
    made = subprocess.run(
        [compiler, "-std=gnu11", "-O2", *_WARNINGS, "-o", program, *sources, "-lnghttp2"],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        hint = " (Debian: libnghttp2-dev)" if "nghttp2" in made.stderr else ""
        raise MissingError(f"the load generator does not compile{hint}:\n{made.stderr}")
    return program


def write_bodies(path: Path, messages: Iterable[bytes]) -> int:
    """Write the messages of units one after the other as the generator reads them.

    Each is framed as gRPC frames it: a zero for "not compressed", then the size.
    """
    count = 0
    with path.open("wb") as file:
        for message in messages:
            size = len(message)
            file.write((size + 5).to_bytes(4, "little") + b"\0" + size.to_bytes(4, "big"))
            file.write(message)
            count += 1
    return count


def run(
    program: Path,
    targets: Iterable[str],
    steps: Iterable[Step],
    bodies: Path,
    *,
    seconds: float,
    rate: float = 0,
    repeat: bool = False,
) -> Load:
    """Call until the time is up or the bodies are used; raise BenchError for a wrong answer.

    A rate above zero is in units of work per second, and means the open loop.
    """
    command = [str(program), "--bodies", str(bodies), "--seconds", str(seconds)]
    command += ["--rate", str(rate), "--connections", str(CONNECTIONS)]
    command += ["--streams", str(OPEN_STREAMS if rate else STREAMS)]
    command += ["--repeat"] if repeat else []
    for target in targets:
        command += ["--target", target]
    for step in steps:
        command += ["--step", f"{step.path} {step.wanted}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(done.stderr.strip())
    told = json.loads(done.stdout)
    wrong = {name: told[name] for name in ("failed", "mismatched", "unanswered") if told[name]}
    if wrong or not told["done"]:
        raise BenchError(f"{wrong or 'nothing was answered'}: {told['first_fault']}")
    buckets = tuple((highest_ns, count) for highest_ns, count in told["latencies_ns"])
    return Load(told["done"], told["elapsed_s"], Histogram(buckets, told["max_ns"]))
