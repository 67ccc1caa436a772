import io
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from rich.console import Console
from tests.benchmarks import render, tables
from tests.benchmarks.goals import goals
from tests.benchmarks.results import HALF, AtRate, Figure, Filled, Result, Row

DOCUMENT = """# Benchmarks

Words before.

<!-- bench: begin -->
old
<!-- bench: end -->

Words between.

<!-- growth: begin -->
<!-- growth: end -->

Words after.
"""


def figure(median: float) -> Figure:
    """Return a figure of three rounds."""
    return Figure(median=median, least=median * 0.9, most=median * 1.2)


def measured(name: str, per_s: float, server_us: float | None, store_us: float | None) -> Row:
    """Return a subject with figures."""
    at_half = AtRate(
        load=HALF,
        requests_per_s=per_s / 2,
        p50_ms=figure(1),
        p99_ms=figure(4),
        p999_ms=figure(8),
        max_ms=figure(9),
        server_cpu_us=figure(200),
    )
    return Row(
        name=name,
        title=f"subject <{name}>",
        requests_per_s=figure(per_s),
        server_cpu_us=figure(server_us) if server_us else None,
        store_cpu_us=figure(store_us) if store_us else None,
        client_cpu_us=figure(15),
        bytes_per_lease=figure(700),
        at_rates=(at_half,),
    )


def result(*rows: Row, kind: str = "bench", filled: tuple[Filled, ...] = ()) -> Result:
    """Return a run with just these subjects."""
    return Result.model_validate(
        {
            "kind": kind,
            "made_at": "2026-11-20 12:00 UTC",
            "command": "python -m tests.benchmarks run",
            "machine": {"cores": "2"},
            "versions": {"Python": "3.11.7"},
            "rounds": 3,
            "seconds": 4,
            "rows": rows,
            "filled": filled,
        }
    )


FULL = (
    measured("create_lease_fresh", 9000, 135, 15),
    measured("noop", 14_000, 100, None),
    measured("plain_peer", 3001, 300, 15),
    measured("etcd", 5000, None, 200),
    measured("bare_evalsha", 50_000, None, 20),
    measured("bare_set", 100_000, None, 7),
)


def test_goals_are_ratios_of_medians_in_one_run() -> None:
    """Each goal is computed from the figures, and on its bound it is reached."""
    found = goals(result(*FULL))

    reached = [1.35, 9000 / 3001, 200 / 150, 20 / 7, 700, 4]
    assert [goal.reached for goal in found] == pytest.approx(reached)
    verdicts = ["reached", "missed", "reached", "missed", "reached", "reached"]
    assert [goal.verdict for goal in found] == verdicts


def test_goal_without_its_subject_is_not_measured() -> None:
    """A missing peer leaves the goal open instead of reached."""
    missing = Row(name="etcd", title="etcd", absent="missing: no etcd")

    verdicts = [goal.verdict for goal in goals(result(FULL[0], missing))]

    assert verdicts == [*["not measured"] * 4, "reached", "reached"]


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """A folder with a document in it."""
    (tmp_path / "benchmarks.md").write_text(DOCUMENT)
    return tmp_path


def test_document_keeps_what_people_wrote_and_replaces_what_was_rendered(docs: Path) -> None:
    """Only what stands between the marks of this kind of run changes."""
    render.write(result(*FULL), docs)
    filled = (Filled(leases=10_000_000, bytes_per_lease=600, bytes_in_all=6 * 2**30),)
    render.write(result(FULL[0], kind="growth", filled=filled), docs)

    text = (docs / "benchmarks.md").read_text()
    assert "\nold\n" not in text
    for words in ("Words before.", "Words between.", "Words after."):
        assert text.count(words) == 1
    assert "| throughput, of the plain peer's | at least 3 times | 3.00 times | missed |" in text
    assert "| 10\u2009000\u2009000 | 600 | 6.00 GiB |" in text


def test_rendering_twice_writes_the_same(docs: Path) -> None:
    """The same run always makes the same document and the same plots."""
    first = {path: path.read_text() for path in render.write(result(*FULL), docs)}
    second = {path: path.read_text() for path in render.write(result(*FULL), docs)}

    assert first == second
    assert len(first) == 4


def test_plots_are_well_formed(docs: Path) -> None:
    """Every plot is XML, whatever its labels hold, and is shown by the document."""
    written = render.write(result(*FULL), docs)

    text = (docs / "benchmarks.md").read_text()
    for path in written[1:]:
        assert ET.fromstring(path.read_text()).tag.endswith("svg")  # noqa: S314 - made above
        assert f"(images/{path.name})" in text


def test_missing_subject_is_in_every_table_with_its_reason(docs: Path) -> None:
    """What could not be measured is never left out silently."""
    run = result(*FULL, Row(name="x", title="another", absent="missing: no x (Debian: x)\nmore"))

    render.write(run, docs)
    console = Console(width=200, file=io.StringIO(), record=True)
    for shown in tables.terminal(run):
        console.print(shown)

    reason = "another: missing: no x (Debian: x)"
    assert "| another | missing | - |" in (docs / "benchmarks.md").read_text()
    assert reason in (docs / "benchmarks.md").read_text()
    assert reason in console.export_text()


def test_result_survives_its_file() -> None:
    """What is read back is what was measured."""
    run = result(*FULL)

    assert Result.model_validate_json(run.model_dump_json()) == run
