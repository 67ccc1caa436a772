"""Every metric of the service. Base units, and no ids in labels.

The ``grpc_server_*`` names and labels are those of go-grpc-middleware, so that dashboards made
for it fit. Only methods of the published services are counted: no caller can add a series.
"""

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

# A second series beside every counter, for nobody.
disable_created_metrics()  # type: ignore[no-untyped-call]

_METHOD = ["grpc_type", "grpc_service", "grpc_method"]

# A call is one round trip to Redis and takes a millisecond or two; 4 and 5 s are the thresholds
# above which Google takes a partner down (contract 9).
_HANDLING_BUCKETS_S = (
    0.001,
    0.002,
    0.004,
    0.008,
    0.016,
    0.032,
    0.064,
    0.125,
    0.25,
    0.5,
    1,
    2,
    4,
    5,
)

started = Counter("grpc_server_started_total", "RPCs started on the server.", _METHOD)
handled = Counter(
    "grpc_server_handled_total",
    "RPCs completed on the server, regardless of success or failure.",
    [*_METHOD, "grpc_code"],
)
received = Counter(
    "grpc_server_msg_received_total", "RPC messages received on the server.", _METHOD
)
sent = Counter("grpc_server_msg_sent_total", "RPC messages sent by the server.", _METHOD)
handling_seconds = Histogram(
    "grpc_server_handling_seconds",
    "Response latency of RPCs that the server handled, in seconds.",
    _METHOD,
    buckets=_HANDLING_BUCKETS_S,
)

outcomes = Counter(
    "leasehold_outcomes_total",
    "Answers of the store to operations, by what became of them.",
    ["api", "operation", "outcome"],
)
store_troubles = Counter(
    "leasehold_store_troubles_total",
    "Calls that failed because the store gave no answer, by reason.",
    ["reason"],
)
link_in_flight = Gauge(
    "leasehold_link_in_flight",
    "Commands to the store that wait, are in flight or pause before a repeat.",
)
link_resent = Counter(
    "leasehold_link_resent_total",
    "Commands sent to the store again, because the answer was lost or the trouble could pass.",
)
link_reconnects = Counter(
    "leasehold_link_reconnects_total",
    "Connections to the store that took the place of a lost one.",
)
ready = Gauge("leasehold_ready", "1 while this process wants calls, else 0.")
build_info = Gauge("leasehold_build_info", "Always 1; the labels tell the build.", ["version"])
