"""Byte streams of peers, bent at random: no crash, no stall, no growth. FUZZ_SECONDS=600 goes on for that long."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from agent.collectors.opcua.config import OpcUaConfig
from agent.core.errors import AgentError, leaves
from agent.core.flow import Message
from agent.core.ports import Collector
from agent.publishers.mqtt.config import MqttConfig
from agent.simulator.modbus import ModbusServer, Unit
from agent.testing.context import SimpleContext
from tests.field.hostile.evil import evil, notifies
from tests.integration.modbus.servers import device as modbus
from tests.support.bent import BENDS, Bend, Bent, bent, resident_mb, watched
from tests.support.mosquitto import StartMosquitto

SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))  #: of each stream; 0: EXAMPLES, the same every time
EXAMPLES = 10
AT_ONCE = 200  #: examples of one seed
STALL = 0.5  #: seconds the loop may be busy in one go
GROWTH = 48.0  #: MB, from the first round to the last
PATIENCE = 0.5  #: seconds of one example

WILL = Message(topic="t/will", payload=b"gone", retain=True)

Attempt = Callable[[], Awaitable[None]]


async def _collect(build: Callable[[SimpleContext], Collector], folder: Path) -> None:
    """Open, and take what comes: samples, or an error that has a name."""
    async with SimpleContext(data_dir=folder) as context:
        collector = build(context)
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE), collector.open() as samples:
                taken = 0
                async for _ in samples:
                    taken += 1
                    if taken == 6:
                        return


async def _publish(config: MqttConfig) -> None:
    publisher = config.build("plant", SimpleContext())
    with suppress(TimeoutError):
        async with (
            asyncio.timeout(PATIENCE),
            publisher.open(WILL, ["t/#"]) as session,
        ):
            sent = await session.send([Message(topic=f"t/{number}", payload=b"x" * 50) for number in range(5)])
            await sent
            incoming = session.incoming()
            for _ in range(5):
                await anext(incoming)


async def _guarded(attempt: Attempt) -> None:
    """Every error of a peer's has a name (core/errors.py); anything else is a bug."""
    try:
        await attempt()
    except Exception as error:
        if any(not isinstance(one, AgentError) for one in leaves(error)):
            raise


async def _bend(way: Bent, attempt: Attempt) -> None:
    """Example after example in the loop of this test; hypothesis itself runs in a thread beside it."""
    loop = asyncio.get_running_loop()
    examples = 0

    def once(bends: list[Bend]) -> None:
        nonlocal examples
        examples += 1
        way.bends = bends
        asyncio.run_coroutine_threadsafe(_guarded(attempt), loop).result(60)

    def round_of(number: int, size: int) -> Callable[[], None]:
        phases = [Phase.generate] if SECONDS else [Phase.generate, Phase.shrink]
        drawn: Any = given(BENDS)(once)
        drawn = settings(
            max_examples=size, deadline=None, database=None, phases=phases, suppress_health_check=list(HealthCheck)
        )(drawn)
        return seed(number)(drawn)  # type: ignore[no-any-return]

    await _guarded(attempt)  # unbent: it works, and what is loaded only once is loaded
    async with watched() as pulse:
        await asyncio.to_thread(round_of(0, EXAMPLES))
        before, ends = resident_mb(), time.monotonic() + SECONDS
        for number in count(1):
            if time.monotonic() >= ends:
                break
            await asyncio.to_thread(round_of(number, AT_ONCE))
    grown = resident_mb() - before
    print(f"{examples} streams, the loop was busy for {pulse.longest * 1000:.0f} ms at most, grown by {grown:.1f} MB")  # noqa: T201
    assert pulse.longest < STALL
    assert grown < GROWTH


LONG = pytest.mark.timeout(SECONDS + 120)


@LONG
@pytest.mark.parametrize("mode", ["poll", "subscribe"])
async def test_opcua(mode: str, tmp_path: Path) -> None:
    """Values, notifications, endpoints and all that comes before them."""
    hooks = {"PublishRequest": notifies(50, 5, times=10**9)} if mode == "subscribe" else {}
    async with evil(**hooks) as server, bent(int(server.url.rpartition(":")[2])) as way:
        config = OpcUaConfig.model_validate({
            "type": "opcua", "url": f"opc.tcp://127.0.0.1:{way.port}", "mode": mode, "interval": "50ms",
            "timeout": "300ms", "tags": {f"t{number}": {"node": f"ns=1;i={number}"} for number in range(5)},
        })  # fmt: skip
        await _bend(way, lambda: _collect(partial(config.build, "cnc"), tmp_path))


@LONG
async def test_modbus(tmp_path: Path) -> None:
    """Registers, bits and exceptions."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(ModbusServer({1: Unit()}))
        way = await stack.enter_async_context(bent(server.port))
        tags: dict[str, object] = {"a": "holding:0", "b": "coil:3", "c": {"address": "input:5", "type": "float64"}}
        config = modbus(f"tcp://127.0.0.1:{way.port}", tags, timeout="50ms")
        await _bend(way, lambda: _collect(partial(config.build, "press"), tmp_path))


@LONG
@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_mqtt(version: str, start_mosquitto: StartMosquitto) -> None:
    """CONNACK, SUBACK, PUBACK and what others publish."""
    broker = start_mosquitto()
    async with bent(broker.port) as way:
        config = MqttConfig.model_validate(
            {"type": "mqtt", "url": f"mqtt://127.0.0.1:{way.port}", "version": version, "connect_timeout": "300ms"}
        )
        await _bend(way, lambda: _publish(config))
