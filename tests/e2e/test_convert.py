"""A converted configuration is checked and read against the devices that the foreign one describes."""

from __future__ import annotations

import json
from pathlib import Path

from agent.core.clock import SystemClock
from agent.simulator.modbus import ModbusServer, Unit
from agent.simulator.opcua import OpcUaServer
from agent.simulator.points import Memory, NodePoint
from agent.workbench.convert.written import yaml_of
from tests.support.processes import agent_command, process
from tests.unit.workbench.test_convert import FOREIGN, converted
from tests.unit.workbench.test_orders import registers

#: What is read of each device of each file.
READ: dict[str, dict[str, dict[str, object]]] = {
    "telegraf.toml": {"Press-1": {"power": 50.25, "oil_temperature": 61.2, "running": True}},
    "telegraf_metric.toml": {
        "Meter-T": {
            "power": 50.25, "counts": 70_000, "oil": 61.2, "serial": "PRESS-01", "running": True, "alarm": True
        },
        "Meter-R": {"flow": 12.5, "energy": 5_000_000_000, "torque": -5, "door": True},
        "Meter-L": {"door": True, "power": 50.25, "torque": -5, "oil": 61.2, "level": 2047},
        "cell": {"speed": 1500.0},
        "cell-listener": {"count": 7},
    },
    "kepware.json": {"Press": {"Power": 50.25, "Oil.Temperature": 61.2}},
    "kepware_project.json": {
        "Meter": {
            "Power": 50.25, "Counts": 70_000, "Plain": 612, "Alarm": True, "Ready": True, "Serial": "PRESS-01",
            "Oil.Tank.Level": 5.0,
        },
        "Spindle": {"Speed": 1500.0},
    },
    "kepware_semicolon.csv": {"kepware": {"Oil.Power": 50.25, "Level": 5.25, "Alarm": True, "Flow": 50.25}},
    "kepware_nodes.csv": {"kepware": {"Speed": 1500.0, "Axis.Count": 7}},
    "thingsboard_modbus.json": {"Press-1": {"power": 50.25, "oil_temperature": 61.2, "running": True}},
    "thingsboard_modbus_before.json": {
        "Before": {"serial": "PRESS-01", "power": 50.25, "flow": 12.5, "counts": 70_000, "torque": -5}
    },
    "thingsboard_modbus_little.json": {
        "Little": {
            "serial": "PRESS-01", "pressure": 3.5, "swapped": 25.8, "alarm": True, "high": 2, "zone_180": 3.5,
            "outlet": 8.0, "door": True,
        }
    },
    "thingsboard_opcua_path.json": {"Cell-P": {"cell/Count": 7, "cell/Speed": 1500.0}, "Cell-I": {"speed": 1500.0}},
    "neuron.json": {"press-3": {"power": 50.25, "oil_temperature": 61.2, "running": True}},
    "neuron_drivers.json": {"saw": {"power": 50.25, "runs": True}},
    "neuron_nodes.json": {
        "meter": {"power": 50.25, "flow": 12.5, "oil": 61.2},
        "cell": {"speed": 750.0},
        "cell-sub": {"count": 7},
    },
}  # fmt: skip


def device() -> Unit:
    """Unit 3, with values of many types and orders."""
    memory = Memory()
    memory.fill("holding", 7, [612])
    memory.fill("holding", 100, registers(50.25, "float32", "CDAB"))
    memory.fill("holding", 110, registers(12.5, "float32", "ABCD"))
    memory.fill("holding", 120, registers(70_000, "uint32", "CDAB"))
    memory.fill("holding", 130, [0x5052, 0x4553, 0x532D, 0x3031])  # PRESS-01
    memory.fill("holding", 140, [0b100])
    memory.fill("holding", 150, registers(5_000_000_000, "uint64", "ABCD"))
    memory.fill("holding", 160, [65531])
    memory.fill("holding", 170, [0x0201])
    memory.fill("holding", 180, [*registers(3.5, "float32", "DCBA"), *registers(8.0, "float32", "DCBA")])
    memory.fill("input", 10, [2047])
    memory.fill("coil", 3, [1])
    memory.fill("discrete", 4, [1])
    return Unit(memory)


async def test_what_was_converted_reads_the_same(tmp_path: Path) -> None:
    """Each file of the four products, as they write them; all its devices are read at once."""
    nodes = NodePoint("Speed", "Double"), NodePoint("Count", "UInt32")
    cell = OpcUaServer("cell", nodes, namespace="urn:acme:cell", clock=SystemClock())
    await cell.build({"Speed": 1500.0, "Count": 7})
    await cell.start()
    devices: dict[str, dict[str, object]] = {}
    async with ModbusServer({3: device()}) as server:
        place = server.url.removeprefix("tcp://")
        host, port = place.split(":")
        puts = {"UAPLACE": cell.url.removeprefix("opc.tcp://"), "HOST": host, '"PORT"': port, "PLACE": place}
        for file, expected in READ.items():
            made = converted(file, **puts).devices
            for name in expected:
                one = dict(made[name])
                if one["url"] in ("tcp://192.0.2.1", "opc.tcp://192.0.2.1:4840"):  # a list of tags names no device
                    one |= {"unit_id": 3, "url": server.url} if one["type"] == "modbus" else {"url": cell.url}
                devices[f"{file.replace('.', '_')}-{name}"] = one
        (tmp_path / "agent.yaml").write_text(f"agent: {{id: gw}}\n{yaml_of(devices)}")
        with process(*agent_command("check", "-c", str(tmp_path / "agent.yaml"), "--live", "--json")) as running:
            await running.wait(60)
            answer = json.loads(running.stdout)
    await cell.close()
    read = {
        name: {one["tag"]: one["value"] for one in found["readings"] if one["quality"] == "good"}
        for name, found in answer["devices"].items()
    }
    for file, expected in READ.items():
        for name, tags in expected.items():
            found = read[f"{file.replace('.', '_')}-{name}"]
            assert {tag: found.get(tag) for tag in tags} == tags, (file, name)


async def test_the_command(tmp_path: Path) -> None:
    """Exit 1: this file holds items that cannot be carried over; each is named, and what is written is YAML of ours."""
    with process(*agent_command("convert", str(FOREIGN / "neuron_nodes.json"))) as running:
        assert await running.wait(30) == 1, running.stderr
        assert "not carried over: meter g line: " in running.stderr
        assert "planted-secret" not in running.stdout + running.stderr
        assert running.stdout.startswith("# from neuron_nodes.json (neuron)\ndevices:\n")


async def test_what_is_not_recognised(tmp_path: Path) -> None:
    """Exit 2, and the formats that are known."""
    (tmp_path / "x.yaml").write_text("agent: {id: gw}\n")
    with process(*agent_command("convert", str(tmp_path / "x.yaml"))) as running:
        assert await running.wait(30) == 2
        assert "not recognised; known formats: kepware, telegraf, thingsboard, neuron" in running.stderr
        assert running.stdout == ""
