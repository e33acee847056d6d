"""Alert rules and the dashboard over the same metrics, as far as no promtool is needed; `make check` uses it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from agent.telemetry import metrics
from agent.telemetry.cells import Histogram

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "prometheus"


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((FOLDER / "edge-agent.rules.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def served() -> set[str]:
    """Names as they stand on /metrics."""
    names: set[str] = set()
    for metric in metrics.REGISTRY:
        ends = ("_bucket", "_sum", "_count") if isinstance(metric, Histogram) else ("",)
        names |= {metric.name + end for end in ends}
    return names


def test_rules_ask_for_metrics_that_are_served() -> None:
    """A renamed metric would leave its alert silent for ever."""
    for rule in rules():
        asked = set(re.findall(r"edge_agent_\w+", rule["expr"]))
        assert asked <= served(), rule["alert"]
        assert asked or "up{" in rule["expr"], rule["alert"]


def test_every_alert_tells_what_to_do_and_is_tested() -> None:
    """Summary, description and severity; a line in promtool's tests and in the README."""
    tests, readme = (FOLDER / "edge-agent.rules.test.yaml").read_text(), (FOLDER / "README.md").read_text()
    found = rules()
    for rule in found:
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert rule["annotations"].keys() == {"summary", "description"}
        assert f'alertname="{rule["alert"]}"' in tests
        assert f"`{rule['alert']}`" in readme
    assert len({rule["alert"] for rule in found}) == len(found)


def test_the_dashboard_asks_for_metrics_and_labels_that_are_served() -> None:
    """A renamed metric would leave its panel empty; a label that is not there makes one line of many."""
    dashboard = json.loads((FOLDER.parent / "grafana" / "prometheus" / "metrics.json").read_text())
    labels = {one.name.removesuffix("_total"): {"instance", *one.labelnames} for one in metrics.REGISTRY}
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            asked = set(re.findall(r"edge_agent_\w+", target["expr"]))
            assert asked, panel["title"]
            assert asked <= served(), panel["title"]
            [metric] = {re.sub("_(total|bucket)$", "", name) for name in asked}
            grouped = re.findall(r"by \(([^)]*)\)", target["expr"])
            wanted = {*re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]), *", ".join(grouped).split(", ")} - {
                "",
                "le",
            }
            assert wanted <= labels[metric], panel["title"]
    assert {one["name"] for one in dashboard["templating"]["list"]} == {"source", "instance"}
