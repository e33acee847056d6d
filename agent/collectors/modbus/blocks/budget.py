"""How much of a serial bus a device takes: from baud rate, bytes and delays (docs/modbus.md). Pure.

    RTU, N registers: (8 + 5 + 2N) characters + 2 gaps of 3.5 characters + latency of the device and the adapter

A character is 11 bits where nothing else is said (MODBUS over Serial Line V1.02, 2.5.1); ASCII takes two for each byte.
"""

from __future__ import annotations

from collections.abc import Iterable

from agent.collectors.modbus.blocks.layout import Layout
from agent.collectors.modbus.blocks.plan import Block, BlockLimits, plan
from agent.collectors.modbus.bus.url import Framing, SerialPort
from agent.settings.devices import BusLoad

LATENCY_SECONDS = 0.03
"""What a device needs before it answers, and an adapter (FTDI: 16 ms) before it says so; measured in the field."""


def request_seconds(block: Block, port: SerialPort, framing: Framing, pause: float = 0.0) -> float:
    """Seconds a bus is taken by one request and its answer. `pause`: between requests, for the device's sake."""
    size = block.count * 2 if block.function > 2 else (block.count + 7) // 8
    characters = 17 + 11 + 2 * size if framing == "ascii" else 8 + 5 + size
    return characters * port.character + 2 * port.gap + LATENCY_SECONDS + pause


def bus_load(
    bus: str, layout: Layout, limits: BlockLimits, port: SerialPort, framing: Framing, *, pause: float = 0.0
) -> BusLoad:
    """What a device takes of its bus. What is read once, or on an edge, is not counted."""
    share, words = 0.0, []
    for interval, points in layout.groups:
        asked = [point for point in points if point.position not in layout.unread]
        if interval is None or not asked:
            continue
        blocks = plan(asked, limits)
        seconds = _sum(blocks, port, framing, pause)
        share += seconds / interval
        number = f"{len(blocks)} requests take" if len(blocks) > 1 else "1 request takes"
        words.append(f"{number} {seconds:.3g} s every {interval:g} s")
    return BusLoad(bus, share, ", ".join(words))


def _sum(blocks: Iterable[Block], port: SerialPort, framing: Framing, pause: float) -> float:
    return sum(request_seconds(block, port, framing, pause) for block in blocks)
