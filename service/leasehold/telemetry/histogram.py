"""Histograms of the one thread that serves: plain numbers, shown when Prometheus asks.

Those of prometheus_client take a lock for each bucket and sum, and every call would pay for it.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate

from prometheus_client import REGISTRY
from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector


class Distribution:
    """How often values fell between limits, which ascend, and their sum."""

    __slots__ = ("_by_bucket", "_limits", "_sum")

    def __init__(self, limits: Sequence[float]) -> None:
        self._limits = limits
        self._sum = 0.0
        self._by_bucket = [0] * (len(limits) + 1)

    def observe(self, value: float) -> None:
        """Count a value; one that is a limit lies below it."""
        self._sum += value
        self._by_bucket[bisect_left(self._limits, value)] += 1

    def show(self, family: HistogramMetricFamily, labels: Sequence[str]) -> None:
        """Add what has been counted as one series of each bucket."""
        limits = (*(str(float(limit)) for limit in self._limits), "+Inf")
        buckets = list(zip(limits, accumulate(self._by_bucket), strict=True))
        family.add_metric(labels, buckets, self._sum)


class Histogram(Collector):
    """A metric with a distribution for each set of labels, of which there must be few.

    Without labels it is there from the start.
    """

    def __init__(
        self, name: str, documentation: str, labels: Sequence[str] = (), *, limits: Sequence[float]
    ) -> None:
        self._name = name
        self._documentation = documentation
        self._labels = labels
        self._limits = limits
        self._by_labels: dict[tuple[str, ...], Distribution] = {}
        if not labels:
            self._by_labels[()] = Distribution(limits)
        REGISTRY.register(self)

    def observe(self, value: float, *labels: str) -> None:
        """Count a value."""
        found = self._by_labels.get(labels)
        if found is None:
            found = self._by_labels[labels] = Distribution(self._limits)
        found.observe(value)

    def collect(self) -> Iterable[Metric]:
        """Yield every series."""
        family = HistogramMetricFamily(self._name, self._documentation, labels=self._labels)
        for labels, found in self._by_labels.items():
            found.show(family, labels)
        return (family,)
