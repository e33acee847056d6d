"""The conventions of Prometheus, held by every metric of the table."""

from __future__ import annotations

import re
from typing import Any

import pytest
from prometheus_client import Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics import MetricWrapperBase

from agent.telemetry import metrics

TABLE = {name: metric for name, metric in vars(metrics).items() if isinstance(metric, MetricWrapperBase)}


def said(metric: MetricWrapperBase) -> tuple[str, str, str]:
    """Name, type and text as served."""
    (family,) = metric.describe()
    return family.name, family.type, family.documentation


def test_table_is_complete():
    """Every metric of the registry is a constant of the module, so nothing is registered elsewhere."""
    registered = set(metrics.REGISTRY._collector_to_names)
    assert registered == set(TABLE.values())


@pytest.mark.parametrize("name", TABLE)
def test_names(name):
    """Prefix, snake case, base units; `_total` is the counters' alone."""
    full, _, text = said(TABLE[name])
    assert re.fullmatch(r"edge_agent_[a-z0-9]+(_[a-z0-9]+)*", full)
    assert not re.search(r"_(ms|milliseconds|minutes|kb|kib|mb|percent|total)$", full)
    assert text.endswith(".")


@pytest.mark.parametrize("name", TABLE)
def test_labels(name):
    """Few labels, of low cardinality: never a tag, an address or a node."""
    assert set(TABLE[name]._labelnames) <= {
        "device", "publisher", "component", "quality", "code", "reason", "result", "version", "hash", "certificate",
        "source",
    }  # fmt: skip


@pytest.mark.parametrize("name", [name for name, metric in TABLE.items() if isinstance(metric, Histogram)])
def test_histograms_measure_seconds(name):
    """A histogram is a duration in seconds."""
    assert said(TABLE[name])[0].endswith("_seconds")


@pytest.mark.parametrize("name", [name for name, metric in TABLE.items() if isinstance(metric, Gauge)])
def test_instants_not_ages(name):
    """A gauge in seconds is an instant, or a difference that has no instant."""
    full = said(TABLE[name])[0]
    if full.endswith("_seconds"):
        kinds = ("timestamp", "lag", "skew", "offset", "period", "left")
        assert full.endswith(tuple(f"_{kind}_seconds" for kind in kinds))


def test_counters_have_no_series_beside_them():
    """`_created` series double what is stored and tell nobody anything."""
    metrics.BUGS.labels("test").inc()
    assert b"_created" not in generate_latest(metrics.REGISTRY)


def test_the_short_ways_count_as_the_library_does() -> None:
    """Ours are plain numbers; what is exposed is the same, at the bounds of a histogram, too."""
    keys: dict[str, Any] = {"labelnames": ("device",), "registry": None}
    pairs = (
        (metrics.REQUESTS, Counter("edge_agent_requests", "", **keys), "inc"),
        (metrics.TAGS_BAD, Gauge("edge_agent_tags_bad", "", **keys), "set"),
        (metrics.SCAN_SECONDS, Histogram("edge_agent_scan_seconds", "", buckets=metrics._SECONDS, **keys), "observe"),
    )
    for ours, theirs, count in pairs:
        for amount in (0, 0.002, 0.0021, 1, 30, 31.5):
            getattr(ours.labels("twin"), count)(amount)
            getattr(theirs.labels("twin"), count)(amount)
        found = [sample for metric in ours.collect() for sample in metric.samples if sample.labels["device"] == "twin"]
        assert found == [sample for metric in theirs.collect() for sample in metric.samples]
    metrics.forget("device", "twin")
