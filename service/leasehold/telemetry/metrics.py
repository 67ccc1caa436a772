"""Every metric of the service but those of calls. Base units, and no ids in labels."""

from functools import cache

from prometheus_client import Counter, Gauge, disable_created_metrics

from leasehold.model.errors import StoreTrouble
from leasehold.telemetry.histogram import Histogram

# A second series beside every counter, for nobody.
disable_created_metrics()  # type: ignore[no-untyped-call]

outcomes = Counter(
    "leasehold_outcomes_total",
    "Answers of the store to operations, by what became of them.",
    ["api", "operation", "outcome"],
)


@cache
def outcome(api: str, operation: str, outcome: str) -> Counter:
    """Return the count of one outcome; to look it up each time costs more than to count."""
    return outcomes.labels(api, operation, outcome)


store_troubles = Counter(
    "leasehold_store_troubles_total",
    "Calls that failed because the store gave no answer, by reason.",
    ["reason"],
)
for _reason in StoreTrouble:
    # Alerts ask for an increase, and what begins at 1 has had none.
    store_troubles.labels(_reason.value)

script_seconds = Histogram(
    "leasehold_script_seconds",
    "Time until a script's answer counted: in the queue, in the store and for its replicas.",
    ["script"],
    # A script takes a hundredth of a millisecond, its way a few tenths; LEASEHOLD_REDIS_TIMEOUT_S
    # (0.5) ends what is silent, and a queue or a failover may take up to the call's own 3 s.
    limits=(
        0.00025,
        0.0005,
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
        3,
    ),
)
lease_seconds = Histogram(
    "leasehold_lease_lifetime_seconds",
    "For how long new leases were granted; a repeat grants nothing new.",
    # From LEASEHOLD_MIN_LEASE_S (1) to LEASEHOLD_MAX_LEASE_S (900), closest where a checkout ends.
    limits=(1, 10, 30, 60, 120, 180, 240, 300, 420, 600, 750, 900),
)
replica_wait_seconds = Histogram(
    "leasehold_replica_wait_seconds",
    "How long answers waited for LEASEHOLD_REPLICA_ACKS, shortfalls included.",
    # A replica nearby needs one round trip; LEASEHOLD_REPLICA_ACK_TIMEOUT_S (0.5) ends the wait.
    limits=(0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.125, 0.25, 0.5, 1),
)
link_in_flight = Gauge(
    "leasehold_link_in_flight",
    "Commands to the store that wait, are in flight or pause before a repeat.",
)
link_limit = Gauge(
    "leasehold_link_max_in_flight",
    "LEASEHOLD_REDIS_MAX_IN_FLIGHT: so many may be in flight, and more calls are refused.",
)
link_resent = Counter(
    "leasehold_link_resent_total",
    "Commands sent to the store again, because the answer was lost or the trouble could pass.",
)
link_reconnects = Counter(
    "leasehold_link_reconnects_total",
    "Connections to the store that took the place of a lost one.",
)
replica_shortfalls = Counter(
    "leasehold_replica_shortfalls_total",
    "Answers withheld because too few replicas had what they told of.",
)
lists_cut = Counter(
    "leasehold_booking_lists_cut_total",
    "Answers to ListBookings that leave out later bookings, because the user has more than 1000.",
)
records_left_out = Counter(
    "leasehold_records_left_out_total",
    "Leases and bookings that lists leave out, because only a later release can read them.",
)
finding = Gauge(
    "leasehold_finding",
    "1 for the state (ok, warning, failed) that a finding is in; /readyz?verbose tells more.",
    ["name", "state"],
)
data_losses = Counter(
    "leasehold_data_losses_total",
    "How often this process has noticed that the store lost data, or went back in time.",
)
quarantine_remaining = Gauge(
    "leasehold_quarantine_remaining_seconds",
    "For how much longer nothing new is held or booked after a loss of data; 0 without quarantine.",
)
clock_step_remaining = Gauge(
    "leasehold_clock_step_remaining_seconds",
    "For how much longer nothing new is held after a step of the store's clock; 0 without one.",
)
feed_oldest_age = Gauge(
    "leasehold_feed_oldest_age_seconds",
    "How old the newest feed is of the merchant whose newest feed is the oldest; 0 without any.",
)
feeds_old = Gauge(
    "leasehold_feeds_old",
    "Merchants whose newest feed is older than 26 hours; /readyz?verbose names three.",
)
ready = Gauge("leasehold_ready", "1 while this process wants calls, else 0.")
build_info = Gauge("leasehold_build_info", "Always 1; the labels tell the build.", ["version"])
certificate_expires = Gauge(
    "leasehold_certificate_expires_timestamp_seconds",
    "When the certificate that a listener shows ends, as seconds since 1970.",
    ["listener"],
)
credential_reload_failures = Counter(
    "leasehold_credential_reload_failures_total",
    "Looks, one a second, at files of certificates or tokens that could not be used.",
    ["listener"],
)
ops_connections_cut = Counter(
    "leasehold_ops_connections_cut_total",
    "Connections to ops HTTP that were ended without an answer of a page, by reason.",
    ["reason"],
)
for _ending in ("malformed", "late", "displaced"):
    ops_connections_cut.labels(_ending)
