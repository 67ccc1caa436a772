import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.benchmarks import bench, generator, pod, rounds
from tests.benchmarks.bodies import CREATE_LEASE, Leases
from tests.benchmarks.generator import Step
from tests.benchmarks.processes import BenchError, MissingError
from tests.benchmarks.results import HALF
from tests.benchmarks.rounds import Plan
from tests.benchmarks.subjects import Bench, Entry

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]
OURS = (
    "create_lease_fresh",
    "create_lease_replayed",
    "create_lease_refused",
    "create_booking_leased",
    "check_availability",
    "noop",
    "plain_peer",
)


@pytest.fixture
def shared(tmp_path: Path) -> Bench:
    """The compiled load generator."""
    try:
        return Bench(tmp_path, generator.compile_to(tmp_path))
    except MissingError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture
def servers() -> Iterator[bench.Servers]:
    """Everything of ours, started."""
    with bench.servers("valkey9") as at:
        yield at


def test_every_subject_of_ours_is_measured(shared: Bench, servers: bench.Servers) -> None:
    """A short run has figures for all of them, and every answer was the expected one."""
    with ExitStack() as stack:
        entries = bench.entries(shared, servers, stack)
        opened = rounds.open_all([entry for entry in entries if entry.name in OURS], stack)
        rows = rounds.measure(Plan(1, 1, (HALF,)), opened, print)

    assert [row.name for row in rows] == list(OURS)
    for row in rows:
        assert row.absent == ""
        assert row.requests_per_s
        assert row.requests_per_s.median > 100
        assert row.server_cpu_us
        assert row.server_cpu_us.median > 10
        at_half = row.at(HALF)
        assert at_half
        assert at_half.p50_ms.median <= at_half.p99_ms.median <= at_half.max_ms.median


def test_what_a_pod_carries_is_measured_for_each_call(
    shared: Bench, servers: bench.Servers
) -> None:
    """Each call of partners has its rate, and the memory of the process that serves."""
    with ExitStack() as stack:
        found = list(pod.carried(bench.entries(shared, servers, stack), 0.2))

    assert len(found) == 3
    assert all(each.requests_per_s > 100 for each in found)
    assert all(20_000_000 < each.resident_bytes < 500_000_000 for each in found)


@pytest.mark.parametrize(
    ("path", "wanted", "fault"),
    [
        (CREATE_LEASE, "2", "mismatched"),
        (CREATE_LEASE, "1=7", "mismatched"),
        ("/no.Service/Method", "1", "grpc-status 12"),
    ],
)
def test_generator_notices_a_wrong_answer(
    shared: Bench, servers: bench.Servers, path: str, wanted: str, fault: str
) -> None:
    """An answer that says something else, or a status, is no success."""
    bodies = shared.folder / "bodies"
    generator.write_bodies(bodies, Leases.from_now().lease_requests(0, 100))

    with pytest.raises(BenchError, match=fault):
        generator.run(
            shared.generator, [servers.noop.address], [Step(path, wanted)], bodies, seconds=5
        )


def test_subject_that_is_missing_becomes_a_row_that_says_so() -> None:
    """A peer that is not installed stays in the table."""

    def missing() -> ExitStack:
        raise MissingError("no such thing (Debian: thing)")

    with ExitStack() as stack:
        opened = rounds.open_all([Entry("thing", "A thing", missing)], stack)  # type: ignore[arg-type]
        (row,) = rounds.measure(Plan(1, 1, (HALF,)), opened, print)

    assert row.absent == "missing: no such thing (Debian: thing)"
