"""/metrics in pieces: what the library writes at a stretch, and the loop goes on meanwhile."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from agent.telemetry import metrics  # noqa: F401 - turns off the `_created` series
from agent.web.exposition import exposition

PIECE = 20


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.web.exposition.PIECE", PIECE)


def _registry(devices: int) -> CollectorRegistry:
    registry = CollectorRegistry()
    Gauge("nobody", "Has no samples.", ["device"], registry=registry)
    Gauge("alone", "Has one sample.", registry=registry).set(3)
    readings = Counter("readings", "Its name has\na line break.", ["device"], registry=registry)
    seconds = Histogram("seconds", "Sixteen samples a device.", ["device"], registry=registry)
    for device in range(devices):
        readings.labels(f"plc-{device}").inc(device)
        seconds.labels(f'"plc\n{device}').observe(device)
    return registry


async def test_the_same_as_at_a_stretch() -> None:
    """Nobody who reads it can tell the difference, whatever ends with a piece."""
    for devices in (0, 1, PIECE - 1, PIECE, PIECE + 1):
        registry = _registry(devices)
        assert await exposition(registry) == generate_latest(registry)


async def test_the_loop_goes_on_meanwhile() -> None:
    """A piece is a turn of the loop: no device waits for all of them."""
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        running = group.create_task(others())
        written = await exposition(_registry(2 * PIECE))
        running.cancel()
    assert turns >= written.count(b"\n") // PIECE
