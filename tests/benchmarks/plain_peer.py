"""What one would write first: thread-pool gRPC, redis-py, one ``SET NX PX`` a call.

``python -m tests.benchmarks.plain_peer THREADS``, with the address of Redis in
LEASEHOLD_REDIS_URL. No checks, no logs, no metrics, no replay of a lost answer.
"""

# ruff: noqa: N802 - the names of the methods are the API's own

import json
import os
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import redis

from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as pb
from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2_grpc as pb_grpc


class _Peer(pb_grpc.BookingServiceServicer):
    def __init__(self, client: redis.Redis) -> None:
        self._redis = client

    def CreateLease(
        self, request: pb.CreateLeaseRequest, _context: grpc.ServicerContext
    ) -> pb.CreateLeaseResponse:
        """Hold the slot unless somebody has it."""
        slot, lease_id = request.lease.slot, uuid.uuid4().hex
        key = f"slot:{slot.merchant_id}:{slot.service_id}:{slot.start_time.seconds}"
        expires_s = request.lease.lease_expiration_time.seconds
        hold_ms = expires_s * 1000 - time.time_ns() // 1_000_000
        response = pb.CreateLeaseResponse()
        if self._redis.set(key, lease_id, nx=True, px=hold_ms):
            response.lease.CopyFrom(request.lease)
            response.lease.lease_id = lease_id
        else:
            response.booking_failure.cause = pb.BookingFailure.SLOT_UNAVAILABLE
        return response


def main() -> None:
    """Serve until killed."""
    server = grpc.server(ThreadPoolExecutor(int(sys.argv[1])))
    client = redis.Redis.from_url(os.environ["LEASEHOLD_REDIS_URL"])
    pb_grpc.add_BookingServiceServicer_to_server(_Peer(client), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    told: dict[str, Any] = {"event": "serving", "listen": f"127.0.0.1:{port}"}
    print(json.dumps(told), file=sys.stderr, flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
