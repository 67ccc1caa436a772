import os
from pathlib import Path

import pytest

from leasehold import settings as settings_module
from leasehold.model.store_url import hide_password
from leasehold.settings import SettingsError, load, shown, unknown_names


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the settings of whoever runs the tests."""
    for name in list(os.environ):
        if name.startswith(settings_module.PREFIX):
            monkeypatch.delenv(name)


def faults(monkeypatch: pytest.MonkeyPatch, **values: str) -> list[str]:
    """Return what is said of settings that cannot be used."""
    for name, value in values.items():
        monkeypatch.setenv(f"LEASEHOLD_{name}", value)
    with pytest.raises(SettingsError) as caught:
        load()
    return caught.value.faults


def test_defaults_are_those_that_others_rely_on() -> None:
    """The names and defaults that the outside counts on."""
    values = shown(load())

    assert values["LEASEHOLD_LISTEN"] == "127.0.0.1:50051"
    assert values["LEASEHOLD_OPERATOR_LISTEN"] == "127.0.0.1:50052"
    assert values["LEASEHOLD_OPS_LISTEN"] == "127.0.0.1:9464"
    assert values["LEASEHOLD_REDIS_URL"] == ""
    assert values["LEASEHOLD_MIN_LEASE_S"] == "1"
    assert values["LEASEHOLD_MAX_LEASE_S"] == "900"
    assert values["LEASEHOLD_LEASE_RETENTION_S"] == "3600"
    assert values["LEASEHOLD_MAX_SLOT_S"] == "86400"
    assert values["LEASEHOLD_INVENTORY"] == "open"
    assert values["LEASEHOLD_UNREADY_AFTER_S"] == "5"
    assert values["LEASEHOLD_LOG_FORMAT"] == "console"


def test_required_findings_are_those_that_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt finding would be waited for in vain."""
    monkeypatch.setenv("LEASEHOLD_READY_REQUIRES", "eviction,data")
    assert load().ready_requires == "eviction,data"

    (fault,) = faults(monkeypatch, READY_REQUIRES="eviction,evicton")
    assert "names no finding: evicton; allowed: any of version" in fault


def test_retention_of_events_below_the_life_of_a_hold_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The end of such a hold could be no event; where no events are kept it does not matter."""
    monkeypatch.setenv("LEASEHOLD_FEED_RETENTION_S", "3599")
    assert load().feed_max_events == 0

    (fault,) = faults(monkeypatch, FEED_MAX_EVENTS="10")
    assert "FEED_RETENTION_S (3599) is below the longest life of a hold (3600)" in fault
    (fault,) = faults(monkeypatch, MAX_LEASE_LIFE_S="60", MAX_LEASE_S="7200")
    assert "(7200)" in fault
    monkeypatch.setenv("LEASEHOLD_MAX_LEASE_S", "900")
    assert load().feed_retention_s == 3599


def test_required_findings_of_a_shape_need_a_store_of_that_shape(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On one server nothing is found about a cluster, and the process would never be ready."""
    found = faults(monkeypatch, READY_REQUIRES="cluster,sentinels", REDIS_URL="redis://localhost")
    assert found == [
        "LEASEHOLD_READY_REQUIRES=cluster is only for a LEASEHOLD_REDIS_URL with +cluster",
        "LEASEHOLD_READY_REQUIRES=sentinels is only for a LEASEHOLD_REDIS_URL with +sentinel",
    ]

    monkeypatch.setenv("LEASEHOLD_READY_REQUIRES", "cluster")
    monkeypatch.setenv("LEASEHOLD_REDIS_URL", "redis+cluster://localhost")
    assert load().ready_requires == "cluster"


def test_fractions_reach_the_store_in_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds may have fractions; the store counts milliseconds."""
    monkeypatch.setenv("LEASEHOLD_MIN_LEASE_S", "0.2")

    assert load().lease_terms().min_lease_ms == 200


def test_every_fault_is_named_at_once_with_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A refusal says which setting, what it was, why it will not do, and what would."""
    assert faults(monkeypatch, MAX_LEASE_S="soon", LOG_LEVEL="loud", LISTEN="50051") == [
        (
            "LEASEHOLD_LISTEN='50051': is not an address;"
            " allowed: host:port; port 0 takes any free one"
        ),
        (
            "LEASEHOLD_MAX_LEASE_S='soon': Input should be a valid number,"
            " unable to parse string as a number; allowed: 0.05 to 604800 seconds"
        ),
        (
            "LEASEHOLD_LOG_LEVEL='loud': Input should be 'debug', 'info', 'warning' or 'error';"
            " allowed: debug, info, warning or error"
        ),
    ]


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "0", ""])
def test_a_number_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """No limit can be switched off by a number that compares with nothing."""
    assert len(faults(monkeypatch, MAX_LEASE_S=value)) == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "redis:///7",
        "localhost:6379",
        "redis://h:x",
        "redis://h:99999",
        "redis://user:se/cret@h:1/0",
        "redis://user:se?cret@h:1/0",
        "redis://h/cret",
        "redis://h:1/0?socket_timeout=cret",
        "redis+sentinel://:cret@h:1",
        "redis+cluster://:cret@h:1/7",
    ],
)
def test_a_redis_url_that_is_none_is_refused_without_repeating_it(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """A URL may hold a password, so a refusal does not repeat it."""
    (fault,) = faults(monkeypatch, REDIS_URL=url)

    assert fault.startswith("LEASEHOLD_REDIS_URL: ")
    assert url not in fault
    assert "cret" not in fault
    assert "'" not in fault


def test_a_minimum_above_the_maximum_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings that contradict each other are refused together."""
    (fault,) = faults(monkeypatch, MIN_LEASE_S="60", MAX_LEASE_S="30")

    assert "LEASEHOLD_MIN_LEASE_S (60) is above LEASEHOLD_MAX_LEASE_S (30)" in fault


def test_access_that_would_not_be_used_is_refused_with_every_other_contradiction(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A certificate without TLS, or a Sentinel's password without Sentinels, is a mistake."""
    path = tmp_path / "file"
    path.touch()
    found = faults(
        monkeypatch,
        REDIS_URL="redis://:secret@h",
        REDIS_PASSWORD_FILE=str(path),
        REDIS_CERT_FILE=str(path),
        REDIS_SENTINEL_PASSWORD="secret-2",
        REDIS_SENTINEL_PASSWORD_FILE=str(path),
        MIN_LEASE_S="60",
        MAX_LEASE_S="30",
    )

    assert [fault.split()[0] for fault in found] == [
        "LEASEHOLD_MIN_LEASE_S",
        "LEASEHOLD_REDIS_CERT_FILE",
        "LEASEHOLD_REDIS_SENTINEL_PASSWORD",
        "LEASEHOLD_REDIS_SENTINEL_PASSWORD_FILE",
        "LEASEHOLD_REDIS_CERT_FILE",
        "LEASEHOLD_REDIS_SENTINEL_PASSWORD",
        "LEASEHOLD_REDIS_PASSWORD_FILE",
    ]
    assert "secret" not in "".join(found)


def test_access_by_files_and_to_sentinels_is_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Everything that a Redis with TLS, Sentinels and users asks for; no password is shown."""
    names = ("PASSWORD_FILE", "CA_FILE", "CERT_FILE", "KEY_FILE")
    for name in names:
        (tmp_path / name).touch()
        monkeypatch.setenv(f"LEASEHOLD_REDIS_{name}", str(tmp_path / name))
    monkeypatch.setenv("LEASEHOLD_REDIS_URL", "rediss+sentinel://ada@h/main")
    monkeypatch.setenv("LEASEHOLD_REDIS_SENTINEL_USERNAME", "watcher")
    monkeypatch.setenv("LEASEHOLD_REDIS_SENTINEL_PASSWORD", "secret")

    settings = load()
    values = shown(settings)

    assert settings.redis_sentinel_password
    assert settings.redis_sentinel_password.get_secret_value() == "secret"
    assert values["LEASEHOLD_REDIS_SENTINEL_PASSWORD"] == "***"
    assert values["LEASEHOLD_REDIS_CA_FILE"] == str(tmp_path / "CA_FILE")


def test_a_file_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process does not start to find out later that it cannot log in."""
    monkeypatch.setenv("LEASEHOLD_REDIS_URL", "rediss://h")
    found = faults(monkeypatch, REDIS_CA_FILE="/nowhere", REDIS_PASSWORD_FILE="/nowhere")

    assert [fault.partition("=")[0] for fault in found] == [
        "LEASEHOLD_REDIS_PASSWORD_FILE",
        "LEASEHOLD_REDIS_CA_FILE",
    ]


@pytest.mark.parametrize("address", ["0.0.0.0:50051", "[::]:50051", "example.com:1", "10.0.0.1:1"])
def test_listening_beyond_loopback_needs_an_explicit_setting(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """Nobody opens a port without TLS to the world by accident."""
    (fault,) = faults(monkeypatch, OPS_LISTEN=address)
    assert fault.startswith("LEASEHOLD_OPS_LISTEN would listen beyond loopback")

    monkeypatch.setenv("LEASEHOLD_ALLOW_PLAINTEXT", "true")
    assert str(load().address("ops_listen")) == address


@pytest.mark.parametrize("address", ["::1", "[127.0.0.1:1", "a]:1", ":1", "h:", "h:1x", "h:70000"])
def test_an_address_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """Host and port, IPv6 in brackets; anything else is not guessed at."""
    (fault,) = faults(monkeypatch, LISTEN=address)
    assert "is not an address" in fault


@pytest.mark.parametrize("address", ["127.0.0.1:1", "[::1]:1", "localhost:1", "127.8.8.8:1"])
def test_loopback_has_many_names(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """Loopback needs no leave, however it is written."""
    monkeypatch.setenv("LEASEHOLD_LISTEN", address)

    assert load().reflects("listen")


def test_reflection_is_off_by_itself_beyond_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reflection is for developers; strangers get it only when it is switched on."""
    monkeypatch.setenv("LEASEHOLD_LISTEN", "0.0.0.0:50051")
    monkeypatch.setenv("LEASEHOLD_ALLOW_PLAINTEXT", "true")
    assert not load().reflects("listen")

    monkeypatch.setenv("LEASEHOLD_REFLECTION", "on")
    assert load().reflects("listen")


def test_unknown_names_are_found_with_what_they_may_have_meant() -> None:
    """A misspelt setting is noticed instead of being ignored."""
    environment = {
        "LEASEHOLD_MAX_LEASES": "1",
        "LEASEHOLD_LISTEN": "",
        "PATH": "",
        "LEASEHOLD_": "",
    }

    assert dict(unknown_names(environment))["LEASEHOLD_MAX_LEASES"] == "LEASEHOLD_MAX_LEASE_S"
    assert "LEASEHOLD_LISTEN" not in dict(unknown_names(environment))
    assert "PATH" not in dict(unknown_names(environment))


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("redis://user:secret@h:1/0", "redis://user:***@h:1/0"),
        ("redis://:secret@h:1/0", "redis://:***@h:1/0"),
        ("redis://:se:cr@et@h:1/0", "redis://:***@h:1/0"),
        ("redis://h:1/0?password=secret", "redis://h:1/0?***"),
        ("redis://h:1/0?pass%77ord=secret", "redis://h:1/0?***"),
        ("unix:///tmp/s?db=0&password=secret", "unix:///tmp/s?***"),
        ("redis://user@h:1/0", "redis://user@h:1/0"),
        ("redis://h:1/0", "redis://h:1/0"),
        ("rediss+sentinel://u:s:e@cret@h:1,i:2/m/0", "rediss+sentinel://u:***@h:1,i:2/m/0"),
        ("redis+cluster://:secret@h:1,i:2", "redis+cluster://:***@h:1,i:2"),
    ],
)
def test_passwords_are_hidden(url: str, safe: str) -> None:
    """What people and logs see of a URL holds no password."""
    assert hide_password(url) == safe
