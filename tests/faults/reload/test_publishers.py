"""Publishers change: nothing that waits is lost, and nothing stays behind at a broker."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from agent.simulator.modbus import ModbusServer, Unit
from agent.simulator.points import Memory
from agent.simulator.proxy import Proxy
from tests.faults.northbound.test_removed import retained
from tests.faults.southbound.conftest import modbus
from tests.support.agent import AgentProcess
from tests.support.consumer import Consumer, consuming
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import eventually


def server(units: int = 2) -> ModbusServer:
    """Units with eight registers each."""
    memory = Memory()
    memory.fill("holding", 0, list(range(8)))
    return ModbusServer({number: Unit(memory=memory) for number in range(1, units + 1)})


def agent_of(folder: Path, server: ModbusServer, port: int, **keys: Any) -> AgentProcess:
    """An agent that reads two units and publishes them to this port."""
    devices = {f"dev-{number}": modbus(server.url, registers=2, unit_id=number) for number in server.units}
    return AgentProcess(
        folder, publishers={"plant": {"type": "mqtt", "url": f"mqtt://127.0.0.1:{port}"} | keys}, devices=devices
    )


def publisher(agent: AgentProcess, name: str = "plant", **keys: Any) -> dict[str, Any]:
    """The same configuration with other keys of one publisher."""
    document = copy.deepcopy(agent.document)
    document["publishers"][name] |= keys
    return document


async def complete(consumer: Consumer, device: str, epochs: int = 1) -> None:
    """Every record of this device has come, each epoch without a hole."""

    def whole() -> bool:
        numbers: dict[str, set[int]] = {}
        for record in consumer.records:
            if record.device == device:
                numbers.setdefault(record.epoch, set()).add(record.seq)
        return len(numbers) == epochs and all(found == set(range(1, max(found) + 1)) for found in numbers.values())

    await eventually(whole, what=f"all records of {device} have come")


async def test_another_root_clears_the_old_topics_and_loses_nothing(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """With a backlog: the session ends, the next one has the same epoch and publishes all that waited, elsewhere."""
    async with server() as units, consuming(mosquitto.url) as consumer, Proxy("127.0.0.1", mosquitto.port) as cable:
        with agent_of(tmp_path, units, cable.port) as agent:
            await agent.start()
            await consumer.heard(5, "dev-1", "dev-2")
            await cable.cut()
            await eventually(lambda: waiting_of(agent, 10), what="a backlog")
            line = await agent.reload(publisher(agent, root="edge/new"))
            assert line["publishers_changed"] == ["plant"]
            await cable.restore()
            await consumer.heard(10, "dev-1", "dev-2")
            topics = {"edge/new/agents/gw-test/status"}
            topics |= {f"edge/new/plant/hall/dev-{n}/{kind}" for n in (1, 2) for kind in ("status", "tags")}

            async def moved() -> bool:
                assert await retained(mosquitto.port) == topics
                return True

            await eventually(moved, 15, "the old topics are empty")
            for device in ("dev-1", "dev-2"):
                await complete(consumer, device)
            assert await agent.stop() == 0
    assert not consumer.gaps


async def waiting_of(agent: AgentProcess, more: int) -> bool:
    """Whether the outbox holds so many records."""
    status = await agent.status()
    return bool(status["publishers"]["plant"]["outbox"]["records"] >= min(more, 10))


async def test_what_may_change_within_a_session(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """Window, replay, bounds and devices: the broker sees one connection, and no number is left out."""
    async with server() as units, consuming(mosquitto.url) as consumer, Proxy("127.0.0.1", mosquitto.port) as cable:
        with agent_of(tmp_path, units, cable.port, devices=["dev-1"]) as agent:
            await agent.start()
            await consumer.heard(5, "dev-1")
            connected = agent.events("publisher.online")
            await agent.reload(
                publisher(
                    agent, devices=["dev-*"], window=3, replay={"order": "in_order"}, outbox={"max_bytes": "2MiB"}
                )
            )
            await consumer.heard(5, "dev-2")
            topic = "edge/plant/hall/dev-1/status"
            await agent.reload(publisher(agent, devices=["dev-2"]))
            await eventually(lambda: consumer.topics[topic][-1] == b"", what="dev-1 is removed there")
            assert json.loads(consumer.topics[topic][-2])["state"] == "removed"
            await consumer.heard(10, "dev-2")
            status = await agent.status()
            assert agent.events("publisher.online") == connected
            await complete(consumer, "dev-2")
            assert await agent.stop() == 0
            assert not agent.events("component.bug")
    assert status["publishers"]["plant"]["outbox"]["limit"] <= 2 << 20


async def test_a_publisher_that_goes_keeps_its_file_and_comes_again(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """With a backlog: its file is named, nothing is declared lost, and added again it delivers what waited."""
    async with server() as units, consuming(mosquitto.url) as consumer, Proxy("127.0.0.1", mosquitto.port) as cable:
        with agent_of(tmp_path, units, cable.port) as agent:
            await agent.start()
            await consumer.heard(5, "dev-1", "dev-2")
            whole = copy.deepcopy(agent.document)
            await cable.cut()
            await eventually(lambda: waiting_of(agent, 10), what="a backlog")
            line = await agent.reload(whole | {"publishers": {}})
            assert line["publishers_removed"] == ["plant"]
            (removed,) = agent.events("publisher.removed")
            assert removed["records"] >= 10
            assert Path(removed["file"]).exists()
            assert (await agent.status())["publishers"] == {}
            assert 'publisher="plant"' not in await agent.metrics()
            await cable.restore()
            line = await agent.reload(whole)
            assert line["publishers_added"] == ["plant"]
            await eventually(lambda: len({record.epoch for record in consumer.records}) == 2, what="another run")
            await complete(consumer, "dev-1", epochs=2)
            assert await agent.stop() == 0
    assert not [gap for gap in consumer.gaps if gap["kind"] != "down"]


async def test_a_broker_that_is_stuck_holds_no_reload_up(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """The way to it swallows everything: the old session is given up in time, and the next one goes elsewhere."""
    async with server() as units, consuming(mosquitto.url) as consumer, Proxy("127.0.0.1", mosquitto.port) as cable:
        with agent_of(tmp_path, units, cable.port) as agent:
            await agent.start()
            await consumer.heard(5, "dev-1", "dev-2")
            cable.freeze()
            line = await agent.reload(publisher(agent, url=mosquitto.url))
            assert line["event"] == "config.reloaded"
            await consumer.heard(10, "dev-1", "dev-2")
            await complete(consumer, "dev-1")
            assert await agent.stop() == 0
