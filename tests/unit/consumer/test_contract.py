"""Messages as a consumer reads them, of this agent and of older ones."""

from __future__ import annotations

import json

import pytest

from agent.consumer.contract import SCHEMA, AgentStatus, Readings, UndecodableError, decode

TOPIC = "edge/agents/gw/status"


@pytest.mark.parametrize(
    "config",
    ["abc", {"effective": "abc", "attempted": "def", "error": "why"}, {"effective": "abc"}],
    ids=["before 0.2", "object", "object of few words"],
)
def test_the_configuration_of_old_and_new_agents(config):
    """The status of an agent before 0.2 says a hash, later ones an object: both tell which configuration runs."""
    status = decode(TOPIC, json.dumps({"state": "online", "session": "S", "config": config}).encode())
    assert isinstance(status, AgentStatus)
    assert status.effective == "abc"


def test_a_will_says_nothing_of_it():
    """State and session are all a will carries."""
    status = decode(TOPIC, b'{"state": "offline", "session": "S"}')
    assert isinstance(status, AgentStatus)
    assert status.effective is None


def test_neither_of_the_two():
    """A configuration that is neither text nor object is not of the contract."""
    with pytest.raises(UndecodableError):
        decode(TOPIC, b'{"state": "online", "session": "S", "config": 5}')


def _readings(**other: object) -> bytes:
    one = {"tag": "t", "value": 1, "ts": 0, "quality": "good"}
    record = {"schema": SCHEMA, "agent": "a", "device": "d", "epoch": "E", "seq": 1, "low": 1, "ts": 0}
    return json.dumps(record | {"cat": 1, "readings": [one]} | other).encode()


def test_what_no_agent_says_is_not_taken_for_true() -> None:
    """A part of 10^12 would be listed one by one, and a time beyond every calendar cannot be shown."""
    assert isinstance(decode("edge/d/readings", _readings(part=[1, 10_000])), Readings)
    beyond = 253_402_300_800_000
    late = [{"tag": "t", "value": 1, "ts": beyond, "quality": "good"}]
    for other in ({"part": [1, 10**12]}, {"ts": 10**18}, {"readings": late}, {"ts": -(10**30)}):
        with pytest.raises(UndecodableError):
            decode("edge/d/readings", _readings(**other))
    gap = {"id": "1", "kind": "down", "from_ts": 0, "to_ts": beyond, "reason": ""}
    with pytest.raises(UndecodableError, match="a time beyond every calendar"):
        decode("edge/d/gaps", json.dumps(gap).encode())
