"""docs/how-to: what stands in the `sh` blocks of a guide is run as it stands there, one after the other.

Addresses are those of the test. Blocks that need root, a service manager, a cluster or another machine are `text`.
"""

from __future__ import annotations

import json
import re
import shlex
import textwrap
from pathlib import Path

import pytest

from agent.simulator.description import plant_of
from tests.support.mosquitto import Mosquitto, StartMosquitto
from tests.support.ports import free_port
from tests.support.processes import Process, agent_command, process, run_process
from tests.support.waiting import eventually

GUIDES = Path(__file__).parents[2] / "docs" / "how-to"
BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
PRESS = {"press-01": {"kind": "registers", "holding": {0: [0x4274, 0xCCCD]}, "coil": {3: True}}}
SECONDS = 60.0


def blocks(guide: str, language: str) -> list[str]:
    """The fenced blocks of a guide in one language, without the indentation of a list."""
    page = (GUIDES / f"{guide}.md").read_text(encoding="utf-8")
    return [textwrap.dedent(block) for _, one, block in BLOCK.findall(page) if one == language]


async def follow(folder: Path, script: str) -> str:
    """Run one block as a shell would, and end at the first command that fails; what it printed."""
    command = folder / "bin" / "edge-agent"
    if not command.exists():
        command.parent.mkdir()
        command.write_text(f'#!/bin/sh\nexec {shlex.join(agent_command())} "$@"\n')
        command.chmod(0o755)
    script = f'PATH="{command.parent}:$PATH"\n{script}'
    with process("bash", "-euo", "pipefail", "-c", script, cwd=folder) as one:
        assert await one.wait(SECONDS) == 0, f"{script}\n{one.tail()}"
        return one.stdout


def configure(folder: Path, device: str, publishers: str) -> None:
    """Write agent.yaml: one press, and these publishers."""
    (folder / "agent.yaml").write_text(
        f"""\
agent: {{id: gw-01, location: [acme, suzhou], data_dir: ./data}}
http: {{port: {free_port()}}}
devices:
  press-01:
    type: modbus
    url: {device}
    tags:
      oil_temperature: {{address: "holding:0", type: float32, unit: Cel}}
      running: {{address: "coil:3"}}
{publishers}
"""
    )


def plain(url: str) -> str:
    return f"publishers: {{plant: {{type: mqtt, url: '{url}'}}}}"


async def said(agent: Process, event: str) -> None:
    await eventually(lambda: f'"event":"{event}"' in agent.stdout, SECONDS, event)


async def ended(agent: Process) -> None:
    agent.terminate()
    assert await agent.wait(SECONDS) == 0, agent.tail()


def test_every_block_that_can_be_run_is_run() -> None:
    """A guide with commands stands in a test below."""
    ran = {"trust-a-certificate", "rotate-secrets", "survive-long-outages", "back-up-and-restore",
           "move-to-another-gateway", "size-a-gateway", "many-gateways", "debug-a-device"}  # fmt: skip
    assert {path.stem for path in GUIDES.glob("*.md") if blocks(path.stem, "sh")} == ran


async def test_trust_a_certificate(tmp_path: Path, start_mosquitto: StartMosquitto) -> None:
    """The certificates made as written carry readings to a broker that asks for the gateway's."""
    authority, both, use = blocks("trust-a-certificate", "sh")
    await follow(tmp_path, authority + both)
    (listener,) = (one for one in blocks("trust-a-certificate", "text") if one.startswith("listener"))
    listener = re.sub(r"\b(ca\.pem|broker\.\w+)\b", rf"{tmp_path}/\1", listener.replace("listener 8883\n", ""))
    broker = start_mosquitto(listener=listener, anonymous=False)
    (publishers,) = (one for one in blocks("trust-a-certificate", "yaml") if "mqtts" in one)
    async with plant_of({"devices": PRESS}) as plant:
        configure(tmp_path, plant.device("press-01").url, publishers.replace("8883", str(broker.port)))
        with process(*agent_command("run"), cwd=tmp_path) as agent:
            await said(agent, "agent.started")
            assert "oil_temperature" in await follow(tmp_path, use)
            await ended(agent)


async def test_rotate_secrets(tmp_path: Path, start_mosquitto: StartMosquitto) -> None:
    """An agent whose password the broker does not take any more is back with the new file, without a restart."""
    made = run_process("mosquitto_passwd", "-c", "-b", str(tmp_path / "passwd"), "gw-01", "new-secret")
    assert made.returncode == 0, made.stderr
    broker = start_mosquitto(config=f"password_file {tmp_path / 'passwd'}", anonymous=False)
    (tmp_path / "mqtt_password").write_text("old-secret\n")
    user = f"{{type: mqtt, url: '{broker.url}', username: gw-01, password_file: mqtt_password}}"
    async with plant_of({"devices": PRESS}) as plant:
        configure(tmp_path, plant.device("press-01").url, f"publishers: {{plant: {user}}}")
        with process(*agent_command("run"), cwd=tmp_path) as agent:
            await said(agent, "publisher.offline")
            write, use = blocks("rotate-secrets", "sh")
            await follow(tmp_path, write)
            await said(agent, "config.secrets_changed")
            assert "oil_temperature" in await follow(tmp_path, use)
            await ended(agent)


@pytest.mark.parametrize("guide", ["back-up-and-restore", "move-to-another-gateway"])
def test_what_is_restored_is_there_before_the_first_start(guide: str) -> None:
    """A `data_dir` belongs to the `agent.id` of its first start, and two outboxes in one folder would be mixed."""
    steps = [line for one in blocks(guide, "text") for line in one.splitlines()]
    unpacked = [number for number, step in enumerate(steps) if step.startswith("tar -xzf")]
    started = [number for number, step in enumerate(steps) if step.startswith(("systemctl start", "systemctl enable"))]
    assert unpacked
    assert all(number > unpacked[-1] for number in started)


async def test_an_outage_a_backup_and_a_move(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """What waited on the old gateway is delivered by the new one."""
    mosquitto.stop()
    async with plant_of({"devices": PRESS}) as plant:
        configure(tmp_path, plant.device("press-01").url, plain(mosquitto.url))
        before, during = blocks("survive-long-outages", "sh")
        assert "30 d, which is its max_age" in await follow(tmp_path, before)
        with process(*agent_command("run"), cwd=tmp_path) as agent:
            await said(agent, "publisher.offline")
            await said(agent, "device.online")
            assert "publisher plant is offline" in await follow(tmp_path, during)
            await ended(agent)
        save, restore = blocks("back-up-and-restore", "sh")
        assert "agent.yaml: ok" in await follow(tmp_path, save + restore)
        pack, unpack = blocks("move-to-another-gateway", "sh")
        waits = await follow(tmp_path, pack)
        assert re.search(r"[1-9]\d* records? waiting", waits)
        assert await follow(tmp_path, unpack) == waits
        mosquitto.start()
        configure(tmp_path / "new", plant.device("press-01").url, plain(mosquitto.url))
        with process(*agent_command("run"), cwd=tmp_path / "new") as agent:
            await said(agent, "publisher.backlog_done")
            await ended(agent)


async def test_size_and_many_gateways(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """A gateway without changes answers that there are none; its hash is the one `check` prints."""
    async with plant_of({"devices": PRESS}) as plant:
        configure(tmp_path, plant.device("press-01").url, plain(mosquitto.url))
        (size,) = blocks("size-a-gateway", "sh")
        assert "disk: at least 2.3 GiB" in await follow(tmp_path, size)
        apply, status = blocks("many-gateways", "sh")
        with process(*agent_command("run"), cwd=tmp_path) as agent:
            await said(agent, "device.online")
            await follow(tmp_path, apply)
            await follow(tmp_path, status)
            config = json.loads((tmp_path / "status.json").read_text())["agent"]["config"]
            assert config["effective"] == config["attempted"]
            await ended(agent)


@pytest.mark.soak
async def test_debug_a_device(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """Each step answers what its heading asks."""
    async with plant_of({"devices": PRESS}) as plant:
        url = plant.device("press-01").url
        configure(tmp_path, url, plain(mosquitto.url))
        with process(*agent_command("run"), cwd=tmp_path) as agent:
            await said(agent, "publisher.online")
            await said(agent, "device.online")
            printed = [
                await follow(tmp_path, block.replace("tcp://192.168.10.21:502", url))
                for block in blocks("debug-a-device", "sh")
            ]
            await ended(agent)
    for one, words in zip(
        printed, ("press-01", "holding:0..1", "61.2", "oil_temperature", "", "oil_temperature", "without secrets"),
        strict=True,
    ):  # fmt: skip
        assert words in one
    assert (tmp_path / "press-01.rec").exists()
