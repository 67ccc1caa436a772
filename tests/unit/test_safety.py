from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from leasehold.model.finding import FINDING_NAMES, Finding
from leasehold.store.safety import Told, judge
from leasehold.telemetry.findings import Findings

WELL = Told(
    info={
        "redis_version": "7.0.15",
        "role": "master",
        "connected_slaves": "2",
        "maxmemory": "1000",
        "maxmemory_policy": "noeviction",
        "evicted_keys": "0",
        "aof_enabled": "1",
    },
    config={"appendfsync": "everysec", "min-replicas-to-write": "1"},
    can_wait=True,
    lacking=(),
    default_lacks="",
    ahead_s=0.2,
)


def finding(told: Told, name: str, replica_acks: int = 0) -> Finding:
    """Return what is found of one thing."""
    return next(each for each in judge(told, replica_acks) if each.name == name)


def test_every_finding_of_a_look_can_be_required() -> None:
    """The names that a setting and a metric know are those that are found, and that of data."""
    assert (
        *[each.name for each in judge(WELL, 0)],
        "step",
        "data",
        "slots",
        "users",
        "feeds",
    ) == FINDING_NAMES[:-2]
    assert {each.state for each in judge(WELL, 0)} == {"ok"}


def test_server_that_tells_nothing_is_all_warnings() -> None:
    """What is not known is never called ok; the scripts alone cannot be done without."""
    silent = Told(
        info={}, config={}, can_wait=False, lacking=None, default_lacks=None, ahead_s=None
    )

    states = {each.name: each.state for each in judge(silent, 0)}
    assert states.pop("permissions") == "failed"
    assert set(states.values()) == {"warning"}


@pytest.mark.parametrize(
    ("name", "changes", "state", "detail"),
    [
        ("version", {"redis_version": "6.0.16"}, "failed", "at least 6.2"),
        ("version", {"redis_version": "6.2.0"}, "ok", "Redis 6.2.0"),
        ("version", {"redis_version": "10.0.1"}, "ok", "Redis 10.0.1"),
        ("version", {"valkey_version": "9.0.0"}, "ok", "Valkey 9.0.0, as Redis 7.0.15"),
        ("eviction", {"maxmemory_policy": "volatile-lru"}, "warning", "set noeviction"),
        (
            "eviction",
            {"maxmemory_policy": "allkeys-lfu", "maxmemory": "0"},
            "warning",
            "as long as maxmemory is 0",
        ),
        (
            "eviction",
            {"maxmemory_policy": "allkeys-lfu", "evicted_keys": "7"},
            "warning",
            "have been evicted",
        ),
        ("persistence", {"aof_last_write_status": "err"}, "warning", "cannot be written"),
        ("replicas", {"role": "slave"}, "warning", "a replica answers"),
        ("replicas", {}, "ok", "2 connected; fewer than 1"),
    ],
)
def test_fields_of_info_mean(name: str, changes: dict[str, str], state: str, detail: str) -> None:
    """Each field of INFO that puts something at risk has its finding."""
    found = finding(replace(WELL, info={**WELL.info, **changes}), name)

    assert found.state == state
    assert detail in found.detail


@pytest.mark.parametrize(("replica_acks", "state"), [(2, "ok"), (3, "warning")])
def test_replicas_are_as_many_as_are_waited_for(replica_acks: int, state: str) -> None:
    """With fewer than LEASEHOLD_REPLICA_ACKS nothing can be confirmed."""
    assert finding(WELL, "replicas", replica_acks).state == state


def test_replicas_that_are_needed_for_writes_are_told_without_config_too() -> None:
    """INFO tells that there is a least number, and CONFIG GET which."""
    info = {**WELL.info, "min_slaves_good_slaves": "2"}
    assert "fewer than 1 and it takes" in finding(replace(WELL, info=info), "replicas").detail
    found = finding(replace(WELL, info=info, config={}), "replicas")
    assert "with too few of them it takes no writes" in found.detail


@pytest.mark.parametrize(
    ("has_log", "config", "state", "detail"),
    [
        ("1", {"appendfsync": "always"}, "ok", "before each answer"),
        ("1", {"appendfsync": "everysec"}, "ok", "two seconds"),
        ("1", {"appendfsync": "no"}, "warning", "half a minute"),
        ("1", {}, "ok", "leasehold doctor tells"),
        ("0", {"save": "3600 1"}, "warning", "snapshots only"),
        ("0", {"save": ""}, "warning", "none"),
        ("0", {}, "warning", "newer than a snapshot"),
    ],
)
def test_persistence_says_what_can_be_lost(
    has_log: str, config: dict[str, str], state: str, detail: str
) -> None:
    """What a restart loses depends on the log, and how often it is on disk."""
    told = replace(WELL, info={**WELL.info, "aof_enabled": has_log}, config=config)
    found = finding(told, "persistence")

    assert found.state == state
    assert detail in found.detail


@pytest.mark.parametrize(
    ("changes", "default_lacks", "state", "detail"),
    [
        ({}, "", "ok", "is read"),
        ({}, "EXEC SET", "warning", "default may not use EXEC SET: a restart may drop"),
        ({}, None, "warning", "unknown: ACL DRYRUN"),
        ({"redis_version": "6.2.14"}, None, "ok", "is read"),
        ({"aof_enabled": "0"}, "EXEC SET", "ok", "no append-only file"),
    ],
)
def test_restart_says_whether_the_file_is_read(
    changes: dict[str, str], default_lacks: str | None, state: str, detail: str
) -> None:
    """What a restart drops depends on the server, its file, and the rights of ``default``."""
    told = replace(WELL, info={**WELL.info, **changes}, default_lacks=default_lacks)
    found = finding(told, "restart")

    assert found.state == state
    assert detail in found.detail


@pytest.mark.parametrize(
    ("ahead_s", "state", "detail"),
    [
        (-0.9, "ok", "within 1 s"),
        (3600.2, "warning", "3600 s ahead of"),
        (-3600.2, "warning", "3600 s behind"),
    ],
)
def test_clocks_that_differ_are_a_warning(ahead_s: float, state: str, detail: str) -> None:
    """The store's clock decides, so a difference is told and changes nothing (failure mode 17)."""
    found = finding(replace(WELL, ahead_s=ahead_s), "clock")

    assert found.state == state
    assert detail in found.detail


def test_finding_is_logged_when_it_changes_and_not_otherwise() -> None:
    """What is found again and again is no news, nor is it that all is well from the start."""
    known = Findings()
    well, ill = Finding("eviction", "ok", "noeviction"), Finding("eviction", "warning", "lru")
    with capture_logs() as logs:
        for each in (well, well, ill, ill, well):
            known.note(each)

    assert [(line["log_level"], line["state"]) for line in logs] == [
        ("debug", "ok"),
        ("warning", "warning"),
        ("info", "ok"),
    ]
    assert {line["event"] for line in logs} == {"finding"}
    assert list(known) == [well]
