"""Two agents under one id."""

from __future__ import annotations

from agent.simulator.proxy import Proxy
from tests.support.consumer import consuming
from tests.support.load import SCAN
from tests.support.waiting import eventually


async def test_conflict_is_said_once_by_each_and_nothing_merged(mosquitto, start_load, make_agent):
    """Each keeps its own epochs and numbers; both say that there is another."""
    load = await start_load(2)
    async with consuming(mosquitto.url) as consumer, Proxy("127.0.0.1", mosquitto.port) as cable:
        one = make_agent(load, cable.port, publisher="one")
        other = make_agent(load, mosquitto.port, publisher="other")
        await one.start()
        await consumer.heard(3, *load.devices)
        assert one.events("publisher.conflict") == []
        await other.start()
        [seen] = await eventually(lambda: one.events("publisher.conflict"))
        # the other hears of it when the one speaks next: its status is repeated, at the latest by a new connection
        await cable.cut()
        await cable.restore()
        [heard] = await eventually(lambda: other.events("publisher.conflict"))
        assert seen["topic"] == heard["topic"] == "edge/agents/gw-test/status"
        assert seen["session"] != heard["session"]
        epochs = {agent: agent.events("outbox.opened")[0]["epoch"] for agent in (one, other)}
        seen_before = len(consumer.records)
        await eventually(lambda: {said.epoch for said in consumer.records[seen_before:]} == set(epochs.values()))
        assert await one.stop() == 0
        assert await other.stop() == 0
        assert len(one.events("publisher.conflict")) == len(other.events("publisher.conflict")) == 1
        assert consumer.two_faced == []
        await consumer.complete()
        assert "missing=0" in consumer.audit.line()
        assert "conflicts=0" not in consumer.audit.line()  # two agents under one name are told apart, and told
        # both count the same machine's scans: in each epoch they rise, none of them belongs to the other
        for device in load.devices:
            for epoch in epochs.values():
                said = [said for said in consumer.of(device) if said.epoch == epoch and not said.snapshot]
                scans = [said.values[SCAN] for said in sorted(said, key=lambda said: said.seq)]
                assert scans == sorted(set(scans))
