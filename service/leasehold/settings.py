"""Every option: an environment variable LEASEHOLD_... with its unit in the name."""

import difflib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import platformdirs
from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from leasehold import options
from leasehold.client_settings import TIME_ZONE, ClientSettings
from leasehold.model import checks, store_url
from leasehold.model.address import LAST_PORT
from leasehold.model.finding import FINDING_NAMES
from leasehold.model.lease import LeaseTerms
from leasehold.options import allow, count, number, seconds
from leasehold.store_settings import StoreSettings

PREFIX = options.PREFIX
_DAY_S = 86_400


def _check_findings(text: str) -> str:
    unknown = set(text.split(",")) - {*FINDING_NAMES, ""}
    if unknown:
        raise ValueError(f"names no finding: {', '.join(sorted(unknown))}")
    return text


Kind = TypeVar("Kind", bound=BaseSettings)
Seconds = float
_FINDINGS = f"any of {', '.join(FINDING_NAMES)}, with commas between"


class Settings(StoreSettings):
    """The effective settings of one process, checked as a whole when it starts."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, hide_input_in_errors=True)

    call_timeout_s: Seconds = seconds(
        3, 0.05, 60, "Longest time for one call, whatever deadline the caller sets."
    )
    min_lease_s: Seconds = seconds(1, 0.05, 86_400, "Nothing shorter is granted.")
    max_lease_s: Seconds = seconds(900, 0.05, 7 * _DAY_S, "Nothing longer is granted.")
    max_lease_life_s: Seconds = seconds(
        3600, 0.05, 31 * _DAY_S, "No lease is extended beyond so long after it was made."
    )
    lease_retention_s: Seconds = seconds(
        3600, 1, 366 * _DAY_S, "How long a lease is remembered after its hold has ended."
    )
    booking_retention_s: Seconds = seconds(
        7 * _DAY_S, 1, 3660 * _DAY_S, "How long a booking is remembered after its slot has ended."
    )
    max_slot_s: Seconds = seconds(
        _DAY_S,
        1,
        checks.LONGEST_SLOT_S,
        "Longest duration of a slot that is held, booked or loaded.",
    )
    max_advance_s: Seconds = seconds(
        731 * _DAY_S, 60, 3660 * _DAY_S, "How far ahead a slot may start."
    )
    inventory: Literal["open", "strict"] = Field(
        default="open",
        description="Which slots exist: with open, every well-formed future slot exists once;"
        " with strict, those that `leasehold inventory load` brought.",
        json_schema_extra=allow("open or strict"),
    )
    max_closed_share: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="Largest share of the merchants with an open slot ahead that a complete feed"
        " may close, by not listing them, without confirmation; one merchant always may.",
        json_schema_extra=allow("0 to 1"),
    )
    feed_max_events: int = count(
        0, 0, 10_000_000, "Events kept for each merchant, for FeedService; with 0 there are none."
    )
    feed_retention_s: Seconds = seconds(
        7 * _DAY_S, 60, 366 * _DAY_S, "How long they are kept after the last was noted or read."
    )
    unready_after_s: Seconds = seconds(
        5, 0, 3600, "How long the store may be away before health and readiness turn."
    )
    check_interval_s: Seconds = seconds(
        30, 0.05, 3600, "How often the store is asked about its own settings."
    )
    ready_requires: Annotated[str, AfterValidator(_check_findings)] = Field(
        default="",
        description="Findings that must be ok before health and readiness turn good.",
        json_schema_extra={**allow(_FINDINGS), "default": "none"},
    )
    quarantine: Literal["off", "on"] = Field(
        default="off",
        description="With on, nothing new is held or booked after a loss of data, until"
        " LEASEHOLD_MAX_LEASE_S has passed.",
        json_schema_extra=allow("off or on"),
    )
    clock_step_s: Seconds = seconds(
        5,
        1,
        3600,
        "Steps of the store's clock up to this are taken as they come; after a larger one nothing"
        " is held until it has stepped back, or LEASEHOLD_MAX_LEASE_S has passed.",
    )
    embedded_dir: Path = Field(
        default=Path(platformdirs.user_data_dir("leasehold")) / "embedded",
        description="Where the embedded store keeps its data.",
        json_schema_extra={
            **allow("a directory"),
            "default": "leasehold/embedded in the user's data directory",
        },
    )
    embedded_port: int = count(
        6390, 0, LAST_PORT, "Port of the embedded store on 127.0.0.1; 0 takes any free one."
    )
    log_format: Literal["console", "json"] = Field(
        default="console",
        description="How log lines are written.",
        json_schema_extra=allow("console or json"),
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info",
        description="The least important log lines to write.",
        json_schema_extra=allow("debug, info, warning or error"),
    )

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        faults = [
            *self._contradictions(),
            *self.listener_contradictions(),
            *self.store_contradictions(),
            *self.user_key_faults(),
        ]
        if faults:
            raise ValueError("\n".join(faults))
        return self

    def _contradictions(self) -> Iterator[str]:
        if self.min_lease_s > self.max_lease_s:
            yield (
                f"{PREFIX}MIN_LEASE_S ({number(self.min_lease_s)}) is above"
                f" {PREFIX}MAX_LEASE_S ({number(self.max_lease_s)});"
                " the first must not be the larger"
            )
        longest_s = max(self.max_lease_s, self.max_lease_life_s)
        if self.feed_max_events and self.feed_retention_s < longest_s:
            yield (
                f"{PREFIX}FEED_RETENTION_S ({number(self.feed_retention_s)}) is below the longest"
                f" life of a hold ({number(longest_s)}), so its end could be no event;"
                f" raise it, or lower {PREFIX}MAX_LEASE_LIFE_S and {PREFIX}MAX_LEASE_S"
            )
        scheme = self.redis_url.partition(":")[0] if self.redis_url else ""
        for name, shape in (("cluster", "+cluster"), ("sentinels", "+sentinel")):
            if name in self.ready_requires.split(",") and shape not in scheme:
                yield f"{PREFIX}READY_REQUIRES={name} is only for a {PREFIX}REDIS_URL with {shape}"

    def lease_terms(self) -> LeaseTerms:
        """Return the limits of leases in the store's unit."""
        return LeaseTerms(
            min_lease_ms=round(self.min_lease_s * 1000),
            max_lease_ms=round(self.max_lease_s * 1000),
            max_advance_ms=round(self.max_advance_s * 1000),
            retention_ms=round(self.lease_retention_s * 1000),
            booking_retention_ms=round(self.booking_retention_s * 1000),
            max_life_ms=round(self.max_lease_life_s * 1000),
            max_slot_ms=round(self.max_slot_s * 1000),
            max_events=self.feed_max_events,
            event_retention_ms=round(self.feed_retention_s * 1000),
        )


_SECRETS = ("redis_url", "redis_sentinel_password")


class SettingsError(Exception):
    """Settings that cannot be used: one sentence for each fault."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def load() -> Settings:
    """Read the settings from the environment; SettingsError names every fault at once."""
    return _load(Settings)


def load_client() -> ClientSettings:
    """Read what a command calls with; SettingsError names every fault at once."""
    return _load(ClientSettings)


def _load(kind: type[Kind]) -> Kind:
    try:
        return kind()
    except ValidationError as error:
        faults = [line for each in error.errors() for line in _explain(each, kind).split("\n")]
        raise SettingsError(faults) from None


def _explain(fault: Mapping[str, Any], kind: type[BaseSettings]) -> str:
    why = str(fault["msg"]).removeprefix("Value error, ")
    if not fault["loc"]:
        return why
    name = str(fault["loc"][0])
    variable = variables(kind)[name]
    # The value stays out of it where it may hold a password.
    given = "" if name in _SECRETS else f"={os.environ.get(variable, '')!r}"
    return f"{variable}{given}: {why}; allowed: {allowed(name, kind)}"


def variables(kind: type[BaseSettings]) -> dict[str, str]:
    """Return the environment variable of each option of a kind."""
    prefix = kind.model_config["env_prefix"]
    return {name: prefix + name.upper() for name in kind.model_fields}


def allowed(name: str, kind: type[BaseSettings] = Settings) -> str:
    """Say in words what a setting takes."""
    return str(_extra(name, kind)["allowed"])


def default(name: str, kind: type[BaseSettings] = Settings) -> str:
    """Say in words what a setting is when nobody sets it."""
    value = _extra(name, kind).get("default", kind.model_fields[name].default)
    return "not set" if value is None else _plain(value)


def _extra(name: str, kind: type[BaseSettings]) -> dict[str, Any]:
    extra = kind.model_fields[name].json_schema_extra
    assert isinstance(extra, dict), f"{name} says nothing about what it allows"
    return extra


def unknown_names(environment: Mapping[str, str]) -> Iterator[tuple[str, str | None]]:
    """Yield each LEASEHOLD_... name that is no setting, and the setting it may have meant."""
    known = known_names()
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            yield name, close[0] if close else None


def known_names() -> list[str]:
    """Return every variable that means something, to a service or to a command."""
    return [*variables(Settings).values(), *variables(ClientSettings).values(), TIME_ZONE]


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
        return number(value)
    if isinstance(value, SecretStr):
        return "***"
    return "" if value is None else str(value)
