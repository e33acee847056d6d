"""An agent that cannot start says so in words, with the right exit code, and harms nobody."""

from __future__ import annotations

import json
from pathlib import Path

from agent.simulator.modbus import ModbusServer
from tests.faults.southbound.conftest import modbus
from tests.faults.southbound.ear import hearing
from tests.faults.southbound.test_isolation import unit
from tests.support.agent import AgentProcess
from tests.support.mosquitto import Mosquitto
from tests.support.processes import agent_command, process

WRONG = """\
agent:
  id: gw-01
  data_dir: {data_dir}
publishers:
  plant:
    type: mqtt
    url: mqtt://127.0.0.1:1883
    password: hunter-2
devices:
  press-01:
    type: modbus
    url: tcp://127.0.0.1:1502
    intervall: 1s
    tags:
      a: {{address: 40001}}
      b: {{address: "holding:0", type: float33}}
"""


async def test_mistakes_are_told_with_file_and_line(tmp_path: Path) -> None:
    """Every mistake at once on stderr, with file and line, exit code 2, no traceback, and nothing is written."""
    config = tmp_path / "agent.yaml"
    config.write_text(WRONG.format(data_dir=tmp_path / "data"))
    with process(*agent_command("run", "-c", str(config))) as agent:
        assert await agent.wait(30) == 2
        said, log = agent.stderr, agent.stdout
    for line in (8, 13, 15, 16):
        assert f"agent.yaml:{line}: " in said, said
    assert "Traceback" not in said + log
    assert "hunter-2" not in said + log
    assert not (tmp_path / "data").exists()


async def test_a_data_dir_that_cannot_be_written(tmp_path: Path) -> None:
    """Where a file stands in place of the directory, or above it: exit code 1, and the path is named."""
    (tmp_path / "data").write_text("a file")
    for number, place in enumerate(("data", "data/below")):
        config = tmp_path / f"{number}.yaml"
        document = {
            "agent": {"id": "gw", "data_dir": str(tmp_path / place)},
            "http": None,
            "publishers": {"plant": {"type": "mqtt", "url": "mqtt://127.0.0.1:1883"}},
            "devices": {"press": modbus("tcp://127.0.0.1:1502")},
        }
        config.write_text(json.dumps(document))
        with process(*agent_command("run", "-c", str(config))) as agent:
            assert await agent.wait(30) == 1
            said = agent.stdout + agent.stderr
        assert str(tmp_path / place) in said, said
        assert "cannot be written" in said
        assert "Traceback" not in said
    assert (tmp_path / "data").read_text() == "a file"


async def test_a_second_agent_on_one_data_dir(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """The second ends with exit code 1 and says why; the first does not notice."""
    publishers = {"plant": {"type": "mqtt", "url": mosquitto.url}}
    async with ModbusServer({1: unit(0)}) as server, hearing(mosquitto.url) as ear:
        devices = {"press": modbus(server.url)}
        with AgentProcess(tmp_path, publishers=publishers, devices=devices) as first:
            await first.start()
            await ear.good("press", ["r0"])
            with process(*agent_command("run", "-c", str(first.config))) as second:
                assert await second.wait(30) == 1
                said = second.stdout + second.stderr
            assert f"another agent runs on {first.data_dir}" in said
            assert "Traceback" not in said
            await ear.goes_on("press", "r0", 10)
            assert await first.stop() == 0
    assert len(ear.epochs) == 1
    assert {status["session"] for status in ear.agents["gw-test"]} == {ear.agents["gw-test"][0]["session"]}
    assert not ear.readings("press", quality="bad")
