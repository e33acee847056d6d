"""Messages of strangers: what cannot be an agent's is refused before a database sees it."""

from __future__ import annotations

from typing import Any

import pytest

from agent.historian.contents import MOST_READINGS, MOST_TAGS, RefusedError, read
from agent.historian.items import AgentClaim, DeviceState
from agent.historian.stores import tags
from agent.historian.stores.tags import TagCache
from tests.support.historian import NOW, PATH, envelope, message, reading, status

ONE = {"tag": "t", "value": 1, "ts": 0, "quality": "good"}
LOST = {"id": "g", "kind": "lost", "from_ts": 0, "to_ts": 0, "reason": "r", "agent": "gw-01"}
AGENT = {"state": "online", "session": "s"}


@pytest.mark.parametrize(
    ("document", "topic", "reason"),
    [
        (envelope(readings=[ONE] * (MOST_READINGS + 1)), f"{PATH}/readings", "too_large"),
        ({"version": 1, "tags": [{"tag": "t"}] * (MOST_TAGS + 1)}, f"{PATH}/tags", "too_large"),
        (envelope() | {"schema": "x" * 300_000}, f"{PATH}/readings", "too_large"),
        (LOST | {"readings": -5}, f"{PATH}/gaps", "undecodable"),
        (
            {"state": "online", "session": "s", "scans": {"due": 9, "done": -1, "late": 0}},
            f"{PATH}/status",
            "undecodable",
        ),
        (AGENT | {"publisher": "x" * 600}, "edge/agents/gw-01/status", "undecodable"),
        (AGENT | {"config": {"effective": "x" * 600}}, "edge/agents/gw-01/status", "undecodable"),
    ],
)
def test_what_no_agent_publishes_is_refused(document, topic, reason):
    """By its reason, which is a counter."""
    with pytest.raises(RefusedError) as refused:
        read(message(document, topic))
    assert refused.value.reason == reason


def test_of_earlier_epochs_as_many_are_taken_as_an_agent_names():
    """Each is a row: a status of 3 MB made 100,000 of them in one transaction, which took 5.5 s."""
    before = [{"epoch": f"E{number}", "next": 9} for number in range(100)]
    claims = status(
        AGENT | {"streams": {"d": {"epoch": "E", "low": 1, "next": 5, "before": before}}}, "edge/agents/gw-01/status"
    )
    (claim,) = [item for item in claims if isinstance(item, AgentClaim)]
    assert [ended.epoch for ended in claim.before] == [f"E{number}" for number in range(8)]


def test_tags_without_end_are_not_all_remembered(monkeypatch):
    """A device that has another tag in each record costs no memory; only rows of its name are asked for."""
    monkeypatch.setattr(tags, "MOST_KNOWN", 100)
    rows: dict[tuple[str, str | None], int] = {}
    asked: list[int] = []
    cache = TagCache()

    def load(_path: str, _device: str, names: list[str]) -> list[tuple[int, str, str | None]]:
        asked.append(len(names))
        return [(number, name, unit) for (name, unit), number in rows.items() if name in names]

    def make(_path: str, _device: str, name: str, unit: str | None, _ts: int) -> int:
        return rows.setdefault((name, unit), len(rows) + 1)

    def ids(path: str, *names: str, **more: Any) -> list[int]:
        found = cache.ids([reading(tag=name, **more) for name in names], path, "d", load, make)
        cache.settle()
        return found

    assert ids("p", "a", "b", "a") == [1, 2, 1]
    for number in range(99):
        ids("q", f"t{number}")
    assert ids("p", "a") == [1]  # forgotten, and looked up again
    assert ids("p", "a", unit="bar") == [rows["a", "bar"]]
    assert ids("p", "a", unit=None, value=None) == [1]
    assert set(asked) == {1, 2}


@pytest.mark.parametrize(
    ("ts", "at"),
    [
        pytest.param(NOW - 3_600_000, NOW - 3_600_000, id="it waited at the broker"),
        pytest.param(NOW + 5_000, NOW, id="a clock that is fast"),
        pytest.param(1_000, NOW, id="a clock that is not set"),
        pytest.param(None, NOW, id="an agent that does not tell"),
    ],
)
def test_a_status_counts_from_when_it_was_said(ts, at):
    """A consumer that was away gets it hours later, maybe behind midnight."""
    (state,) = read(message({"state": "online", "session": "s", "ts": ts}, f"{PATH}/status"))
    assert isinstance(state, DeviceState)
    assert state.at == at
