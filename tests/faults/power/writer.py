"""Appends to an outbox and says what the outbox says is safe: run as a program until it is killed."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from agent.core.clock import SystemClock
from agent.core.flow import Batch, Reading
from agent.outbox import SqliteOutbox
from agent.settings.outbox import OutboxSettings
from agent.telemetry import logging


async def write(path: Path, durability: str, out: int) -> None:
    """One line per flush: epoch and the numbers committed, by device."""
    settings = OutboxSettings.model_validate({"durability": durability, "min_free_disk": "0B"})
    clock = SystemClock()
    outbox = SqliteOutbox(path, name="power", settings=settings, clock=clock)
    number = 0
    async with outbox.open():
        while True:
            for device in "abc":
                number += 1
                readings = [Reading(f"tag_{i}", number, clock.now_ms(), "good") for i in range(20)]
                outbox.append(Batch(device, clock.now_ms(), readings))
            await outbox.flush()
            epoch = max(stream.epoch for stream in outbox.streams())
            safe = {stream.device: stream.next - 1 for stream in outbox.streams() if stream.epoch == epoch}
            os.write(out, json.dumps({"epoch": epoch, "safe": safe}).encode() + b"\n")


if __name__ == "__main__":
    logging.configure(level="error", stream=sys.stderr)
    asyncio.run(write(Path(sys.argv[1]), sys.argv[2], 1))
