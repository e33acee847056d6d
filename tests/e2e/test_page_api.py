"""What the page is made of, asked of an agent that runs; and the device that an agent is to itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from agent.simulator.modbus import ModbusServer, Unit
from agent.simulator.points import Memory
from agent.web import schema
from tests.support.agent import AgentProcess
from tests.support.consumer import consuming
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import eventually

TAGS = {
    "oil_temperature": {"address": "holding:0", "unit": "Cel", "scale": 0.1},
    "state": {"address": "holding:1", "enum": {"0": "stopped", "1": "running"}},
    "wrong": {"address": "holding:500"},
}


class Asked:
    """An agent, asked over HTTP; each answer is held against its type."""

    def __init__(self, agent: AgentProcess) -> None:
        self._agent = agent

    async def get(self, path: str, kind: type[Any]) -> Any:
        answer = await self._agent._get(path)
        assert answer.status_code == 200, answer.text
        return msgspec.json.decode(answer.content, type=kind)

    async def events(self, device: str | None, number: int) -> list[tuple[str, dict[str, Any]]]:
        """The first events of a stream."""
        found: list[tuple[str, dict[str, Any]]] = []
        path = "/api/v1/stream" + (f"?device={device}" if device else "")
        async with (
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{self._agent.port}", timeout=30) as client,
            client.stream("GET", path) as answer,
        ):
            assert answer.headers["content-type"].startswith("text/event-stream")
            async for event in _events(answer):
                found.append(event)
                if len(found) == number:
                    return found
        raise AssertionError("the stream ended")


async def _events(answer: httpx.Response) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    kind = ""
    async for line in answer.aiter_lines():
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield kind, json.loads(line.removeprefix("data: "))


async def test_what_an_operator_sees(tmp_path: Path, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tags, events, configuration, reloads, stream, history over a restart, and `_agent` here and at the broker."""
    memory = Memory()
    memory.fill("holding", 0, [612, 1])
    monkeypatch.setenv("SECRET_HALL", "hall-of-secrets")
    async with ModbusServer({1: Unit(memory=memory)}) as server, consuming(mosquitto.url) as consumer:
        devices = {"press-01": {"type": "modbus", "url": server.url, "tags": TAGS, "description": "${SECRET_HALL}"}}
        publishers = {"plant": {"type": "mqtt", "url": mosquitto.url}}
        with AgentProcess(tmp_path, publishers=publishers, devices=devices, agent={"self": True}) as agent:
            await agent.start()
            asked = Asked(agent)

            async def read() -> schema.Tags:
                tags: schema.Tags = await asked.get("/api/v1/devices/press-01/tags", schema.Tags)
                assert tags.tags["state"].quality == "good"
                assert tags.tags["wrong"].reason == "illegal data address"
                return tags

            tags = await eventually(read)
            oil = tags.tags["oil_temperature"]
            assert (oil.value, oil.unit, oil.address) == (pytest.approx(61.2), "Cel", "holding:0")
            assert tags.tags["state"].label == "running"
            status: schema.Status = await asked.get("/api/v1/status", schema.Status)
            assert list(status.devices) == ["press-01"]  # the agent's own is not counted
            assert status.devices["press-01"].learned == 'never_read: ["holding:500"]'
            assert status.devices["press-01"].stale_after_ms == 4000

            events: schema.Events = await asked.get("/api/v1/events?device=press-01&level=warning", schema.Events)
            assert {one.level for one in events.events} <= {"warning", "error"}
            assert any(one.event == "device.degraded" and one.remedy and one.meaning for one in events.events)

            await _config_and_reloads(agent, asked)
            stream = await asked.events("press-01", 3)
            assert [kind for kind, _ in stream[:2]] == ["status", "values"]
            assert set(stream[1][1]["tags"]) == set(TAGS)
            msgspec.convert(stream[0][1], schema.Status)
            overview = await asked.events(None, 2)
            assert set(overview[1][1]["tags"]) == {"oil_temperature", "state"}

            await consumer.heard(1, "_agent")
            (said, *_) = [one for one in consumer.records if one.device == "_agent" and not one.snapshot]
            assert (said.values["devices"], said.values["rss_bytes"] > 1_000_000) == (1, True)
            own: schema.Tags = await asked.get("/api/v1/devices/_agent/tags", schema.Tags)
            assert own.tags["devices_online"].quality == "good"

            _, viewer = await asyncio.open_connection("127.0.0.1", agent.port)
            viewer.write(b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert await agent.stop() == 0  # whoever looks holds nobody up
            viewer.transport.abort()
            await agent.start()
            history = await asked.get("/api/v1/history?tag=oil_temperature", schema.History)
            (first, *_) = history["press-01"]["oil_temperature"]
            assert first[1] == first[4] == pytest.approx(61.2)
            assert 0 < first[5] <= 60_000
            assert "_agent" in await asked.get("/api/v1/history?tag=rss_bytes", schema.History)


async def _config_and_reloads(agent: AgentProcess, asked: Asked) -> None:
    """The configuration as it runs, without what came out of the environment; what a reload changed."""
    text = (await agent._get("/api/v1/config")).text
    assert "hall-of-secrets" not in text
    config = json.loads(text)
    assert config["devices"]["press-01"]["description"] == "${SECRET_HALL}"
    assert config["history"] == {"keep": "2d", "max_bytes": "128MiB"}
    document = agent.document
    document["devices"]["press-01"]["interval"] = "500ms"
    await agent.reload(document)
    await agent.reload(document | {"history": None})
    assert (await agent._get("/api/v1/history?tag=state")).status_code == 404
    await agent.reload(document)
    assert (await agent._get("/api/v1/history?tag=state")).status_code == 200
    agent.config.write_text("agent: {id: 5", encoding="utf-8")
    await agent.reload()
    agent.configure(document)

    async def noted() -> schema.Reloads:
        found: schema.Reloads = await asked.get("/api/v1/reloads", schema.Reloads)
        assert len(found.reloads) == 4
        return found

    reloads = await eventually(noted)
    refused, on, off, applied = reloads.reloads
    assert (on.result, off.result) == ("applied", "applied")
    assert (refused.result, applied.result, applied.asked_by) == ("refused", "applied", "SIGHUP")
    assert refused.mistakes
    assert reloads.hash == applied.hash == on.hash
    assert applied.differences is not None
    changes = applied.differences["devices"]["changed"]["press-01"]["changes"]
    assert changes == [{"key": "interval", "old": "1s", "new": "500ms"}]


async def test_the_agent_itself_is_not_published_unless_asked_to(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """The page has it all the same; switched on by a reload it begins, and off again it is published as removed."""
    publishers = {"plant": {"type": "mqtt", "url": mosquitto.url}}
    async with consuming(mosquitto.url) as consumer:
        with AgentProcess(tmp_path, publishers=publishers, devices={}) as agent:
            await agent.start()
            asked = Asked(agent)

            async def known() -> bool:
                own: schema.Tags = await asked.get("/api/v1/devices/_agent/tags", schema.Tags)
                return own.tags["rss_bytes"].quality == "good"

            await eventually(known)
            assert not consumer.records
            document = json.loads(json.dumps(agent.document))
            document["agent"]["self"] = True
            await agent.reload(document)
            await consumer.heard(1, "_agent")
            document["agent"]["self"] = False
            await agent.reload(document)
            topic = "edge/plant/hall/_agent/status"
            await eventually(lambda: consumer.topics[topic][-1:] == [b""], what="its retained status is cleared")
            states = [json.loads(one)["state"] for one in consumer.topics[topic] if one]
            assert states[-1] == "removed"
            assert await agent.stop() == 0
