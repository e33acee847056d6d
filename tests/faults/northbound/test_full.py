"""The outbox is full before the broker is back."""

from __future__ import annotations

import pytest

from agent.simulator.proxy import Proxy
from tests.support.consumer import consuming
from tests.support.load import caught_up
from tests.support.waiting import eventually

WINDOW = 20


@pytest.mark.parametrize("when_full", ["drop_oldest", "drop_newest"])
async def test_drops_are_declared_exactly(mosquitto, start_load, make_agent, when_full):
    """Each number either comes or is declared; the declarations count what went."""
    load = await start_load()
    async with consuming(mosquitto.url) as consumer, Proxy("127.0.0.1", mosquitto.port) as cable:
        agent = make_agent(
            load, cable.port, replay={"max_rate": "200/s"}, outbox={"max_bytes": "24KiB", "when_full": when_full},
            window=WINDOW,
        )  # fmt: skip
        await agent.start()
        await consumer.heard(3, *load.devices)
        await cable.cut()
        await load.goes_on(1)

        async def dropped():
            return (await agent.status())["publishers"]["plant"]["outbox"]["dropped_records"] > 40

        await eventually(dropped)
        agent.kill()
        await agent.start()
        await load.goes_on(0.5)
        await cable.restore()
        await consumer.heard(3, *load.devices)
        await caught_up(agent)
        assert await agent.stop() == 0

        await consumer.check()
        gaps = [gap for gap in consumer.gaps if gap["kind"] == "dropped"]
        assert sum(gap["records"] for gap in gaps) > 40
        assert {gap["device"] for gap in gaps} == set(load.devices)
        for gap in gaps:
            assert gap["records"] == gap["to_seq"] - gap["from_seq"] + 1
            assert gap["readings"] == 60 * gap["records"]
        declared = [
            (gap["device"], gap["epoch"], seq) for gap in gaps for seq in range(gap["from_seq"], gap["to_seq"] + 1)
        ]
        assert len(declared) == len(set(declared))
        # what was on its way when the cable was cut may have arrived and be declared all the same: a window, no more
        assert len(set(declared) & {(said.device, said.epoch, said.seq) for said in consumer.records}) <= WINDOW
