"""The conventions of Prometheus, held by every metric of the table."""

from __future__ import annotations

import re

import pytest

from agent.telemetry import metrics
from agent.telemetry.cells import Counter, Family, Gauge, Histogram

TABLE = {name: metric for name, metric in vars(metrics).items() if isinstance(metric, Family)}


def test_table_is_complete():
    """Every metric of the registry is a constant of the module, so nothing is registered elsewhere."""
    assert list(TABLE.values()) == metrics.REGISTRY


@pytest.mark.parametrize("name", TABLE)
def test_names(name):
    """Prefix, snake case, base units; `_total` is the counters' alone."""
    metric = TABLE[name]
    full = metric.name.removesuffix("_total")
    assert re.fullmatch(r"edge_agent_[a-z0-9]+(_[a-z0-9]+)*", full)
    assert not re.search(r"_(ms|milliseconds|minutes|kb|kib|mb|percent|total)$", full)
    assert (full != metric.name) == isinstance(metric, Counter)
    assert metric.text.endswith(".")


@pytest.mark.parametrize("name", TABLE)
def test_labels(name):
    """Few labels, of low cardinality: never a tag, an address or a node."""
    assert set(TABLE[name].labelnames) <= {
        "device", "publisher", "component", "quality", "code", "reason", "result", "version", "hash", "certificate",
        "source",
    }  # fmt: skip


@pytest.mark.parametrize("name", [name for name, metric in TABLE.items() if isinstance(metric, Histogram)])
def test_histograms_measure_seconds(name):
    """A histogram is a duration in seconds."""
    assert TABLE[name].name.endswith("_seconds")


@pytest.mark.parametrize("name", [name for name, metric in TABLE.items() if isinstance(metric, Gauge)])
def test_instants_not_ages(name):
    """A gauge in seconds is an instant, or a difference that has no instant."""
    full = TABLE[name].name
    if full.endswith("_seconds"):
        kinds = ("timestamp", "lag", "skew", "offset", "period", "left")
        assert full.endswith(tuple(f"_{kind}_seconds" for kind in kinds))
