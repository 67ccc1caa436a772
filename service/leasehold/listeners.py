"""The options of the three listeners: where they listen, who may call, how much, how they end."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, FilePath
from pydantic_settings import BaseSettings

from leasehold.model import checks
from leasehold.model.address import Address, parse_address
from leasehold.options import PREFIX, allow, count, file, seconds


def _check_address(text: str) -> str:
    parse_address(text)
    return text


def _check_names(text: str) -> str:
    if text and any(checks.is_blank(name) for name in text.split(",")):
        raise ValueError("holds an empty name")
    return text


AddressText = Annotated[str, AfterValidator(_check_address)]
Names = Annotated[str, AfterValidator(_check_names)]
_ADDRESS = "host:port; port 0 takes any free one"


def _address(default: str, description: str) -> Any:
    return Field(default=default, description=description, json_schema_extra=allow(_ADDRESS))


def _names(description: str) -> Any:
    extra = {**allow("names, with commas between"), "default": "any"}
    return Field(default="", description=description, json_schema_extra=extra)


@dataclass(frozen=True, slots=True)
class Door:
    """What a listener shows of itself, and what it asks of its callers."""

    cert_file: Path | None
    key_file: Path | None
    client_ca_file: Path | None = None
    client_names: frozenset[str] = frozenset()
    """Whom to serve; empty means whoever has a certificate that is trusted."""
    token_file: Path | None = None

    @property
    def has_tls(self) -> bool:
        """Tell whether callers can know whom they talk to, and nobody listens in."""
        return self.cert_file is not None

    @property
    def asks_who(self) -> bool:
        """Tell whether callers have to say who they are."""
        return self.client_ca_file is not None or self.token_file is not None


class ListenerSettings(BaseSettings):
    """The part of the settings that is about the listeners."""

    listen: AddressText = _address(
        "127.0.0.1:50051", "Partner listener: BookingService v2 and v0, and health."
    )
    tls_cert_file: FilePath | None = file("Certificate of the partner listener, with its chain.")
    tls_key_file: FilePath | None = file("Private key of that certificate.")
    tls_client_ca_file: FilePath | None = file(
        "Authorities that sign partners' certificates; with it a caller must show one."
    )
    tls_client_names: Names = _names(
        "Whom to serve, by the subject alternative names of the certificate, or its common name."
    )
    operator_listen: AddressText = _address(
        "127.0.0.1:50052", "Operators' listener: inventory, leases and health."
    )
    operator_tls_cert_file: FilePath | None = file("Certificate of the operators' listener.")
    operator_tls_key_file: FilePath | None = file("Private key of that certificate.")
    operator_tls_client_ca_file: FilePath | None = file(
        "Authorities that sign operators' certificates; with it a caller must show one."
    )
    operator_tls_client_names: Names = _names("Which operators to serve, as above.")
    operator_token_file: FilePath | None = file(
        "Tokens of operators, one a line; a caller must send one of them."
    )
    ops_listen: AddressText = _address(
        "127.0.0.1:9464", "Ops HTTP: /metrics, /livez, /readyz and /config."
    )
    ops_tls_cert_file: FilePath | None = file("Certificate of ops HTTP, with its chain.")
    ops_tls_key_file: FilePath | None = file("Private key of that certificate.")
    ops_token_file: FilePath | None = file(
        "Tokens for ops HTTP, one a line; /livez and the plain /readyz need none."
    )
    allow_plaintext: bool = Field(
        default=False,
        description="Allow listeners beyond loopback that have no TLS or ask nobody who they are.",
        json_schema_extra=allow("true or false"),
    )
    reflection: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="gRPC reflection; auto means on loopback without TLS only.",
        json_schema_extra=allow("auto, on or off"),
    )
    max_concurrent_calls: int = count(
        4096, 1, 1_000_000, "Most calls that a gRPC listener handles at a time; more are refused."
    )
    read_timeout_s: float = seconds(
        10, 0.1, 600, "How long the message of a call may take to come; then the call is ended."
    )
    max_connections: int = count(
        512, 1, 1_000_000, "Most connections of a gRPC listener; those beyond are closed."
    )
    max_connection_age_s: float = seconds(
        300, 0.5, 86_400, "Age at which a gRPC connection is asked to end, give or take a tenth."
    )
    max_connection_age_grace_s: float = seconds(
        10, 0.5, 3600, "How long calls on such a connection may take to finish."
    )
    drain_delay_s: float = seconds(
        0, 0, 600, "How long to go on serving after SIGTERM, unready, before the listeners close."
    )
    drain_grace_s: float = seconds(
        10, 0, 3600, "How long running calls may take to finish after that."
    )

    def address(self, listener: str) -> Address:
        """Return the address of one of the listeners, by the name of its setting."""
        return parse_address(getattr(self, listener))

    def door(self, listener: str) -> Door:
        """Return how one of the listeners is kept, by the name of its setting."""
        match listener:
            case "listen":
                return Door(
                    self.tls_cert_file,
                    self.tls_key_file,
                    self.tls_client_ca_file,
                    _split(self.tls_client_names),
                )
            case "operator_listen":
                return Door(
                    self.operator_tls_cert_file,
                    self.operator_tls_key_file,
                    self.operator_tls_client_ca_file,
                    _split(self.operator_tls_client_names),
                    self.operator_token_file,
                )
            case _:
                return Door(
                    self.ops_tls_cert_file, self.ops_tls_key_file, token_file=self.ops_token_file
                )

    def reflects(self, listener: str) -> bool:
        """Tell whether a listener answers reflection."""
        if self.reflection == "auto":
            return self.address(listener).is_loopback and not self.door(listener).has_tls
        return self.reflection == "on"

    def listener_contradictions(self) -> Iterator[str]:
        """Yield what is set of the listeners and would not be used, not work, or be unsafe."""
        for name in LISTENERS:
            yield from _door_contradictions(name, self.door(name))
        if not self.allow_plaintext:
            yield from self._open_doors()

    def _open_doors(self) -> Iterator[str]:
        doors = {name: self.door(name) for name in LISTENERS if not self.address(name).is_loopback}
        plain = [_variable(name) for name, door in doors.items() if not door.has_tls]
        if plain:
            yield (
                f"{', '.join(plain)} would listen beyond loopback without TLS; use a loopback"
                f" address, or set {PREFIX}ALLOW_PLAINTEXT=true where something else keeps"
                " strangers out"
            )
        for name, door in doors.items():
            if door.has_tls and not door.asks_who and name != "ops_listen":
                yield (
                    f"{_variable(name)} would serve anybody beyond loopback; set"
                    f" {_tls(name)}CLIENT_CA_FILE, or {PREFIX}ALLOW_PLAINTEXT=true where something"
                    " else keeps strangers out"
                )


LISTENERS = {"listen": "partners", "operator_listen": "operators", "ops_listen": "ops"}
"""The names of their settings, and whom they are for."""


def _split(names: str) -> frozenset[str]:
    return frozenset(name.strip() for name in names.split(",") if name)


def _variable(listener: str) -> str:
    return PREFIX + listener.upper()


def _tls(listener: str) -> str:
    return f"{PREFIX}{listener.removesuffix('listen').upper()}TLS_"


def _door_contradictions(listener: str, door: Door) -> Iterator[str]:
    tls = _tls(listener)
    if (door.cert_file is None) != (door.key_file is None):
        yield f"{tls}CERT_FILE and {tls}KEY_FILE are only of use together"
    if door.client_ca_file and not door.has_tls:
        yield f"{tls}CLIENT_CA_FILE is only of use with {tls}CERT_FILE"
    if door.client_names and not door.client_ca_file:
        yield f"{tls}CLIENT_NAMES is only of use with {tls}CLIENT_CA_FILE"
