from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from agent.collectors.opcua.config import OpcUaConfig
from agent.collectors.opcua.connect.reception import Expected, Reception
from agent.collectors.opcua.trust.security import access_of
from agent.settings.values import FromEnvironment
from agent.testing.context import SimpleContext
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
        ({"url": "http://plc:4841"}, "write opc.tcp://plc:4841 "),
        ({"url": "opc.tcp://"}, "opc.tcp://HOST:4840"),
        ({"url": "opc.tcp://plc:99999"}, "write opc.tcp://plc:4840 "),
        ({"url": "opc.tcp://user:word@plc:4840"}, "credentials do not belong into the url"),
        ({"mode": "push"}, "'subscribe' or 'poll'"),
        ({"interval": 1}, "write 1ms, or 1s for seconds"),
        ({"clock": {"utc_offset": 8}}, "+08:00"),
        ({"clock": {"time_zone": "Berlin"}}, "Europe/Berlin"),
        ({"clock": {"time_zone": "Europe/Berlin", "utc_offset": "+01:00"}}, "contradict each other"),
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


SECURE = {"policy": "Basic256Sha256"}
PINNED = {"server_certificate": "cnc.der"}
PASSWORD = {"username": "agent", "password_file": "/run/secrets/cnc"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"security": {"mode": "Sign"}}, "needs a policy"),
        ({"security": {**SECURE, "mode": "None"}}, "needs mode: Sign"),
        ({"security": {"policy": "Basic256"}}, "Aes256_Sha256_RsaPss"),
        ({"security": {**SECURE, "certificate": "own.der"}}, "belong together"),
        ({"security": {"certificate": "own.der", "private_key": "own.pem"}}, "not used with policy: None"),
        ({"security": SECURE, "password_file": "/run/secrets/cnc"}, "without a user name"),
        ({"security": SECURE, "username": "agent", "password": "literal"}, "a literal secret"),
        ({"security": SECURE, "user_certificate": "me.der"}, "belong together"),
        ({"security": SECURE, **PASSWORD, "user_certificate": "me.der", "user_private_key": "me.pem"}, "has one user"),
        ({"security": SECURE, **PASSWORD, "password": FromEnvironment("word")}, "exclude each other"),
        ({"endpoint_url": "http://plc"}, "opc.tcp://plc:4840"),
    ],
)
def test_security_that_does_not_fit_together_is_refused(change: dict[str, Any], words: str) -> None:
    """Nothing that is asked for is ignored."""
    with pytest.raises(ValidationError) as caught:
        read(**change)
    assert words in str(caught.value)


@pytest.mark.parametrize("security", [None, {"policy": "None"}, {"allow_expired": True}])
def test_a_password_over_an_open_channel_is_refused(security: dict[str, Any] | None) -> None:
    """A password goes over an unencrypted channel only where the configuration says so in as many words."""
    with pytest.raises(ValidationError, match="allow_plain_password: true"):
        read(security=security, **PASSWORD)


@pytest.mark.parametrize("security", [SECURE, PINNED, {"allow_plain_password": True}, {**SECURE, "mode": "Sign"}])
def test_a_password_that_is_guarded_is_accepted(security: dict[str, Any]) -> None:
    """A policy, a pinned server that it is encrypted for, or the word of the configuration."""
    assert access_of(dict(read(security=security, **PASSWORD))).has_password


def test_the_strongest_mode_is_the_default() -> None:
    """A policy alone encrypts; no policy is said as `None`, or not at all."""
    assert access_of(dict(read(security=SECURE))).mode == "SignAndEncrypt"
    assert access_of(dict(read(security={"policy": "None", "mode": "None"}))) == access_of(dict(read(security=None)))
    assert not access_of(dict(read())).secured


def test_a_configuration_survives_being_written_down() -> None:
    """What is dumped is read again as the same."""
    made = read(clock={"utc_offset": "-05:30", "max_skew": "2s"}, interval="250ms")
    assert OpcUaConfig.model_validate(made.model_dump(exclude_none=True)) == made


def test_the_library_is_not_imported_before_a_device_is_opened() -> None:
    """Reading a configuration and building its collector costs no asyncua (41 MB)."""
    program = """
import sys
from agent.collectors.opcua.config import OpcUaConfig
from agent.testing.context import SimpleContext
for way in ({"url": "opc.tcp://h"}, {"reverse": {"server_uri": "urn:h"}}):
    made = OpcUaConfig.model_validate({"type": "opcua", **way, "tags": {"a": {"node": "i=1"}}})
    made.build("dev", SimpleContext())
assert not [name for name in sys.modules if name.startswith("asyncua")]
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_library_is_imported_in_a_thread_of_its_own() -> None:
    """Once for all devices that connect at the same time; meanwhile the event loop serves the others."""
    program = """
import asyncio, sys, threading
from agent.collectors.opcua.config import OpcUaConfig
from agent.core.errors import AgentError
from agent.testing.context import SimpleContext

class Witness:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "asyncua":
            threads.add(threading.current_thread())

async def connect(number):
    made = OpcUaConfig.model_validate({"type": "opcua", "url": "opc.tcp://127.0.0.1:1", "tags": {"a": {"node": "i=1"}}})
    try:
        async with made.build(f"dev{number}", SimpleContext()).open():
            pass
    except AgentError:
        pass

async def main():
    await asyncio.gather(*(connect(number) for number in range(5)))

threads = set()
sys.meta_path.insert(0, Witness())
asyncio.run(main())
assert [thread.name for thread in threads] == ["opcua-import"]
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_tag_is_where_its_configuration_says() -> None:
    """People see the node or the path as it was written."""
    tags = read(tags={"a": {"node": "nsu=urn:x;s=a"}, "b": {"path": "Objects/0:Server"}}).tag_table
    assert {name: tag.where() for name, tag in tags.items()} == {"a": "nsu=urn:x;s=a", "b": "Objects/0:Server"}


CALLS: dict[str, Any] = {"url": None, "reverse": {"server_uri": "urn:cnc"}}


def test_a_server_that_calls_is_listened_for_on_this_machine_alone() -> None:
    """Unless another address is written; it is known by its name and where it calls."""
    made = read(**CALLS)
    assert made.reverse is not None
    assert made.reverse.address == ("127.0.0.1", 4841)
    assert made.claim() == ("reverse", "urn:cnc calling 127.0.0.1:4841", made.claim().hint)  # type: ignore[union-attr]
    assert (list(made.oddities()), read().claim()) == ([], None)
    assert (made.where(), read().where()) == ("urn:cnc calling 127.0.0.1:4841", BASE["url"])
    assert read(url=None, urls=["opc.tcp://a", "opc.tcp://b"]).where() == "opc.tcp://a, opc.tcp://b"


@pytest.mark.parametrize(
    ("listen", "security", "warned"),
    [
        ("127.0.0.1:4841", None, False),
        ("[::1]:4841", None, False),
        ("0.0.0.0:4841", SECURE, False),
        ("0.0.0.0:4841", None, True),
        ("gateway:4841", {"policy": "None"}, True),
    ],
)
def test_a_door_that_is_open_to_all_is_warned_of(listen: str, security: dict[str, Any] | None, warned: bool) -> None:
    """Beyond this machine somebody else may call and say he is the server, where nothing has to be proved."""
    made = read(url=None, reverse={"listen": listen, "server_uri": "urn:cnc"}, security=security)
    assert ["can pretend to be urn:cnc" in words for words in made.oddities()] == [True] * warned


def test_keys_that_polling_leaves_without_effect_are_warned_of() -> None:
    """They are named once for the device, with the first tag that has them."""
    watched = {"node": "i=1", "sampling_interval": "1s", "queue_size": 3}
    tags = {"plain": {"node": "i=2"}, "a": watched, "b": {"node": "i=3", "trigger": "status"}}
    assert list(read(tags=tags).oddities()) == []
    (words,) = read(tags=tags, mode="poll").oddities()
    assert words.startswith("tags.a: queue_size, sampling_interval, and those of 1 more tags tell a server")
    assert list(read(tags={"plain": {"node": "i=2"}}, mode="poll").oddities()) == []


async def test_a_server_of_a_disabled_device_is_not_expected() -> None:
    """It is turned away like a stranger, and does not hold a connection that nobody will use."""
    context = SimpleContext()
    for enabled in (True, False):
        read(**{**CALLS, "reverse": {"server_uri": f"urn:{enabled}"}}, enabled=enabled).build("dev", context)
    (reception,) = context.buses.values()
    assert isinstance(reception, Reception)
    assert set(reception._expected.values()) == {Expected("urn:True")}
