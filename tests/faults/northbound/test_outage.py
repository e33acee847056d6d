"""The broker is away under load, and the agent is killed meanwhile."""

from __future__ import annotations

import os

import pytest

from agent.simulator.proxy import Proxy
from tests.support.consumer import consuming
from tests.support.load import SCAN, all_arrived, caught_up, offline
from tests.support.waiting import eventually

#: How long the broker is away, seconds.
OUTAGE = float(os.environ.get("EDGE_OUTAGE_SECONDS", "6"))


def overtaken(consumer):
    """Records that came after a later one of their device, repetitions aside."""
    newest: dict[str, tuple[str, int]] = {}
    wrong = []
    for said in consumer.fresh:
        if said.number <= newest.get(said.device, ("", 0)):
            wrong.append(said.number)
        newest[said.device] = said.number
    return wrong


@pytest.mark.parametrize("order", ["live_first", "in_order"])
async def test_broker_away_and_agent_killed_meanwhile(mosquitto, start_load, make_agent, order):
    """Nothing is missing, lanes hold, the backlog is flagged, and live data waits for it only where it is told to."""
    load = await start_load()
    replay = {"order": order} | ({"max_rate": "100/s"} if order == "live_first" else {})
    async with consuming(mosquitto.url) as consumer, Proxy("127.0.0.1", mosquitto.port) as cable:
        agent = make_agent(load, cable.port, replay=replay)
        await agent.start()
        await consumer.heard(5, *load.devices)
        before = len(consumer.records)
        cable.freeze()  # so that a good part of the window is under way
        await load.goes_on(0.3)
        await cable.cut()
        await load.goes_on(OUTAGE / 2)
        agent.kill()
        await agent.start()
        await load.goes_on(OUTAGE / 2)
        await cable.restore()
        await consumer.heard(10)
        await caught_up(agent)
        await consumer.heard(5)
        assert await agent.stop() == 0

        await consumer.check()
        assert consumer.lost_scans(SCAN) == []
        assert consumer.wrongly_declared_downs() == []
        assert overtaken(consumer) == [] or order == "live_first"
        backlog = [said for said in consumer.records[before:] if said.historical]
        first, second = consumer.epochs
        assert {said.epoch for said in backlog} == {first, second}
        assert {said.device for said in backlog} == set(load.devices)
        assert {device for device, epoch in consumer.down() if epoch == first} == set(load.devices)
        reconnected = consumer.sessions()[-1]
        lanes = [said.historical for said in reconnected]
        last_historical = len(lanes) - 1 - lanes[::-1].index(True)
        if order == "live_first":
            assert {said.device for said in reconnected[:last_historical] if not said.historical} == set(load.devices)
        else:
            assert not any(not said.historical for said in reconnected[:last_historical])
        # what was on its way when the cable was cut: a window, no more
        assert consumer.duplicates <= 20


async def test_broker_stopped_and_started_again(mosquitto, start_load, make_agent):
    """A broker that restarts and has forgotten everybody costs nobody anything."""
    load = await start_load()
    async with consuming(mosquitto.url) as consumer, Proxy("127.0.0.1", mosquitto.port) as cable:
        agent = make_agent(load, cable.port, replay={"max_rate": "200/s"})
        await agent.start()
        await consumer.heard(5, *load.devices)
        mosquitto.stop()
        await offline(agent)
        await cable.cut()
        await load.goes_on(OUTAGE / 3)
        agent.kill()
        await agent.start()
        mosquitto.start()
        # what nobody subscribes to a broker may forget: the consumer comes back first
        await eventually(lambda: consumer.interruptions and consumer.subscribed.is_set())
        await cable.restore()
        await consumer.heard(10, *load.devices)
        await all_arrived(agent, consumer)
        assert consumer.duplicates <= 20


async def test_dead_link_is_noticed_without_a_word(mosquitto, start_load, make_agent):
    """A way on which nothing passes any more is given up; all that was held up comes, a window of it twice at most."""
    load = await start_load(2)
    async with consuming(mosquitto.url) as consumer, Proxy("127.0.0.1", mosquitto.port) as cable:
        agent = make_agent(load, cable.port, replay={"max_rate": "200/s"}, keep_alive="1s", connect_timeout="1s")
        await agent.start()
        await consumer.heard(3, *load.devices)
        cable.freeze()
        await offline(agent)
        await eventually(
            lambda: any("did not answer" in one["reason"] for one in agent.events("publisher.offline")),
            what="a CONNECT was given up, and is still under way",
        )
        await load.goes_on(0.5)
        cable.thaw()
        await consumer.heard(3, *load.devices)
        assert agent.events("publisher.conflict") == []
        await all_arrived(agent, consumer)
        assert consumer.duplicates <= 20


async def test_dead_broker_costs_another_publisher_nothing(mosquitto, start_load, make_agent):
    """What one broker does not take waits for it alone; the other gets everything live, and stopping waits for none."""
    load = await start_load(2)
    async with consuming(mosquitto.url) as consumer, Proxy("127.0.0.1", mosquitto.port) as dead:
        agent = make_agent(load, mosquitto.port)
        publishers = agent.document["publishers"]
        await dead.cut()
        publishers["dead"] = publishers["plant"] | {"url": f"mqtt://127.0.0.1:{dead.port}", "client_id": "dead"}
        agent.configure(agent.document)
        await agent.start()
        await consumer.heard(10, *load.devices)
        assert await agent.stop() == 0
        await consumer.check()
        assert consumer.lost_scans(SCAN) == []
        # what was read before the first connection stood is history, and nothing else
        online = consumer.agents["gw-test"][0]["ts"]
        assert all(said.ts <= online + 1000 for said in consumer.records if said.historical)
        assert agent.events("agent.stopped")[0]["left"] >= 10
