"""docs/events.md and docs/metrics.md, made from the tables: `python -m agent.telemetry.reference docs`.

A test holds the files against what this would write.
"""

from __future__ import annotations

import sys
from pathlib import Path

from agent.telemetry.events import EVENTS
from agent.telemetry.metrics import REGISTRY

_MADE = "<!-- Made by `python -m agent.telemetry.reference docs`; edit the tables in agent/telemetry instead. -->"


def events_page() -> str:
    """The catalogue of log events as Markdown, component by component."""
    lines = [
        "# Log events",
        "",
        _MADE,
        "",
        "Every line of the log is one JSON object on standard output: `ts` (UTC, ISO 8601), `level`, `event` (one of",
        "the names below), `component`, and its own fields. State changes are logged once; repeats are counted in",
        "`repeats` and logged at most once a minute, after ten minutes every ten. What comes and goes is logged three",
        "times a minute at most: the end wherever the beginning was. Readings are never logged.",
    ]
    lines += ["", "## What to do", "", "Errors first. What is not listed here heals by itself, or only tells.", ""]
    lines += ["| event | what to do |", "|---|---|"]
    urgent = [(name, event) for name, event in EVENTS.items() if event.remedy]
    for name, event in sorted(urgent, key=lambda one: one[1].level != "error"):
        lines.append(f"| `{name}` | {event.remedy} |")
    part = ""
    for name, event in EVENTS.items():
        if name.partition(".")[0] != part:
            part = name.partition(".")[0]
            lines += ["", f"## {part}", "", "| event | level | meaning |", "|---|---|---|"]
        lines.append(f"| `{name}` | {event.level} | {event.meaning} |")
    return "\n".join(lines) + "\n"


def metrics_page() -> str:
    """Every metric as Markdown."""
    lines = [
        "# Metrics",
        "",
        _MADE,
        "",
        "Served at `/metrics` in the Prometheus text format. Labelled by device, publisher, component or reason, never",
        "by tag. Instants instead of ages: alert on `time() - edge_agent_device_last_good_timestamp_seconds`.",
        "",
        "| metric | type | labels | meaning |",
        "|---|---|---|---|",
    ]
    for metric in REGISTRY:
        labels = ", ".join(f"`{label}`" for label in metric.labelnames)
        lines.append(f"| `{metric.name}` | {metric.kind} | {labels} | {metric.text} |")
    return "\n".join(lines) + "\n"


PAGES = {"events.md": events_page, "metrics.md": metrics_page}


def main(folder: str) -> None:
    """Write both pages into `folder`."""
    for name, page in PAGES.items():
        (Path(folder) / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
