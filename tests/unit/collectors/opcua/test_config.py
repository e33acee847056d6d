from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from agent.collectors.opcua.config import OpcUaConfig
from tests.support.processes import ROOT

BASE: dict[str, Any] = {"type": "opcua", "url": "opc.tcp://127.0.0.1:4840", "tags": {"a": {"node": "ns=2;s=A"}}}


def read(**changes: Any) -> OpcUaConfig:
    return OpcUaConfig.model_validate({**BASE, **changes})


def test_defaults_are_those_of_the_reference() -> None:
    """A url and a node are all that is needed."""
    made = read()
    assert (made.mode, made.interval, made.timeout) == ("subscribe", 1.0, 5.0)
    assert (made.clock.use, made.clock.utc_offset, made.clock.max_skew) == ("source", 0.0, 5.0)
    assert list(made.tag_table) == ["a"]
    assert made.catalogue()[0].interval == 1000


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"url": "http://plc:4840"}, "opc.tcp://HOST:4840"),
        ({"url": "opc.tcp://"}, "opc.tcp://HOST:4840"),
        ({"url": "opc.tcp://plc:99999"}, "opc.tcp://HOST:4840"),
        ({"url": "opc.tcp://user:word@plc:4840"}, "does not belong into the url"),
        ({"mode": "push"}, "'subscribe' or 'poll'"),
        ({"interval": 1}, "250ms, 1s"),
        ({"clock": {"utc_offset": 8}}, "+08:00"),
        ({"clock": {"utc_offset": "8h"}}, "+08:00"),
        ({"clock": {"use": "mine"}}, "'source' or 'agent'"),
        ({"tags": {"a": {"node": "A"}}}, "is not a node id"),
        ({"tags": {"a": {"node": "i=1", "queue_size": 0}}}, "greater than or equal to 1"),
        ({"tags": {"a": {"address": "holding:0"}}}, "address"),
        ({"unit_id": 1}, "unit_id"),
    ],
)
def test_mistakes_are_named(change: dict[str, Any], words: str) -> None:
    """Each mistake says what to write instead."""
    with pytest.raises(ValidationError) as caught:
        read(**change)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"security": {"policy": "Basic256Sha256", "mode": "SignAndEncrypt"}}, "asked for: mode, policy"),
        ({"security": {"mode": "Sign"}}, "asked for: mode"),
        ({"security": {"certificate": "own.der"}}, "asked for: certificate"),
        ({"security": {"server_certificate": "cnc.der"}}, "asked for: server_certificate"),
        ({"username": "agent"}, "encrypted channel"),
        ({"password_file": "/run/secrets/cnc"}, "encrypted channel"),
    ],
)
def test_security_that_does_not_exist_yet_is_refused(change: dict[str, Any], words: str) -> None:
    """What cannot be done safely in this version is refused, never ignored."""
    with pytest.raises(ValidationError) as caught:
        read(**change)
    assert words in str(caught.value)


def test_no_security_may_be_said_aloud() -> None:
    """`{policy: None, mode: None}` is what there is."""
    assert read(security={"policy": "None", "mode": "None"}).security is not None
    assert read(security=None).security is None


def test_a_configuration_survives_being_written_down() -> None:
    """What is dumped is read again as the same."""
    made = read(clock={"utc_offset": "-05:30", "max_skew": "2s"}, interval="250ms")
    assert OpcUaConfig.model_validate(made.model_dump(exclude_none=True)) == made


def test_the_library_is_not_imported_before_a_device_is_opened() -> None:
    """Reading a configuration and building its collector costs no asyncua (41 MB)."""
    program = """
import sys
from agent.collectors.opcua.config import OpcUaConfig
from agent.testing.site import SimpleSite
made = OpcUaConfig.model_validate({"type": "opcua", "url": "opc.tcp://h", "tags": {"a": {"node": "i=1"}}})
made.build("dev", SimpleSite())
assert not [name for name in sys.modules if name.startswith("asyncua")]
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
