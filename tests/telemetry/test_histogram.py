"""Our histogram beside the library's."""

import prometheus_client
import pytest
from prometheus_client import REGISTRY

from leasehold.telemetry.histogram import Histogram

LIMITS = (0.25, 1, 5)


@pytest.mark.parametrize("labels", [(), ("kind",)])
def test_histogram_shows_what_the_library_would(labels: tuple[str, ...]) -> None:
    """The same values make the same series, whether below, at or above a limit."""
    ours = Histogram("ours_seconds", "Told.", labels, limits=LIMITS)
    theirs = prometheus_client.Histogram(
        "ours_seconds", "Told.", labels, buckets=LIMITS, registry=None
    )
    try:
        for value in (0, 0.1, 0.25, 0.26, 1, 4.9, 5, 60):
            ours.observe(value, *labels)
            (theirs.labels(*labels) if labels else theirs).observe(value)

        (family,), (expected,) = ours.collect(), theirs.collect()
        assert (family.name, family.documentation, family.type) == (
            expected.name,
            expected.documentation,
            expected.type,
        )
        assert {(s.name, *s.labels.items()): s.value for s in family.samples} == {
            (s.name, *s.labels.items()): s.value
            for s in expected.samples
            if not s.name.endswith("_created")
        }
    finally:
        REGISTRY.unregister(ours)


def test_histogram_without_labels_is_there_from_the_start() -> None:
    """A panel shows nothing rather than a hole before the first value."""
    ours = Histogram("ours_at_rest_seconds", "Told.", limits=LIMITS)
    try:
        (family,) = ours.collect()
        assert len(family.samples) == len(LIMITS) + 3
        assert {sample.value for sample in family.samples} == {0}
    finally:
        REGISTRY.unregister(ours)
