"""grpc.health.v1, following readiness."""

from collections.abc import Iterable

from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING

EVERYTHING = ""
"""The name that asks for the server as a whole."""


class Health(aio.HealthServicer):
    """Answers for the server as a whole and for each service; NOT_FOUND for other names."""

    def __init__(self, services: Iterable[str]) -> None:
        super().__init__()
        self._names = [EVERYTHING, *services]
        # The library starts with SERVING, which nobody has found out yet.
        self._server_status = dict.fromkeys(self._names, _NOT_SERVING)

    async def follow(self, ready: bool) -> None:
        """Take over whether this process wants calls."""
        for name in self._names:
            await self.set(name, _SERVING if ready else _NOT_SERVING)
