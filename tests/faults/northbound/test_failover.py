"""Two brokers of one plant in one route: whichever lives gets the data, and what neither had is not lost."""

from __future__ import annotations

from tests.support.consumer import consuming
from tests.support.load import caught_up
from tests.support.waiting import eventually


async def test_either_broker_may_die(start_mosquitto, start_load, make_agent):
    """Each is killed once, the agent too: every number of every stream is at one of the two, and live data goes on."""
    load = await start_load(2)
    first, second = start_mosquitto(), start_mosquitto()
    async with consuming(first.url) as one, consuming(second.url) as other:
        agent = make_agent(load, first.port, other_urls=[second.url], replay={"max_rate": "200/s"})
        await agent.start()
        await one.heard(3, *load.devices)
        first.kill()
        await other.heard(3, *load.devices)
        first.start()
        await eventually(one.subscribed.is_set)
        second.kill()
        await one.heard(3, *load.devices)
        agent.kill()
        second.start()
        await eventually(other.subscribed.is_set)
        await agent.start()
        await one.heard(3, *load.devices)
        await caught_up(agent)
        assert await agent.stop() == 0

        heard = {(said.device, said.epoch, said.seq) for consumer in (one, other) for said in consumer.records}
        assert len({epoch for _, epoch, _ in heard}) == 2
        for device, epoch in {(device, epoch) for device, epoch, _ in heard}:
            seqs = {seq for said, under, seq in heard if (said, under) == (device, epoch)}
            missing = set(range(1, max(seqs) + 1)) - seqs
            # a broker that is killed takes with it what it had acknowledged a moment ago and not yet handed on
            assert len(missing) <= 1, (device, epoch, missing)
        for consumer in (one, other):
            assert consumer.two_faced == []
            assert consumer.disorder() == []
