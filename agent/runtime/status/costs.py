"""What something wrong costs, in figures: words are added where they are shown, in the language of the reader. Pure.

Each cost has a `kind` and the figures that belong to it (agent/web/schema/status.py); one that is not known is null.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Costs = list[dict[str, Any]]
_Part = Mapping[str, Any]


def of_device(device: _Part) -> Costs:
    """A device that is lost, late, or has bad tags."""
    costs: Costs = []
    if device["state"] == "offline":
        costs += no_value(device)
    elif device["achieved_ms"] is not None and device["interval_ms"] is not None:
        costs.append({"kind": "late", "ms": device["achieved_ms"], "expected_ms": device["interval_ms"]})
    if device["tags_bad"] and device["state"] != "offline":
        costs.append({"kind": "bad_tags", "count": device["tags_bad"], "of": device["tags"]})
    return costs


def no_value(device: _Part) -> Costs:
    """A device that does not answer."""
    return [{"kind": "no_value", "since": device["last_good"]}]


def of_bus(devices: int, last_good: int | None) -> Costs:
    """A bus behind which so many devices are lost."""
    return [{"kind": "devices", "count": devices}, {"kind": "no_value", "since": last_good}]


def waiting(publisher: _Part) -> Costs:
    """Of a publisher that is away."""
    costs: Costs = [{"kind": "waiting", "count": publisher["records"], "since": publisher["oldest"]}]
    return costs if publisher["full"] else costs + room(publisher)


def room(publisher: _Part) -> Costs:
    """Until something is lost, where that is known."""
    seconds = publisher["room_seconds"]
    return [] if seconds is None else [{"kind": "room", "seconds": seconds}]


def lost(publisher: _Part) -> Costs:
    """What has been dropped."""
    gone = publisher["lost"]
    return [{"kind": "lost", "count": gone["records"], "readings": gone["readings"], "since": gone["from"]}]


def one(kind: str, count: int | None = None) -> Costs:
    """A cost with one figure, or none."""
    return [{"kind": kind} if count is None else {"kind": kind, "count": count}]
