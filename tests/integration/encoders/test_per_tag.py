"""One topic per tag through a real broker: what a consumer sees, through an outage and with a tag that fails."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent.consumer.audit import Audit
from agent.simulator.proxy import Proxy
from tests.support.agent import AgentProcess
from tests.support.mqtt import Observer, Seen, observing
from tests.support.waiting import eventually
from tests.unit.encoders.uns import take

NAMES = {"油温": "oil_temperature"}
PRESS = "plant/hall/press"


def agent_with(folder, machine, port: int, encoder: dict[str, Any], **keys: Any) -> AgentProcess:
    publisher = {"type": "mqtt", "url": f"mqtt://127.0.0.1:{port}", "encoder": encoder, "replay": {"max_rate": "200/s"}}
    return AgentProcess(folder, publishers={"plant": publisher | keys}, devices={"press": machine.device})


async def state_is(agent: AgentProcess, state: str) -> None:
    async def there() -> bool:
        route = (await agent.status())["publishers"]["plant"]
        return route["state"] == state and (state == "offline" or route["outbox"]["backlog"] == 0)

    await eventually(there, what=f"the route is {state}")


async def outage(agent: AgentProcess, cable: Proxy, machine) -> None:
    """The way to the broker is cut for a while, then everything that waited is delivered."""
    await cable.cut()
    await state_is(agent, "offline")
    await machine.goes_on(10)
    await cable.restore()
    await state_is(agent, "online")
    await machine.goes_on(5)


def key(message: Seen) -> tuple[str, ...]:
    """Identity of a message, from its user properties."""
    return tuple(message.properties[name] for name in ("agent", "device", "epoch", "seq", "index"))


def incomplete(messages: list[Seen]) -> list[tuple[str, str]]:
    """Records of which some messages came and others did not, by their user properties alone."""
    found: dict[tuple[str, str], set[int]] = {}
    for message in messages:
        found.setdefault((message.properties["seq"], message.properties["of"]), set()).add(
            int(message.properties["index"])
        )
    return [record for record, indices in found.items() if indices != set(range(1, int(record[1]) + 1))]


def audited(observer: Observer) -> None:
    """The books of a consumer that was there from the beginning: everything came, whole and in order."""
    audit = Audit()
    for message in observer.seen:
        if "index" in message.properties:
            audit.feed_marked(message.topic, message.payload, [*message.properties.items()])
        else:
            audit.feed(message.topic, message.payload, retained=message.retain)
    assert audit.findings() == []
    assert audit.historical
    assert audit.notes() == []


async def test_umh_through_an_outage(mosquitto, machine, tmp_path) -> None:
    """UMH takes every message, each scan under its own time; what fails is said apart, what waited is marked."""
    encoder = {"type": "umh", "names": NAMES}
    async with observing(mosquitto.port, "#") as observer, Proxy("127.0.0.1", mosquitto.port) as cable:
        with agent_with(tmp_path, machine, cable.port, encoder) as agent:
            await agent.start()
            await eventually(lambda: len(observer.on("umh/")) > 10)
            await outage(agent, cable, machine)
            assert await agent.stop() == 0

    messages = observer.on("umh/v1/")
    assert {message.topic for message in messages} == {
        f"umh/v1/{PRESS}/_raw/scan", f"umh/v1/{PRESS}/_raw/oil_temperature",
    }  # fmt: skip
    for message in messages:
        take(message.topic, message.payload)
    scans = {int(json.loads(message.payload)["value"]) for message in messages if message.topic.endswith("scan")}
    assert scans == set(range(1, max(scans) + 1))  # none is missing
    times = {json.loads(one.payload)["value"]: json.loads(one.payload)["timestamp_ms"] for one in messages
             if one.topic.endswith("scan")}  # fmt: skip
    assert sorted(times, key=lambda scan: times[scan]) == sorted(times)
    assert any(message.properties.get("historical") == "true" for message in messages)
    said = [*messages, *observer.on(f"edge/{PRESS}/apart")]
    assert incomplete(said) == []
    assert len({key(message) for message in said}) >= len(said) - 40  # again after an outage: a window at most

    apart = [json.loads(message.payload) for message in observer.on(f"edge/{PRESS}/apart")]
    assert apart
    failures = {(one["tag"], one["quality"], one["code"]) for message in apart for one in message["readings"]}
    assert ("lost", "bad", "BadConfigurationError") in failures
    # before the first scan nothing was known yet
    assert {code for tag, _, code in failures if tag != "lost"} <= {"BadWaitingForInitialData"}
    assert all(one["value"] is None for message in apart for one in message["readings"])
    audited(observer)


async def current(port: int) -> dict[str, Any]:
    """What somebody who comes now is told at once: retained values by topic."""
    async with observing(port, "edge/#") as late:
        await late.publish("edge/marker", b"comes behind all that is retained")
        await eventually(lambda: late.on("edge/marker"))
        return {
            one.topic: json.loads(one.payload)
            for one in late.seen
            if one.retain and one.topic.startswith(f"edge/{PRESS}/") and one.topic.endswith("/value")
        }


@pytest.mark.parametrize("payload", ["json", "plain"])
async def test_value_through_an_outage(mosquitto, machine, tmp_path, payload: str) -> None:
    """Newest values stay for who comes later, also bad ones; history never takes their place and loses nothing."""
    encoder = {"type": "value", "payload": payload, "names": NAMES}
    async with observing(mosquitto.port, "#") as observer, Proxy("127.0.0.1", mosquitto.port) as cable:
        with agent_with(tmp_path, machine, cable.port, encoder) as agent:
            await agent.start()
            await eventually(lambda: len(observer.on(f"edge/{PRESS}/scan/value")) > 10)
            await outage(agent, cable, machine)
            assert await agent.stop() == 0
        left = await current(mosquitto.port)

    assert left.keys() == {f"edge/{PRESS}/{name}/value" for name in ("scan", "oil_temperature", "lost")}
    live = [message for message in observer.on(f"edge/{PRESS}/scan/value") if message.payload]
    history = observer.on(f"edge/{PRESS}/scan/history")
    assert history
    assert all(message.retain for message in live)
    assert not any(message.retain for message in history)
    newest = json.loads(live[-1].payload)
    assert left[f"edge/{PRESS}/scan/value"] == newest
    told = [json.loads(message.payload) for message in live]
    values = [one if payload == "plain" else one["value"] for one in told]
    seen = [value for value in values if value is not None]
    assert seen == sorted(seen)  # news never goes back in time
    audited(observer)
    scans = {*seen, *(json.loads(message.payload)["value"] for message in history)}
    assert {*range(1, max(scans) + 1)} <= scans
    if payload == "json":
        assert left[f"edge/{PRESS}/oil_temperature/value"]["tag"] == "油温"
        bad = left[f"edge/{PRESS}/lost/value"]
        assert (bad["value"], bad["quality"], bad["code"]) == (None, "bad", "BadConfigurationError")
    else:
        assert left[f"edge/{PRESS}/lost/value"] is None


async def test_values_of_what_was_removed_are_gone(mosquitto, machine, tmp_path) -> None:
    """A tag taken out while the agent was stopped leaves no value at the broker."""
    encoder = {"type": "value", "names": NAMES}
    with agent_with(tmp_path, machine, mosquitto.port, encoder) as agent:
        async with observing(mosquitto.port, f"edge/{PRESS}/#") as observer:
            await agent.start()
            await eventually(lambda: observer.on(f"edge/{PRESS}/lost/value"))
        assert await agent.stop() == 0
        del agent.document["devices"]["press"]["tags"]["lost"]
        agent.configure(agent.document)
        async with observing(mosquitto.port, f"edge/{PRESS}/#") as observer:
            await agent.start()
            await emptied(observer, f"edge/{PRESS}/lost/value")
        assert (await current(mosquitto.port)).keys() == {
            f"edge/{PRESS}/{name}/value" for name in ("scan", "oil_temperature")
        }
        assert await agent.stop() == 0


async def emptied(observer: Observer, topic: str) -> None:
    await eventually(lambda: any(not one.payload for one in observer.on(topic)), what=f"{topic} is emptied")


@pytest.mark.soak
async def test_a_thousand_tags_at_a_small_window(mosquitto, machine, tmp_path) -> None:
    """A thousand messages a record pass a window of 20, record by record, complete."""
    machine.device["tags"] = {"scan": {"address": "holding:0", "type": "uint16"}} | {
        f"r{at:03}": {"address": f"holding:{at % 100}", "type": "uint16"} for at in range(1, 1000)
    }
    machine.device["interval"] = "1s"
    async with observing(mosquitto.port, "umh/#") as observer:
        with agent_with(tmp_path, machine, mosquitto.port, {"type": "umh"}, version="5") as agent:
            await agent.start()
            await eventually(lambda: len({one.topic for one in observer.on("umh/")}) == 1000)
            await machine.goes_on(2)
            assert await agent.stop() == 0
        await eventually(lambda: not incomplete(observer.on("umh/")), what="every record is complete")
