"""Records for tests of an outbox: batches that say which they are, and all that a reader has of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from agent.core.flow import Batch, Gap, Reading, Record, Stream
from agent.core.ports import Outbox, Reader

TS = 1_763_760_000_000


def batch(device: str = "press-01", number: int = 0, readings: int = 2) -> Batch:
    """A batch that says which one it is."""
    return Batch(
        device, TS, [Reading(f"tag_{i:03d}", number * 1000 + i, TS, "good", unit="Cel") for i in range(readings)]
    )


def numbers(records: Sequence[Record]) -> list[tuple[str, int]]:
    """Device and sequence number of each batch; gaps are left out."""
    return [(record.stream.device, record.seq) for record in records if record.seq]


def gaps(records: Sequence[Record]) -> list[Gap]:
    """The declarations among records."""
    return [record.content for record in records if isinstance(record.content, Gap)]


async def live(reader: Reader, count: int) -> list[Record]:
    """Exactly `count` records of the live lane."""
    result: list[Record] = []
    async with asyncio.timeout(10):
        while len(result) < count:
            result += await reader.live(count - len(result))
    return result


async def backlog(reader: Reader, portion: int = 100) -> list[Record]:
    """All of the backlog."""
    result: list[Record] = []
    async with asyncio.timeout(10):
        while reader.backlog_left:
            result += await reader.backlog(portion)
    return result


async def again(reader: Reader, count: int) -> list[Record]:
    """Exactly `count` of the records somebody asked for once more."""
    result: list[Record] = []
    async with asyncio.timeout(10):
        while len(result) < count:
            result += await reader.again(count - len(result))
    return result


async def lows(outbox: Outbox) -> dict[str, int]:
    """`low` by device, of this run's streams (the newest of each device), after a flush."""
    await outbox.flush()
    return {stream.device: stream.low for stream in outbox.streams()}


def stream_of(outbox: Outbox, record: Record) -> Stream | None:
    """The outbox's own stream of a record."""
    return next((one for one in outbox.streams() if one is record.stream), None)
