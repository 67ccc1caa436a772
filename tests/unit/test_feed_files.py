import gzip
import itertools
import json
import os
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import make_feed
from tests.feeds import GONE, MAX_SLOT_S, MIDNIGHT_S, NINE_S, entry, faults_in, row

from leasehold.feed.files import Feed
from leasehold.model.inventory import Availability, Fault, FeedError, FeedItem, Scope

MADE_S = 1_800_000_000


def metadata(**changes: Any) -> dict[str, Any]:
    """Return what the only file of a feed says about itself."""
    good = {
        "processing_instruction": "PROCESS_AS_COMPLETE",
        "shard_number": 0,
        "total_shards": 1,
        "generation_timestamp": MADE_S,
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not GONE}


def feed(*slots: Any, **changes: Any) -> dict[str, Any]:
    """Return a feed of one entry without restrictions."""
    return {"metadata": metadata(**changes), "service_availability": [{"availability": [*slots]}]}


def write(path: Path, content: object) -> Path:
    """Write a file: bytes as they are, all else as JSON, packed if the name says so."""
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


def read(*paths: Path) -> list[FeedItem]:
    """Read all files of a feed."""
    return list(Feed([*paths], MAX_SLOT_S).items())


def slots_of(items: list[FeedItem]) -> list[str]:
    """Return the merchants of what is listed."""
    return [item.slot.merchant_id for item in items if isinstance(item, Availability)]


def refusal(*paths: Path) -> str:
    """Return why a feed is refused as a whole."""
    with pytest.raises(FeedError) as caught:
        read(*paths)
    told = str(caught.value)
    assert len(told.splitlines()) == 1
    return told


@pytest.mark.parametrize("name", ["feed.json", "feed.json.gz", "feed", "feed.json.bak.gz"])
def test_feed_plain_or_packed_is_read_alike(tmp_path: Path, name: str) -> None:
    """Whether a file is packed is seen by its content; its name does not matter."""
    path = write(tmp_path / name, feed(entry(), row()))
    renamed = path.rename(tmp_path / "anything")

    found = Feed([renamed], MAX_SLOT_S)
    assert found.generated_at_ms == MADE_S * 1000
    assert found.count == 2
    scope, first, second = found.items()
    assert scope == Scope("salon-1")
    assert isinstance(first, Availability)
    assert isinstance(second, Availability)
    assert first.place == f"{renamed}: service_availability[0].availability[0]"
    assert second.place == f"{renamed}: service_availability[0].availability[1]"


def test_feed_members_come_in_any_order(tmp_path: Path) -> None:
    """JSON knows no order: metadata may be last, restrictions may follow what they restrict."""
    restrictions = {
        "merchant_id_restrict": "salon-1",
        "start_timestamp_restrict": str(NINE_S),
        "end_timestamp_restrict": NINE_S + 60,
        "resources_restrict": {"staff_name": "Anna", "staff_id": "anna"},
    }
    listed = {"availability": [entry(resources={"staff_id": "anna"}), entry(start_sec=NINE_S + 60)]}
    expected = None
    for number, members in enumerate(
        itertools.permutations([*listed.items(), *restrictions.items()])
    ):
        entries = {"service_availability": [dict(members)]}
        about = {"metadata": dict(reversed(metadata().items())), "more": [{"availability": [1]}]}
        whole = {**entries, **about} if number % 2 else {**about, **entries}

        items = read(write(tmp_path / "feed.json", whole))

        expected = expected or items
        assert items == expected
    assert expected
    assert expected[0] == Scope("salon-1", None, NINE_S, NINE_S + 60, None, "anna")
    assert isinstance(expected[1], Availability)
    assert isinstance(expected[2], Fault)


def test_feed_entries_keep_their_restrictions_apart(tmp_path: Path) -> None:
    """What one entry is restricted to says nothing about the next one."""
    entries = [
        {"merchant_id_restrict": "salon-1", "availability": [entry()]},
        {"availability": [entry(merchant_id="salon-2"), entry(merchant_id="salon-3")]},
        {"availability": [], "merchant_id_restrict": "salon-4"},
        {"merchant_id_restrict": "salon-5"},
        {},
        {"availability": None},
    ]
    path = write(tmp_path / "f", {"metadata": metadata(), "service_availability": entries})

    items = read(path)

    scopes = [item.merchant_id for item in items if isinstance(item, Scope)]
    assert scopes == [f"salon-{number}" for number in range(1, 6)]
    assert slots_of(items) == ["salon-1", "salon-2", "salon-3"]


@pytest.mark.parametrize("first", [0, 1])
def test_shards_given_in_any_order_are_one_feed(tmp_path: Path, first: int) -> None:
    """Shards count from 0 or from 1; what they say together does not depend on their order."""
    paths = [
        write(
            tmp_path / f"{shard}.json.gz",
            feed(entry(merchant_id=f"m-{shard}"), shard_number=first + shard, total_shards="3"),
        )
        for shard in range(3)
    ]

    for order in itertools.permutations(paths):
        assert slots_of(read(*order)) == ["m-0", "m-1", "m-2"]


def test_shards_that_are_not_all_there_are_refused(tmp_path: Path) -> None:
    """A piece of a snapshot, taken for the whole, would remove what the others list."""
    zero, one, again, of_three, late = (
        write(tmp_path / name, feed(entry(), **about))
        for name, about in (
            ("0", {"shard_number": 0, "total_shards": 2}),
            ("1", {"shard_number": 1, "total_shards": 2}),
            ("again", {"shard_number": 1, "total_shards": 2}),
            ("of-three", {"shard_number": 1, "total_shards": 3}),
            ("late", {"shard_number": 1, "total_shards": 2, "generation_timestamp": MADE_S + 1}),
        )
    )

    assert slots_of(read(one, zero)) == ["salon-1", "salon-1"]
    for some in ([zero], [one], [one, again], [zero, zero], [zero, one, again], [zero, of_three]):
        assert "not all shards of one feed" in refusal(*some), some
    assert refusal(zero) == (
        "These are not all shards of one feed: 1 files with shard_number 0 of total_shards 2."
        " Give all of them at once."
    )
    assert "differ in generation_timestamp" in refusal(zero, late)
    only = write(tmp_path / "only", feed(entry(), shard_number=2))
    assert "with shard_number 2 of total_shards 1" in refusal(only)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"processing_instruction": "PROCESS_AS_INCREMENTAL"}, "is not PROCESS_AS_COMPLETE"),
        ({"processing_instruction": ["PROCESS_AS_COMPLETE"]}, "is not PROCESS_AS_COMPLETE"),
        ({"processing_instruction": 2}, "is not PROCESS_AS_COMPLETE"),
        ({"generation_timestamp": GONE}, "is required"),
        ({"generation_timestamp": 0}, "is required"),
        ({"generation_timestamp": {}}, "is not a whole number"),
        ({"generation_timestamp": "today"}, "is not a whole number"),
        ({"generation_timestamp": True}, "is not a whole number"),
        ({"generation_timestamp": MADE_S * 1000}, "is not a time between 1970 and 9999"),
        ({"shard_number": False}, "is not a whole number"),
        ({"total_shards": "one"}, "is not a whole number"),
    ],
)
def test_feed_with_metadata_at_fault_is_refused(
    tmp_path: Path, change: dict[str, Any], fault: str
) -> None:
    """Without knowing from when a feed is, and that it is complete, nothing of it is taken."""
    path = write(tmp_path / "feed.json", feed(entry(), **change))

    assert refusal(path) == f"{path}: metadata.{next(iter(change))} {fault}"


def test_feed_with_many_faults_in_its_metadata_names_them_together(tmp_path: Path) -> None:
    """Metadata are mended in one go, too."""
    about = metadata(shard_number=[], total_shards=1.5, generation_timestamp=-1)
    path = write(tmp_path / "feed.json", {**feed(), "metadata": about})

    told = refusal(path)
    assert all(f"metadata.{name} is" in told for name in list(about)[1:])
    assert "metadata.generation_timestamp is required" in refusal(
        write(path, {**feed(), "metadata": []})
    )


@pytest.mark.parametrize("unset", [GONE, None, 0, "0", ""])
def test_metadata_unset_are_those_of_a_single_file(tmp_path: Path, unset: Any) -> None:
    """What producers write for a field without a value says nothing."""
    names = ("processing_instruction", "shard_number", "total_shards")
    path = write(tmp_path / "feed.json", feed(entry(), **dict.fromkeys(names, unset)))

    assert slots_of(read(path)) == ["salon-1"]


@pytest.mark.parametrize("unset", [{"merchant_id_restrict": ""}, {"resources_restrict": {}}])
def test_restrictions_unset_in_a_file_are_none(tmp_path: Path, unset: dict[str, Any]) -> None:
    """An entry with empty restrictions is complete for every merchant in it."""
    numbers = {"start_timestamp_restrict": 0, "end_timestamp_restrict": "0"}
    whole = {**feed(), "service_availability": [{"availability": [entry()], **unset, **numbers}]}

    assert read(write(tmp_path / "feed.json", whole))[0] == Scope("salon-1")


@pytest.mark.parametrize(
    "restriction",
    [
        {"merchant_id_restrict": ["salon-1"]},
        {"merchant_id_restrict": {"id": "salon-1"}},
        {"merchant_id_restrict": False},
        {"service_id_restrict": ["haircut"]},
        {"start_timestamp_restrict": [NINE_S]},
        {"resources_restrict": ["anna"]},
        {"resources_restrict": "anna"},
        {"resources_restrict": {"staff_id": ["anna"]}},
        {"resources_restrict": {"party_size": {"of": 4}}},
    ],
)
def test_restrictions_of_a_wrong_type_in_a_file_refuse_the_entry(
    tmp_path: Path, restriction: dict[str, Any]
) -> None:
    """A restriction that cannot be read must not make an entry speak of more than it meant."""
    one = {"merchant_id_restrict": "salon-1", **restriction, "availability": [entry()]}
    path = write(tmp_path / "feed.json", {**feed(), "service_availability": [one]})

    refused, slot = faults_in(read(path))
    assert refused.place == f"{path}: service_availability[0]"
    assert refused.reason.startswith(next(iter(restriction)))
    assert slot == Fault(
        f"{refused.place}.availability[0]", "belongs to an entry that cannot be taken"
    )


def test_restrictions_of_an_id_that_reads_like_nothing_hold_in_a_file(tmp_path: Path) -> None:
    """A snapshot of the service "0" does not speak of the merchant's other services."""
    one = {"merchant_id_restrict": "0", "service_id_restrict": "0"}
    one_more = {**one, "resources_restrict": {"staff_id": "0"}}
    path = write(tmp_path / "f", {**feed(), "service_availability": [one, one_more]})

    assert read(path) == [Scope("0", "0"), Scope("0", "0", staff_id="0")]


GOOD = json.dumps(feed(entry())).encode()
PACKED = gzip.compress(GOOD, mtime=0)
CUT = gzip.compress(GOOD[:-1], mtime=0)
NOISY = json.dumps(
    {
        **feed(entry(), row()),
        "service_availability": [
            {"availability": [entry(), row()]},
            {"merchant_id_restrict": "salon-1", "resources_restrict": {"staff_id": "anna"}},
        ],
    }
).encode()


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"", "is not JSON, before byte 0: parse error: premature EOF"),
        (b" \n", "is not JSON, before byte 2: parse error: premature EOF"),
        (GOOD[:-1], f"is not JSON, before byte {len(GOOD) - 1}: parse error: premature EOF"),
        (GOOD[: len(GOOD) // 2], "premature EOF"),
        (GOOD + b"{}", "trailing garbage"),
        (GOOD.replace(b"salon-1", b"salon-\xff"), "invalid bytes in UTF8 string."),
        (GOOD.replace(b"salon-1", b"\\udc00\\ud800"), "a text is not Unicode"),
        (GOOD.replace(b"1800000000", b"9" * 40), "integer overflow"),
        (GOOD.replace(b"1800000000", b"NaN"), "is not JSON"),
        (b"\xef\xbb\xbf", "premature EOF"),
        ("\ufeff{}".encode("utf-16"), "is not JSON"),
        (b"merchant_id,service_id\nsalon-1,haircut\n", "is not JSON"),
        (b"<feed/>", "is not JSON"),
        (os.urandom(10_000).replace(b"\x1f\x8b", b""), "is not JSON"),
        (b"{}", "there is no list service_availability"),
        (b"[]", "there is no list service_availability"),
        (b"5", "there is no list service_availability"),
        (b'{"metadata": {"service_availability": []}}', "there is no list service_availability"),
        (b'{"service_availability": {}}', "service_availability is not a list"),
        (b'{"service_availability": "x"}', "service_availability is not a list"),
        (b'{"service_availability": [5]}', "service_availability holds what is not an entry"),
        (b'{"service_availability": [[]]}', "service_availability holds what is not an entry"),
        (b'{"service_availability": [{"availability": {}}]}', "[].availability is not a list"),
        (b'{"service_availability": [{"availability": 5}]}', "[].availability is not a list"),
        (b'{"service_availability.item": {}}', "service_availability.item, with dots"),
        (b'{"service_availability.item.availability.item": 5}', "with dots"),
        (b'{"metadata.shard_number": 5}', "with dots"),
        (b"[" * 1_000_000, "is nested too deep"),
        (b'{"a":' * 1_000_000, "is nested too deep"),
        (GOOD.replace(b'"haircut"', b"[" * 500_000), "is nested too deep"),
        (b'{"a": "' + b"x" * 5_000_000, "holds a value of more than 1024 KiB"),
        (b'{"a": ' + b"1" * 5_000_000, "holds a value of more than 1024 KiB"),
        (gzip.compress(b" " * 5_000_000, mtime=0), "holds a value of more than 1024 KiB"),
        (GOOD.replace(b'"haircut"', b"[" + b"1," * 600_000 + b"1]"), "holds an entry of more"),
        (PACKED[:-1], "cannot be unpacked"),
        (PACKED[:20], "cannot be unpacked"),
        (PACKED[:2], "cannot be unpacked"),
        (PACKED[:30] + b"\x00" * 10 + PACKED[40:], "cannot be"),
        (PACKED + b"garbage", "cannot be read: Not a gzipped file"),
        (
            gzip.compress(GOOD[:-1], mtime=0),
            f"is not JSON, before byte {len(GOOD) - 1}: parse error",
        ),
    ],
)
def test_feed_that_cannot_be_read_to_its_end_is_refused(
    tmp_path: Path, raw: bytes, told: str
) -> None:
    """One line says which file, where and why, quotes nothing of it, and comes soon."""
    path = tmp_path / "feed.json"
    path.write_bytes(raw)
    began_s = time.monotonic()

    refused = refusal(path)

    assert refused.startswith(f"{path}: ")
    assert told in refused
    assert "salon" not in refused
    assert time.monotonic() - began_s < 5


def test_feed_where_there_is_no_file_is_refused(tmp_path: Path) -> None:
    """A name without a file, and what is no file, are told apart."""
    pipe = tmp_path / "pipe"
    reading, writing = os.pipe()
    os.close(writing)
    pipe.symlink_to(f"/dev/fd/{reading}")

    assert refusal(tmp_path / "nowhere").endswith("cannot be read: No such file or directory")
    assert refusal(tmp_path).endswith("cannot be read: Is a directory")
    assert refusal(pipe).endswith("is a pipe, and a feed is read twice")
    os.close(reading)


@pytest.mark.parametrize("name", ["feed.json", "feed.json.gz"])
def test_feed_with_a_byte_order_mark_is_read(tmp_path: Path, name: str) -> None:
    """Some editors put a mark before the text; it says nothing."""
    assert slots_of(read(write(tmp_path / name, b"\xef\xbb\xbf" + GOOD))) == ["salon-1"]


def test_feed_names_with_dots_that_mean_nothing_are_not_looked_at(tmp_path: Path) -> None:
    """Only a name that would pass for one of ours is refused."""
    slot = {**entry(), "availability.item": 1, "example.com/x": {"a.b": [None]}}
    whole = {**feed(slot), "example.com/x": 1, "a.b": {"service_availability": [5]}, "": {"": 1}}

    assert slots_of(read(write(tmp_path / "feed.json", whole))) == ["salon-1"]


def test_feed_entries_at_fault_are_told_by_file_and_position(tmp_path: Path) -> None:
    """A report leads to the entry: which file, which entry, which availability."""
    paths = [
        write(tmp_path / f"{n}.json", feed(entry(), [], None, shard_number=n, total_shards=2))
        for n in range(2)
    ]

    items = read(*paths)

    faults = [item for item in items if isinstance(item, Fault)]
    assert faults == [
        Fault(f"{path}: service_availability[0].availability[{at}]", "is not an object")
        for path in paths
        for at in (1, 2)
    ]


def test_feed_that_changes_between_its_two_readings_is_refused(tmp_path: Path) -> None:
    """The restrictions of one file and the slots of another would be nobody's feed."""
    path = write(tmp_path / "feed.json", feed(entry(), entry()))
    found = Feed([path], MAX_SLOT_S)
    write(tmp_path / "new.json", feed(entry(), entry(), entry())).rename(path)

    with pytest.raises(FeedError, match="has changed while it was read"):
        list(found.items())


changes = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=5)
cuts = st.none() | st.integers(0, len(NOISY))


@given(changes, cuts, st.booleans())
def test_feed_of_noise_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory,
    changes: list[tuple[int, int]],
    cut: int | None,
    is_packed: bool,
) -> None:
    """Bytes changed and cut off at random, packed or not: items and faults, or one clear line."""
    raw = bytearray(gzip.compress(NOISY) if is_packed else NOISY)
    for place, byte in changes:
        raw[place % len(raw)] = byte
    path = tmp_path_factory.getbasetemp() / "noise"
    path.write_bytes(raw[:cut])

    told, items = None, []
    try:
        items = read(path)
    except FeedError as error:
        told = str(error)

    assert len(items) <= 30
    assert told is None or told.startswith((f"{path}: ", "These are not all shards"))


@pytest.fixture
def big(tmp_path: Path) -> Path:
    """A feed of some 200 000 slots."""
    path = tmp_path / "feed.json.gz"
    count = make_feed.write(path, merchants=100, days=31, first_s=MIDNIGHT_S, seed=1)
    assert 200_000 < count < 250_000
    return path


@pytest.mark.long
def test_feed_of_any_size_takes_the_same_memory(big: Path) -> None:
    """A feed is never in memory as a whole: what is read of it is soon forgotten."""

    def peak(slots: Iterator[FeedItem]) -> int:
        tracemalloc.start()
        for _ in slots:
            pass
        _, found = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return found

    def whole() -> Iterator[FeedItem]:
        yield from Feed([big], MAX_SLOT_S).items()

    assert peak(whole()) < 2_000_000
