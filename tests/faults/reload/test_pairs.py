"""Two configurations after one another, with real devices, outboxes and a real broker: as if only the second had been.

The same is tried with scripted parts, by the hundred, in `tests/unit/runtime/test_topology.py`.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from agent.collectors.modbus.config import ModbusConfig
from agent.collectors.opcua.config import OpcUaConfig
from agent.config.model import AgentSettings, Config
from agent.core.clock import SystemClock
from agent.encoders.json import JsonConfig
from agent.encoders.sparkplug import SparkplugConfig
from agent.encoders.value import ValueConfig
from agent.publishers.mqtt.config import MqttConfig
from agent.settings.devices import DeviceConfig
from agent.simulator.modbus import ModbusServer, Unit
from agent.simulator.points import Memory
from tests.faults.southbound.conftest import modbus, opcua
from tests.integration.opcua.server import Hall
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import eventually
from tests.unit.runtime.test_topology import Stage, labels, stage

#: `make soak` tries more.
PAIRS = int(os.environ.get("RELOAD_PAIRS", "20"))
#: So many looks in a row that see the same: nothing moves any more.
STILL = 5
#: Never dialled: a drawing is given its addresses when the servers listen.
MODBUS, OPCUA, BROKER = "tcp://modbus.test:502", "opc.tcp://opcua.test:4840", "mqtt://broker.test:1883"

COMMON = {"interval": st.sampled_from(["50ms", "100ms"]), "location": st.sampled_from([None, ["hall"]])}
METERS = st.builds(
    lambda registers, **keys: modbus(MODBUS, registers=registers, **keys),
    registers=st.integers(1, 3), unit_id=st.integers(1, 3), enabled=st.sampled_from([True, True, False]), **COMMON,
)  # fmt: skip
MACHINES = st.builds(
    lambda names, **keys: opcua(OPCUA, *sorted(names), **keys),
    names=st.sets(st.sampled_from("ab"), min_size=1), mode=st.sampled_from(["subscribe", "poll"]), **COMMON,
)  # fmt: skip
ENCODERS = [JsonConfig(), ValueConfig(type="value"), SparkplugConfig(type="sparkplug_b", group="plant")]


def _publishers(root: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            "type": st.just("mqtt"), "url": st.just(BROKER), "encoder": st.sampled_from(ENCODERS),
            "root": st.sampled_from([root, f"{root}2"]), "window": st.sampled_from([5, 20]),
            "devices": st.sampled_from([["*"], ["m1"], ["m*", "cnc"]]),
        }
    )  # fmt: skip


DOCUMENTS = st.fixed_dictionaries(
    {
        "devices": st.fixed_dictionaries({"m1": METERS}, optional={"m2": METERS, "m3": METERS, "cnc": MACHINES}),
        "publishers": st.fixed_dictionaries({"p1": _publishers("one")}, optional={"p2": _publishers("two")}),
    }
)


def read(document: Mapping[str, Any], addresses: Mapping[str, str]) -> Config:
    """What the loader makes of it, without a file."""

    def at(keys: dict[str, Any]) -> dict[str, Any]:
        return keys | {"url": addresses[keys["url"]]}

    kinds: dict[str, type[DeviceConfig]] = {"modbus": ModbusConfig, "opcua": OpcUaConfig}
    head = Config(agent=AgentSettings(id="gw", location=["plant"]), http=None)
    devices = {name: kinds[keys["type"]].model_validate(at(keys)) for name, keys in document["devices"].items()}
    publishers = {name: MqttConfig.model_validate(at(keys)) for name, keys in document["publishers"].items()}
    return head.model_copy(update={"devices": devices, "publishers": publishers})


def open_files() -> Counter[str]:
    """File handles of this process by what they are; sockets, pipes and the like without their number."""
    kinds: Counter[str] = Counter()
    for one in Path("/proc/self/fd").iterdir():
        try:
            kinds[re.sub(r"/tmp\S*/|\d+", "", str(one.readlink()))] += 1
        except FileNotFoundError:  # that of the folder itself
            continue
    return kinds


def work() -> Counter[str]:
    """Tasks by name."""
    return Counter(re.sub(r"\d+", "", task.get_name()) for task in asyncio.all_tasks())


def standing(on: Stage) -> dict[str, Any]:
    """Everything that runs and is held on this stage."""
    south, north = on.topology.south, on.topology.north
    devices = {  # whether one is `degraded` is a matter of the machine's pace
        name: (device.location, device.state == "offline", {tag: one.value for tag, one in device.newest.items()})
        for name, device in on.image.devices.items()
    }
    return {
        "devices": devices,
        "buses": sorted(south.buses.standing()),
        "routes": {
            name: (route.state, sorted(device for device in devices if route.wants(device)))
            for name, route in north.routes.items()
        },
        "told": (len(on.steps._back), len(on.steps._forward), len(on.image._listeners)),
        "files": open_files(),
        "tasks": work(),
    }


async def settled(on: Stage, expected: dict[str, Any] | None = None) -> dict[str, Any]:
    """What stands once every tag has its value and nothing moves any more; with `expected`, once it is that."""
    looks: list[dict[str, Any]] = []

    def done() -> bool:
        looks.append(standing(on))
        seen = looks[-1]
        assert on.config is not None
        if expected is not None:
            return seen == expected
        read = all(
            seen["devices"][name][2].get(tag) is not None
            for name, device in on.config.devices.items()
            for tag in (device.tag_table if device.enabled else ())
        )
        return read and looks[-STILL:] == [seen] * STILL

    try:
        await eventually(done, what="what was configured runs")
    except AssertionError:
        assert expected in (None, looks[-1])  # shows what differs
        raise
    return looks[-1]


def drawn(number: int) -> list[dict[str, Any]]:
    """So many configurations, each another."""
    documents: list[dict[str, Any]] = []

    @given(DOCUMENTS)
    @settings(max_examples=number, deadline=None, database=None, phases=[Phase.generate])
    def draw(document: dict[str, Any]) -> None:
        documents.append(document)

    draw()
    return documents


def test_what_runs_after_a_reload_is_what_a_cold_start_runs(mosquitto: Mosquitto, hall: Hall) -> None:
    """Devices and values, connections, routes, tasks and file handles; and with nothing configured nothing is left.

    One stage walks from configuration to configuration, so each of them but the first is the second of a pair.
    """

    async def compare() -> None:
        plant = await hall.plant()
        for name in "ab":
            await plant.do(plant.add(name, 1))
        memory = Memory()
        memory.fill("holding", 0, [7, 8, 9])
        async with ModbusServer({number: Unit(memory=memory) for number in (1, 2, 3)}) as server:
            addresses = {MODBUS: server.url, OPCUA: plant.url, BROKER: mosquitto.url}
            before = labels()
            first, *others = [read(document, addresses) for document in drawn(PAIRS + 1)]
            cold = []
            for config in others:
                async with stage(SystemClock()) as started:
                    empty = standing(started)
                    await started.to(config)
                    cold.append(await settled(started))
            async with stage(SystemClock()) as changed:
                await changed.to(first)
                await settled(changed)
                for config, expected in zip(others, cold, strict=True):
                    await changed.to(config)
                    await settled(changed, expected)
                await changed.to(first.model_copy(update={"devices": {}, "publishers": {}}))
                await settled(changed, empty)
        assert labels() <= before | {("component", "image")}

    asyncio.run(compare())
