"""`leasehold inventory load -`: a feed on standard input."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.servers import RedisServer, running
from tests.shop import Shop


@pytest.fixture(scope="module")
def store() -> Iterator[RedisServer]:
    """One store for all the commands."""
    with running("valkey9") as server:
        yield server


@pytest.fixture
def shop(store: RedisServer, tmp_path: Path) -> Shop:
    """A merchant of this test's own."""
    return Shop(store, tmp_path)


def test_load_of_standard_input_is_a_feed_like_any_other(shop: Shop) -> None:
    """`-` is read once and kept on disk until the end, plain or packed; faults name it."""
    path = shop.feed(shop.slot(9), shop.slot(10, duration_sec="x"))
    folder = shop.folder / "spool"
    folder.mkdir()

    ended = shop.command("load", "-", told=path.read_text(), extra={"TMPDIR": str(folder)})

    assert ended.returncode == 1
    fault = "standard input: service_availability[0].availability[1] duration_sec is not a whole"
    assert ended.stderr.startswith(fault)
    assert list(folder.iterdir()) == []
    ended = shop.command("load", "-", told=shop.feed(shop.slot(9)).read_text())
    assert (ended.returncode, ended.stderr, shop.spots()) == (0, "", {"9": 1})


def test_load_of_standard_input_that_cannot_be_kept_or_is_no_feed_is_refused(shop: Shop) -> None:
    """One line says why, nothing is loaded, and the exit code is 2."""
    twice = shop.command("load", "-", "-", told="{}")
    empty = shop.command("load", "-", told="")

    assert (twice.returncode, empty.returncode) == (2, 2)
    assert twice.stderr == "Standard input (-) is one file, and is named twice.\n"
    assert empty.stderr.startswith("standard input: is not JSON, before byte 0")
    assert shop.spots() == {}
