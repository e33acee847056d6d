"""Devices that fail on command, and an agent that reads them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.faults.southbound.ear import Ear, hearing
from tests.integration.opcua.server import Hall
from tests.support.agent import AgentProcess
from tests.support.mosquitto import Mosquitto

Running = Callable[[dict[str, Any]], Any]


@pytest.fixture
def hall() -> Iterator[Hall]:
    """A thread with OPC UA servers."""
    running = Hall()
    yield running
    running.close()


@pytest.fixture
def running(tmp_path: Path, mosquitto: Mosquitto) -> Running:
    """Run an agent on devices; gives the agent and the ear of a consumer: the whole way."""
    return stage(tmp_path, mosquitto)


def stage(
    folder: Path,
    broker: Mosquitto,
    module: str = "agent",
    *,
    agent: dict[str, Any] | None = None,
    publishers: dict[str, Any] | None = None,
) -> Running:
    """What `running` is; `agent` are more keys of that section, `publishers` are those beside the ear's.

    At the end the agent has stopped in order, nothing it logged was a bug, and the consumer's contract has held.
    """

    @asynccontextmanager
    async def run(devices: dict[str, Any]) -> AsyncIterator[tuple[AgentProcess, Ear]]:
        routes = {"plant": {"type": "mqtt", "url": broker.url}} | (publishers or {})
        async with hearing(broker.url) as ear:
            with AgentProcess(folder, publishers=routes, devices=devices, module=module, agent=agent) as process:
                await process.start()
                try:
                    yield process, ear
                except AssertionError as error:
                    error.add_note(process.log_text[-6000:])
                    raise
                assert await process.stop() == 0
            assert process.events("component.bug") == []
            assert "Traceback" not in process.log_text

    return run


def opcua(url: str, *names: str, **keys: Any) -> dict[str, Any]:
    """An OPC UA device with one tag for each node of these names."""
    tags = {name: {"node": f"nsu=urn:test:plant;s={name}"} for name in names}
    return {"type": "opcua", "url": url, "interval": "100ms", "timeout": "2s", "tags": tags} | keys


def modbus(url: str, *, registers: int = 8, **keys: Any) -> dict[str, Any]:
    """A Modbus device with one tag for each of so many holding registers, in one block."""
    tags = {f"r{offset}": {"address": f"holding:{offset}"} for offset in range(registers)}
    return {"type": "modbus", "url": url, "interval": "100ms", "timeout": "2s", "tags": tags} | keys
