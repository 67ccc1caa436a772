"""How a listener is reached: plainly or by TLS, and with what a caller proves who it is."""

import os
import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc

from leasehold.client.errors import AccessError
from leasehold.model.address import Address, parse_address

File = str | os.PathLike[str]

_OPTIONS = (
    # The service is called where it is, whatever proxy the environment names.
    ("grpc.enable_http_proxy", 0),
    # What may be repeated is known here, not to gRPC.
    ("grpc.enable_retries", 0),
    # Channels of one process share connections to one address otherwise, whatever their
    # certificates.
    ("grpc.use_local_subchannel_pool", 1),
    # A server that restarts is found again within a call's time, which gRPC's own 1 s to 120 s
    # would not allow.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # Somebody who is gone without a word is found out; the listeners allow a ping in 10 s.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
)


@dataclass(frozen=True, slots=True)
class Access:
    """What a listener has to show, and what it is shown. Files are PEM, but for the token's.

    Without any of it a listener on loopback is called plainly, and any other one by TLS.
    Certificates are read when a client is entered, the token for every call.
    """

    ca_file: File | None = None
    """Authorities that sign the listener's certificate; without it those that gRPC brings."""
    cert_file: File | None = None
    """The caller's certificate, with its chain, for mutual TLS."""
    key_file: File | None = None
    """Its private key, without a password."""
    token_file: File | None = None
    """Its first line is sent as a bearer token."""
    server_name: str = ""
    """The name in the listener's certificate, where that is not the one of the address."""
    tls: bool | None = None
    """True or False where the rule above is not to decide."""

    def uses_tls(self, at: Address) -> bool:
        """Tell whether a listener is called by TLS."""
        if self.tls is not None:
            return self.tls
        return self.needs_tls or not at.is_loopback

    @property
    def needs_tls(self) -> bool:
        """Tell whether any of it is of use with TLS only."""
        return bool(self.ca_file or self.cert_file or self.key_file or self.server_name)

    def token(self) -> str | None:
        """Return the token of the moment, or None without a file; raises AccessError."""
        if not self.token_file:
            return None
        # Some editors begin a text with a mark of its encoding.
        words = _read(self.token_file).decode("utf-8-sig", errors="replace").split()
        if not words or not (words[0].isascii() and words[0].isprintable()):
            raise AccessError(f"{self.token_file}: there is no token in it")
        return words[0]


def read_address(text: str) -> Address:
    """Return host and port, or raise AccessError."""
    try:
        return parse_address(text)
    except ValueError:
        raise AccessError(f"{text!r} is not an address like holds.example:443") from None


def open_channel(at: Address, access: Access) -> grpc.aio.Channel:
    """Return a channel that connects when it is first used; raises AccessError."""
    fault = _contradiction(at, access)
    if fault:
        raise AccessError(fault)
    # So that an empty file is told now.
    access.token()
    if not access.uses_tls(at):
        return grpc.aio.insecure_channel(str(at), options=_OPTIONS)
    named = [("grpc.ssl_target_name_override", access.server_name)] if access.server_name else []
    return grpc.aio.secure_channel(str(at), _credentials(access), options=[*_OPTIONS, *named])


def _contradiction(at: Address, access: Access) -> str | None:
    if bool(access.cert_file) != bool(access.key_file):
        return "a certificate and its key are only of use together"
    if access.uses_tls(at):
        return None
    if access.needs_tls:
        return "certificates are of no use without TLS"
    if access.token_file and not at.is_loopback:
        return f"a token would be sent to {at} for everybody to read; use TLS"
    return None


def _credentials(access: Access) -> grpc.ChannelCredentials:
    """Return what the files hold, once it is known that they can be used."""
    context = ssl.create_default_context()
    chain = key = roots = None
    try:
        if access.ca_file:
            roots = _read(access.ca_file)
            context.load_verify_locations(access.ca_file)
        if access.cert_file and access.key_file:
            chain, key = _read(access.cert_file), _read(access.key_file)
            # A key with a password would be asked for at the terminal otherwise.
            context.load_cert_chain(access.cert_file, access.key_file, password="")
    except (ssl.SSLError, ValueError) as error:
        files = [str(file) for file in (access.ca_file, access.cert_file, access.key_file) if file]
        raise AccessError(f"{', '.join(files)}: cannot be used: {error}") from None
    return grpc.ssl_channel_credentials(roots, key, chain)


def _read(file: File) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise AccessError(f"{file}: {error.strerror}") from None
