"""Memory of an agent under 5,000 readings a second while its broker is away, comes back, stands still and is killed."""

from __future__ import annotations

import logging
import os

import pytest

from agent.simulator.proxy import Proxy
from tests.support.consumer import consuming
from tests.support.load import SCAN, caught_up, offline
from tests.support.memory import Memory

#: Seconds of load in each of its plights.
OUTAGE = int(os.environ.get("EDGE_OUTAGE_SECONDS", "4"))
#: How much memory may grow, MB.
FLAT = 10

log = logging.getLogger(__name__)


@pytest.mark.soak
@pytest.mark.usefixtures("own_memory")
@pytest.mark.timeout(240 + 30 * OUTAGE)
async def test_memory_stays_flat(mosquitto, start_load, make_agent):
    """A growing backlog, its replay, a link that hangs and a broker that is killed cost disk, not memory."""
    load = await start_load(4, tags=125, interval_ms=100)
    assert load.rate == 5000
    async with consuming(mosquitto.url) as consumer, Proxy("127.0.0.1", mosquitto.port) as cable:
        agent = make_agent(load, cable.port, replay={"max_rate": "500/s"})
        await agent.start()
        await consumer.heard(3, *load.devices)
        await load.goes_on(2)
        memory = Memory(agent.pid)
        async with memory.through("away"):
            await cable.cut()
            await load.goes_on(OUTAGE)
        async with memory.through("replay"):
            await cable.restore()
            await caught_up(agent, timeout=40 + 10 * OUTAGE)
        async with memory.through("hanging"):
            cable.freeze()
            await load.goes_on(OUTAGE)
            cable.thaw()
            await caught_up(agent, timeout=60 + 10 * OUTAGE)
        await consumer.complete()
        assert consumer.lost_scans(SCAN) == []
        assert consumer.gaps == []
        async with memory.through("killed"):  # what a broker has in its own memory is lost with it
            mosquitto.kill()
            await offline(agent)
            await load.goes_on(2)
            mosquitto.start()
            await caught_up(agent, timeout=60 + 10 * OUTAGE)
        grown = {plight: round(most, 1) for plight, most in memory.most.items()}
        log.warning("from %.0f MB: %s", memory.first_mb, grown)
        assert await agent.stop() == 0
        assert max(grown.values()) < FLAT, grown
