"""A device that is no longer configured leaves nothing behind on the broker."""

from __future__ import annotations

import json

from agent.simulator.proxy import Proxy
from tests.support.consumer import consuming
from tests.support.load import caught_up
from tests.support.mqtt import observing
from tests.support.waiting import eventually


async def retained(port):
    """Topics with something retained."""
    async with observing(port, "edge/#", "marker") as observer:
        await observer.publish("marker", b"")
        await eventually(lambda: observer.on("marker"))
        return {seen.topic for seen in observer.on("edge/") if seen.retain and seen.payload}


def without(agent, device):
    """The configuration without a device, from the next start on."""
    devices = {name: one for name, one in agent.document["devices"].items() if name != device}
    agent.configure(agent.document | {"devices": devices})


async def test_removed_while_stopped(mosquitto, start_load, make_agent):
    """`removed` is said, then the retained topics are emptied; what is still configured keeps its own."""
    load = await start_load(2, tags=5)
    async with consuming(mosquitto.url) as consumer:
        agent = make_agent(load, mosquitto.port)
        await agent.start()
        await consumer.heard(2, *load.devices)
        assert await agent.stop() == 0
        gone, kept = "edge/plant/hall/dev-1", "edge/plant/hall/dev-2"
        assert {f"{gone}/status", f"{gone}/tags"} < await retained(mosquitto.port)
        without(agent, "dev-1")
        await agent.start()
        await consumer.heard(2, "dev-2")
        await eventually(lambda: consumer.topics[f"{gone}/tags"][-1] == b"")
        last, end = consumer.topics[f"{gone}/status"][-2:]
        assert (json.loads(last)["state"], end) == ("removed", b"")
        assert await retained(mosquitto.port) == {f"{kept}/status", f"{kept}/tags", "edge/agents/gw-test/status"}
        assert await agent.stop() == 0
        await consumer.check()


async def test_removed_with_a_backlog(mosquitto, start_load, make_agent):
    """What a removed device said before is delivered where it always was; then nothing of it stays."""
    load = await start_load(2, tags=5)
    async with consuming(mosquitto.url) as consumer, Proxy("127.0.0.1", mosquitto.port) as cable:
        agent = make_agent(load, cable.port, replay={"max_rate": "200/s"})
        await agent.start()
        await consumer.heard(2, *load.devices)
        await cable.cut()
        await load.goes_on(1)
        agent.kill()
        without(agent, "dev-1")
        await agent.start()
        await load.goes_on(0.5)
        agent.kill()  # once more, before anybody could be told
        await agent.start()
        heard = len(consumer.records)
        await cable.restore()
        await consumer.heard(2, "dev-2")
        await caught_up(agent)
        assert any(said.device == "dev-1" for said in consumer.records[heard:])
        gone = "edge/plant/hall/dev-1"
        await eventually(lambda: consumer.topics[f"{gone}/status"][-1] == b"")
        assert json.loads(consumer.topics[f"{gone}/status"][-2])["state"] == "removed"
        assert not any(topic.startswith(gone) for topic in await retained(mosquitto.port))
        assert await agent.stop() == 0
        await consumer.check()
        assert ("dev-1", consumer.epochs[0]) in consumer.down()
