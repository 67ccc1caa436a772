"""The options of the commands that call a listener: whom they trust, and what they show."""

from pydantic import Field, FilePath
from pydantic_settings import BaseSettings, SettingsConfigDict

from leasehold.options import PREFIX, allow, file

TIME_ZONE = f"{PREFIX}TZ"
"""The variable that names the time zone in which commands show times."""


class ClientSettings(BaseSettings):
    """What a command calls with, whichever listener it calls."""

    model_config = SettingsConfigDict(
        env_prefix=f"{PREFIX}CLIENT_", frozen=True, hide_input_in_errors=True
    )

    ca_file: FilePath | None = file("Authorities that sign the certificate of the listener called.")
    cert_file: FilePath | None = file("Certificate to show to it, with its chain.")
    key_file: FilePath | None = file("Private key of that certificate.")
    token_file: FilePath | None = file("Holds the token to send to it.")
    server_name: str = Field(
        default="",
        description="The name in its certificate, where that is not the one of the address.",
        json_schema_extra={**allow("a name"), "default": "that of the address"},
    )
    plaintext: bool = Field(
        default=False,
        description="Call it without TLS beyond loopback, too.",
        json_schema_extra=allow("true or false"),
    )
