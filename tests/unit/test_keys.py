import re
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from redis.crc import key_slot
from tests.backends import EVENTFUL, TERMS

from leasehold.model import ids
from leasehold.model.slot import Slot
from leasehold.store import keys

# Every character that a key gives a meaning to, as often as all the others together.
hostile_text = st.text(st.sampled_from("{}:#%/.+ T-Z0") | st.characters(codec="utf-8"), max_size=12)
slots = st.builds(
    Slot,
    merchant_id=hostile_text.filter(bool),
    service_id=hostile_text.filter(bool),
    start_s=st.integers(-62_135_596_800, 253_402_300_799),
    duration_s=st.integers(1, 31 * 86_400),
    staff_id=hostile_text,
    room_id=hostile_text,
    party_size=st.integers(0, 2**31 - 1),
)


def test_keys_read_as_documented() -> None:
    """Keys are written for people with redis-cli, exactly as lua/README.md shows them."""
    slot = Slot("salon-1", "haircut", 1_796_119_200, 1800, staff_id="anna")

    assert keys.spot_key(slot, 1) == "slot:{salon-1}:haircut:2026-12-01T10:00:00Z/PT30M:anna::0#1"
    assert keys.lease_key("salon-1", "0A") == "lease:{salon-1}:0A"
    assert keys.events_argument("salon 1", TERMS) == ""
    assert keys.events_argument("salon 1", EVENTFUL) == (
        "events:{salon%201} expiring:{salon%201} 1000 3600000"
    )


def test_durations_are_written_in_hours_minutes_and_seconds() -> None:
    """A duration is ISO 8601 without days, whose length people dispute."""
    slot = Slot("m", "s", 0, 1)
    texts = {
        seconds: keys.slot_text(replace(slot, duration_s=seconds))
        for seconds in (1, 60, 3600, 5400, 86_400, 3661)
    }

    written = {seconds: text.split("/")[1].split(":")[0] for seconds, text in texts.items()}
    assert written == {
        1: "PT1S",
        60: "PT1M",
        3600: "PT1H",
        5400: "PT1H30M",
        86_400: "PT24H",
        3661: "PT1H1M1S",
    }


@given(slots, slots)
def test_different_slots_have_different_keys(one: Slot, other: Slot) -> None:
    """No two slots share a key, whatever their ids hold."""
    assert (keys.spot_key(one, 1) == keys.spot_key(other, 1)) == (one == other)


@given(slots, st.sampled_from(["merchant_id", "service_id", "staff_id", "room_id"]), hostile_text)
def test_slots_that_differ_in_one_id_have_different_keys(
    slot: Slot, field: str, value: str
) -> None:
    """A change of one id changes the key, even when the characters only move over a separator."""
    changes: dict[str, Any] = {field: value}
    other = replace(slot, **changes)

    assert (keys.spot_key(slot, 1) == keys.spot_key(other, 1)) == (slot == other)


@given(
    st.tuples(hostile_text, hostile_text, hostile_text),
    st.tuples(hostile_text, hostile_text, hostile_text),
)
def test_ids_do_not_flow_into_each_other(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    """Service, staff and room keep apart however they are cut."""
    first = Slot("m", one[0], 0, 60, staff_id=one[1], room_id=one[2])
    second = Slot("m", other[0], 0, 60, staff_id=other[1], room_id=other[2])

    assert (keys.spot_key(first, 1) == keys.spot_key(second, 1)) == (one == other)


@given(slots, st.integers(1, 1000), hostile_text)
def test_all_keys_of_a_merchant_share_a_cluster_slot(slot: Slot, spot: int, reference: str) -> None:
    """Every key of one operation lives on one shard, whatever the merchant is called."""
    spot_key = keys.spot_key(slot, spot)
    lease_key = keys.lease_key(slot.merchant_id, ids.lease_suffix(reference))
    events_key, expiring_key = keys.events_argument(slot.merchant_id, EVENTFUL).split(" ")[:2]

    named = {spot_key, lease_key, events_key, expiring_key}
    assert len({key_slot(name.encode()) for name in named}) == 1
    assert spot_key.count("{") == spot_key.count("}") == spot_key.count("#") == 1


@given(hostile_text)
def test_encoded_ids_hold_no_separator(value: str) -> None:
    """What is left of an id cannot separate anything."""
    assert re.fullmatch(r"[A-Za-z0-9_.~%-]*", ids.encode_id(value))


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_lease_suffix_is_canonical(reference: str) -> None:
    """A suffix is 26 characters of Crockford base32 for 128 bits, the same every time."""
    suffix = ids.lease_suffix(reference)

    assert re.fullmatch(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", suffix)
    assert suffix == ids.lease_suffix(reference)


def test_lease_suffix_of_a_known_reference_never_changes() -> None:
    """Releases share a store during a rollout, so the same reference names the same lease."""
    assert ids.lease_suffix("reference-1") == "1C69AHWJP50RVHJ82H7HBE12V1"


def test_lease_id_begins_with_the_encoded_merchant() -> None:
    """The id alone leads to the shard: everything before the last dot is the merchant."""
    lease_id = ids.wire_id("Zoë's salon. No {1}", ids.lease_suffix("r"))

    merchant, _, suffix = lease_id.rpartition(".")
    assert merchant == "Zo%C3%AB%27s%20salon.%20No%20%7B1%7D"
    assert suffix == ids.lease_suffix("r")


def test_lease_id_of_the_longest_ids_stays_within_its_limit() -> None:
    """Lease ids have a limit of 900 bytes; 255 bytes that must all be encoded keep it."""
    assert len(ids.wire_id("\u00e9" * 127, ids.lease_suffix("r"))) <= 900
