"""A feed that says PROCESS_AS_COMPLETE, on a store of its own: who is not listed has no slots."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.test_inventory_command import rows
from tests.servers import RedisServer, running
from tests.shop import Shop, date


@pytest.fixture
def store() -> Iterator[RedisServer]:
    """A store with the merchants of one test."""
    with running("valkey9") as server:
        yield server


@pytest.fixture
def shops(store: RedisServer, tmp_path: Path) -> list[Shop]:
    """Merchants with a slot each, but for the last, of whom nothing is known."""
    shops = [Shop(store, tmp_path, f"m-{number}") for number in range(6)]
    shops[0].load(*(shop.slot(9) for shop in shops[:-1]), age_s=60)
    return shops


def open_ones(shops: list[Shop]) -> list[str]:
    """Return the merchants with a slot."""
    return [shop.merchant for shop in shops if any(shop.spots().values())]


def test_load_of_a_complete_feed_closes_and_names_who_is_not_listed(shops: list[Shop]) -> None:
    """One merchant is missing: it has no slots, stays known, and is named (failure mode 57)."""
    listed = shops[:-2]

    ended = shops[0].load(*(shop.slot(9) for shop in listed), is_complete=True, age_s=5)

    assert open_ones(shops) == [shop.merchant for shop in listed]
    assert ["closed, not listed", "m-4"] in rows(ended)
    assert [row[0] for row in rows(shops[0].command("show", "m-4"))] == [date()]
    older = shops[0].command("load", shops[0].feed(shops[5].slot(9), age_s=10))
    assert older.returncode == 1
    assert older.stderr == f"m-5 {date()} stays as it is: a later feed is stored.\n"
    shops[0].load(*(shop.slot(9) for shop in listed), is_complete=True)
    assert open_ones(shops) == [shop.merchant for shop in listed]


def test_load_of_a_feed_that_does_not_say_complete_closes_no_merchant(shops: list[Shop]) -> None:
    """Without the instruction, or with --keep-absent, a feed speaks of its own merchants only."""
    shops[0].load(shops[0].slot(10))
    path = shops[0].feed(shops[0].slot(10), is_complete=True)

    assert shops[0].command("load", "--keep-absent", path).returncode == 0

    assert open_ones(shops) == [f"m-{number}" for number in range(5)]


def test_load_that_would_close_many_merchants_asks_first(shops: list[Shop]) -> None:
    """Two of five are more than a fifth: nothing is loaded, exit code 2; with --yes it is."""
    path = shops[0].feed(*(shop.slot(10) for shop in shops[:3]), is_complete=True)

    refused = shops[0].command("load", path)

    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == (
        "The feed does not list 2 of the 5 merchants with an open slot ahead, and would close them:"
        " m-3, m-4. Nothing was loaded: --yes closes them, --keep-absent keeps them open.\n"
    )
    assert [shop.spots() for shop in shops] == [{"9": 1}] * 5 + [{}]
    assert shops[0].command("load", path, MAX_CLOSED_SHARE="0.4").returncode == 0
    assert open_ones(shops) == ["m-0", "m-1", "m-2"]
    shops[0].load(*(shop.slot(10) for shop in shops))
    ended = shops[0].command("load", "--yes", shops[0].feed(shops[0].slot(10), is_complete=True))
    assert ended.returncode == 0
    assert [name for key, name in rows(ended) if key.startswith("closed")] == [
        f"m-{number}" for number in range(1, 6)
    ]


def test_load_with_a_merchant_that_cannot_be_read_closes_no_other(shops: list[Shop]) -> None:
    """The one that cannot be read may be any of those that are not listed."""
    path = shops[0].feed(shops[0].slot(10), shops[1].slot(9, merchant_id=5), is_complete=True)

    ended = shops[0].command("load", "--yes", path)

    assert ended.returncode == 1
    assert "No merchant is closed that the feed does not list" in ended.stderr
    assert open_ones(shops) == [f"m-{number}" for number in range(5)]
