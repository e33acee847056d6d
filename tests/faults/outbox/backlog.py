"""A long backlog is written, and delivered while live data flows. Prints its figures as JSON; run as a program."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from agent.core.clock import SystemClock
from agent.core.flow import Batch, Reading
from agent.outbox import SqliteOutbox
from agent.settings.outbox import OutboxSettings
from agent.telemetry import logging

TS = 1_763_760_000_000
#: Live records are appended among so many of the backlog.
LIVE_EVERY = 20


def batch(number: int, readings: int) -> Batch:
    dice = random.Random(number)
    return Batch(
        f"press-{number % 4:02}", TS, [Reading(f"tag_{i:04d}", dice.random(), TS, "good") for i in range(readings)]
    )


def make(path: Path) -> SqliteOutbox:
    settings = OutboxSettings.model_validate({"min_free_disk": "0B"})
    return SqliteOutbox(path, name="backlog", settings=settings, clock=SystemClock(), max_record_bytes=1 << 20)


class Memory:
    """Resident memory: how much it grew beyond the first look."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._first = self._newest = self._process.memory_info().rss

    def look(self) -> None:
        self._newest = max(self._newest, self._process.memory_info().rss)

    @property
    def grown_mb(self) -> float:
        return (self._newest - self._first) / 1e6


async def write(path: Path, records: int, readings: int, figures: dict[str, Any]) -> None:
    """The outage."""
    outbox, memory = make(path), None
    patterns = [batch(number, readings) for number in range(8)]
    async with outbox.open():
        for number in range(records):
            outbox.append(patterns[number % 8])
            if number % 50 == 49:
                await outbox.flush()
            if number == records // 10:
                memory = Memory()
            elif memory is not None and number % 1000 == 0:
                memory.look()
        await outbox.flush()
    figures["write_grown_mb"] = memory.grown_mb if memory else 0.0


async def deliver(path: Path, figures: dict[str, Any]) -> None:
    """The broker is back."""
    outbox, began = make(path), time.perf_counter()
    late, backlog, lost_order = 0, 0, 0
    newest: dict[tuple[str, str], int] = {}
    async with outbox.open():
        with outbox.reader() as reader:
            opened = time.perf_counter()
            records = list(await reader.backlog(16))
            figures["opened_s"], figures["first_s"] = opened - began, time.perf_counter() - began
            memory, turns = Memory(), 0
            while records or reader.backlog_left:
                turns += 1
                for record in records:
                    place = (record.stream.epoch, record.stream.device)
                    lost_order += record.seq != 0 and record.seq <= newest.get(place, 0)
                    newest[place] = max(newest.get(place, 0), record.seq)
                    backlog += bool(record.seq)
                    reader.ack(record)
                if turns % LIVE_EVERY == 0:
                    outbox.append(batch(turns, 10))
                    (live,) = await reader.live(10)
                    late += live.historical
                    reader.ack(live)
                if turns % 50 == 1:
                    memory.look()
                records = list(await reader.backlog(16)) if reader.backlog_left else []
            await outbox.flush()
            figures["deliver_s"] = time.perf_counter() - began
    figures |= {
        "backlog": backlog, "disorder": lost_order, "late": late, "left": outbox.stats.records,
        "deliver_grown_mb": memory.grown_mb,
    }  # fmt: skip


def main(path: Path, records: int, readings: int) -> dict[str, Any]:
    """Both, with their figures."""
    logging.configure(level="error", stream=sys.stderr)
    figures: dict[str, Any] = {"records": records, "readings": readings}
    asyncio.run(write(path, records, readings, figures))
    figures["file_mb"] = path.stat().st_size / 1e6
    asyncio.run(deliver(path, figures))
    return figures


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))) + "\n")
