"""`edge-agent verify` on payloads that have no room for an identity: one lost message is named, nothing else is."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections.abc import Mapping
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.integration.encoders.conftest import Machine
from tests.integration.encoders.thief import Thief
from tests.support.agent import AgentProcess
from tests.support.mosquitto import Mosquitto
from tests.support.processes import Process, agent_command, process
from tests.support.waiting import eventually

SHAPE = {"n": "{tag}", "d": "{device}", "v": "{value}", "q": "{quality}", "t": "{ts}"}
ENCODERS: dict[str, dict[str, Any]] = {
    "umh": {"type": "umh", "names": {"油温": "oil"}},
    "value": {"type": "value", "names": {"油温": "oil"}},
    "influx": {"type": "influx"},
    "template": {"type": "template", "topic": "line-7/{device}/{tag}", "names": {"油温": "oil"}, "reading": SHAPE},
}
#: Messages a record has, and which of them is stolen.
STOLEN = {"umh": ("3", "2"), "value": ("3", "2"), "influx": ("1", "1"), "template": ("3", "3")}


async def finished(verify: Process) -> tuple[int, list[str]]:
    """Exit code and lines of an audit that is ended by Ctrl-C."""
    verify.signal(signal.SIGINT)
    return await verify.wait(), verify.stdout.splitlines()


async def all_say(audits: Mapping[str, Process], words: str) -> None:
    """Every audit has said it to people."""
    await eventually(lambda: all(words in one.stderr for one in audits.values()), what=words)


async def test_one_lost_message_is_named(mosquitto: Mosquitto, machine: Machine, tmp_path: Path) -> None:
    """Four payloads at once; the broker acknowledges one message of each and loses it. `-c` knows the topics."""
    async with AsyncExitStack() as cables:
        thieves = {name: await cables.enter_async_context(Thief(mosquitto.port)) for name in ENCODERS}
        publishers = {
            name: {
                "type": "mqtt", "url": f"mqtt://127.0.0.1:{thieves[name].port}", "root": f"{name}-edge",
                "version": "5", "encoder": encoder,
            }
            for name, encoder in ENCODERS.items()
        }  # fmt: skip
        devices = {"press": machine.device}
        with AgentProcess(tmp_path, publishers=publishers, devices=devices) as agent, ExitStack() as stack:
            audits = {
                name: stack.enter_context(
                    process(*agent_command("verify", "-c", str(agent.config), "--publisher", name))
                )
                for name in ENCODERS
            }
            await all_say(audits, "listening to")
            await agent.start()
            await machine.goes_on(3)
            for name, thief in thieves.items():
                thief.wants = STOLEN[name]
            await eventually(lambda: all(thief.stolen for thief in thieves.values()), what="one of each is stolen")
            await machine.goes_on(3)
            assert await agent.stop() == 0
            await all_say(audits, "agent gw-test is offline")
            for name, verify in audits.items():
                code, lines = await finished(verify)
                of, index = STOLEN[name]
                given = thieves[name].stolen
                part = f"; {int(of) - 1} of the {of} messages of {given['seq']} came, not {index}" if of != "1" else ""
                words = "never came, and nobody declared them lost" + part
                assert lines[0] == f"missing gw-test/press epoch {given['epoch']} seq {given['seq']}: {words}", lines
                assert len(lines) == 2, lines
                result = r"audit: messages=[1-9]\d* readings=\d+ missing=1 duplicates=0 undeclared_gaps=1 "
                assert re.match(result, lines[1])
                assert code == 1


async def test_3_1_1_is_not_called_right(mosquitto: Mosquitto, machine: Machine, tmp_path: Path) -> None:
    """Without user properties there is nothing to audit, and `verify` says so instead of praising."""
    publisher = {"type": "mqtt", "url": mosquitto.url, "version": "3.1.1", "encoder": ENCODERS["umh"]}
    with (
        AgentProcess(tmp_path, publishers={"plant": publisher}, devices={"press": machine.device}) as agent,
        process(*agent_command("verify", "--url", mosquitto.url, "--topic", "umh/v1/#")) as verify,
    ):
        await all_say({"umh": verify}, "listening to edge/#, umh/v1/#")
        await agent.start()
        await machine.goes_on(3)
        assert await agent.stop() == 0
        await all_say({"umh": verify}, "agent gw-test is offline")
        _, lines = await finished(verify)
    assert re.match(r"note: \d+ messages on \d topics, as \S+, carry no user properties: ", lines[-2])
    assert lines[-1].startswith("audit: messages=0 ")


def publish(port: int, *messages: dict[str, str]) -> None:
    """Messages of one publisher, by their user properties."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.connect("127.0.0.1", port)
    client.loop_start()
    for given in messages:
        payload = given.pop("payload", "1")
        properties = Properties(PacketTypes.PUBLISH)
        properties.UserProperty = [*given.items()]
        client.publish(f"plant/{given['index']}", payload, qos=1, properties=properties).wait_for_publish(10)
    client.publish("edge/agents/gw/status", '{"state":"offline","session":"S"}', qos=1).wait_for_publish(10)
    client.disconnect()
    client.loop_stop()


def mark(seq: int, index: int, low: int = 1, **more: str) -> dict[str, str]:
    whole = {"agent": "gw", "device": "press", "epoch": "E", "seq": seq, "low": low, "of": 2, "index": index}
    return {name: str(value) for name, value in whole.items()} | more


async def test_tail_prints_payloads_of_others(mosquitto: Mosquitto) -> None:
    """As they are, behind their topic, each once; as JSON with their identity."""
    said = [mark(1, 1, payload="21.5"), mark(1, 1, payload="21.5"), mark(1, 2, payload="a\nb", historical="true")]
    url = ("--url", mosquitto.url, "--topic", "plant/+")
    with process(*agent_command("tail", *url)) as text, process(*agent_command("tail", *url, "--json")) as objects:
        both = {"text": text, "json": objects}
        await all_say(both, "listening to edge/#, plant/+")
        await asyncio.to_thread(publish, mosquitto.port, *said)
        await eventually(lambda: all("offline" in one.stdout for one in both.values()))
        [(_, lines), (_, rows)] = [await finished(one) for one in both.values()]
    assert lines[:-1] == ["plant/1 21.5", "plant/2 a historical", "plant/2 b historical"]
    first, second = (json.loads(row) for row in rows[:-1])
    assert first == {
        "topic": "plant/1", "agent": "gw", "device": "press", "epoch": "E", "seq": 1, "index": 1, "of": 2,
        "payload": "21.5",
    }  # fmt: skip
    assert (second["historical"], second["payload"]) == (True, "a\nb")


async def test_every_kind_of_fault_is_told(mosquitto: Mosquitto) -> None:
    """Missing, twice, out of order, two contents under one identity: what another publisher did wrong."""
    said = [
        mark(1, 1), mark(1, 2),
        mark(2, 2), mark(2, 1),  # out of order
        mark(3, 1), mark(3, 1), mark(3, 2),  # twice
        mark(4, 1), mark(4, 1, payload="2"), mark(4, 2),  # two contents
        mark(5, 1),  # half of it
        mark(8, 1, low=6), mark(8, 2, low=6),  # 6 and 7 may still come
    ]  # fmt: skip
    with process(*agent_command("verify", "--url", mosquitto.url, "--topic", "plant/+")) as verify:
        await eventually(lambda: "listening to edge/#, plant/+" in verify.stderr)
        await asyncio.to_thread(publish, mosquitto.port, *said)
        await eventually(lambda: "agent gw is offline" in verify.stderr)
        code, lines = await finished(verify)
    assert code == 1
    assert [line.partition(":")[0] for line in lines[:-1]] == [
        "missing gw/press epoch E seq 5",
        "disorder gw/press epoch E seq 2",
        "conflict gw/press epoch E seq 4",
        "pending gw/press epoch E seq 6-7",
    ]
    assert "messages=13 readings=0 missing=1 duplicates=1 undeclared_gaps=1 pending=2" in lines[-1]
    assert "conflicts=1 disorder=1" in lines[-1]
