"""Brokers that speak MQTT 3.1.1 and nothing newer: one answers a CONNECT of MQTT 5 by closing, the other with 0x01."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pytest

from agent.simulator.broker import EmbeddedBroker
from agent.simulator.proxy import Proxy
from tests.interop.aedes import aedes
from tests.support.certs import make_certs
from tests.support.consumer import consuming
from tests.support.load import SCAN, caught_up, offline, route_of
from tests.support.recorder import _Tee

FIVE, OLD = 5, 4  #: protocol levels (MQTT 5: 3.1.2.2; MQTT 3.1.1: 3.1.2.2)


class Levels(Proxy):
    """A cable that notes the protocol level of every CONNECT."""

    def __init__(self, port):
        super().__init__("127.0.0.1", port)
        self.levels = []

    async def _pass(self, source, sink):
        await super()._pass(_Tee(source, self._look), sink)  # type: ignore[arg-type]

    def _look(self, data):
        at = data.find(b"\x00\x04MQTT")
        if data[:1] == b"\x10" and at > 0:
            self.levels.append(data[at + 6])


class Old(NamedTuple):
    """A broker that speaks 3.1.1 on `port`; a consumer listens at `url`."""

    port: int
    url: str
    first: list[int]  #: levels of the first connection; later ones try 5 once


@contextmanager
def rumqttd(_folder) -> Iterator[Old]:
    with EmbeddedBroker() as broker:
        yield Old(broker.port_311, broker.url, [FIVE, FIVE, FIVE, OLD])


@contextmanager
def node_aedes(folder) -> Iterator[Old]:
    with aedes(make_certs(folder / "certs")) as broker:
        yield Old(broker.port("mqtt"), broker.url("mqtt"), [FIVE, OLD])


@pytest.mark.parametrize("kind", [rumqttd, pytest.param(node_aedes, marks=pytest.mark.soak)])
async def test_nothing_is_lost_at_a_3_1_1_broker(tmp_path, start_load, make_agent, kind):
    """`version: auto` falls back and says what that is blind to; cuts and a kill lose nothing; 5 is tried each time."""
    load = await start_load(2)
    with kind(tmp_path) as old:
        async with consuming(old.url) as consumer, Levels(old.port) as cable:
            agent = make_agent(load, cable.port, replay={"max_rate": "200/s"})
            await agent.start()
            await consumer.heard(3, *load.devices)
            assert cable.levels == old.first
            assert (await route_of(agent))["mqtt"] == "3.1.1"
            await cable.cut()
            await offline(agent)
            await load.goes_on(0.5)
            cable.levels.clear()
            await cable.restore()
            await caught_up(agent)
            assert cable.levels == [FIVE, OLD]
            [said] = agent.events("mqtt.version_fallback")
            assert (said["level"], said["publisher"]) == ("warning", "plant")
            assert "acknowledged and dropped" in said["blind"]
            await cable.cut()
            await load.goes_on(0.5)
            agent.kill()
            await agent.start()
            cable.levels.clear()
            await cable.restore()
            await consumer.heard(3, *load.devices)
            await caught_up(agent)
            assert cable.levels == [FIVE, OLD]  # what a closed connection means is known over the restart
            assert await agent.stop() == 0
            assert {status["mqtt"] for status in consumer.agents["gw-test"] if "mqtt" in status} == {"3.1.1"}
            await consumer.check()
            assert consumer.lost_scans(SCAN) == []
            assert consumer.wrongly_declared_downs() == []
            assert consumer.duplicates <= 2 * (20 + 100)
