import re
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import REGISTRY
from prometheus_client.core import Metric

from leasehold.telemetry import calls, metrics

DOCUMENT = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
OURS = ("leasehold_", "grpc_server_")

# What may tell series apart: of each there are a few values, which the code knows.
LABELS = {
    *("grpc_type", "grpc_service", "grpc_method", "grpc_code"),
    *("api", "operation", "outcome"),
    *("reason", "script", "name", "state", "listener", "version"),
}


def families() -> Iterator[tuple[Metric, tuple[str, ...]]]:
    """Yield every metric of ours with the names of its labels."""
    assert {metrics.ready, calls.call_metrics} <= REGISTRY._collector_to_names.keys()
    for collector in list(REGISTRY._collector_to_names):
        for family in collector.collect():
            if family.name.startswith(OURS):
                labels = getattr(family, "_labelnames", getattr(collector, "_labelnames", ()))
                yield family, tuple(labels)


def exposed_name(family: Metric) -> str:
    """Return the name that people query."""
    return f"{family.name}_total" if family.type == "counter" else family.name


def metrics_table() -> str:
    """Write the table of docs/metrics.md from the registry."""
    rows = [
        f"| `{exposed_name(family)}` | {family.type} |"
        f" {', '.join(f'`{label}`' for label in labels)} | {family.documentation} |"
        for family, labels in families()
    ]
    return "\n".join(
        ["| metric | type | labels | meaning |", "| --- | --- | --- | --- |", *sorted(rows)]
    )


def test_metrics_document_lists_every_metric_as_it_is() -> None:
    """Names, types, labels and meanings are those of the code."""
    assert metrics_table() in DOCUMENT


def test_labels_are_few_and_known() -> None:
    """A label whose values callers choose would be a series for each of them."""
    assert {label for _, labels in families() for label in labels} <= LABELS


def test_every_label_is_explained() -> None:
    """The document says what values a label can have."""
    explained = re.findall(r"^- (`.+?`):", DOCUMENT, re.MULTILINE)
    assert {label for each in explained for label in re.findall(r"`(\w+)`", each)} == LABELS
