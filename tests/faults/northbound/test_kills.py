"""Kill -9 at random moments, while the broker comes and goes."""

from __future__ import annotations

import logging
import os
import random

import pytest

from agent.simulator.proxy import Proxy
from tests.support.consumer import consuming
from tests.support.load import all_arrived

KILLS = int(os.environ.get("EDGE_KILLS", "3"))
SEED = int(os.environ.get("EDGE_SEED", "0")) or random.randrange(1, 1 << 32)
WINDOW = 20

log = logging.getLogger(__name__)


@pytest.mark.soak
async def test_kills_at_random_moments(mosquitto, start_load, make_agent):
    """Nothing is missing, whatever was under way, and little comes twice."""
    log.warning("EDGE_SEED=%s gives the same plan", SEED)  # shown where the test fails
    chance = random.Random(SEED)
    load = await start_load()
    async with consuming(mosquitto.url) as consumer, Proxy("127.0.0.1", mosquitto.port) as cable:
        agent = make_agent(load, cable.port, replay={"max_rate": "200/s"}, window=WINDOW)
        breaks = 0
        for _ in range(KILLS):
            await agent.start(ready=chance.random() < 0.8)
            for _ in range(chance.randrange(3)):
                await load.goes_on(chance.uniform(0.1, 0.8))
                if cable.is_cut:
                    await cable.restore()
                else:
                    await cable.cut()
                    breaks += 1
            await load.goes_on(chance.uniform(0.1, 0.8))
            if chance.random() < 0.5:
                cable.freeze()  # what is sent from now on arrives after the end of the sender, or never
                await load.goes_on(0.2)
            agent.kill()
            breaks += 1
            cable.thaw()
            cable.delay = chance.choice([0.0, 0.02])
        await cable.restore()
        await agent.start()
        await consumer.heard(3, *load.devices)
        await all_arrived(agent, consumer)
        assert consumer.wrongly_declared_downs() == []
        # the window, and what was acknowledged but not committed yet: half a second at the rate of the backlog, at most
        assert consumer.duplicates <= breaks * (WINDOW + 100)
        log.warning("%s breaks=%s", consumer.audit.line(), breaks)


async def test_kills_while_the_backlog_is_delivered(mosquitto, start_load, make_agent):
    """A backlog that is interrupted again and again is delivered to the end, in order."""
    load = await start_load()
    async with consuming(mosquitto.url) as consumer, Proxy("127.0.0.1", mosquitto.port) as cable:
        agent = make_agent(load, cable.port, replay={"max_rate": "50/s"}, window=WINDOW)
        await cable.cut()
        await agent.start()
        await load.goes_on(2)
        await cable.restore()
        for _ in range(2):
            await consumer.heard(3, *load.devices)
            agent.kill()
            await agent.start()
        await consumer.heard(3, *load.devices)
        await all_arrived(agent, consumer)
        assert consumer.duplicates <= 2 * (WINDOW + 25)
        log.warning("%s", consumer.audit.line())
