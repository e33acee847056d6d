"""`edge-agent status` of a real agent, its HTTP off, whose device is unplugged and whose broker is stopped."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from agent.cli.status import status
from agent.simulator.modbus import ModbusServer, Unit
from agent.simulator.points import Memory
from tests.support.agent import AgentProcess
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import eventually


class Operator:
    """Asks as an operator would."""

    def __init__(self, agent: AgentProcess, capsys: pytest.CaptureFixture[str]) -> None:
        self._agent = agent
        self._capsys = capsys

    async def json(self) -> tuple[int, dict[str, Any]]:
        """Exit code and the document."""
        code, out = await self._ask(as_json=True)
        return code, json.loads(out)

    async def text(self) -> str:
        """The screen."""
        return (await self._ask(as_json=False))[1]

    async def shows(self, words: str) -> None:
        """Look until the screen shows this."""

        async def shown() -> bool:
            return words in await self.text()

        await eventually(shown, what=words)

    async def _ask(self, *, as_json: bool) -> tuple[int, str]:
        self._capsys.readouterr()
        code = await asyncio.to_thread(status, self._agent.config, None, as_json=as_json)
        return code, self._capsys.readouterr().out

    async def until(self, code: int, *findings: tuple[str, str]) -> dict[str, Any]:
        """Ask until that exit code and these findings (event, name) come back."""

        async def so() -> dict[str, Any]:
            got, document = await self.json()
            found = {(one["event"], one["name"]) for one in document.get("wrong", [])}
            assert got == code, document.get("wrong", document)
            assert found.issuperset(findings), found
            return document

        return await eventually(so, what=f"status {code} with {findings}")


async def test_the_night_of_an_operator(
    tmp_path: Path, mosquitto: Mosquitto, capsys: pytest.CaptureFixture[str]
) -> None:
    """All well; unplugged; broker gone and the outbox full; all back, and what was lost still counts; stopped."""
    memory = Memory()
    memory.fill("holding", 0, list(range(1000)))
    unit = Unit(memory=memory)
    server = ModbusServer({1: unit})
    tags = {f"r{number}": {"address": f"holding:{number}"} for number in range(1000)}
    devices: dict[str, Any] = {
        "press": {"type": "modbus", "url": "", "interval": "500ms", "timeout": "300ms", "tags": tags},
        "spare": {"type": "modbus", "url": "tcp://127.0.0.1:1", "enabled": False, "tags": {"a": {"address": "coil:0"}}},
    }
    publishers = {"plant": {"type": "mqtt", "url": mosquitto.url}}
    async with server:
        devices["press"]["url"] = server.url
        with AgentProcess(tmp_path, publishers=publishers, devices=devices, outbox={"max_bytes": "64KiB"}) as agent:
            agent.configure(agent.document | {"http": None})
            operator = Operator(agent, capsys)
            assert (await operator.json())[0] == 3
            await agent.start(ready=False)
            await operator.until(0)

            async def calm() -> dict[str, Any]:
                document = (await operator.json())[1]
                assert not document["wrong"]  # a busy machine's late cycles count for nothing, and pass
                return document

            well = await eventually(calm, 60)
            assert well["devices"]["press"]["state"] == "online"
            assert (well["wrong"], well["devices"]["press"]["interval_ms"]) == ([], 500)
            assert "all well" in await operator.text()

            await server.stop()
            gone = await operator.until(1, ("device.offline", "press"))
            press = gone["devices"]["press"]
            assert press["since"] <= time.time() * 1000
            assert press["do"].startswith("Check what")
            await eventually(lambda: agent.events("device.offline"))
            assert agent.events("device.offline")[0]["retry_in_s"] >= 0
            screen = await operator.text()
            assert "! device press is offline since" in screen
            assert "no good value since" in screen

            await server.start()
            await operator.until(0)
            mosquitto.stop()
            full = await operator.until(1, ("publisher.offline", "plant"), ("outbox.dropped", "plant"))
            plant = full["publishers"]["plant"]
            assert plant["lost"]["records"] > 0
            assert plant["lost"]["readings"] > plant["lost"]["records"]
            assert plant["oldest"] >= plant["lost"]["from"] >= well["started"]
            await operator.shows("has a FULL outbox")  # for a moment after each drop it is not
            assert {event["publisher"] for event in agent.events("outbox.filling")} == {"plant"}

            async def waits() -> bool:
                document = (await operator.json())[1]
                attempt = document["publishers"]["plant"]["next_attempt"]
                return attempt is not None and attempt >= document["ts"]

            await eventually(waits, what="the next attempt is told")
            mosquitto.start()

            async def back() -> dict[str, Any]:
                document = (await operator.json())[1]
                assert document["publishers"]["plant"]["state"] == "online"
                assert not document["publishers"]["plant"]["full"]
                return document

            after = await eventually(back)
            assert [one["event"] for one in after["wrong"] if one["name"] == "plant"] == ["outbox.dropped"]
            assert "has lost records" in await operator.text()
            assert await agent.stop() == 0
            assert (await operator.json())[0] == 3


def test_no_such_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is not there is a mistake (2); one that does not parse still tells where its agent would be (3)."""
    assert status(tmp_path / "none.yaml", None, as_json=False) == 2
    assert "none.yaml" in capsys.readouterr().err
    broken = tmp_path / "agent.yaml"
    broken.write_text(f"agent: {{id: gw, data_dir: {tmp_path}}}\ndevices: [\n")
    assert status(broken, None, as_json=True) == 3
    assert json.loads(capsys.readouterr().out) == {"error": f"no agent runs on {tmp_path}"}
    assert status(broken, tmp_path / "elsewhere", as_json=False) == 3
    assert capsys.readouterr().err == f"no agent runs on {tmp_path / 'elsewhere'}\n"
