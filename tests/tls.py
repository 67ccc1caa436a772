"""What tests of the partner listener's TLS share: who signs what, and who calls with what."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import grpc
from tests.calls import lease_request
from tests.certificates import Authority, authority
from tests.service import now_ms

from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2_grpc as pb_grpc

Pair = tuple[Path, Path]
PARTNER = "mapsbooking.businesslink-3.net"
"""The name in the certificate of Google's client. Source: contract 8."""
NO_PROXY = ("grpc.enable_http_proxy", 0)
NO_RETRIES = ("grpc.enable_retries", 0)
# Channels of one process share connections to one address otherwise, whatever their certificates.
ALONE = ("grpc.use_local_subchannel_pool", 1)


@dataclass(frozen=True)
class House:
    """Whom a service trusts, what it shows, and the certificate of the partner that it serves."""

    servers: Authority
    clients: Authority

    @cached_property
    def server(self) -> Pair:
        """Return what the service shows."""
        return self.servers.issue("server", "IP:127.0.0.1", "DNS:leasehold.internal")

    @cached_property
    def partner(self) -> Pair:
        """Return what the good caller shows."""
        return self.clients.issue(PARTNER)

    def settings(self, pair: Pair | None = None) -> dict[str, str]:
        """Return the settings of a service with mutual TLS."""
        cert_file, key_file = pair or self.server
        return {
            "TLS_CERT_FILE": str(cert_file),
            "TLS_KEY_FILE": str(key_file),
            "TLS_CLIENT_CA_FILE": str(self.clients.ca_file),
            "TLS_CLIENT_NAMES": f"somebody.example, {PARTNER}",
        }

    def credentials(self, pair: Pair | None) -> grpc.ChannelCredentials:
        """Return the credentials of a caller who shows a certificate, or none."""
        chain, key = (path.read_bytes() for path in pair) if pair else (None, None)
        return grpc.ssl_channel_credentials(self.servers.ca_file.read_bytes(), key, chain)

    @contextmanager
    def channel(self, address: str, pair: Pair | None = None) -> Iterator[grpc.Channel]:
        """Connect as a caller who shows a certificate; without one as the partner."""
        options = (NO_PROXY, NO_RETRIES, ALONE)
        credentials = self.credentials(pair or self.partner)
        with grpc.secure_channel(address, credentials, options) as channel:
            yield channel

    def context(self, pair: Pair | None = None) -> ssl.SSLContext:
        """Return a context of a caller who shows a certificate, or none."""
        context = ssl.create_default_context(cafile=self.servers.ca_file)
        context.set_alpn_protocols(["h2"])
        if pair:
            context.load_cert_chain(*pair)
        return context

    def shown(self, address: str) -> bytes:
        """Return the certificate, DER, that a new connection is shown."""
        host, _, port = address.rpartition(":")
        with (
            socket.create_connection((host, int(port)), timeout=10) as raw,
            self.context(self.partner).wrap_socket(raw, server_hostname=host) as connection,
        ):
            return connection.getpeercert(binary_form=True) or b""


def house(directory: Path) -> House:
    """Return a house whose servers and clients have authorities of their own."""
    made = []
    for name in ("servers", "clients"):
        (directory / name).mkdir()
        made.append(authority(directory / name))
    return House(*made)


def create_lease(channel: Any, reference: str = "r-1", **more: Any) -> Any:
    """Hold a slot of this reference's own; raises what the call raises."""
    request = lease_request(now_ms(), reference=reference, staff=reference, **more)
    return pb_grpc.BookingServiceStub(channel).CreateLease(request, timeout=10)


def der(pair: Pair) -> bytes:
    """Return the certificate of a pair as a connection shows it."""
    return ssl.PEM_cert_to_DER_cert(pair[0].read_text())
