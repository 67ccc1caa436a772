"""The caller's trace context (W3C, `traceparent`) in the log lines of its calls."""

from typing import Any

import grpc
import pytest
from structlog.testing import capture_logs
from tests.calls import lease_request
from tests.reference_store import ReferenceStore
from tests.rpc.conftest import FrontEnd

from leasehold.generated.ext.maps.booking.partner.v0 import booking_service_pb2 as v0_pb
from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as v2_pb
from leasehold.generated.leasehold.v1 import lease_service_pb2 as operators_pb

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GOOD = f"00-{TRACE}-{SPAN}-01"
SENT = (("traceparent", GOOD), ("tracestate", "vendor=secret"))


def line_of(logs: list[Any]) -> dict[str, Any]:
    """Return the one line of the call."""
    (line,) = [entry for entry in logs if entry["event"] == "call_handled"]
    return dict(line)


async def test_call_with_a_traceparent_has_trace_and_span_in_its_log_line(
    front: FrontEnd, store: ReferenceStore, serve_operators: Any
) -> None:
    """Calls that succeed and calls that fail, of each API version; nothing else of the context."""
    operators, unknown = await serve_operators(None), operators_pb.GetLeaseRequest()
    calls = (
        (front.v2.CreateLease, lease_request(store.now_ms), grpc.StatusCode.OK),
        (front.v2.CreateLease, v2_pb.CreateLeaseRequest(), grpc.StatusCode.INVALID_ARGUMENT),
        (front.v0.CreateLease, v0_pb.CreateLeaseRequest(), grpc.StatusCode.INVALID_ARGUMENT),
        (operators.leases.GetLease, unknown, grpc.StatusCode.INVALID_ARGUMENT),
    )
    lines = []
    for method, request, code in calls:
        with capture_logs() as logs:
            # Logged before the answer leaves.
            assert await method(request, metadata=SENT).code() is code
        lines.append(line_of(logs))

    assert [(line["trace_id"], line["span_id"]) for line in lines] == [(TRACE, SPAN)] * 4
    assert "secret" not in str(lines)


@pytest.mark.parametrize(
    "sent",
    [
        "",
        GOOD.upper(),
        f"01{GOOD[2:]}",
        f"{GOOD}-ada",
        f" {GOOD}",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-0g",
        f"00-{TRACE[:-1]}g-{SPAN}-01",
        f"00-{TRACE}{SPAN}-01",
        "ada@example.com",
    ],
)
async def test_call_with_anything_else_as_traceparent_has_no_trace_in_its_log_line(
    front: FrontEnd, store: ReferenceStore, sent: str
) -> None:
    """What is no trace context of version 00 is served, and none of it is logged."""
    metadata = (("traceparent", sent),)
    with capture_logs() as logs:
        await front.v2.CreateLease(lease_request(store.now_ms), metadata=metadata)

    line = line_of(logs)
    assert not {"trace_id", "span_id"} & set(line)
    assert "ada" not in str(line)
