"""Counters, gauges and histograms as Prometheus has them, with plain numbers in them: a scan counts ten times.

They belong to the thread of the event loop. What is hot counts without a call: `counter.value += 1`, `gauge.value = 3`.
Without prometheus_client, which locks each number and brings an HTTP server and client along: 2.5 MB of a gateway.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from math import inf
from typing import Any, NamedTuple, Self

#: What histograms are divided by, seconds.
BOUNDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, inf)


class Series(NamedTuple):
    """One line of `/metrics`."""

    name: str
    labels: dict[str, str]
    value: float


_NONE: dict[tuple[str, ...], Any] = {}


class Family(ABC):
    """A name and what it means: with labels a cell for each combination of their values, without it is its own cell."""

    __slots__ = ("cells", "labelnames", "name", "text")
    kind = ""

    def __init__(self, name: str, text: str, labelnames: tuple[str, ...] = ()) -> None:
        self.name, self.text, self.labelnames = name, text, labelnames
        self.cells: dict[tuple[str, ...], Self] = {} if labelnames else _NONE

    def labels(self, *values: str) -> Self:
        """The cell of these values; made where there is none."""
        if (cell := self.cells.get(values)) is None:
            if not values or len(values) != len(self.labelnames):
                raise ValueError(f"{self.name} has the labels {self.labelnames}, not {values}")
            cell = self.cells[values] = type(self)(self.name, self.text)
        return cell

    def remove(self, *values: str) -> None:
        """No cell of these values from now on."""
        self.cells.pop(values, None)

    def series(self) -> Iterator[Series]:
        """All there is to tell now."""
        if not self.labelnames:
            yield from self.told({})
        for values, cell in tuple(self.cells.items()):
            yield from cell.told(dict(zip(self.labelnames, values, strict=True)))

    @abstractmethod
    def told(self, labels: dict[str, str]) -> Sequence[Series]:
        """What a cell of these labels tells."""


class _Number(Family):
    __slots__ = ("value",)

    def __init__(self, name: str, text: str, labelnames: tuple[str, ...] = ()) -> None:
        super().__init__(name, text, labelnames)
        self.value = 0.0

    def inc(self, amount: float = 1) -> None:
        """So many more."""
        self.value += amount

    def told(self, labels: dict[str, str]) -> Sequence[Series]:
        return (Series(self.name, labels, self.value),)


class Counter(_Number):
    """Only grows."""

    __slots__ = ()
    kind = "counter"


class Gauge(_Number):
    """Up and down."""

    __slots__ = ()
    kind = "gauge"

    def set(self, value: float) -> None:
        """It is so much now."""
        self.value = value


class Histogram(Family):
    """How many were up to each bound, and their sum."""

    __slots__ = ("_counts", "_sum")
    kind = "histogram"

    def __init__(self, name: str, text: str, labelnames: tuple[str, ...] = ()) -> None:
        super().__init__(name, text, labelnames)
        self._sum, self._counts = 0.0, [0] * len(BOUNDS)

    def observe(self, amount: float) -> None:
        """One more, so large."""
        self._sum += amount
        self._counts[bisect_left(BOUNDS, amount)] += 1

    def told(self, labels: dict[str, str]) -> Sequence[Series]:
        counts = tuple(accumulate(self._counts))
        buckets = [
            Series(f"{self.name}_bucket", labels | {"le": number(bound)}, count)
            for bound, count in zip(BOUNDS, counts, strict=True)
        ]
        return *buckets, Series(f"{self.name}_count", labels, counts[-1]), Series(f"{self.name}_sum", labels, self._sum)


def number(value: float) -> str:
    """As Prometheus reads it."""
    text = repr(float(value))
    return {"inf": "+Inf", "-inf": "-Inf", "nan": "NaN"}.get(text, text)
