"""A short torture run of each kind; ``make torture`` runs the long one."""

import random
from collections import Counter
from itertools import cycle, islice
from pathlib import Path

import pytest
from tests.torture import faults, report
from tests.torture.checker import Kind
from tests.torture.faults import Fault
from tests.torture.run import Case, Result, run

KEPT = (
    Case("single", "always"),
    Case("sentinel", "always", acks=1),
    Case("cluster", "always", acks=1),
)
LOSES = Case("sentinel", "everysec")


def tell(what: str) -> None:
    """Show progress, which pytest shows of a test that fails."""
    print(what)


@pytest.fixture
def seed() -> int:
    """What the choices of a run come from, printed so that they can be repeated."""
    chosen = random.getrandbits(32)
    print(f"python -m tests.torture --seed {chosen}")
    return chosen


@pytest.mark.parametrize(
    "case", [KEPT[0], *(pytest.param(it, marks=pytest.mark.long) for it in KEPT[1:])], ids=str
)
async def test_torture_of_a_safe_setting_finds_nothing(case: Case, seed: int) -> None:
    """Whatever fails, nothing acknowledged is lost where the setting promises that."""
    if case.missing:
        pytest.skip(case.missing)

    result = await run(case, seed, 5, tell)

    assert [str(violation) for violation in result.violations] == []
    assert len(result.history) > 100
    assert result.faults


@pytest.mark.long
async def test_torture_of_a_setting_that_loses_grants_is_seen(seed: int) -> None:
    """A primary that grants while it is cut off loses that, and the checker tells."""
    planned = iter([Fault(faults.Kind.CUT_OFF, after_s=1, lasts_s=4, which=0)])

    result = await run(LOSES, seed, 7, tell, planned=planned)

    assert {Kind.BOOKING_MISSING, Kind.TWO_OWNERS} <= result.by_kind.keys()
    assert result.broken == []


@pytest.mark.parametrize("topology", faults.OF_TOPOLOGY)
def test_schedule_of_a_seed_is_the_same_again(topology: str) -> None:
    """Faults, their order and their lengths come from the seed alone; each kind has its turn."""
    kinds = faults.OF_TOPOLOGY[topology]
    first, again, other = (
        list(islice(faults.schedule(it, topology), 40)) for it in ("1", "1", "2")
    )

    assert first == again
    assert first != other
    assert {fault.kind for fault in first[: len(kinds)]} == set(kinds)


def test_report_takes_its_place_in_the_document(tmp_path: Path) -> None:
    """What people wrote around the report stays; the report tells each setting and its faults."""
    document = tmp_path / "guarantees.md"
    document.write_text(
        "before\n<!-- torture: begin -->\nthe last one\n<!-- torture: end -->\nafter\n"
    )
    suffered = list(islice(cycle([Fault(faults.Kind.CUT_OFF, 1, 1, 0)]), 3))
    result = Result(LOSES, 7, 60, [], suffered, troubles=Counter())

    report.write(document, [result], [Case("cluster", "always", 1)], "the command")

    text = document.read_text()
    assert text.startswith("before\n<!-- torture: begin -->\nMade on ")
    assert text.endswith("<!-- torture: end -->\nafter\n")
    assert "| cut a primary off from its peers | 3 |" in text
    assert "the last one" not in text
