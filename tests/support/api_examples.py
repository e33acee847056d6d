"""`python -m tests.support.api_examples`: writes agent/web/examples.json, answers of an agent that really runs.

Made anew when what the API answers changes; tests hold the file against the types.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

from agent.simulator.modbus import ModbusServer, Unit
from agent.simulator.points import Memory
from tests.support.agent import REPOSITORY, AgentProcess
from tests.support.waiting import eventually

FILE = REPOSITORY / "agent" / "web" / "examples.json"
ASKED = {
    "/healthz": "/healthz",
    "/readyz": "/readyz",
    "/api/v1/status": "/api/v1/status",
    "/api/v1/devices/{device}/tags": "/api/v1/devices/press-01/tags",
    "/api/v1/events": "/api/v1/events?level=warning",
    "/api/v1/reloads": "/api/v1/reloads",
}


def _device(url: str, unit: int) -> dict[str, Any]:
    return {
        "type": "modbus",
        "url": url,
        "unit_id": unit,
        "location": ["acme", "suzhou", "stamping"],
        "tags": {
            "oil_temperature": {"address": "holding:0", "unit": "Cel", "scale": 0.1},
            "state": {"address": "holding:2", "enum": {0: "stopped", 1: "running"}},
            "wrong": {"address": "holding:5000"},
        },
    }


async def record() -> dict[str, Any]:
    """What is answered to each of :data:`ASKED`, and a part of the stream."""
    memory = Memory()
    memory.fill("holding", 0, [612, 0, 1])
    async with ModbusServer({1: Unit(memory=memory), 2: Unit(memory=memory)}) as server:
        devices = {"press-01": _device(server.url, 1), "press-02": _device(server.url, 2)}
        publishers = {"plant": {"type": "mqtt", "url": "mqtt://127.0.0.1:1"}}
        with AgentProcess(Path(tempfile.mkdtemp()), publishers=publishers, devices=devices) as agent:
            await agent.start()

            async def read() -> bool:
                status = await agent.status()
                return all(one["tags_bad"] == 1 for one in status["devices"].values())

            await eventually(read, what="both devices are read")
            document = json.loads(agent.config.read_text())
            document["devices"]["press-02"]["interval"] = "2s"
            await agent.reload(document)
            return {path: (await agent._get(asked)).json() for path, asked in ASKED.items()}


def main() -> None:
    """Record and write."""
    FILE.write_text(json.dumps(asyncio.run(record()), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
