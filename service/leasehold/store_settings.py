"""The options of the store: where it is, how it is logged in to, and how long it may take."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator, Field, FilePath, SecretStr

from leasehold.listeners import ListenerSettings
from leasehold.model import store_url
from leasehold.model.user_keys import UNKEYED, UserKeys, UserKeysError, parse_user_keys
from leasehold.options import PREFIX, allow, count, file, seconds


def _check_store_url(url: str) -> str:
    store_url.parse(url)
    return url


class StoreSettings(ListenerSettings):
    """What opens the store."""

    redis_url: Annotated[str, AfterValidator(_check_store_url)] | None = Field(
        default=None,
        description="The store. Required, unless `serve --embedded` brings its own.",
        json_schema_extra=allow(
            "redis://, redis+sentinel:// or redis+cluster:// URL, with rediss for TLS; unix:// URL"
        ),
    )
    redis_password_file: FilePath | None = file("Holds the store's password, instead of the URL.")
    redis_sentinel_username: str | None = Field(
        default=None,
        description="User name at the Sentinels; that of the URL is for the store alone.",
        json_schema_extra=allow("text"),
    )
    redis_sentinel_password: SecretStr | None = Field(
        default=None,
        description="Password at the Sentinels.",
        json_schema_extra=allow("text"),
    )
    redis_sentinel_password_file: FilePath | None = file(
        "Holds the password at the Sentinels, instead of the setting above."
    )
    redis_ca_file: FilePath | None = file(
        "Authorities to trust for the store's TLS; without it those of the machine."
    )
    redis_cert_file: FilePath | None = file("Certificate to show to the store, with its chain.")
    redis_key_file: FilePath | None = file("Private key of that certificate.")
    redis_connect_timeout_s: float = seconds(
        0.5, 0.01, 60, "Longest time to open a connection to the store."
    )
    redis_timeout_s: float = seconds(
        0.5, 0.01, 60, "Longest silence of the store while an answer is due."
    )
    redis_retries: int = count(
        2, 0, 100, "How often a repeatable command is sent again, within the call's deadline."
    )
    redis_connections: int = count(
        1, 1, 64, "Connections to the store; each carries many commands at a time."
    )
    redis_max_in_flight: int = count(
        4096, 1, 1_000_000, "Most commands that wait for the store at a time; more are refused."
    )
    replica_acks: int = count(
        0,
        0,
        16,
        "Replicas that must have a lease or booking before its caller does;"
        " unless all of them, a failover may lose it.",
    )
    replica_ack_timeout_s: float = seconds(0.5, 0.01, 60, "Longest wait for them.")

    user_key_file: FilePath | None = file(
        "Keys that user ids are digested with, one a line: the first writes, all are read; `none`"
        " stands for no key, as without the file."
    )

    def user_keys(self) -> UserKeys:
        """Return what user ids are digested with."""
        return parse_user_keys(self.user_key_file.read_bytes()) if self.user_key_file else UNKEYED

    def user_key_faults(self) -> Iterator[str]:
        """Yield what is wrong with the file of keys, and nothing of the keys."""
        name = f"{PREFIX}USER_KEY_FILE ({self.user_key_file})"
        try:
            self.user_keys()
        except UserKeysError as error:
            yield from (f"{name}: {fault}" for fault in error.faults)
        except OSError as error:
            yield f"{name}: {error.strerror}"

    def store_contradictions(self) -> Iterator[str]:
        """Yield what is set of the store's access and would not be used, or not work."""
        url = store_url.parse(self.redis_url) if self.redis_url else None
        files = ("redis_ca_file", "redis_cert_file", "redis_key_file")
        sentinels = ("username", "password", "password_file")
        for name in (*files, *(f"redis_sentinel_{each}" for each in sentinels)):
            wanted = "rediss" if name in files else "+sentinel"
            scheme = self.redis_url.partition(":")[0] if self.redis_url else ""
            if getattr(self, name) is not None and wanted not in scheme:
                yield f"{PREFIX}{name.upper()} is only for a {PREFIX}REDIS_URL with {wanted}"
        if (self.redis_cert_file is None) != (self.redis_key_file is None):
            yield f"{PREFIX}REDIS_CERT_FILE and {PREFIX}REDIS_KEY_FILE are only of use together"
        if self.redis_sentinel_password and self.redis_sentinel_password_file:
            both = f"{PREFIX}REDIS_SENTINEL_PASSWORD and {PREFIX}REDIS_SENTINEL_PASSWORD_FILE"
            yield f"{both} both hold the password at the Sentinels; set one of them"
        if self.redis_password_file and (url is None or url.password):
            yield f"{PREFIX}REDIS_PASSWORD_FILE needs a {PREFIX}REDIS_URL without a password"
