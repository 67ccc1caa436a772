"""`leasehold inventory`, as operators type it."""

import gzip
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.servers import RedisServer, free_port, running
from tests.service import now_ms, run, serving
from tests.shop import Shop, date

SHOWN_DAY = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC")


@pytest.fixture(scope="module")
def store() -> Iterator[RedisServer]:
    """One store for all the commands."""
    with running("valkey9") as server:
        yield server


@pytest.fixture
def shop(store: RedisServer, tmp_path: Path) -> Shop:
    """A merchant of this test's own."""
    return Shop(store, tmp_path)


def rows(ended: subprocess.CompletedProcess[str]) -> list[list[str]]:
    """Return the records that a command printed."""
    return [line.split("\t") for line in ended.stdout.splitlines() if "\t" in line]


def told(ended: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """Return what `load` says that it did."""
    return {name: value for name, value in rows(ended) if value != "0"}


def test_load_makes_the_inventory_what_the_feed_says(shop: Shop) -> None:
    """All went well: a table says what was done, standard error nothing, exit code 0."""
    until = shop.slot(24)["start_sec"]
    row = shop.slot(23, recurrence={"repeat_every_sec": 1800, "repeat_until_sec": until})
    path = shop.feed(shop.slot(9, spots=20), shop.slot(10, spots=0), row)
    packed = shop.folder / "feed.json.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))

    ended = shop.command("load", packed)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert told(ended) == {"slots listed": "5", "merchants": "1", "merchants' days": "2"}
    assert shop.spots() == {"9": 20, "10": 0, "23": 1, "23.5": 1}
    assert shop.spots(day=1) == {"0": 1}


def test_load_reports_entries_at_fault_and_takes_the_rest(shop: Shop) -> None:
    """Each entry at fault is told by file, position and reason; exit code 1."""
    bad = shop.slot(9, spots_total=1001, spots_open=0, availability_tag=5)
    path = shop.feed(bad, shop.slot(11, spots_open=2), shop.slot(10))
    place = f"{path}: service_availability[0].availability"

    ended = shop.command("load", path)

    assert ended.returncode == 1
    assert ended.stderr.splitlines() == [
        f"{place}[0] spots_total is not between 0 and 1000",
        f"{place}[1] spots_open is not between 0 and spots_total",
    ]
    assert told(ended)["entries at fault"] == "2"
    assert shop.spots() == {"10": 1}


def test_load_of_nothing_but_faults_names_each_of_them(shop: Shop) -> None:
    """Rows of ten spots are four faults with file, place and reason, and no slot is added."""
    until = shop.slot(12)["start_sec"]
    row = {"recurrence": {"repeat_every_sec": 900, "repeat_until_sec": until}}
    rows = [shop.slot(9, spots=10, resources={"party_size": n}, **row) for n in range(1, 5)]
    path = shop.feed(*rows)

    ended = shop.command("load", path)

    assert ended.returncode == 1
    reason = "spots_total and spots_open must be 1 with a recurrence"
    place = f"{path}: service_availability[0].availability"
    assert ended.stderr.splitlines() == [f"{place}[{n}] {reason}" for n in range(4)]
    assert shop.spots() == {}


def test_load_of_many_faults_names_every_one(shop: Shop) -> None:
    """However many there are: what is not named cannot be corrected."""
    ended = shop.command("load", shop.feed(*[{}] * 1234, shop.slot(9)))

    assert ended.returncode == 1
    lines = ended.stderr.splitlines()
    assert [line.split(" ")[1] for line in lines] == [
        f"service_availability[0].availability[{number}]" for number in range(1234)
    ]
    assert told(ended)["entries at fault"] == "1,234"
    assert shop.spots() == {"9": 1}


def test_load_where_no_entry_can_be_taken_names_the_faults_and_changes_nothing(shop: Shop) -> None:
    """Nothing of the feed was taken, so the exit code is 2."""
    shop.load(shop.slot(9))
    path = shop.feed({})

    ended = shop.command("load", path)

    assert ended.returncode == 2
    fault, last = ended.stderr.splitlines()
    assert fault.startswith(f"{path}: service_availability[0].availability[0] merchant_id is")
    assert last == "Nothing was loaded, because no entry can be taken."
    assert shop.spots() == {"9": 1}


@pytest.mark.parametrize("is_alone", [False, True])
def test_load_of_impossible_spots_keeps_the_slot_whatever_stands_beside_it(
    shop: Shop, *, is_alone: bool
) -> None:
    """A slot that can be read keeps min(stored, readable) spots; its neighbours are as listed."""
    shop.load(shop.slot(9), shop.slot(9.5, spots=3), shop.slot(10, spots=3), shop.slot(12))
    at_fault = (
        shop.slot(9.5, spots=1, spots_open=2),
        shop.slot(10, spots_total=20, spots_open=-1),
        shop.slot(11, spots=1, spots_open=2),
    )
    neighbours = () if is_alone else (shop.slot(9, spots=5),)

    ended = shop.command("load", shop.feed(*at_fault, *neighbours))

    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 3
    assert told(ended)["entries at fault"] == "3"
    kept = {"9.5": 1, "10": 0}
    assert shop.spots() == (kept if is_alone else {"9": 5, **kept})


def test_load_of_a_slot_that_cannot_be_read_only_lowers_its_merchant(
    shop: Shop, tmp_path: Path
) -> None:
    """Any slot may be the one that was meant: none is removed, added or raised; others fall."""
    other = Shop(shop.server, tmp_path)
    shop.load(shop.slot(9, spots=3), shop.slot(10, spots=3), shop.slot(11), shop.slot(33))
    bad = shop.slot(11, duration_sec="long")
    mixed = shop.feed(
        shop.slot(9, spots=2), shop.slot(10, spots=5), shop.slot(12), bad, other.slot(9)
    )

    ended = shop.command("load", mixed)

    assert ended.returncode == 1
    fault, lowered = ended.stderr.splitlines()
    assert fault.endswith("availability[3] duration_sec is not a whole number")
    assert lowered == (
        f"{shop.merchant}: something of it cannot be read, so none of its slots is removed,"
        " added or raised."
    )
    assert shop.spots() == {"9": 2, "10": 3, "11": 1}
    assert shop.spots(day=1) == {"9": 1}
    assert other.spots() == {"9": 1}


def test_load_without_spots_open_warns_once_and_closes(shop: Shop) -> None:
    """Protobuf JSON leaves zeros out: spots in total alone are a sold-out slot; exit code 0."""
    shop.load(shop.slot(9), shop.slot(10))
    path = shop.feed(*[shop.slot(hour, spots_open=None) for hour in (9, 10)])

    ended = shop.command("load", path)

    assert ended.returncode == 0
    (warning,) = ended.stderr.splitlines()
    assert warning.startswith(f"Warning: {path}: service_availability[0].availability[0] ")
    assert "spots_open" in warning
    assert shop.spots() == {"9": 0, "10": 0}


def test_load_of_an_entry_at_fault_removes_nothing_and_lowers(shop: Shop) -> None:
    """An entry whose restriction is not known speaks of an unknown part of its merchant."""
    shop.load(shop.slot(9, spots=3), shop.slot(10), shop.slot(33))
    limits: Any = {"merchantId": shop.merchant, "end_time_restriction": "noon"}

    ended = shop.command("load", shop.feed(shop.slot(9, spots=2), shop.slot(11), **limits))

    assert ended.returncode == 1
    assert "end_time_restriction is not a member that is known here" in ended.stderr
    assert ended.stderr.count("belongs to an entry that cannot be taken") == 2
    assert (shop.spots(), shop.spots(day=1)) == ({"9": 2, "10": 1}, {"9": 1})


def test_load_strict_takes_nothing_when_an_entry_is_at_fault(shop: Shop) -> None:
    """With --strict a feed is taken as a whole or not at all; exit code 2."""
    shop.load(shop.slot(9))
    path = shop.feed(shop.slot(10), {})

    ended = shop.command("load", "--strict", path)

    assert (ended.returncode, ended.stdout) == (2, "")
    assert f"{path}: service_availability[0].availability[1] merchant_id is" in ended.stderr
    assert ended.stderr.endswith("Nothing was loaded, because entries are at fault (--strict).\n")
    assert shop.spots() == {"9": 1}
    assert shop.command("load", "--strict", shop.feed(shop.slot(10))).returncode == 0
    assert shop.spots() == {"10": 1}


@pytest.mark.parametrize("apart", [1, 100, 2000])
def test_load_of_a_slot_listed_twice_takes_the_first(shop: Shop, apart: int) -> None:
    """The first entry counts, however far apart they are; the others are told, exit code 1."""
    first = [shop.slot(number / 200) for number in range(apart)]
    again = [shop.slot(number / 200, spots=2) for number in range(apart)]
    path = shop.feed(*first, *again)

    ended = shop.command("load", path)

    assert ended.returncode == 1
    assert set(shop.spots().values()) == {1}
    assert told(ended)["slots listed"] == told(ended)["entries at fault"] == f"{apart:,}"
    repeats = "repeats the slot of an earlier entry"
    assert f"{path}: service_availability[0].availability[{apart}] {repeats}\n" in ended.stderr


def test_load_of_all_shards_is_one_feed(shop: Shop) -> None:
    """Files of one call add up; one of them alone is refused, and nothing of it is taken."""
    shards = [
        shop.feed(shop.slot(9 + n), name=f"{n}.json", shard=(n, 2), age_s=5) for n in range(2)
    ]

    alone = shop.command("load", shards[0])
    assert alone.returncode == 2
    assert "not all shards of one feed" in alone.stderr
    assert shop.spots() == {}
    ended = shop.command("load", *reversed(shards))
    assert (ended.returncode, ended.stderr) == (0, "")
    assert shop.spots() == {"9": 1, "10": 1}


def test_load_of_an_older_feed_leaves_the_days_known_from_a_later_one(shop: Shop) -> None:
    """What was said last stays, also of days that it does not list; each is named, exit code 1."""
    shop.load(shop.slot(9, spots=5), age_s=60)

    ended = shop.command("load", shop.feed(shop.slot(9), shop.slot(33), age_s=61))

    assert ended.returncode == 1
    left = (
        f"{shop.merchant} {date(day)} stays as it is: a later feed is stored." for day in (0, 1)
    )
    assert ended.stderr.splitlines() == [*left]
    assert told(ended)["days known from a later feed"] == "2"
    assert (shop.spots(), shop.spots(day=1)) == ({"9": 5}, {})
    shop.load(shop.slot(9, spots=7), age_s=60)
    assert (shop.spots(), shop.spots(day=1)) == ({"9": 7}, {})


def test_load_of_the_next_feed_removes_what_it_does_not_list(shop: Shop) -> None:
    """A feed without restrictions is complete for its merchants: slots and whole days go."""
    shop.load(shop.slot(9), shop.slot(10), shop.slot(33), shop.slot(57))

    ended = shop.load(shop.slot(10, spots=3), shop.slot(57))

    assert told(ended)["slots removed"] == "2"
    assert (shop.spots(), shop.spots(day=1), shop.spots(day=2)) == ({"10": 3}, {}, {"9": 1})


def test_load_restricted_under_other_names_leaves_the_other_days(shop: Shop) -> None:
    """What looks like a restriction is one, or makes its entry a fault; no other day is lost."""
    shop.load(shop.slot(9), shop.slot(10), shop.slot(33))
    ours: Any = {"merchantId": shop.merchant, "startTimeRestrict": f"{date()}T00:00:00Z"}

    ended = shop.load(shop.slot(9), **ours, end_time_restrict=f"{date(1)}T00:00:00Z")

    assert told(ended)["slots removed"] == "1"
    assert (shop.spots(), shop.spots(day=1)) == ({"9": 1}, {"9": 1})
    ended = shop.command("load", shop.feed(shop.slot(10), **ours, endTimeRestriction=5))
    assert ended.returncode == 1
    assert "endTimeRestriction is not a member that is known here" in ended.stderr
    assert (shop.spots(), shop.spots(day=1)) == ({"9": 1}, {"9": 1})


def test_load_of_overlapping_snapshots_keeps_what_any_of_them_lists(shop: Shop) -> None:
    """Entries of one feed add up: no snapshot removes what another one has."""
    shop.load(*(shop.slot(hour) for hour in range(8, 13)))
    ours = {"merchant_id_restrict": shop.merchant}
    early = {**ours, "end_timestamp_restrict": shop.slot(11)["start_sec"]}
    late = {**ours, "start_timestamp_restrict": shop.slot(10)["start_sec"]}
    path = shop.feed()
    feed = json.loads(path.read_text())
    feed["service_availability"] = [
        {**early, "availability": [shop.slot(9), shop.slot(10)]},
        {**late, "availability": [shop.slot(12)]},
    ]
    path.write_text(json.dumps(feed))

    assert shop.command("load", path).returncode == 0

    assert shop.spots() == {"9": 1, "10": 1, "12": 1}


def test_load_of_nothing_or_of_the_future_is_refused(shop: Shop) -> None:
    """A feed that cannot be meant changes nothing; exit code 2."""
    shop.load(shop.slot(9))
    future = shop.feed(shop.slot(10), age_s=-7200, name="future.json")
    for path, reason in (
        (shop.feed(), "The feed lists no slots and restricts to nothing."),
        (future, "The feed says that it was made in the future (generation_timestamp)."),
        (shop.folder / "nowhere", "nowhere: cannot be read: No such file or directory"),
        (shop.folder, "cannot be read: Is a directory"),
    ):
        ended = shop.command("load", path)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert ended.stderr.endswith(f"{reason}\n")
    assert shop.spots() == {"9": 1}


def test_load_of_a_truncated_file_changes_nothing(shop: Shop) -> None:
    """A file that ends too soon is refused before anybody has seen anything of it."""
    shop.load(shop.slot(9))
    whole = shop.feed(*(shop.slot(number / 200) for number in range(3000))).read_bytes()
    for raw in (whole[:-10], gzip.compress(whole)[:-10]):
        path = shop.folder / "cut"
        path.write_bytes(raw)
        ended = shop.command("load", path)
        assert ended.returncode == 2
        assert ended.stderr.startswith(f"{path}: ")
        assert len(ended.stderr.splitlines()) == 1
    assert shop.spots() == {"9": 1}


def test_show_shows_merchants_days_and_slots(shop: Shop) -> None:
    """Three levels: who has an inventory, a merchant's days, and who is on a day's slots."""
    shop.load(
        shop.slot(9, spots=20, resources={"room_id": "1"}),
        shop.slot(10, resources={"staff_id": "anna", "party_size": 4}),
        shop.slot(33, service_id="colour"),
    )
    slot = ("--merchant", shop.merchant, "--service", "haircut", "--room", "1")
    when = ("--start", f"{date()}T09:00Z", "--duration", "30m")
    person = ("--given-name", "Ada", "--family-name", "L", "--telephone", "1", "--email", "a@b.c")
    with serving(REDIS_URL=shop.server.url, INVENTORY="strict") as service:
        at = (*slot, *when, "--address", service.address)
        for _ in range(2):
            assert run("hold", *at, "--for", "5m").returncode == 0
        assert run("book", *at, "--user", "ada", *person).returncode == 0

    (of_ours,) = [row for row in rows(shop.command("show")) if row[0] == shop.merchant]
    assert of_ours[1:5] == ["2", "2", date(), date(1)]
    assert SHOWN_DAY.fullmatch(of_ours[5])
    days = rows(shop.command("show", shop.merchant))
    assert [day[:5] for day in days] == [
        [date(), "2", "21", "2", "1"],
        [date(1), "1", "1", "0", "0"],
    ]
    at_nine, at_ten = (f"{date()} {hour}:00:00 UTC" for hour in ("09", "10"))
    assert rows(shop.command("show", shop.merchant, date())) == [
        ["haircut", at_nine, "30m", "", "1", "", "20", "2", "1"],
        ["haircut", at_ten, "30m", "anna", "", "4", "1", "0", "0"],
    ]
    shown = json.loads(shop.command("show", shop.merchant, date(), "--json").stdout)
    assert shown[0]["start"] == f"{date()}T09:00:00Z"
    assert (shown[0]["length_s"], shown[0]["spots"]) == (1800, 20)


def test_show_of_what_is_not_there_says_so(shop: Shop) -> None:
    """An unknown merchant or day is told, not shown as an empty table; exit code 1."""
    shop.load(shop.slot(9))
    for words, reason in (
        (("nobody",), "nobody has no inventory."),
        (("nobody", date()), f"nobody has no inventory of {date()}."),
        ((shop.merchant, date(1)), f"{shop.merchant} has no inventory of {date(1)}."),
        ((shop.merchant, "tomorrow"), f"{shop.merchant} has no inventory of tomorrow."),
    ):
        ended = shop.command("show", *words)
        assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", f"{reason}\n")


def test_drop_forgets_the_inventory_of_those_who_are_named(shop: Shop, tmp_path: Path) -> None:
    """Their slots are gone; who had none is told with exit code 1; others keep theirs."""
    other = Shop(shop.server, tmp_path)
    other.load(other.slot(9))
    shop.load(shop.slot(9), shop.slot(33))

    ended = shop.command("drop", shop.merchant, shop.merchant, "nobody")

    assert ended.returncode == 1
    assert ended.stdout == f"{shop.merchant}: 2 slots dropped\n"
    assert ended.stderr == "nobody has no inventory.\n"
    assert (shop.spots(), shop.spots(day=1)) == ({}, {})
    assert other.spots() == {"9": 1}
    assert other.command("drop", other.merchant).returncode == 0


def test_drop_all_forgets_everybody(tmp_path: Path) -> None:
    """Afterwards it is as if nothing had ever been loaded."""
    with running("valkey9") as server:
        shops = [Shop(server, tmp_path) for _ in range(2)]
        for shop in shops:
            shop.load(shop.slot(9))

        ended = shops[0].command("drop", "--all")

        assert ended.returncode == 0
        assert sorted(ended.stdout.splitlines()) == sorted(
            f"{shop.merchant}: 1 slots dropped" for shop in shops
        )
        with server.client() as client:
            assert not [key for key in client.scan_iter() if not str(key).startswith("stage:")]
        assert rows(shops[0].command("show")) == []


@pytest.mark.parametrize("words", [(), ("salon-1", "--all")])
def test_drop_that_leaves_open_whom_is_refused(shop: Shop, words: tuple[str, ...]) -> None:
    """Nobody is dropped by mistake: name merchants, or say --all; exit code 2."""
    ended = shop.command("drop", *words)

    assert (ended.returncode, ended.stderr) == (2, "Name merchants, or say --all.\n")


@pytest.mark.parametrize(
    "words", [("load", "/nowhere"), ("show",), ("show", "m"), ("drop", "m"), ("drop", "--all")]
)
def test_commands_without_their_store_name_it(words: tuple[str, ...]) -> None:
    """No answer: exit code 3 and the store's address, at once and without its password."""
    port = free_port()
    began_ms = now_ms()
    url = f"redis://me:hush@127.0.0.1:{port}/0"
    ended = run("inventory", *words, settings={"REDIS_URL": url})
    embedded = run("inventory", *words, settings={"EMBEDDED_PORT": str(port)})

    reason = "gave no answer: STORE_UNREACHABLE\n"
    assert (ended.returncode, embedded.returncode) == (3, 3)
    assert ended.stderr == f"The store at redis://me:***@127.0.0.1:{port}/0 {reason}"
    assert embedded.stderr == (
        f"The store at redis://127.0.0.1:{port} (LEASEHOLD_REDIS_URL names no other) {reason}"
    )
    assert now_ms() - began_ms < 20_000


def test_load_works_on_the_embedded_store_of_this_machine(tmp_path: Path) -> None:
    """Without an address the command finds the store of `serve --embedded` by its port."""
    with serving("--embedded", EMBEDDED_DIR=str(tmp_path / "store")) as service:
        port = int(service.told["redis_url"].rpartition(":")[2].removesuffix("/0"))
        shop = Shop(RedisServer("valkey9", port=port, has_users=False), tmp_path)
        path = shop.feed(shop.slot(9))
        settings = {"EMBEDDED_PORT": str(port)}

        assert run("inventory", "load", str(path), settings=settings).returncode == 0

        assert shop.spots() == {"9": 1}
