"""etcd: a LeaseGrant, and a Txn that puts the key under it unless somebody has it.

The messages are written by hand, field by field, after etcd's ``rpc.proto``; the lease's id is
chosen by the caller, as etcd allows, so that both can be prepared.
"""

import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
from tests.benchmarks.bodies import LEASE_FOR_S, Leases
from tests.benchmarks.generator import Step
from tests.benchmarks.processes import MissingError
from tests.benchmarks.subjects import Bench, GrpcSubject
from tests.servers import free_port, poll

from leasehold.store import keys

# LeaseGrantResponse.TTL, and TxnResponse.succeeded.
GRANT = Step("/etcdserverpb.Lease/LeaseGrant", f"3={LEASE_FOR_S}")
TXN = Step("/etcdserverpb.KV/Txn", "2=1")
_TARGET_CREATE_REVISION = 1


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def field(number: int, value: int | bytes) -> bytes:
    """Encode a field of a protobuf message: a whole number, or bytes that may be a message."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def lease_grant(lease_id: int, ttl_s: int) -> bytes:
    """Encode a LeaseGrantRequest."""
    return field(1, ttl_s) + field(2, lease_id)


def put_if_free(key: bytes, value: bytes, lease_id: int) -> bytes:
    """Encode a TxnRequest: if the key was never created, put it, to end with the lease.

    The compared revision is 0; the member of a oneof is written even so.
    """
    compare = field(2, _TARGET_CREATE_REVISION) + field(3, key) + field(5, 0)
    put = field(1, key) + field(2, value) + field(3, lease_id)
    return field(1, compare) + field(2, field(2, put))


class EtcdLease(GrpcSubject):
    """A lease of etcd's, and the key that ends with it."""

    expected_per_s = 4000.0

    def __init__(self, bench: Bench, address: str, pid: int) -> None:
        super().__init__(bench, (address,), (GRANT, TXN))
        self.store_pids = (pid,)

    def prepare(self, requests: int) -> None:
        """Ask for leases and keys that never were."""
        # A lease's id is a positive int64; each round begins elsewhere.
        self.write(_messages(secrets.randbits(62), Leases.from_now(), requests))


def _messages(first_id: int, leases: Leases, count: int) -> Iterator[bytes]:
    for number in range(count):
        command = leases.command(number)
        key = f"{first_id:x}{keys.spot_key(command.slot, 1)}".encode()
        yield lease_grant(first_id + number + 1, LEASE_FOR_S)
        yield put_if_free(key, command.reference.encode(), first_id + number + 1)


def _program() -> str:
    program = shutil.which("etcd")
    if not program:
        raise MissingError("no etcd (Debian: etcd-server)")
    return program


@contextmanager
def etcd(bench: Bench) -> Iterator[EtcdLease]:
    """Start etcd as it comes: one member, its log synced to disk before it answers."""
    program = _program()
    address, peers = f"127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}"
    folder = bench.folder / "etcd"
    command = [program, "--data-dir", str(folder), "--name", "one", "--log-level", "error"]
    command += ["--listen-client-urls", f"http://{address}"]
    command += ["--advertise-client-urls", f"http://{address}"]
    command += ["--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers]
    command += ["--initial-cluster", f"one={peers}"]
    with (bench.folder / "etcd.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        poll("etcd answers", lambda: _answers(address, process, bench.folder / "etcd.log"))
        yield EtcdLease(bench, address, process.pid)
    finally:
        process.kill()
        process.wait()


def _answers(address: str, process: subprocess.Popen[bytes], log: Path) -> bool:
    assert process.poll() is None, log.read_text()
    with grpc.insecure_channel(address) as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=1)
        except grpc.FutureTimeoutError:
            return False
        return True


def version() -> str:
    """Return etcd's version. Raises MissingError."""
    told = subprocess.run([_program(), "--version"], capture_output=True, text=True, check=True)
    return told.stdout.split()[2]
