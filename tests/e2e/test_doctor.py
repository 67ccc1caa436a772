"""`leasehold doctor`, on a real store with keys that must not be."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.make_acl import OF_THE_RELEASE_BEFORE
from tests.servers import SERVICE, RedisServer, access_list, running
from tests.service import run

from leasehold.cli.doctor import CURES, REMEDIES
from leasehold.model import ids
from leasehold.model.complaint import Ailment
from leasehold.model.finding import FINDING_NAMES

SLOT = "haircut:2030-03-01T10:00:00Z/PT30M:anna::0"
SUFFIX = ids.lease_suffix("r-1")


@pytest.fixture
def store() -> Iterator[RedisServer]:
    """A store of this test's own, with a lease and a booking as they must be."""
    with running("valkey9", "--appendonly", "yes") as server:
        with server.client() as client:
            client.set(f"slot:{{m}}:{SLOT}#1", f"lease {SUFFIX}", px=60_000)
            client.hset(f"lease:{{m}}:{SUFFIX}", mapping={"slot": SLOT, "spot": "1"})
            client.set(f"slot:{{m}}:{SLOT}#2", f"booking {SUFFIX} nobody", px=60_000)
            client.hset(f"booking:{{m}}:{SUFFIX}", mapping={"current_slot": SLOT, "spot": "2"})
            client.xadd("events:{m}", {"kind": "held", "lease": SUFFIX, "spot": f"{SLOT}#1"})
            client.zadd("expiring:{m}", {f"{SUFFIX} {SLOT}#1": 1})
            records = [f"{name}:{{m}}:{SUFFIX}" for name in ("lease", "booking")]
            for name in (*records, "events:{m}", "expiring:{m}"):
                client.expire(name, 60)
        yield server
        with server.client() as client:
            client.flushall()


def examine(server: RedisServer) -> tuple[int, Any]:
    """Return the exit code and the JSON of the doctor, who has the service's rights."""
    ended = run("doctor", "--json", settings={"REDIS_URL": server.url})
    assert ended.stdout, ended.stderr
    return ended.returncode, json.loads(ended.stdout)


def test_doctor_finds_nothing_wrong_with_what_leasehold_writes(store: RedisServer) -> None:
    """A store with leases and bookings as they must be has no complaints, findings apart.

    What only a cluster or Sentinels have is not found of one server.
    """
    _, found = examine(store)

    assert (found["complaints"], found["keys"], found["foreign"]) == ([], 6, 0)
    assert [each["name"] for each in found["findings"]] == list(FINDING_NAMES[:-2])


@pytest.mark.parametrize(
    ("key", "value", "ailment"),
    [
        (f"slot:{{m}}:{SLOT}#3", f"lease {ids.lease_suffix('gone')}", Ailment.NO_RECORD),
        (f"slot:{{m}}:{SLOT}#3", f"lease {SUFFIX}", Ailment.OTHER_SPOT),
        (f"slot:{{m}}:{SLOT}#3", "somebody", Ailment.NO_OWNER),
        (f"slot:m:{SLOT}#3", f"lease {SUFFIX}", Ailment.WRONG_TAG),
        (f"slot:{{m n}}:{SLOT}#3", f"lease {SUFFIX}", Ailment.WRONG_TAG),
        ("lease:{m}:X", "", Ailment.NO_TTL),
        ("events:{n}", "", Ailment.NO_TTL),
        ("expiring:{n}", "", Ailment.NO_TTL),
    ],
)
def test_doctor_names_a_key_that_must_not_be_and_touches_nothing(
    store: RedisServer, key: str, value: str, ailment: Ailment
) -> None:
    """Each kind of orphan is named with its remedy, and is still there afterwards."""
    with store.client() as client:
        client.set(key, value, px=None if ailment is Ailment.NO_TTL else 60_000)
        before = sorted(client.scan_iter())

        code, found = examine(store)

        assert code == 1
        (complaint,) = found["complaints"]
        assert (complaint["ailment"], complaint["key"]) == (ailment, key)
        assert complaint["remedy"]
        assert sorted(client.scan_iter()) == before


def test_doctor_tells_of_lost_data_and_foreign_keys(store: RedisServer) -> None:
    """What the marker knows of a loss is a finding; what is not ours is only counted."""
    with store.client() as client:
        client.hset("marker", "lost_at_ms", "1800000000000")
        client.set("session:1", "x", px=60_000)

    code, found = examine(store)

    data = next(each for each in found["findings"] if each["name"] == "data")
    assert code == 1
    assert data["state"] == "warning"
    assert "lost at 2027-01-15T08:00:00Z" in data["detail"]
    assert data["remedy"] == REMEDIES["data"]
    assert (found["foreign"], found["complaints"]) == (1, [])


def test_doctor_prints_tables_and_says_when_nobody_answers(store: RedisServer) -> None:
    """For people there are tables; a store that is away has an exit code of its own."""
    with store.client() as client:
        client.set(f"slot:{{m}}:{SLOT}#3", "somebody", px=60_000)
    shown = run("doctor", settings={"REDIS_URL": store.url})
    assert "no_owner" in shown.stdout
    assert "Keys: 7; wrong: 1; not Leasehold's: 0" in shown.stdout

    away = run("doctor", settings={"REDIS_URL": "redis://127.0.0.1:1/0"})
    assert away.returncode == 3
    assert "Traceback" not in away.stderr


def test_every_finding_and_ailment_has_a_remedy() -> None:
    """Whatever the doctor names, it says what to do about."""
    assert set(REMEDIES) == set(FINDING_NAMES)
    assert set(CURES) == set(Ailment)


def test_doctor_permissions_shows_what_is_missing_and_how_to_grant_it(store: RedisServer) -> None:
    """Exit code 0 where nothing is missing; else 1, with the rules to grant."""
    well = run("doctor", "--permissions", "--json", settings={"REDIS_URL": store.url})
    with store.client() as client:
        client.execute_command("ACL", "SETUSER", SERVICE, "-hset", "-wait")
    ill = run("doctor", "--permissions", settings={"REDIS_URL": store.url})

    address = f"127.0.0.1:{store.port}"
    rules = (it for it in access_list()[SERVICE] if it not in OF_THE_RELEASE_BEFORE)
    granted = [rule for rule in rules if rule[0] in "+~"]
    assert (well.returncode, ill.returncode) == (0, 1)
    assert json.loads(well.stdout) == {"needed": granted, "lacking": {address: []}}
    assert f"{address} lacks 2 of {len(granted)} rules" in ill.stdout
    assert "ACL SETUSER leasehold +hset +wait\n" in ill.stdout
