"""The certificates of the gRPC listeners, which change while they serve."""

from collections.abc import Callable

import grpc

from leasehold.credentials import Certificate


def server_credentials(certificate: Callable[[], Certificate]) -> grpc.ServerCredentials:
    """Return credentials that show whatever ``certificate`` returns when a caller connects.

    gRPC asks from a thread of its own. Callers must show a certificate if there were authorities
    of theirs at the start; connections that are there stay as they are.
    """
    shown = certificate()

    # None means no change; the types do not know that.
    def fetch() -> grpc.ServerCertificateConfiguration | None:
        nonlocal shown
        if certificate() is shown:
            return None
        shown = certificate()
        return _configuration(shown)

    return grpc.dynamic_ssl_server_credentials(
        _configuration(shown),
        fetch,  # type: ignore[arg-type]
        require_client_authentication=shown.client_roots is not None,
    )


def _configuration(certificate: Certificate) -> grpc.ServerCertificateConfiguration:
    pair = (certificate.key, certificate.chain)
    return grpc.ssl_server_certificate_configuration([pair], certificate.client_roots)
