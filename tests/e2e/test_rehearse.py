"""`edge-agent simulate -c`: a configuration is rehearsed without its plant, from devices to a broker."""

from __future__ import annotations

import json
import signal
from pathlib import Path

from tests.support.ports import free_port
from tests.support.processes import agent_command, process, run_process
from tests.support.waiting import eventually

CONFIG = """\
agent: {id: gw-01, location: [acme, suzhou]}
publishers:
  plant: {type: mqtt, url: "mqtts://broker.plant.local", username: gw, password_file: /run/secrets/mqtt}
templates:
  meter:
    parameters: {unit_id: null}
    device:
      type: modbus
      url: "serial:///dev/ttyUSB0?baudrate=9600&parity=E"
      unit_id: "${unit_id}"
      workarounds: {echo: true}
      tags:
        "voltage_l{n}": {address: "input:0..5", type: float32, byte_order: CDAB, unit: V, range: {min: 180, max: 280}}
        energy: {address: "holding:0", type: uint32, scale_from: "holding:2", unit: W.h}
devices_file: meters.csv
devices:
  press-01:
    type: modbus
    url: tcp://192.168.10.21
    unit_id: 0
    max_gap: 20
    tags_file: press.csv
  press-01-slow:
    {type: modbus, url: tcp://192.168.10.21:502, unit_id: 0, tags: {parts: {address: "holding:20", type: uint64}}}
  cnc-07:
    type: opcua
    url: opc.tcp://192.168.10.30:4840
    security: {policy: Basic256Sha256, mode: SignAndEncrypt}
    username: agent
    password_file: /run/secrets/cnc-07
    tags:
      speed: {node: "nsu=urn:acme:cnc;s=Spindle.Speed", unit: 1/min}
      program: {node: "ns=3;i=1005", enum: {1: rough, 2: finish}}
      load: {path: "Objects/2:Machine/2:Spindle/2:Load", unit: "%"}
    events: {alarms: {min_severity: 500}}
  line-plc:
    type: opcua
    url: opc.tcp://192.168.10.31:4840
    browse: {root: "ns=2;s=Line", include: ["*/Temperature", "Drive/*"]}
  old-one: {type: modbus, url: tcp://192.168.10.99, enabled: false, tags: {a: {address: "coil:0"}}}
"""
METERS = "name,template,unit_id\nmeter-01,meter,1\nmeter-02,meter,2\n"
LIVE = {"meter-01", "meter-02", "press-01", "press-01-slow", "cnc-07", "line-plc"}


def write(folder: Path) -> None:
    (folder / "agent.yaml").write_text(CONFIG)
    (folder / "meters.csv").write_text(METERS)
    (folder / "press.csv").write_text("tag,address,type,unit\nforce,holding:0,float32,kN\nmode,holding:10,,\n")


async def test_from_every_device_to_the_broker(tmp_path: Path) -> None:
    """The printed configuration runs as it is: every tag of every device is good, and its readings reach the broker."""
    write(tmp_path)
    with process(*agent_command("simulate", "-c", "agent.yaml", "--broker"), cwd=tmp_path) as simulated:
        await eventually(lambda: "until Ctrl-C" in simulated.stderr, what="the rehearsal is ready")
        text = simulated.stdout.replace("port: 8080", f"port: {free_port()}")
        assert "192.168." not in text
        assert "broker.plant" not in text
        assert "meter-02: serial:///dev/ttyUSB0?" in simulated.stderr
        (tmp_path / "rehearsal.yaml").write_text(text)
        live = run_process(*agent_command("check", "-c", "rehearsal.yaml", "--live"), cwd=tmp_path, timeout=90)
        assert live.returncode == 0, live.stdout + live.stderr
        assert "Simulated/Temperature" in live.stdout, "what `browse:` finds"
        heard: set[str] = set()
        with (
            process(*agent_command("tail", "-c", "rehearsal.yaml", "--json"), cwd=tmp_path) as tail,
            process(*agent_command("run", "-c", "rehearsal.yaml"), cwd=tmp_path) as agent,
        ):

            def all_heard() -> bool:
                lines = [json.loads(line) for line in tail.stdout.splitlines() if line.endswith("}")]
                heard.update(line["device"] for line in lines if line.get("quality") == "good")
                return heard >= LIVE

            await eventually(all_heard, what="a good reading of every device")
            agent.terminate()
            assert await agent.wait() == 0, agent.tail()
        simulated.signal(signal.SIGINT)
        assert await simulated.wait() == 0, simulated.tail()


def test_it_needs_one_of_the_two() -> None:
    """Neither a file nor a configuration, or both: exit code 2, and what to write."""
    for arguments in ((), ("plant.yaml", "-c", "agent.yaml")):
        done = run_process(*agent_command("simulate", *arguments))
        assert done.returncode == 2
        assert "write simulate plant.yaml, or simulate -c FILE" in done.stderr


def test_a_wrong_configuration(tmp_path: Path) -> None:
    """Its mistakes are those of check."""
    (tmp_path / "agent.yaml").write_text("agent: {id: gw}\ndevices: {a: {type: modbu}}\n")
    done = run_process(*agent_command("simulate", "-c", "agent.yaml"), cwd=tmp_path)
    assert done.returncode == 2
    assert "agent.yaml:2:21: `devices.a.type`" in done.stderr
