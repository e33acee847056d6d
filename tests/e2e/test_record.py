"""`edge-agent record` and the replay of what it wrote."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from agent.simulator.description import plant_of
from agent.simulator.plant import ModbusDevice
from tests.support.processes import agent_command, process, run_process
from tests.support.waiting import eventually

REGISTERS = {"kind": "registers", "unit_id": 3, "holding": {0: [0x4274, 0xCCCD], 10: [7]}, "coil": {0: True}}


def write(folder: Path, url: str) -> None:
    (folder / "agent.yaml").write_text(
        f"""
agent: {{id: gw, data_dir: data}}
http: null
devices:
  press-01:
    type: modbus
    url: {url}
    unit_id: 3
    interval: 100ms
    tags:
      oil_temperature: {{address: "holding:0", type: float32}}
      gone: {{address: "holding:900"}}
      running: {{address: "coil:0"}}
  cnc: {{type: opcua, url: "opc.tcp://127.0.0.1:1", enabled: false, tags: {{a: {{node: "i=2258"}}}}}}
"""
    )


@pytest.mark.parametrize("by", ["the agent that runs", "a connection of its own"])
async def test_recorded_here_replayed_there(tmp_path: Path, by: str) -> None:
    """Through the running agent the device sees one connection; the file is private, and reads like the device."""
    async with plant_of({"devices": {"press-01": REGISTERS}}) as plant:
        device = plant.device("press-01")
        assert isinstance(device, ModbusDevice)
        write(tmp_path, device.url)
        recorder = agent_command("record", "-c", "agent.yaml", "press-01", "-o", "press.rec")
        if by == "the agent that runs":
            with process(*agent_command("run", "-c", "agent.yaml"), cwd=tmp_path) as agent:
                await eventually(lambda: device.unit.requests > 0, what="the agent reads")
                await recorded(recorder, tmp_path)
                assert device.server.connections == 1
                agent.terminate()
                assert await agent.wait() == 0, agent.tail()
        else:
            await recorded(recorder, tmp_path)
    assert (tmp_path / "press.rec").stat().st_mode & 0o777 == 0o600
    with process(*agent_command("simulate", "press.rec"), cwd=tmp_path) as replay:
        await eventually(lambda: "press-01: tcp://" in replay.stdout, what="the recording is replayed")
        assert "press-01: unit 3, " in replay.stderr
        url = replay.stdout.split()[1]
        read = agent_command("read", "--url", url, "holding:0", "--unit", "3", "--type", "float32", "--json")
        with process(*read) as reading:
            assert await reading.wait(30) == 0, reading.tail()
            (reading_of,) = json.loads(reading.stdout)["readings"]
            assert reading_of["value"] == pytest.approx(61.2)
        replay.signal(signal.SIGINT)
        assert await replay.wait() == 0


async def recorded(command: tuple[str, ...], folder: Path) -> None:
    """Run the recorder until it has a dozen transactions, then Ctrl-C."""
    with process(*command, cwd=folder) as running:
        await eventually(lambda: (folder / "press.rec").exists() and lines(folder) > 3, what="something is recorded")
        running.signal(signal.SIGINT)
        assert await running.wait(20) == 0, running.tail()
        assert "it holds the process values of this device" in running.stderr
    assert lines(folder) > 3


def lines(folder: Path) -> int:
    return len((folder / "press.rec").read_bytes().splitlines())


def test_what_cannot_be_recorded(tmp_path: Path) -> None:
    """Another protocol, an unknown device, a file that is there: exit code 2, what to write, and nothing is left."""
    write(tmp_path, "tcp://127.0.0.1:1")
    (tmp_path / "there.rec").write_text("mine")
    for arguments, told in (
        (("cnc", "-o", "a.rec"), "cnc cannot be recorded -> only Modbus devices can"),
        (("pres-01", "-o", "a.rec"), "there is no device 'pres-01' -> did you mean press-01?"),
        (("press-01", "-o", "there.rec"), "there.rec: stands there already -> name another file"),
    ):
        done = run_process(*agent_command("record", "-c", "agent.yaml", *arguments), cwd=tmp_path)
        assert done.returncode == 2, done.stderr
        assert told in done.stderr
    assert (tmp_path / "there.rec").read_text() == "mine"
    assert not (tmp_path / "a.rec").exists()


def test_a_device_that_is_not_there(tmp_path: Path) -> None:
    """Nothing is recorded: exit code 1, and no empty file."""
    write(tmp_path, "tcp://127.0.0.1:1")
    done = run_process(
        *agent_command("record", "-c", "agent.yaml", "press-01", "-o", "a.rec", "--seconds", "0.5"), cwd=tmp_path
    )
    assert done.returncode == 1
    assert not (tmp_path / "a.rec").exists()


@pytest.mark.parametrize("content", ['{"recording":"edge-agent modbus 1","device":"a b"}\n', '{"recording":1}\n'])
def test_a_damaged_recording(tmp_path: Path, content: str) -> None:
    """Told with its line, exit code 2."""
    (tmp_path / "a.rec").write_text(content)
    done = run_process(*agent_command("simulate", "a.rec"), cwd=tmp_path)
    assert done.returncode == 2
    assert "a.rec:1: no recording of a Modbus device: " in done.stderr
    assert "Traceback" not in done.stderr
