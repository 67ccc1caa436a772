"""The benchmark: ``python -m tests.benchmarks``. What it does is told in docs/development.md."""

import os
import shlex
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, NoReturn, Self

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.status import Status
from tests import servers
from tests.benchmarks import bench, generator, growth, machine, pod, render, rounds, tables
from tests.benchmarks.processes import MissingError
from tests.benchmarks.results import HALF, Filled, Result, Row
from tests.benchmarks.rounds import Measured, Plan
from tests.benchmarks.subjects import Bench, Entry

LOADS = (0.25, HALF, 0.75)
ROOT = Path(__file__).parents[2]
_QUIET = 0.5

app = typer.Typer(
    help="Measure Leasehold and its peers side by side.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
# Where nobody says how wide a line may be, the tables decide.
console = Console(highlight=False, width=None if sys.stdout.isatty() else 130)

Out = Annotated[Path, typer.Option(help="Where the figures go.")]
Times = Annotated[int, typer.Option("--rounds", min=1, help="How often each subject has a turn.")]
Seconds = Annotated[float, typer.Option(min=0.2, help="How long a turn takes.")]
Only = Annotated[list[str] | None, typer.Option(help="A subject by its name; may be repeated.")]
Store = Annotated[
    Literal["redis62", "redis7", "valkey9"] | None,
    typer.Option(help="The server under test; the system's Redis if there is one."),
]


@app.command("run")
def run_bench(
    out: Out = Path("build/bench.json"),
    times: Times = 5,
    seconds: Seconds = 4,
    only: Only = None,
    store: Store = None,
) -> None:
    """Measure every subject, and say which goals were reached."""
    plan, made = Plan(times, seconds, LOADS), _Made.now()
    status = console.status("starting the servers")
    with ExitStack() as stack:
        shared = stack.enter_context(_bench())
        at = stack.enter_context(bench.servers(store or _store()))
        versions = machine.versions(at.store)
        rows = _measure(plan, bench.entries(shared, at, stack), only, stack, status)
    _finish(made.result("bench", plan, rows, versions), out)


@app.command("growth")
def run_growth(
    out: Out = Path("build/growth.json"),
    times: Times = 3,
    seconds: Seconds = 4,
    only: Only = None,
    store: Store = None,
    most: Annotated[int, typer.Option(help="Leave out stores with more leases.")] = 10_000_000,
) -> None:
    """Measure a fresh lease beside up to ten million others, and by several processes."""
    plan, made, name = Plan(times, seconds, (HALF,)), _Made.now(), store or _store()
    sizes = tuple(size for size in growth.SIZES if size <= most)
    status = console.status("starting the servers")
    filled: list[Filled] = []
    with ExitStack() as stack:
        shared = stack.enter_context(_bench())
        with servers.RedisServer(name, has_users=False) as server:
            versions = machine.versions(server)
        entries = growth.entries(shared, name, sizes, filled, status.update)
        rows = _measure(plan, entries, only, stack, status)
    _finish(made.result("growth", plan, rows, versions, filled), out)


@app.command("pod")
def run_pod(seconds: Seconds = 4, store: Store = None) -> None:
    """Measure what one process carries: calls a second, one after the other, and its memory."""
    _Made.now()
    with ExitStack() as stack:
        shared = stack.enter_context(_bench())
        at = stack.enter_context(bench.servers(store or _store()))
        for carried in pod.carried(bench.entries(shared, at, stack), seconds):
            console.print(str(carried))


@app.command("render")
def render_runs(
    files: Annotated[list[Path], typer.Argument(help="What run and growth have written.")],
    docs: Annotated[Path, typer.Option(help="The folder of documents.")] = ROOT / "docs",
) -> None:
    """Write runs into docs/benchmarks.md, with their plots."""
    for file in files:
        result = Result.model_validate_json(file.read_text(encoding="utf-8"))
        for path in render.write(result, docs):
            console.print(f"written: {path}")


def _store() -> str:
    return next(name for name in ("redis7", "valkey9") if servers._find(name))


@contextmanager
def _bench() -> Iterator[Bench]:
    """Compile the load generator and keep a folder for the run."""
    if not Path("/proc/self/stat").exists():
        _fail("CPU is read from /proc, so the benchmark runs on Linux only")
    with tempfile.TemporaryDirectory(prefix="leasehold-bench-") as name:
        folder = Path(name)
        try:
            yield Bench(folder, generator.compile_to(folder))
        except MissingError as error:
            _fail(str(error))


def _fail(message: str) -> NoReturn:
    console.print(message, style="red")
    raise typer.Exit(2)


def _measure(
    plan: Plan, entries: list[Entry], only: list[str] | None, stack: ExitStack, status: Status
) -> tuple[Row, ...]:
    unknown = set(only or ()) - {entry.name for entry in entries}
    if unknown:
        _fail(f"no such subject: {', '.join(sorted(unknown))}")
    wanted = [entry for entry in entries if not only or entry.name in only]
    with status:
        subjects = rounds.open_all(wanted, stack)
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )
    with progress:
        return _rows(plan, subjects, progress)


def _rows(plan: Plan, subjects: list[Measured], progress: Progress) -> tuple[Row, ...]:
    task = progress.add_task("", total=rounds.steps(plan, subjects))

    def tell(what: str) -> None:
        progress.update(task, advance=1, description=what)

    return rounds.measure(plan, subjects, tell)


@dataclass(frozen=True, slots=True)
class _Made:
    """When and where a run began, before it was busy itself."""

    at: str
    machine: dict[str, str]

    @classmethod
    def now(cls) -> Self:
        if os.getloadavg()[0] > _QUIET:
            console.print("This machine is busy; what it measures now is for trying out only.")
        return cls(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", machine.machine())

    def result(
        self,
        kind: Literal["bench", "growth"],
        plan: Plan,
        rows: tuple[Row, ...],
        versions: dict[str, str],
        filled: Sequence[Filled] = (),
    ) -> Result:
        return Result(
            kind=kind,
            made_at=self.at,
            command=shlex.join(["python", "-m", "tests.benchmarks", *sys.argv[1:]]),
            machine=self.machine,
            versions=versions,
            rounds=plan.rounds,
            seconds=plan.seconds,
            rows=rows,
            filled=tuple(filled),
        )


def _finish(result: Result, out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(result.model_dump_json(indent=1) + "\n", encoding="utf-8")
    for shown in tables.terminal(result):
        console.print(shown)
    console.print(f"The figures are in {out}; `make bench-docs` writes them into the documents.")


if __name__ == "__main__":
    app()
