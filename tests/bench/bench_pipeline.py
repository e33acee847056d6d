"""The whole pipeline, device to PUBACK: Modbus poll, OPC UA poll, OPC UA subscription; and what an idle agent needs.

Under the Modbus devices of 1 s stands the floor: what Python needs at least (floor.py). Each is measured BENCH_TURNS
(3) times; the median is printed, and between what it lay.
"""

from __future__ import annotations

import asyncio
from functools import partial

from tests.bench.floor import measure_floor
from tests.bench.pipeline import Load, measure, measure_turns, modbus_plant, opcua_plant


async def _modbus() -> None:
    async with modbus_plant(10) as (ports, _):
        devices = {
            f"plc-{number}": {
                "type": "modbus",
                "url": f"tcp://127.0.0.1:{port}",
                "interval": "100ms",
                "tags": {f"register_{at:04}": {"address": f"holding:{at}", "type": "uint16"} for at in range(1000)},
            }
            for number, port in enumerate(ports)
        }
        await measure_turns("modbus poll, 10 x 1000 @ 10 Hz", partial(measure, devices))


async def _floats(devices: int, count: int) -> None:
    """Many devices with a few tags each are the shape of most plants: a request and a record cost, not a tag."""
    async with modbus_plant(devices) as (ports, _):
        tags = {f"float_{at:04}": {"address": f"holding:{at * 2}", "type": "float32"} for at in range(count)}
        plant = {
            f"plc-{number:03}": {"type": "modbus", "url": f"tcp://127.0.0.1:{port}", "interval": "1s", "tags": tags}
            for number, port in enumerate(ports)
        }
        name = f"modbus poll, {devices} x {count} @ 1 Hz"
        await measure_turns(name, partial(measure, plant))
        if count == 1000:
            await measure_turns("  with history on", partial(measure, plant, history=True))
        await measure_turns(f"  the floor of {devices} x {count}", partial(measure_floor, count, ports))


async def _on_change() -> None:
    """1 % of the tags change each second, the others are read and say nothing: what a sample costs."""
    async with modbus_plant(10, still=100) as (ports, _):
        tags = {
            f"float_{at:04}": {"address": f"holding:{at * 2}", "type": "float32", "report": "on_change"}
            for at in range(1000)
        }
        plant = {
            f"plc-{number}": {"type": "modbus", "url": f"tcp://127.0.0.1:{port}", "interval": "1s", "tags": tags}
            for number, port in enumerate(ports)
        }

        async def measured() -> Load:
            load = await measure(plant)
            load.readings = round(10_000 * load.wall) - load.skipped * 1000
            return load

        await measure_turns("on_change, 10 x 1000, a sample", measured)


async def _opcua(mode: str, nodes: int, interval: str, name: str, *, every: float) -> None:
    async with opcua_plant(nodes, every=every) as port:
        tags = {f"variable_{at:04}": {"node": f"nsu=urn:bench;s=V{at}"} for at in range(nodes)}
        url = f"opc.tcp://127.0.0.1:{port}"
        device = {"type": "opcua", "url": url, "mode": mode, "interval": interval, "tags": tags}
        await measure_turns(name, partial(measure, {"server": device}))


async def _idle() -> None:
    async with modbus_plant(40) as (ports, _):
        devices = {
            f"plc-{number:02}": {
                "type": "modbus",
                "url": f"tcp://127.0.0.1:{port}",
                "interval": "10s",
                "tags": {"level": {"address": "holding:0", "type": "uint16"}},
            }
            for number, port in enumerate(ports)
        }
        await measure_turns("idle: 40 Modbus x 1 tag @ 10 s", partial(measure, devices, window=21))


async def main() -> None:
    """Run all; each prints a line."""
    await _modbus()
    await _floats(10, 1000)
    await _floats(100, 20)
    await _floats(500, 20)
    await _on_change()
    await _opcua("poll", 1000, "1s", "opcua poll, 1000 @ 1 Hz", every=0)
    await _opcua("poll", 10_000, "1s", "opcua poll, 10,000 still @ 1 Hz", every=0)  # their source times stand still
    await _opcua("subscribe", 1000, "500ms", "opcua subscription, 1000 @ 1 Hz", every=1.0)
    await _opcua("subscribe", 1000, "100ms", "opcua subscription, 1000 @ 10 Hz", every=0.1)
    await _idle()


if __name__ == "__main__":
    asyncio.run(main())
