"""Our metrics beside prometheus_client's: whoever reads `/metrics` cannot tell them apart."""

from __future__ import annotations

import math
from typing import Any

import prometheus_client as library
import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent.telemetry.cells import BOUNDS, Counter, Family, Gauge, Histogram
from agent.telemetry.exposition import exposition

PIECE = 20
TEXT = "Its text has\na line break and a \\."
NUMBERS = (0, 0.002, 0.0021, 1, 30, 31.5, 123_456_789.25, 1e17, -3, math.inf, -math.inf, math.nan)


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.telemetry.exposition.PIECE", PIECE)


def _twins(devices: int) -> tuple[list[Family], library.CollectorRegistry]:
    """The same, counted in both: nothing, one cell, cells of hostile names, and every kind."""
    registry = library.CollectorRegistry()
    of: dict[str, Any] = {"registry": registry}
    library.disable_created_metrics()
    ours: list[Any] = [
        Gauge("nobody", "Has no samples.", ("device",)),
        Gauge("alone", "Has one sample."),
        Counter("readings_total", TEXT, ("quality", "device")),
        Histogram("seconds", "Sixteen samples a device.", ("device",)),
    ]
    theirs: list[Any] = [
        library.Gauge("nobody", "Has no samples.", ["device"], **of),
        library.Gauge("alone", "Has one sample.", **of),
        library.Counter("readings_total", TEXT, ["quality", "device"], **of),
        library.Histogram("seconds", "Sixteen samples a device.", ["device"], buckets=BOUNDS, **of),
    ]
    for _, alone, readings, seconds in (ours, theirs):
        alone.set(NUMBERS[devices % len(NUMBERS)])
        alone.inc(2)
        for device in range(devices):
            readings.labels("good", f"plc-{device}").inc(device)
            for amount in NUMBERS[: device % len(NUMBERS)]:
                seconds.labels(f'"plc\n\\{device}').observe(amount)
        readings.remove("good", "plc-0")
    return ours, registry


def _without_numbers(text: str) -> list[str]:
    return [line if line.startswith("#") else line.rpartition(" ")[0] for line in text.splitlines()]


def _numbers(text: str) -> list[Any]:
    return [repr(one.value) for family in text_string_to_metric_families(text) for one in family.samples]


@pytest.mark.parametrize("devices", [0, 1, *range(3, 12), PIECE - 1, PIECE, PIECE + 1])
def test_the_same_as_the_library(devices: int) -> None:
    """Names, labels, order, bounds and numbers, whatever ends with a piece; large numbers are spelled Python's way."""
    metrics, registry = _twins(devices)
    ours, theirs = b"".join(exposition(metrics)).decode(), library.generate_latest(registry).decode()
    assert _without_numbers(ours) == _without_numbers(theirs)
    assert _numbers(ours) == _numbers(theirs)


def test_a_piece_is_bounded() -> None:
    """Between two of them the loop goes on: no device waits for all."""
    metrics, _ = _twins(2 * PIECE)
    assert max(piece.count(b"\n") for piece in exposition(metrics)) == PIECE


def test_labels_are_all_or_none() -> None:
    """A cell that could not be told is never made."""
    with pytest.raises(ValueError, match="readings_total has the labels"):
        Counter("readings_total", "", ("device",)).labels("plc", "good")
    with pytest.raises(ValueError, match="alone has the labels"):
        Gauge("alone", "").labels("plc")
    with pytest.raises(ValueError, match="alone has the labels"):
        Gauge("alone", "").labels()
