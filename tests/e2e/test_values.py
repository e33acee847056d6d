"""Every value under its own tag: hundreds of tags of all types from real servers to a real broker, compared one by one.

What the registers hold is written by tests/support/registers.py, not by the agent's codec.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import random
import struct
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua

from agent.consumer.subscriber import Subscriber
from agent.consumer.target import access_of
from agent.simulator.description import plant_of
from agent.simulator.plant import Plant
from tests.integration.opcua.server import Hall, said
from tests.integration.opcua.server import Plant as UaPlant
from tests.support.agent import AgentProcess
from tests.support.consumer import consuming
from tests.support.mosquitto import Mosquitto
from tests.support.registers import FORMATS, ORDERS, registers_of
from tests.support.waiting import eventually


def _value(kind: str, rng: random.Random) -> Any:
    if kind == "float32":
        return struct.unpack(">f", struct.pack(">f", rng.uniform(-1e6, 1e6)))[0]
    if kind == "float64":
        return rng.uniform(-1e12, 1e12)
    bits = int(kind.removeprefix("u").removeprefix("int"))
    low, high = (0, 2**bits - 1) if kind.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return rng.choice([low, high, rng.randint(low, high)])


class Layout:
    """A random register map over all areas, with holes, and what each tag must come out as."""

    def __init__(self, seed: int, words: int, bits: int) -> None:
        rng = random.Random(seed)
        self.tags: dict[str, dict[str, Any]] = {}
        self.expected: dict[str, Any] = {}
        self.cells: dict[str, dict[int, Any]] = {"holding": {}, "input": {}, "coil": {}, "discrete": {}}
        at = {"holding": 0, "input": 0, "coil": 0, "discrete": 0}
        for number in range(words):
            area = rng.choice(["holding", "input"])
            at[area] += rng.choice([0, 0, 0, 1, 3, 40])
            kind = rng.choice([*FORMATS, "string", "bit"])
            tag = f"{area}_{number:03}_{kind}"
            at[area] += self._word(rng, tag, area, at[area], kind)
        for number in range(bits):
            area = rng.choice(["coil", "discrete"])
            at[area] += rng.choice([0, 0, 0, 1, 9])
            tag = f"{area}_{number:03}"
            self.expected[tag] = self.cells[area][at[area]] = rng.random() < 0.5
            self.tags[tag] = {"address": f"{area}:{at[area]}"}
            at[area] += 1

    def _word(self, rng: random.Random, tag: str, area: str, at: int, kind: str) -> int:
        if kind == "bit":
            word, bit = rng.getrandbits(16), rng.randrange(16)
            self.tags[tag] = {"address": f"{area}:{at}.{bit}"}
            self.expected[tag] = bool(word >> bit & 1)
            registers = [word]
        elif kind == "string":
            text = "".join(rng.choice("ABCDEFGH-0123456789") for _ in range(8))
            self.tags[tag] = {"address": f"{area}:{at}", "type": "string", "length": 8}
            self.expected[tag] = text
            registers = [int.from_bytes(text[i : i + 2].encode(), "big") for i in range(0, 8, 2)]
        else:
            order, value = rng.choice(ORDERS), _value(kind, rng)
            self.tags[tag] = {"address": f"{area}:{at}", "type": kind, "byte_order": order}
            self.expected[tag] = value
            registers = registers_of(kind, order, value)
        self.cells[area].update(enumerate(registers, at))
        return len(registers)

    def described(self, port: int = 0) -> dict[str, Any]:
        return {"kind": "registers", "port": port, **self.cells}


STAMPED = dt.datetime(2026, 2, 3, 1, 2, 3, 456000, tzinfo=dt.UTC)
SCALARS: list[tuple[str, Any, ua.VariantType, Any]] = [
    ("bool", True, ua.VariantType.Boolean, True),
    ("sbyte", -128, ua.VariantType.SByte, -128),
    ("byte", 255, ua.VariantType.Byte, 255),
    ("int16", -32768, ua.VariantType.Int16, -32768),
    ("uint16", 65535, ua.VariantType.UInt16, 65535),
    ("int32", -(2**31), ua.VariantType.Int32, -(2**31)),
    ("uint32", 2**32 - 1, ua.VariantType.UInt32, 2**32 - 1),
    ("int64", -(2**63) + 1, ua.VariantType.Int64, -(2**63) + 1),
    ("uint64", 2**64 - 1, ua.VariantType.UInt64, 2**64 - 1),
    ("float", 1.5, ua.VariantType.Float, 1.5),
    ("double", 0.1, ua.VariantType.Double, 0.1),
    ("string", "冲压机 Nº 7", ua.VariantType.String, "冲压机 Nº 7"),
    ("datetime", STAMPED, ua.VariantType.DateTime, "2026-02-03T01:02:03.456Z"),
]


async def _opcua_nodes(plant: UaPlant, count: int) -> tuple[dict[str, dict[str, str]], dict[str, Any]]:
    tags, expected = {}, {}
    for number in range(count):
        name, value, kind, json_value = SCALARS[number % len(SCALARS)]
        if name in ("int32", "double"):
            value = json_value = number if name == "int32" else number / 8
        tag = f"{name}_{number:03}"
        stamp = STAMPED + dt.timedelta(milliseconds=number)
        await plant.do(plant.add(tag, value, kind=kind))
        await plant.do(plant.put(tag, said(value, at=stamp, kind=kind)))
        tags[tag] = {"node": f"nsu=urn:test:plant;s={tag}"}
        expected[tag] = (json_value, round(stamp.timestamp() * 1000))
    return tags, expected


@pytest.fixture
def hall() -> Iterator[Hall]:
    running = Hall()
    yield running
    running.close()


@pytest.fixture
async def registers() -> AsyncIterator[tuple[Plant, Layout, Layout]]:
    one, other = Layout(11, 220, 60), Layout(12, 170, 50)
    async with plant_of({"devices": {"plc-1": one.described(), "plc-2": other.described()}}) as plant:
        yield plant, one, other


async def test_every_value_arrives_under_its_own_tag(
    tmp_path: Path,
    mosquitto: Mosquitto,
    hall: Hall,
    registers: tuple[Plant, Layout, Layout],
) -> None:
    """500 Modbus tags and 300 OPC UA nodes (more than the server reads at once), polled and subscribed: all exact."""
    plant, one, other = registers
    server = await hall.plant()
    server.most_reads = 100
    await server.do(server.tell(reads=100, items=100))
    tags, expected = await _opcua_nodes(server, 300)
    devices: dict[str, Any] = {
        "plc-1": {"type": "modbus", "url": plant.device("plc-1").url, "max_gap": 4, "tags": one.tags},
        "plc-2": {"type": "modbus", "url": plant.device("plc-2").url, "max_registers": 60, "tags": other.tags},
        "ua-poll": {"type": "opcua", "url": server.url, "mode": "poll", "tags": tags},
        "ua-subscribe": {"type": "opcua", "url": server.url, "mode": "subscribe", "tags": tags},
    }
    assert len(one.tags) + len(other.tags) == 500
    newest: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in devices}

    def take(topic: str, payload: bytes, *, retained: bool) -> None:
        del retained
        if topic.endswith("/readings"):
            message = json.loads(payload)
            good = {reading["tag"]: reading for reading in message["readings"] if reading["quality"] == "good"}
            newest[message["device"]].update(good)

    def complete() -> bool:
        return all(newest[name].keys() == device["tags"].keys() for name, device in devices.items())

    publishers = {"plant": {"type": "mqtt", "url": mosquitto.url}}
    async with consuming(mosquitto.url) as consumer, asyncio.TaskGroup() as group:
        subscriber = Subscriber(access_of(mosquitto.url), ["edge/#"], take)
        listening = group.create_task(subscriber.run())
        await subscriber.subscribed.wait()
        with AgentProcess(tmp_path, publishers=publishers, devices=devices) as agent:
            await agent.start()
            await eventually(complete, what="every tag of every device was good once")
            assert await agent.stop() == 0
        listening.cancel()
        await consumer.check()
    assert server.largest_read <= 100
    for device, layout in (("plc-1", one), ("plc-2", other)):
        assert {tag: reading["value"] for tag, reading in newest[device].items()} == layout.expected
    for device in ("ua-poll", "ua-subscribe"):
        found = {tag: (said_["value"], said_.get("src", said_["ts"])) for tag, said_ in newest[device].items()}
        assert found == expected
