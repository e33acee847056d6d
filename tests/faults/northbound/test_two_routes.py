"""Two routes of one agent at one broker, under one root: one agent for everybody, whatever becomes of either."""

from __future__ import annotations

import json

from agent.simulator.proxy import Proxy
from tests.support.consumer import consuming
from tests.support.load import SCAN, caught_up, offline, route_of
from tests.support.waiting import eventually

STATUS = "edge/agents/gw-test/status"


def said(consumer):
    """State of the agent as it stands retained."""
    return json.loads(consumer.topics[STATUS][-1])["state"]


async def test_a_route_that_is_cut_off_leaves_the_agent_online(mosquitto, start_load, make_agent):
    """No conflict with itself; a will of one route is put right by the other; a second agent is still a conflict."""
    load = await start_load(2)
    async with consuming(mosquitto.url) as consumer, Proxy("127.0.0.1", mosquitto.port) as cable:
        agent = make_agent(load, cable.port, publisher="one", devices=["dev-1"])
        document = agent.document
        document["publishers"]["two"] = document["publishers"]["one"] | {"url": mosquitto.url, "devices": ["dev-2"]}
        agent.configure(document)
        await agent.start()
        await consumer.heard(3, *load.devices)
        await cable.cut()
        await offline(agent, "one")
        await eventually(
            lambda: b"offline" in b"".join(consumer.topics[STATUS]), 10, "the will of the route that is cut"
        )
        await eventually(lambda: said(consumer) == "online", what="the other route has put it right")
        await consumer.heard(3, "dev-2")
        await cable.restore()
        await caught_up(agent, "one")
        await consumer.heard(3, *load.devices)
        assert said(consumer) == "online"
        assert agent.events("publisher.conflict") == []
        assert [(await route_of(agent, name))["conflict"] for name in ("one", "two")] == [None, None]
        assert consumer.lost_scans(SCAN) == []
        assert consumer.two_faced == []
        assert consumer.disorder() == []
        await consumer.complete()
        assert "missing=0" in consumer.audit.line()
        assert [str(one) for one in consumer.audit.findings()] == []

        stranger = make_agent(load, mosquitto.port, publisher="three", devices=["dev-2"])
        await stranger.start()
        await eventually(lambda: len(agent.events("publisher.conflict")) == 2, what="each route has seen the stranger")
        assert await stranger.stop() == 0
        assert await agent.stop() == 0
        assert said(consumer) == "offline"
