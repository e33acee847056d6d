"""Nodes nobody here wrote: what may be done in several ways is right in each."""

from __future__ import annotations

from typing import Any

from agent.consumer.sparkplug.monitor import Monitor
from agent.encoders.sparkplug.schema import Payload

NOW = 1_763_760_000_000
ALIAS_ONLY = "payloads-alias-data-cmd-requirement"


def payload(seq: int, *metrics: dict[str, Any]) -> bytes:
    message = Payload(timestamp=NOW, seq=seq)
    for metric in metrics:
        message.metrics.add(timestamp=NOW, **metric)
    return bytes(message.SerializeToString())


BIRTH = (
    {"name": "bdSeq", "datatype": 4, "long_value": 0},
    {"name": "Node Control/Rebirth", "datatype": 11, "boolean_value": False},
    {"name": "Node Control/Scan Rate", "datatype": 3, "int_value": 1000},
    {"name": "load", "alias": 7, "datatype": 10, "double_value": 0.5},
)


def judged(*data: dict[str, Any]) -> list[str]:
    monitor = Monitor(lambda: NOW)
    monitor.published("spBv1.0/plant/NBIRTH/other", payload(0, *BIRTH))
    monitor.published("spBv1.0/plant/NDATA/other", payload(1, *data))
    return [one.statement for one in monitor.ledger.violations()]


def test_what_has_no_alias_is_said_by_name():
    """Node controls never get one; the other metrics of such a node have theirs."""
    control = {"name": "Node Control/Scan Rate", "int_value": 500}
    assert judged(control, {"alias": 7, "double_value": 0.6}) == []


def test_what_has_an_alias_is_not_said_by_name():
    """Neither beside the alias nor instead of it."""
    assert judged({"name": "load", "double_value": 0.6}) == [ALIAS_ONLY]
    assert judged({"name": "load", "alias": 7, "double_value": 0.6}) == [ALIAS_ONLY]
