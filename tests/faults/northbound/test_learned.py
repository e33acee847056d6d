"""What was learned of a broker is known after kill -9."""

from __future__ import annotations

from tests.faults.northbound.conftest import caught_up
from tests.support.consumer import consuming
from tests.support.waiting import eventually


async def test_a_limit_that_took_three_hang_ups_to_find_is_not_looked_for_again(
    start_mosquitto, start_load, make_agent
):
    """MQTT 3.1.1 and a packet limit nobody told us: found once, then kept; the next run is not hung up on at all."""
    load = await start_load(2)
    mosquitto = start_mosquitto("max_packet_size 5000")  # snapshots of 60 tags are larger
    async with consuming(mosquitto.url) as consumer:
        agent = make_agent(load, mosquitto.port, version="3.1.1", replay={"max_rate": "200/s"})
        await agent.start()
        await eventually(lambda: agent.events("mqtt.limit_learned"), 60)
        await consumer.heard(3, *load.devices, timeout=60)
        await caught_up(agent)
        learned = agent.events("mqtt.limit_learned")
        hung_up = agent.events("route.offline")
        assert hung_up
        agent.kill()
        await agent.start()
        await consumer.heard(3, *load.devices, timeout=60)
        await caught_up(agent)
        online = agent.events("route.online")[-1]
        assert 0 < online["max_packet_bytes"] == learned[-1]["max_packet_bytes"] <= 5000
        assert agent.events("mqtt.limit_learned") == learned
        assert agent.events("route.offline") == hung_up
        assert await agent.stop() == 0
        assert consumer.two_faced == []
        assert consumer.unaccounted() == []
        assert "missing=0" in consumer.audit.line()
