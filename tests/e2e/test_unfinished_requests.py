"""What callers cost who leave their messages unfinished, by hand-written HTTP/2."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest
from tests.calls import CREATE_LEASE
from tests.http2 import RawCaller, beginning, raw_caller
from tests.servers import RedisServer, poll
from tests.service import Service, serving
from tests.tls import create_lease

GET_LEASE = "/leasehold.v1.LeaseService/GetLease"
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
MOST_MB_A_CONNECTION = 20
CONNECTIONS = 2
"""At a time; what the first unusual calls of a process cost once is not theirs."""


def memory_mb(service: Service) -> float:
    """Return what a process has in memory."""
    pages = int(Path(f"/proc/{service.process.pid}/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def handled(service: Service) -> list[str]:
    """Return the codes of the calls so far, as they are logged."""
    return [event["code"] for event in service.events() if event["event"] == "call_handled"]


class Flood:
    """One connection whose every stream has a message that lacks its last byte."""

    def __init__(
        self, caller: RawCaller, path: str, size: int, metadata: Mapping[str, str]
    ) -> None:
        self._caller = caller
        streams = [caller.open(path, metadata) for _ in range(caller.max_streams)]
        message = memoryview(beginning(size) + bytes(size - 1))
        self._left = dict.fromkeys(streams, message)

    def go_on(self) -> bool:
        """Send what may be sent; return whether that, or an answer, has moved anything."""
        moved = 0
        for stream, data in self._left.items():
            sent = self._caller.send(stream, data)
            self._left[stream] = data[sent:]
            moved += sent
        return self._caller.receive(0.1) or moved > 0


def flood(
    service: Service, address: str, path: str, size: int, metadata: Mapping[str, str]
) -> float:
    """Return how many MB more a process has had in memory for each connection, at most."""
    before, most = memory_mb(service), 0.0
    with ExitStack() as stack:
        floods = [
            Flood(stack.enter_context(raw_caller(address)), path, size, metadata)
            for _ in range(CONNECTIONS)
        ]
        moves = True
        while moves:
            moves = any(list(map(Flood.go_on, floods)))
            most = max(most, memory_mb(service))
    return (most - before) / CONNECTIONS


def test_strangers_are_refused_before_their_messages_are_read(
    valkey: RedisServer, tmp_path: Path
) -> None:
    """A refusal needs no byte of a message, is counted, and costs hardly any memory."""
    token_file = tmp_path / "token"
    token_file.write_text("t" * 32)
    with serving(REDIS_URL=valkey.url, OPERATOR_TOKEN_FILE=str(token_file)) as service:
        address = service.told["operator_listen"]
        with raw_caller(address) as caller:
            stream = caller.open(GET_LEASE)
            poll("it is refused", lambda: caller.receive(0.1) and stream in caller.ended)
        poll("it is counted", lambda: handled(service) == ["UNAUTHENTICATED"])

        assert flood(service, address, GET_LEASE, 8_000_000, {}) < MOST_MB_A_CONNECTION / 2
        assert set(handled(service)) == {"UNAUTHENTICATED"}


@pytest.mark.long
@pytest.mark.parametrize(
    ("listener", "path", "size"),
    [
        ("listen", CREATE_LEASE, 131_000),
        ("operator_listen", GET_LEASE, 8_388_000),
        ("operator_listen", REFLECTION, 8_388_000),
    ],
)
def test_unfinished_requests_cost_a_connection_at_most_20_mb_and_it_is_given_back(
    valkey: RedisServer, tmp_path: Path, listener: str, path: str, size: int
) -> None:
    """Callers who are served fill no more, and the next fill the same room (failure mode 56)."""
    token_file = tmp_path / "token"
    token_file.write_text("t" * 32)
    settings = {"OPERATOR_TOKEN_FILE": str(token_file), "READ_TIMEOUT_S": "60"}
    with serving(REDIS_URL=valkey.url, **settings) as service:
        metadata = {"authorization": "Bearer " + "t" * 32}
        before_mb = memory_mb(service)
        grown_mb = flood(service, service.told[listener], path, size, metadata)
        settled_mb = memory_mb(service)
        again_mb = flood(service, service.told[listener], path, size, metadata)

        assert grown_mb <= MOST_MB_A_CONNECTION
        # Had the first flood given nothing back, both would have twice as many connections.
        both_mb = settled_mb + again_mb * CONNECTIONS - before_mb
        assert both_mb <= MOST_MB_A_CONNECTION * (CONNECTIONS + 1)
        with grpc.insecure_channel(service.address) as channel:
            create_lease(channel, f"after-{path}")


def test_connections_beyond_the_limit_are_closed(valkey: RedisServer) -> None:
    """LEASEHOLD_MAX_CONNECTIONS is what each gRPC listener takes; one that ends makes room."""
    with serving(REDIS_URL=valkey.url, MAX_CONNECTIONS="3") as service, ExitStack() as stack:
        for address in (service.address, service.told["operator_listen"]):
            taken = [stack.enter_context(raw_caller(address)) for _ in range(3)]
            with pytest.raises(ConnectionResetError), raw_caller(address):
                pass

            taken[0].close()

            poll("there is room again", lambda address=address: is_taken(address))


def is_taken(address: str) -> bool:
    """Tell whether a new connection is served."""
    try:
        with raw_caller(address):
            return True
    except ConnectionResetError:
        return False
