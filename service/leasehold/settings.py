"""Every option: an environment variable LEASEHOLD_... with its unit in the name."""

import difflib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import platformdirs
from pydantic import AfterValidator, Field, FilePath, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from leasehold.model import store_url
from leasehold.model.address import LAST_PORT, Address, parse_address
from leasehold.model.lease import LeaseTerms

PREFIX = "LEASEHOLD_"
_DAY_S = 86_400


def _check_address(text: str) -> str:
    parse_address(text)
    return text


def _check_store_url(url: str) -> str:
    store_url.parse(url)
    return url


AddressText = Annotated[str, AfterValidator(_check_address)]
Seconds = float
_ADDRESS = "host:port; port 0 takes any free one"


def _seconds(default: float, least: float, most: float, description: str) -> Any:
    return Field(
        default=default,
        ge=least,
        le=most,
        description=description,
        json_schema_extra=_allow(f"{_number(least)} to {_number(most)} seconds"),
    )


def _count(default: int, least: int, most: int, description: str) -> Any:
    allow = _allow(f"{least} to {most}")
    return Field(
        default=default, ge=least, le=most, description=description, json_schema_extra=allow
    )


def _file(description: str) -> Any:
    return Field(default=None, description=description, json_schema_extra=_allow("a file"))


def _number(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")


def _allow(allowed: str) -> dict[str, Any]:
    """Say in words what a setting takes; documents and refusals quote it."""
    return {"allowed": allowed}


class Settings(BaseSettings):
    """The effective settings of one process, checked as a whole when it starts."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, hide_input_in_errors=True)

    listen: AddressText = Field(
        default="127.0.0.1:50051",
        description="Partner listener: BookingService v2 and v0, and health.",
        json_schema_extra=_allow(_ADDRESS),
    )
    operator_listen: AddressText = Field(
        default="127.0.0.1:50052",
        description="Operators' listener: health and reflection.",
        json_schema_extra=_allow(_ADDRESS),
    )
    ops_listen: AddressText = Field(
        default="127.0.0.1:9464",
        description="Ops HTTP: /metrics, /livez, /readyz and /config.",
        json_schema_extra=_allow(_ADDRESS),
    )
    allow_plaintext: bool = Field(
        default=False,
        description="Allow listeners beyond loopback although they have no TLS.",
        json_schema_extra=_allow("true or false"),
    )
    reflection: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="gRPC reflection; auto means on loopback only.",
        json_schema_extra=_allow("auto, on or off"),
    )
    redis_url: Annotated[str, AfterValidator(_check_store_url)] | None = Field(
        default=None,
        description="The store. Required, unless `serve --embedded` brings its own.",
        json_schema_extra=_allow(
            "redis://, redis+sentinel:// or redis+cluster:// URL, with rediss for TLS; unix:// URL"
        ),
    )
    redis_password_file: FilePath | None = _file("Holds the store's password, instead of the URL.")
    redis_sentinel_username: str | None = Field(
        default=None,
        description="User name at the Sentinels; that of the URL is for the store alone.",
        json_schema_extra=_allow("text"),
    )
    redis_sentinel_password: SecretStr | None = Field(
        default=None,
        description="Password at the Sentinels.",
        json_schema_extra=_allow("text"),
    )
    redis_ca_file: FilePath | None = _file(
        "Authorities to trust for the store's TLS; without it those of the machine."
    )
    redis_cert_file: FilePath | None = _file("Certificate to show to the store, with its chain.")
    redis_key_file: FilePath | None = _file("Private key of that certificate.")
    redis_connect_timeout_s: Seconds = _seconds(
        0.5, 0.01, 60, "Longest time to open a connection to the store."
    )
    redis_timeout_s: Seconds = _seconds(
        0.5, 0.01, 60, "Longest silence of the store while an answer is due."
    )
    redis_retries: int = _count(
        2, 0, 100, "How often a repeatable command is sent again, within the call's deadline."
    )
    redis_connections: int = _count(
        1, 1, 64, "Connections to the store; each carries many commands at a time."
    )
    redis_max_in_flight: int = _count(
        4096, 1, 1_000_000, "Most commands that wait for the store at a time; more are refused."
    )
    call_timeout_s: Seconds = _seconds(
        3, 0.05, 60, "Longest time for one call, whatever deadline the caller sets."
    )
    min_lease_s: Seconds = _seconds(1, 0.05, 86_400, "Nothing shorter is granted.")
    max_lease_s: Seconds = _seconds(900, 0.05, 7 * _DAY_S, "Nothing longer is granted.")
    lease_retention_s: Seconds = _seconds(
        3600, 1, 366 * _DAY_S, "How long a lease is remembered after its hold has ended."
    )
    booking_retention_s: Seconds = _seconds(
        7 * _DAY_S, 1, 3660 * _DAY_S, "How long a booking is remembered after its slot has ended."
    )
    max_slot_s: Seconds = _seconds(31 * _DAY_S, 1, 366 * _DAY_S, "Longest duration of a slot.")
    max_advance_s: Seconds = _seconds(
        731 * _DAY_S, 60, 3660 * _DAY_S, "How far ahead a slot may start."
    )
    inventory: Literal["open", "strict"] = Field(
        default="open",
        description="Which slots exist: with open, every well-formed future slot exists once;"
        " with strict, those that `leasehold inventory load` brought.",
        json_schema_extra=_allow("open or strict"),
    )
    unready_after_s: Seconds = _seconds(
        5, 0, 3600, "How long the store may be away before health and readiness turn."
    )
    drain_grace_s: Seconds = _seconds(
        10, 0, 3600, "How long running calls may take to finish after SIGTERM."
    )
    embedded_dir: Path = Field(
        default=Path(platformdirs.user_data_dir("leasehold")) / "embedded",
        description="Where the embedded store keeps its data.",
        json_schema_extra={
            **_allow("a directory"),
            "default": "leasehold/embedded in the user's data directory",
        },
    )
    embedded_port: int = _count(
        6390, 0, LAST_PORT, "Port of the embedded store on 127.0.0.1; 0 takes any free one."
    )
    log_format: Literal["console", "json"] = Field(
        default="console",
        description="How log lines are written.",
        json_schema_extra=_allow("console or json"),
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info",
        description="The least important log lines to write.",
        json_schema_extra=_allow("debug, info, warning or error"),
    )

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        faults = [*self._contradictions(), *self._store_contradictions()]
        if faults:
            raise ValueError("\n".join(faults))
        return self

    def _contradictions(self) -> Iterator[str]:
        if self.min_lease_s > self.max_lease_s:
            yield (
                f"{PREFIX}MIN_LEASE_S ({_number(self.min_lease_s)}) is above"
                f" {PREFIX}MAX_LEASE_S ({_number(self.max_lease_s)});"
                " the first must not be the larger"
            )
        open_ones = [name for name in _LISTENERS if not self.address(name).is_loopback]
        if open_ones and not self.allow_plaintext:
            names = ", ".join(f"{PREFIX}{name.upper()}" for name in open_ones)
            yield (
                f"{names} would listen beyond loopback without TLS; use a loopback address,"
                f" or set {PREFIX}ALLOW_PLAINTEXT=true where something else keeps strangers out"
            )

    def _store_contradictions(self) -> Iterator[str]:
        """Yield what is set of the store's access and would not be used, or not work."""
        url = store_url.parse(self.redis_url) if self.redis_url else None
        files = ("redis_ca_file", "redis_cert_file", "redis_key_file")
        for name in (*files, "redis_sentinel_username", "redis_sentinel_password"):
            wanted = "rediss" if name in files else "+sentinel"
            scheme = self.redis_url.partition(":")[0] if self.redis_url else ""
            if getattr(self, name) is not None and wanted not in scheme:
                yield f"{PREFIX}{name.upper()} is only for a {PREFIX}REDIS_URL with {wanted}"
        if (self.redis_cert_file is None) != (self.redis_key_file is None):
            yield f"{PREFIX}REDIS_CERT_FILE and {PREFIX}REDIS_KEY_FILE are only of use together"
        if self.redis_password_file and (url is None or url.password):
            yield f"{PREFIX}REDIS_PASSWORD_FILE needs a {PREFIX}REDIS_URL without a password"

    def address(self, listener: str) -> Address:
        """Return the address of one of the listeners, by the name of its setting."""
        return parse_address(getattr(self, listener))

    def reflects(self, listener: str) -> bool:
        """Tell whether a listener answers reflection."""
        if self.reflection == "auto":
            return self.address(listener).is_loopback
        return self.reflection == "on"

    def lease_terms(self) -> LeaseTerms:
        """Return the limits of leases in the store's unit."""
        return LeaseTerms(
            min_lease_ms=round(self.min_lease_s * 1000),
            max_lease_ms=round(self.max_lease_s * 1000),
            max_advance_ms=round(self.max_advance_s * 1000),
            retention_ms=round(self.lease_retention_s * 1000),
            booking_retention_ms=round(self.booking_retention_s * 1000),
        )


_SECRETS = ("redis_url", "redis_sentinel_password")
_LISTENERS = ("listen", "operator_listen", "ops_listen")


class SettingsError(Exception):
    """Settings that cannot be used: one sentence for each fault."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def load() -> Settings:
    """Read the settings from the environment; SettingsError names every fault at once."""
    try:
        return Settings()
    except ValidationError as error:
        faults = [line for fault in error.errors() for line in _explain(fault).split("\n")]
        raise SettingsError(faults) from None


def _explain(fault: Mapping[str, Any]) -> str:
    why = str(fault["msg"]).removeprefix("Value error, ")
    if not fault["loc"]:
        return why
    name = str(fault["loc"][0])
    # The value stays out of it where it may hold a password.
    given = "" if name in _SECRETS else f"={os.environ.get(PREFIX + name.upper(), '')!r}"
    return f"{PREFIX}{name.upper()}{given}: {why}; allowed: {allowed(name)}"


def allowed(name: str) -> str:
    """Say in words what a setting takes."""
    return str(_extra(name)["allowed"])


def default(name: str) -> str:
    """Say in words what a setting is when nobody sets it."""
    value = _extra(name).get("default", Settings.model_fields[name].default)
    return "not set" if value is None else _plain(value)


def _extra(name: str) -> dict[str, Any]:
    extra = Settings.model_fields[name].json_schema_extra
    assert isinstance(extra, dict), f"{name} says nothing about what it allows"
    return extra


def unknown_names(environment: Mapping[str, str]) -> Iterator[tuple[str, str | None]]:
    """Yield each LEASEHOLD_... name that is no setting, and the setting it may have meant."""
    known = [PREFIX + name.upper() for name in Settings.model_fields]
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            yield name, close[0] if close else None


def shown(settings: Settings) -> dict[str, str]:
    """Return every effective setting by its full name, as text, with secrets hidden."""
    values = {
        PREFIX + name.upper(): _plain(getattr(settings, name)) for name in Settings.model_fields
    }
    if settings.redis_url:
        values[f"{PREFIX}REDIS_URL"] = store_url.hide_password(settings.redis_url)
    return values


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, SecretStr):
        return "***"
    return "" if value is None else str(value)
