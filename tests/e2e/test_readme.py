"""The README is true: its commands run, its configuration works, its message is one."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from agent.encoders.schema import readings_schema
from agent.simulator.description import plant_of
from tests.support.mosquitto import Mosquitto
from tests.support.ports import free_port
from tests.support.processes import agent_command, process, run_process
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """Fenced blocks of the README in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """Every line of a shell block, without its comment."""
    return [line.split("  #")[0].strip() for block in blocks("sh") for line in block.splitlines() if line.strip()]


def test_every_command_is_known() -> None:
    """The tests below run what is written: nothing else is."""
    agent = {f".venv/bin/edge-agent {name} -c agent.yaml" for name in ("check", "run", "tail", "verify", "outbox")}
    assert set(commands()) == {"make demo", "make test"} | agent


@pytest.mark.parametrize("target", [line.split()[1] for line in commands() if line.startswith("make ")])
def test_make_targets_exist(target: str) -> None:
    """Make knows what to do for each."""
    result = run_process("make", "--dry-run", target)
    assert result.returncode == 0, result.stderr


def test_links_lead_somewhere() -> None:
    """No link to a file of ours is dead."""
    links = re.findall(r"\]\(((?!http)[^)#]+)", README)
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_message_is_a_message() -> None:
    """The example validates against the published schema."""
    (example,) = blocks("json")
    Draft202012Validator(readings_schema()).validate(json.loads(example))


async def test_the_first_configuration_works(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """Written as it stands but for the two addresses: check, run, tail and verify do what the README says."""
    registers = {"kind": "registers", "holding": {0: [0x4274, 0xCCCD]}, "coil": {3: True}, "input": {10: 16}}
    async with plant_of({"devices": {"press-01": registers}}) as plant:
        (text,) = blocks("yaml")
        text = text.replace("mqtt://127.0.0.1:1883", mosquitto.url)
        text = text.replace("tcp://192.168.10.21:502", plant.device("press-01").url)
        (tmp_path / "agent.yaml").write_text(text + f"http: {{port: {free_port()}}}\n", encoding="utf-8")

        def command(name: str, *more: str) -> tuple[str, ...]:
            return agent_command(name, "-c", "agent.yaml", *more)

        with process(*command("check"), cwd=tmp_path) as check:
            assert await check.wait() == 0, check.tail()
        with (
            process(*command("verify"), cwd=tmp_path) as verify,
            process(*command("tail", "--json"), cwd=tmp_path) as tail,
            process(*command("run"), cwd=tmp_path) as agent,
        ):
            wanted = {"oil_temperature": 61.2, "running": True, "overload": True}

            def heard() -> bool:
                lines = [json.loads(line) for line in tail.stdout.splitlines() if line.endswith("}")]
                good = [line for line in lines if line.get("quality") == "good"]
                return {line["tag"]: round(line["value"], 3) for line in good} == wanted

            await eventually(heard, what="all three tags are good")
            agent.terminate()
            assert await agent.wait() == 0, agent.tail()
            await eventually(lambda: "offline" in verify.stderr + verify.stdout)
            verify.terminate()
            assert await verify.wait() == 0, verify.tail()
            assert "missing=0" in verify.stdout
            tail.terminate()
            assert await tail.wait() == 0, tail.tail()
