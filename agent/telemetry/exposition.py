"""Metrics as the text that Prometheus reads, in pieces: those of 500 devices take a tenth of a second to write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from agent.telemetry.cells import Family, Series, number

#: Lines that are written at a stretch: 3 ms.
PIECE = 500


def exposition(metrics: Iterable[Family]) -> Iterator[bytes]:
    """Version 0.0.4 of the format. Whoever has something else to do does it between two pieces."""
    for metric in metrics:
        yield f"# HELP {metric.name} {_escaped(metric.text)}\n# TYPE {metric.name} {metric.kind}\n".encode()
        series = metric.series()
        while piece := "".join(map(_spelled, islice(series, PIECE))):
            yield piece.encode()


def _spelled(series: Series) -> str:
    labels = ",".join(f'{name}="{_quoted(value)}"' for name, value in sorted(series.labels.items()))
    return f"{series.name}{labels and f'{{{labels}}}'} {number(series.value)}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")


def _quoted(text: str) -> str:
    return _escaped(text).replace('"', r"\"")
