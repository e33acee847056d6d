"""The alert rules of deploy/prometheus, as far as no promtool is needed; `make check` runs theirs with it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from prometheus_client import Counter, Histogram

from agent.telemetry import metrics

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "prometheus"


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((FOLDER / "edge-agent.rules.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def served() -> set[str]:
    """Names as they stand on /metrics."""
    names: set[str] = set()
    for metric, _ in metrics._LABELLED:
        (family,) = metric.describe()
        if isinstance(metric, Histogram):
            names |= {f"{family.name}_{end}" for end in ("bucket", "sum", "count")}
        else:
            names.add(family.name + ("_total" if isinstance(metric, Counter) else ""))
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
