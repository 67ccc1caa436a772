import os
from pathlib import Path

import pytest

from leasehold import settings as settings_module
from leasehold.settings import SettingsError, load

NAMES = ("CERT_FILE", "KEY_FILE", "CLIENT_CA_FILE", "TOKEN_FILE")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the settings of whoever runs the tests."""
    for name in list(os.environ):
        if name.startswith(settings_module.PREFIX):
            monkeypatch.delenv(name)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """Files to name, by what they might be; what is in them is looked at later."""
    for name in NAMES:
        (tmp_path / name).touch()
    return {name: str(tmp_path / name) for name in NAMES}


def faults(monkeypatch: pytest.MonkeyPatch, **values: str) -> list[str]:
    """Return what is said of settings, nothing if they can be used."""
    for name, value in values.items():
        monkeypatch.setenv(f"LEASEHOLD_{name}", value)
    try:
        load()
    except SettingsError as error:
        return error.faults
    return []


def test_files_that_would_not_be_used_are_refused(
    monkeypatch: pytest.MonkeyPatch, files: dict[str, str]
) -> None:
    """A key without its certificate, or names that nobody is asked for, are mistakes."""
    found = faults(
        monkeypatch,
        TLS_CERT_FILE=files["CERT_FILE"],
        TLS_CLIENT_NAMES="somebody.example",
        OPERATOR_TLS_CLIENT_CA_FILE=files["CLIENT_CA_FILE"],
        OPS_TLS_KEY_FILE=files["KEY_FILE"],
    )

    assert found == [
        "LEASEHOLD_TLS_CERT_FILE and LEASEHOLD_TLS_KEY_FILE are only of use together",
        "LEASEHOLD_TLS_CLIENT_NAMES is only of use with LEASEHOLD_TLS_CLIENT_CA_FILE",
        (
            "LEASEHOLD_OPERATOR_TLS_CLIENT_CA_FILE is only of use with"
            " LEASEHOLD_OPERATOR_TLS_CERT_FILE"
        ),
        "LEASEHOLD_OPS_TLS_CERT_FILE and LEASEHOLD_OPS_TLS_KEY_FILE are only of use together",
    ]


@pytest.mark.parametrize(
    ("listener", "prefix", "asks"),
    [
        ("LISTEN", "", "TLS_CLIENT_CA_FILE"),
        ("OPERATOR_LISTEN", "OPERATOR_", "OPERATOR_TLS_CLIENT_CA_FILE"),
        ("OPERATOR_LISTEN", "OPERATOR_", "OPERATOR_TOKEN_FILE"),
    ],
)
def test_beyond_loopback_a_grpc_listener_needs_tls_and_asks_who_calls(
    monkeypatch: pytest.MonkeyPatch,
    files: dict[str, str],
    listener: str,
    prefix: str,
    asks: str,
) -> None:
    """TLS alone would serve whoever finds the port."""
    monkeypatch.setenv(f"LEASEHOLD_{listener}", "0.0.0.0:50051")
    (plain,) = faults(monkeypatch)
    assert plain.startswith(f"LEASEHOLD_{listener} would listen beyond loopback without TLS")

    pair = {f"{prefix}TLS_{name}": files[name] for name in ("CERT_FILE", "KEY_FILE")}
    (open_to_all,) = faults(monkeypatch, **pair)
    assert open_to_all.startswith(f"LEASEHOLD_{listener} would serve anybody beyond loopback")
    assert f"LEASEHOLD_{prefix}TLS_CLIENT_CA_FILE" in open_to_all
    with monkeypatch.context() as allowed:
        assert faults(allowed, ALLOW_PLAINTEXT="true") == []

    kind = asks.removeprefix(prefix).removeprefix("TLS_")
    assert faults(monkeypatch, **{asks: files[kind]}) == []


def test_beyond_loopback_ops_http_needs_tls_only(
    monkeypatch: pytest.MonkeyPatch, files: dict[str, str]
) -> None:
    """What it tells is for the eyes of the house, and a kubelet sends no token."""
    settings = {f"OPS_TLS_{name}": files[name] for name in ("CERT_FILE", "KEY_FILE")}

    assert faults(monkeypatch, OPS_LISTEN="0.0.0.0:9464", **settings) == []


def test_reflection_is_off_by_itself_where_there_is_tls(
    monkeypatch: pytest.MonkeyPatch, files: dict[str, str]
) -> None:
    """Where callers are told apart, what can be called is told to nobody by itself."""
    assert load().reflects("listen")
    settings = {f"TLS_{name}": files[name] for name in ("CERT_FILE", "KEY_FILE")}
    assert faults(monkeypatch, **settings) == []

    assert not load().reflects("listen")
    assert load().reflects("operator_listen")


def test_names_may_have_spaces_around_them_and_none_is_empty(
    monkeypatch: pytest.MonkeyPatch, files: dict[str, str]
) -> None:
    """An empty name would be one that no certificate has, by mistake."""
    settings = {f"TLS_{name}": files[name] for name in ("CERT_FILE", "KEY_FILE", "CLIENT_CA_FILE")}
    assert faults(monkeypatch, **settings, TLS_CLIENT_NAMES="a.example, b.example") == []
    assert load().door("listen").client_names == {"a.example", "b.example"}

    for nothing in ("", " ", "\u200b"):
        (fault,) = faults(monkeypatch, TLS_CLIENT_NAMES=f"a.example,{nothing},b.example")
        assert "holds an empty name" in fault
