"""Changing an agent that runs: docs/reload.md is true, a mistake changes nothing, changed files are noticed."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from agent.runtime.asking import call
from agent.runtime.reload.reload_protocol import DiffQuestion, ReloadAnswer
from agent.simulator.description import plant_of
from tests.support.agent import AgentProcess
from tests.support.consumer import Consumer, consuming
from tests.support.mosquitto import Mosquitto
from tests.support.ports import free_port
from tests.support.processes import agent_command, process
from tests.support.waiting import eventually

PAGE = (Path(__file__).parents[2] / "docs" / "reload.md").read_text(encoding="utf-8")
REGISTERS = {"kind": "registers", "holding": {0: [0x4274, 0xCCCD]}, "coil": {3: True}, "input": {10: 16}}


def blocks(language: str) -> list[str]:
    """Fenced blocks of the page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def commands(block: str) -> list[list[str]]:
    """The commands of a shell block, without their comments."""
    return [shlex.split(line, comments=True)[1:] for line in block.splitlines()]


class Done(NamedTuple):
    """What a command left."""

    returncode: int
    stdout: str
    stderr: str


async def run(folder: Path, *arguments: str) -> Done:
    """A command to its end."""
    with process(*agent_command(*arguments), cwd=folder) as command:
        return Done(await command.wait(40), command.stdout, command.stderr)


async def ask(agent: AgentProcess, command: str) -> ReloadAnswer:
    """The same without a process for it: what the agent answers."""
    question = DiffQuestion(os.path.realpath(agent.config))
    return await asyncio.to_thread(call, agent.data_dir, command, question, ReloadAnswer)


@asynccontextmanager
async def running(folder: Path, mosquitto: Mosquitto) -> AsyncIterator[tuple[Consumer, list[str]]]:
    """The page's first configuration at work, but for its addresses; both configurations with those."""
    async with plant_of({"devices": {"press-01": REGISTERS}}) as plant:
        addresses = {"mqtt://127.0.0.1:1883": mosquitto.url, "tcp://192.168.10.21:502": plant.device("press-01").url}
        texts = [text + f"http: {{port: {free_port()}}}\n" for text in blocks("yaml")]
        for written, real in addresses.items():
            texts = [text.replace(written, real) for text in texts]
        texts[1] = texts[1].rpartition("http:")[0] + "http:" + texts[0].rpartition("http:")[2]
        (folder / "agent.yaml").write_text(texts[0])
        async with consuming(mosquitto.url) as consumer:
            with process(*agent_command("run", "-c", "agent.yaml"), cwd=folder) as agent:
                await consumer.heard(3, "press-01")
                yield consumer, texts
                agent.terminate()
                assert await agent.wait() == 0, agent.tail()


async def test_in_three_commands(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """Edit, check, diff, reload: each prints and exits as the page says, and the broker sees the change."""
    first, last = map(commands, blocks("sh"))
    async with running(tmp_path, mosquitto) as (consumer, texts):
        (tmp_path / "agent.yaml").write_text(texts[1])
        outcomes = {words[0]: await run(tmp_path, *words) for words in first}
        assert {name: one.returncode for name, one in outcomes.items()} == {"check": 0, "diff": 1, "reload": 0}
        (expected,) = blocks("text")
        assert outcomes["diff"].stdout == expected
        assert outcomes["reload"].stdout == expected + "applied, and all changed parts are back\n"
        for words in last:
            assert (await run(tmp_path, *words)).returncode == 0

        def changed() -> bool:
            values = consumer.records[-1].values
            return values.get("overload") is True and round(values["oil_temperature"], 2) == 6.12

        await eventually(changed)
        await consumer.check()
        config = consumer.agents["gw-01"][-1]["config"]
        assert config["effective"] == config["attempted"]


async def test_a_refused_reload(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """What runs goes on, the status tells what was tried and why not, a later start is whole; and `off` is off."""
    async with plant_of({"devices": {"press-01": REGISTERS}}) as plant, consuming(mosquitto.url) as consumer:
        tags = {"running": {"address": "coil:3"}}
        device = {"type": "modbus", "url": plant.device("press-01").url, "interval": "100ms", "tags": tags}
        publishers = {"plant": {"type": "mqtt", "url": mosquitto.url}}
        with AgentProcess(tmp_path, publishers=publishers, devices={"press-01": device}) as agent:
            await agent.start()
            await consumer.heard(3, "press-01")
            before = consumer.agents["gw-test"][-1]["config"]
            good = agent.config.read_text()
            broken = good.replace('"interval": "100ms"', '"intervall": "100ms"')
            line = next(n for n, text in enumerate(broken.splitlines(), 1) if "intervall" in text)
            agent.config.write_text(broken)
            for command in ("diff", "reload"):
                [mistake] = (await ask(agent, command)).mistakes
                assert mistake.startswith(f"{agent.config}:{line}: ")
            [event] = agent.events("config.rejected")
            assert event["mistakes"][0].startswith(f"{agent.config}:{line}: ")
            await eventually(lambda: consumer.agents["gw-test"][-1]["config"]["error"])
            config = consumer.agents["gw-test"][-1]["config"]
            assert config["effective"] == before["effective"] != config["attempted"]
            assert f"agent.yaml:{line}:" in config["error"]
            await consumer.heard(len(consumer.records) + 3, "press-01")
            agent.config.write_text(good)
            assert (await ask(agent, "reload")).mistakes == []
            await eventually(lambda: consumer.agents["gw-test"][-1]["config"] == before)
            agent.kill()
            await agent.start()
            assert not (await ask(agent, "diff")).report
            assert list((await agent.status())["devices"]) == ["press-01"]
            agent.configure({**agent.document, "agent": {**agent.document["agent"], "reload": "off"}})
            assert (await ask(agent, "reload")).mistakes == []
            assert "restart the agent" in (await ask(agent, "reload")).mistakes[0]
            os.kill(agent.pid, signal.SIGHUP)
            await eventually(lambda: agent.events("config.reload_off"))
            assert await agent.stop() == 0
        await consumer.check()


async def test_watched_files_and_a_late_secret(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """A changed table is in force within seconds; a publisher waits for its password file, and nobody else does."""
    async with plant_of({"devices": {"press-01": REGISTERS}}) as plant, consuming(mosquitto.url) as consumer:
        (tmp_path / "t.csv").write_text("tag,address\nrunning,coil:3\n")
        device = {"type": "modbus", "url": plant.device("press-01").url, "interval": "100ms", "tags_file": "t.csv"}
        publishers = {
            "plant": {"type": "mqtt", "url": mosquitto.url},
            "late": {"type": "mqtt", "url": mosquitto.url, "root": "late", "username": "u", "password_file": "secret"},
        }
        with AgentProcess(
            tmp_path, publishers=publishers, devices={"press-01": device}, agent={"reload": "watch"}
        ) as agent:
            await agent.start()
            await consumer.heard(3, "press-01")
            [event] = agent.events("component.waits_for_file")
            assert (event["component"], event["key"]) == ("publisher late", "password_file")
            assert "waits for password_file" in (await agent.status())["publishers"]["late"]["reason"]
            assert "password_file" in (await ask(agent, "diff")).mistakes[0]
            (tmp_path / "secret").write_text("x\n")

            async def online() -> bool:
                return bool((await agent.status())["publishers"]["late"]["state"] == "online")

            await eventually(online)
            (tmp_path / "new").write_text("tag,address\nrunning,coil:3\noverload,input:10.4\n")
            (tmp_path / "new").rename(tmp_path / "t.csv")
            await eventually(lambda: "overload" in consumer.records[-1].values)
            assert [event["files"] for event in agent.events("config.files_changed")] == [[str(tmp_path / "t.csv")]]
            assert await agent.stop() == 0
        await consumer.check()
