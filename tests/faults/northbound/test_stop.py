"""SIGTERM, wherever the broker is: out within eight seconds, exit code 0, nothing lost, the time between declared."""

from __future__ import annotations

import json
import os
import signal

from agent.simulator.proxy import Proxy
from tests.support.consumer import consuming
from tests.support.load import SCAN, all_arrived, offline
from tests.support.mqtt import observing
from tests.support.waiting import eventually

STATUS = "edge/agents/gw-test/status"


async def retained(port, topic):
    """The retained message there, None where there is none."""
    async with observing(port, topic, "marker") as observer:
        await observer.publish("marker", b"")
        await eventually(lambda: observer.on("marker"))
        found = observer.on(topic)
    return found[0].payload if found else None


async def test_drains_says_offline_and_declares_the_time_between(mosquitto, start_load, make_agent):
    """All is delivered, the retained status says offline and when, and the next run says since when nobody looked."""
    load = await start_load()
    async with consuming(mosquitto.url) as consumer:
        agent = make_agent(load, mosquitto.port)
        await agent.start()
        await consumer.heard(5, *load.devices)
        assert await agent.stop() == 0
        await consumer.check()
        said = json.loads(await retained(mosquitto.port, STATUS))
        assert said["state"] == "offline"
        assert agent.events("agent.stopped")[0]["left"] == 0
        assert all(stream["low"] == stream["next"] for stream in said["streams"].values())
        before = {device: consumer.of(device)[-1] for device in load.devices}
        assert {device: stream["next"] - 1 for device, stream in said["streams"].items()} == {
            device: last.seq for device, last in before.items()
        }

        await agent.start()
        await consumer.heard(5, *load.devices)
        assert await agent.stop() == 0
        await consumer.check()
        assert len(consumer.epochs) == 2
        assert consumer.lost_scans(SCAN) == []
        for device, last in before.items():
            gap = consumer.down()[device, last.epoch]
            first = next(one for one in consumer.of(device) if one.epoch != last.epoch)
            assert (gap["to_seq"], gap["from_ts"]) == (last.seq, last.ts)
            assert said["ts"] <= gap["to_ts"] <= first.ts
            assert gap["reason"] == "agent stopped"
            assert first.seq == 1
        assert consumer.duplicates == 0


async def test_broker_away(mosquitto, start_load, make_agent):
    """What cannot be delivered stays on disk, and comes as historical from the next run."""
    load = await start_load()
    async with consuming(mosquitto.url) as consumer, Proxy("127.0.0.1", mosquitto.port) as cable:
        agent = make_agent(load, cable.port, replay={"max_rate": "200/s"})
        await agent.start()
        await consumer.heard(3, *load.devices)
        await cable.cut()
        await offline(agent)
        # the will: said by the broker, which knows no time
        assert await eventually(lambda: consumer.agents["gw-test"][-1]["state"] == "offline")
        assert "ts" not in consumer.agents["gw-test"][-1]
        await load.goes_on(1)
        assert await agent.stop() == 0
        left = agent.events("agent.stopped")[0]["left"]
        assert left >= 40
        await cable.restore()
        heard = len(consumer.records)
        await agent.start()
        await consumer.heard(3, *load.devices)
        await all_arrived(agent, consumer)
        old = [said for said in consumer.records[heard:] if said.epoch == consumer.epochs[0]]
        assert len(old) == left
        assert all(said.historical for said in old)


async def test_broker_frozen(mosquitto, start_load, make_agent):
    """A broker that answers no more cannot hold the agent up; what it had not acknowledged comes again."""
    load = await start_load()
    async with consuming(mosquitto.url) as consumer:
        agent = make_agent(load, mosquitto.port, replay={"max_rate": "200/s"})
        await agent.start()
        await consumer.heard(3, *load.devices)
        broker = mosquitto._process.pid
        os.kill(broker, signal.SIGSTOP)
        try:
            await load.goes_on(1)
            assert await agent.stop() == 0
        finally:
            os.kill(broker, signal.SIGCONT)
        assert agent.events("agent.stopped")[0]["left"] > 20  # more than the window holds
        await agent.start()
        await consumer.heard(3, *load.devices)
        await all_arrived(agent, consumer)
        assert consumer.duplicates <= 20


async def test_broker_silent_from_the_start(mosquitto, start_load, make_agent):
    """A broker that accepts the connection and never answers does not hold the agent up either."""
    load = await start_load(2)
    async with Proxy("127.0.0.1", mosquitto.port) as cable:
        cable.freeze()
        agent = make_agent(load, cable.port)
        await agent.start()
        await eventually(lambda: cable.connections)
        await load.goes_on(0.5)
        assert await agent.stop() == 0
        assert agent.events("agent.stopped")[0]["left"] >= 5
