"""A converted configuration is checked and read against the device that the foreign one describes."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.simulator.modbus import ModbusServer, Unit
from agent.simulator.points import Memory
from tests.support.processes import agent_command, process
from tests.unit.workbench.test_convert import FOREIGN
from tests.unit.workbench.test_orders import registers


def device() -> Unit:
    """Unit 3: a float at 100 with its words exchanged, a temperature in tenths at 7, coil 3 on."""
    memory = Memory()
    memory.fill("holding", 100, registers(50.25, "float32", "CDAB"))
    memory.fill("holding", 7, [612])
    memory.fill("coil", 3, [1])
    return Unit(memory)


@pytest.mark.parametrize(
    ("file", "name", "tags"),
    [
        ("telegraf.toml", "Press-1", {"power": "50.25", "oil_temperature": "61.2", "running": "true"}),
        ("kepware.json", "Press", {"Power": "50.25", "Oil.Temperature": "61.2"}),
        ("thingsboard_modbus.json", "Press-1", {"power": "50.25", "oil_temperature": "61.2", "running": "true"}),
        ("neuron.json", "press-3", {"power": "50.25", "oil_temperature": "61.2", "running": "true"}),
    ],
)
async def test_it_reads_the_same(file: str, name: str, tags: dict[str, str], tmp_path: Path) -> None:
    """Exit 1: these files hold items that cannot be carried over; each is named. What is written is read as meant."""
    async with ModbusServer({3: device()}) as server:
        host, port = server.url.removeprefix("tcp://").split(":")
        text = (FOREIGN / file).read_text().replace("PLACE", f"{host}:{port}").replace('"PORT"', port)
        (tmp_path / file).write_text(text.replace("HOST", host))
        with process(*agent_command("convert", str(tmp_path / file))) as running:
            assert await running.wait(30) == 1, running.stderr
            assert "not carried over: " in running.stderr
            (tmp_path / "agent.yaml").write_text(f"agent: {{id: gw}}\n{running.stdout}")
        with process(*agent_command("read", "-c", str(tmp_path / "agent.yaml"), name, *tags)) as running:
            assert await running.wait(30) == 0, running.stdout + running.stderr
            shown = {line.split()[0]: line.split()[1] for line in running.stdout.splitlines()[2:]}
    assert shown == tags


async def test_what_is_not_recognised(tmp_path: Path) -> None:
    """Exit 2, and the formats that are known."""
    (tmp_path / "x.yaml").write_text("agent: {id: gw}\n")
    with process(*agent_command("convert", str(tmp_path / "x.yaml"))) as running:
        assert await running.wait(30) == 2
        assert "not recognised; known formats: kepware, telegraf, thingsboard, neuron" in running.stderr
        assert running.stdout == ""
