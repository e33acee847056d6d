"""Two brokers of one plant in one route: whichever lives gets the data, and what neither had is not lost."""

from __future__ import annotations

import json

from agent.core.ids import ulid
from tests.support.consumer import consuming
from tests.support.load import caught_up
from tests.support.mqtt import observing
from tests.support.waiting import eventually

KEPT = {"keep_acked": {"age": "10m"}}
REQUESTS = "edge/agents/gw-test/resend"


def holes(*consumers):
    """Numbers of each (device, epoch) that none of them heard, from 1 to the last one heard."""
    heard: dict[tuple[str, str], set[int]] = {}
    for consumer in consumers:
        for said in consumer.records:
            heard.setdefault((said.device, said.epoch), set()).add(said.seq)
    return {stream: set(range(1, max(seqs) + 1)) - seqs for stream, seqs in heard.items()}


async def ask(port, device, epoch, seq):
    """As a consumer asks for a record."""
    request = {"id": ulid(0), "device": device, "epoch": epoch, "from_seq": seq, "to_seq": seq}
    async with observing(port, REQUESTS) as observer:
        await observer.publish(REQUESTS, json.dumps(request).encode())


async def test_either_broker_may_die(start_mosquitto, start_load, make_agent):
    """Each is killed once, the agent too: every number of every stream is at one of the two, and live data goes on.

    What a broker had acknowledged and not yet handed on when it was killed comes when it is asked for.
    """
    load = await start_load(2)
    first, second = start_mosquitto(), start_mosquitto()
    async with consuming(first.url) as one, consuming(second.url) as other:
        agent = make_agent(load, first.port, other_urls=[second.url], replay={"max_rate": "200/s"}, outbox=KEPT)
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
        for (device, epoch), missing in holes(one, other).items():
            for seq in missing:
                for broker in (first, second):  # it is at one of them
                    await ask(broker.port, device, epoch, seq)
        await eventually(lambda: not any(holes(one, other).values()))
        assert await agent.stop() == 0

        assert len({epoch for _, epoch in holes(one, other)}) == 2
        assert not any(holes(one, other).values())
        for consumer in (one, other):
            assert consumer.two_faced == []
            assert consumer.disorder() == []
