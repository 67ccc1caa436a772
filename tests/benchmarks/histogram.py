"""Latencies in buckets, and their percentiles."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many calls took how long."""

    buckets: tuple[tuple[int, int], ...]
    """The highest nanoseconds of a bucket and how many calls fell into it, in order."""
    max_ns: int

    @classmethod
    def of(cls, values_ns: Iterable[int]) -> Self:
        """Return a histogram with a bucket for every value."""
        buckets = tuple(sorted(Counter(values_ns).items()))
        return cls(buckets, buckets[-1][0] if buckets else 0)

    def percentile_ms(self, percent: float) -> float:
        """Return the time within which so many percent of the calls ended, in milliseconds.

        Never told too low: it is the upper end of a bucket, or the slowest call.
        """
        total = sum(count for _, count in self.buckets)
        wanted = math.ceil(total * percent / 100)
        seen = 0
        for highest_ns, count in self.buckets:
            seen += count
            if seen >= wanted:
                return min(highest_ns, self.max_ns) / 1e6
        return self.max_ns / 1e6
