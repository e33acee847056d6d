from __future__ import annotations

import asyncio

import pytest
from asyncua import ua
from asyncua.client.client import Client
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException

from agent.core.clock import SystemClock
from agent.core.quality import number_of
from agent.simulator.description import plant_of
from agent.simulator.machines import Meter, Press
from agent.simulator.modbus import ModbusServer, Unit
from agent.simulator.plant import ModbusDevice, Plant, PlantClock
from agent.simulator.points import METER_POINTS
from tests.support.waiting import eventually

MODBUS = {
    "press-01": {"kind": "press"},
    "unit-1": {"kind": "meter", "port": 0},
    "raw-01": {"kind": "registers", "holding": {0: [1, 2, 3]}, "coil": {7: [True, False, True]}},
}


@pytest.fixture
async def plant():
    async with plant_of({"seed": 3, "devices": MODBUS}) as open_plant:
        yield open_plant


@pytest.fixture
async def cnc():
    async with plant_of({"devices": {"cnc-07": {"kind": "cnc"}}}) as open_plant:
        yield open_plant


def client_of(plant: Plant, name: str, timeout: float = 1.0) -> AsyncModbusTcpClient:
    host, port = plant.device(name).url.removeprefix("tcp://").split(":")
    return AsyncModbusTcpClient(host, port=int(port), timeout=timeout, retries=0, reconnect_delay=0)


async def read(plant: Plant, name: str, address: int = 0, count: int = 1):
    client = client_of(plant, name)
    try:
        assert await client.connect()
        return await client.read_holding_registers(address, count=count, device_id=1)
    finally:
        client.close()


async def test_modbus_client_reads_what_the_machines_say(plant):
    """Registers decode to values of the machine at that time; counters and strings are exact."""
    client = client_of(plant, "press-01")
    assert await client.connect()
    parts = client.convert_from_registers(
        (await client.read_holding_registers(4, count=2)).registers, client.DATATYPE.UINT32
    )
    serial = (await client.read_holding_registers(100, count=8)).registers
    client.close()
    assert isinstance(parts, int)
    assert parts >= 180_000
    assert str(client.convert_from_registers(serial, client.DATATYPE.STRING)).startswith("PR-2019-")
    assert (await read(plant, "raw-01", count=3)).registers == [1, 2, 3]


async def test_meter_speaks_word_swapped_floats(plant):
    """A float32 at CDAB read in that order is a voltage."""
    client = client_of(plant, "unit-1")
    assert await client.connect()
    low, high = (await client.read_input_registers(0, count=2)).registers
    client.close()
    voltage = client.convert_from_registers([high, low], client.DATATYPE.FLOAT32)
    assert isinstance(voltage, float)
    assert 225 < voltage < 235


async def test_plant_cannot_be_written(plant):
    """A write is refused and changes nothing."""
    client = client_of(plant, "raw-01")
    assert await client.connect()
    assert (await client.write_register(0, 99)).isError()
    client.close()
    assert (await read(plant, "raw-01")).registers == [1]


async def test_offline_refuses_and_heal_brings_back_the_same_port(plant):
    """An offline device refuses connections; healed it answers where it was."""
    device = plant.device("press-01")
    url = device.url
    await device.fail()
    client = client_of(plant, "press-01")
    assert not await client.connect()
    client.close()
    await device.heal()
    assert device.url == url
    assert not (await read(plant, "press-01")).isError()


async def test_one_unit_of_a_gateway_fails_alone():
    """Offline behind a shared port means silence of that unit; the other answers."""
    server = ModbusServer({unit: Unit(machine=Meter(unit), points=METER_POINTS) for unit in (1, 2)})
    async with Plant(
        {"a": ModbusDevice("a", server, 1), "b": ModbusDevice("b", server, 2)}, PlantClock(SystemClock(), 0)
    ) as plant:
        await plant.device("b").fail()
        client = client_of(plant, "a", timeout=0.5)
        assert await client.connect()
        assert not (await client.read_holding_registers(0, device_id=1)).isError()
        with pytest.raises(ModbusException):
            await client.read_holding_registers(0, device_id=2)
        client.close()


async def test_taken_port_is_said_and_nothing_leaks(plant):
    """A plant that cannot open closes what it had opened."""
    port = int(plant.device("raw-01").url.rsplit(":", 1)[1])
    two = plant_of({"devices": {"x": {"kind": "press"}, "y": {"kind": "press", "port": port}}})
    with pytest.raises(OSError, match=str(port)):
        async with two:
            pass
    with pytest.raises(OSError, match=r"refused|Connect"):
        await asyncio.open_connection("127.0.0.1", int(two.device("x").url.rsplit(":", 1)[1]))


async def test_machine_time_is_the_plants_clock():
    """A plant says what its machine says at the plant's time."""
    plant = plant_of({"seed": 3, "age": 1000.0, "devices": {"p": {"kind": "press"}}})
    assert 1000.0 <= plant.time() < 1010.0
    assert Press(1).state(plant.time())["part_count"] > Press(1).state(0)["part_count"]


# --- OPC UA -----------------------------------------------------------------------------------------------------------


class _Seen:
    def __init__(self):
        self.values: list[object] = []

    def datachange_notification(self, node, val, data):
        self.values.append(val)


async def test_opcua_server_in_all_its_moods(cnc):
    """Read and subscribe, bad status, hidden nodes, slow answers, offline: each as told, and healed."""
    device = cnc.device("cnc-07")
    assert device.server is not None
    async with Client(device.url, timeout=30) as client:
        space = await client.get_namespace_index("urn:acme:cnc")

        def node(name):
            return client.get_node(f"ns={space};s={name}")

        value = await node("CuttingSeconds").read_data_value()
        assert value.Value.VariantType is ua.VariantType.UInt64
        assert value.SourceTimestamp is not None

        seen = _Seen()
        subscription = await client.create_subscription(50, seen)
        await subscription.subscribe_data_change(node("Axis.Z"))
        await eventually(lambda: len(set(seen.values)) > 1, what="axis moves")
        await subscription.delete()

        device.status = {"Axis.X": number_of("BadSensorFailure")}
        await device.tick(1.0)
        bad = await node("Axis.X").read_data_value(raise_on_bad_status=False)
        assert bad.StatusCode.name == "BadSensorFailure"
        assert (await node("Axis.Y").read_data_value()).StatusCode.is_good()

        device.server.hide({"Axis.Y"})
        gone = await node("Axis.Y").read_data_value(raise_on_bad_status=False)
        assert gone.StatusCode.name == "BadNodeIdUnknown"

        device.server.hide(set())
        device.server.delay = 0.1
        began = asyncio.get_running_loop().time()
        assert (await node("Axis.Y").read_data_value()).StatusCode.is_good()
        assert asyncio.get_running_loop().time() - began >= 0.1 - 0.002  # timers of uvloop count whole milliseconds
        device.server.delay = 0.0

    url = device.url
    await device.fail()
    with pytest.raises(OSError, match=r"refused|Connect"):
        async with Client(url, timeout=30):
            pass
    await device.heal()
    assert device.url == url
