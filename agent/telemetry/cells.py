"""prometheus_client's metrics with plain numbers in them: a scan counts ten times, and the library locks each time.

They belong to the thread of the event loop. What is hot counts without a call: `counter.value += 1`, `gauge.value = 3`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate

import prometheus_client as library
from prometheus_client.samples import Sample
from prometheus_client.utils import floatToGoString


class Counter(library.Counter):
    """Only grows."""

    value: float

    def _metric_init(self) -> None:
        self.value = 0.0

    def inc(self, amount: float = 1, exemplar: dict[str, str] | None = None) -> None:  # noqa: ARG002 - the library's
        self.value += amount

    def _child_samples(self) -> Iterable[Sample]:
        return (Sample("_total", {}, self.value),)


class Gauge(library.Gauge):
    """Up and down."""

    value: float

    def _metric_init(self) -> None:
        self.value = 0.0

    def inc(self, amount: float = 1) -> None:
        self.value += amount

    def set(self, value: float) -> None:
        self.value = value

    def _child_samples(self) -> Iterable[Sample]:
        return (Sample("", {}, self.value),)


class Histogram(library.Histogram):
    """How many were up to each bound, and their sum."""

    def _metric_init(self) -> None:
        self._total = 0.0
        self._counts = [0] * len(self._upper_bounds)

    def observe(self, amount: float, exemplar: dict[str, str] | None = None) -> None:  # noqa: ARG002 - the library's
        self._total += amount
        self._counts[bisect_left(self._upper_bounds, amount)] += 1

    def _child_samples(self) -> Iterable[Sample]:
        counts = [float(count) for count in accumulate(self._counts)]
        buckets = [
            Sample("_bucket", {"le": floatToGoString(bound)}, count)  # type: ignore[no-untyped-call]
            for bound, count in zip(self._upper_bounds, counts, strict=True)
        ]
        return *buckets, Sample("_count", {}, counts[-1]), Sample("_sum", {}, self._total)
