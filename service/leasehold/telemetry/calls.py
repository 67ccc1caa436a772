"""What calls leave behind: counts and durations by method, as go-grpc-middleware names them.

A collector of its own, because every call counts five things: plain numbers of the one thread that
serves cost a fifth of five locked counters.
"""

from collections import Counter
from collections.abc import Iterable

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from leasehold.telemetry.histogram import Distribution

_METHOD = ("grpc_type", "grpc_service", "grpc_method")

# A call is one round trip to Redis and takes a millisecond or two; 4 and 5 s are the thresholds
# above which Google takes a partner down (contract 9).
_BUCKETS_S = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.125, 0.25, 0.5, 1, 2, 4, 5)

# Every code that there is, so that even the first failure of a kind is an increase of something.
_CODES = (
    *("OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound"),
    *("AlreadyExists", "PermissionDenied", "ResourceExhausted", "FailedPrecondition", "Aborted"),
    *("OutOfRange", "Unimplemented", "Internal", "Unavailable", "DataLoss", "Unauthenticated"),
)


class MethodCalls:
    """The calls of one unary method."""

    def __init__(self, service: str, method: str) -> None:
        self.labels = ("unary", service, method)
        self.started = 0
        self.received = 0
        self.handled: Counter[str] = Counter(dict.fromkeys(_CODES, 0))
        """By the name of the code: ``OK``, ``Canceled``, ``InvalidArgument``."""
        self.seconds = Distribution(_BUCKETS_S)

    def start(self) -> None:
        """Count a call that has come."""
        self.started += 1

    def receive(self) -> None:
        """Count a message that has come to its end."""
        self.received += 1

    def finish(self, code: str, elapsed_s: float) -> None:
        """Count a call that has its answer."""
        self.handled[code] += 1
        self.seconds.observe(elapsed_s)


class CallMetrics(Collector):
    """Shows what the calls of every method have left; no caller can add a series."""

    def __init__(self) -> None:
        self._methods: dict[tuple[str, str], MethodCalls] = {}

    def of(self, service: str, method: str) -> MethodCalls:
        """Return the calls of a method."""
        name = (service, method)
        if name not in self._methods:
            self._methods[name] = MethodCalls(service, method)
        return self._methods[name]

    def collect(self) -> Iterable[Metric]:
        """Yield every series."""
        started = CounterMetricFamily(
            "grpc_server_started", "RPCs started on the server.", labels=_METHOD
        )
        received = CounterMetricFamily(
            "grpc_server_msg_received", "RPC messages received on the server.", labels=_METHOD
        )
        sent = CounterMetricFamily(
            "grpc_server_msg_sent", "RPC messages sent by the server.", labels=_METHOD
        )
        handled = CounterMetricFamily(
            "grpc_server_handled",
            "RPCs completed on the server, regardless of success or failure.",
            labels=(*_METHOD, "grpc_code"),
        )
        seconds = HistogramMetricFamily(
            "grpc_server_handling_seconds",
            "Response latency of RPCs that the server handled, in seconds.",
            labels=_METHOD,
        )
        for calls in self._methods.values():
            started.add_metric(calls.labels, calls.started)
            received.add_metric(calls.labels, calls.received)
            sent.add_metric(calls.labels, calls.handled["OK"])
            for code, count in calls.handled.items():
                handled.add_metric((*calls.labels, code), count)
            calls.seconds.show(seconds, calls.labels)
        return started, received, sent, handled, seconds


call_metrics = CallMetrics()
REGISTRY.register(call_metrics)
