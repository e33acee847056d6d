"""What the outbox costs: CPU per reading to append, commit, hand out and acknowledge, and bytes per reading on disk."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from agent.core.clock import SystemClock
from agent.core.flow import Batch, Reading
from agent.outbox import SqliteOutbox
from agent.outbox.file.pack import pack_batch, unpack
from agent.outbox.split import pieces
from agent.settings.outbox import OutboxSettings
from agent.telemetry import logging
from tests.faults.outbox import backlog

TS = 1_763_760_000_000
LARGE = 1 << 20  # bytes; so that a batch of 1,000 stays one record


def batch(number: int, readings: int = 1000) -> Batch:
    """Plain float readings with tag names of 15 characters and a unit, all different."""
    dice = random.Random(number)
    return Batch(
        "press-01", TS, [Reading(f"oil_temp_{i:06d}", dice.random(), TS, "good", unit="Cel") for i in range(readings)]
    )


def make(path: Path, durability: str, max_record_bytes: int = LARGE) -> SqliteOutbox:
    settings = OutboxSettings.model_validate({"durability": durability, "min_free_disk": "0B"})
    return SqliteOutbox(path, name="bench", settings=settings, clock=SystemClock(), max_record_bytes=max_record_bytes)


async def steady(path: Path, durability: str, batches: list[Batch]) -> tuple[float, float]:
    """CPU and wall seconds while a caught-up reader acknowledges each record."""
    outbox = make(path, durability)
    async with outbox.open():
        with outbox.reader() as reader:
            cpu, wall = time.process_time(), time.perf_counter()
            for one in batches:
                outbox.append(one)
                for record in await reader.live(100):
                    reader.ack(record)
            await outbox.flush()
            return time.process_time() - cpu, time.perf_counter() - wall


async def outage(path: Path, batches: list[Batch]) -> None:
    """Write a backlog, then read and acknowledge it; prints both and the bytes on disk."""
    readings = sum(len(one.readings) for one in batches)
    outbox = make(path, "commit")
    async with outbox.open():
        cpu = time.process_time()
        for one in batches:
            outbox.append(one)
            await asyncio.sleep(0)
        await outbox.flush()
        spent = time.process_time() - cpu
        packed = outbox.stats.bytes
    on_disk = path.stat().st_size
    print(f"backlog write      {spent / readings * 1e6:6.3f} us CPU/reading")
    print(f"bytes per reading  {packed / readings:6.1f} packed, {on_disk / readings:.1f} of the file")
    print(f"1 GiB holds        {(1 << 30) / (packed / readings) / 10_000 / 60:6.0f} min of 10,000 readings/s")
    outbox = make(path, "commit")
    wall = time.perf_counter()
    async with outbox.open():
        with outbox.reader() as reader:
            first = await reader.backlog(1)
            print(f"first of backlog   {(time.perf_counter() - wall) * 1e3:6.1f} ms after opening")
            reader.ack(first[0])
            cpu = time.process_time()
            while reader.backlog_left:
                for record in await reader.backlog(20):
                    reader.ack(record)
            await outbox.flush()
            print(f"backlog read + ack {(time.process_time() - cpu) / readings * 1e6:6.3f} us CPU/reading")


async def small(path: Path, records: int = 5000) -> None:
    """Records of one reading: what a record costs by itself."""
    outbox = make(path, "commit")
    batches = [batch(number, 1) for number in range(records)]
    async with outbox.open():
        with outbox.reader() as reader:
            cpu = time.process_time()
            for start in range(0, records, 50):
                for one in batches[start : start + 50]:
                    outbox.append(one)
                for record in await reader.live(50):
                    reader.ack(record)
            await outbox.flush()
            print(f"records of one     {(time.process_time() - cpu) / records * 1e6:6.1f} us CPU/record, 50 at a time")


def million(path: Path, records: int = 1_000_000) -> None:
    """A million small records: when the first comes, and what memory does."""
    figures = backlog.main(path, records, 1)
    print(
        f"{records:,} records first after {figures['first_s'] * 1e3:.0f} ms, all in {figures['deliver_s']:.0f} s beside"
        f" live data, memory +{figures['deliver_grown_mb']:.1f} MB"
    )


def codec(batches: list[Batch]) -> None:
    """Packing alone."""
    readings = sum(len(one.readings) for one in batches)
    cpu = time.process_time()
    packed = [pack_batch(one) for one in batches]
    print(f"pack               {(time.process_time() - cpu) / readings * 1e6:6.3f} us CPU/reading")
    cpu = time.process_time()
    for one in batches:
        pieces(one, 96 << 10)
    print(f"cut to 96 KiB+pack {(time.process_time() - cpu) / readings * 1e6:6.3f} us CPU/reading")
    cpu = time.process_time()
    for sealed in packed:
        unpack(sealed)
    print(f"unpack             {(time.process_time() - cpu) / readings * 1e6:6.3f} us CPU/reading")


def main() -> None:
    """Run them all on a file in the temporary folder."""
    logging.configure(level="error")
    batches = [batch(number) for number in range(300)]
    readings = sum(len(one.readings) for one in batches)
    codec(batches)
    with TemporaryDirectory() as folder:
        for durability in ("memory", "commit", "fsync"):
            cpu, wall = asyncio.run(steady(Path(folder) / f"{durability}.sqlite", durability, batches))
            print(
                f"append+commit+ack  {cpu / readings * 1e6:6.3f} us CPU/reading,"
                f" {wall / len(batches) * 1e3:.2f} ms/batch of 1,000 ({durability})"
            )
        asyncio.run(outage(Path(folder) / "backlog.sqlite", batches))
        asyncio.run(small(Path(folder) / "small.sqlite"))
        million(Path(folder) / "million.sqlite")


if __name__ == "__main__":
    main()
