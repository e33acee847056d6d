"""Messages as a consumer reads them, of this agent and of older ones."""

from __future__ import annotations

import json

import pytest

from agent.consumer.contract import AgentStatus, UndecodableError, decode

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
