"""A writer that is killed again and again, and the judge who keeps the broker's books. Prints its verdict as JSON.

Run as a program: one process forks a writer per round, so that a round costs no start of an interpreter. What the
broker has accepted is what stands in the pipe: an acknowledgement is written there before the outbox hears of it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import signal
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from agent.core.clock import SystemClock
from agent.core.flow import Batch, Gap, Reading, Record
from agent.outbox import SqliteOutbox
from agent.settings.outbox import OutboxSettings
from agent.telemetry import logging

Key = tuple[str, str, int]


def make(path: Path) -> SqliteOutbox:
    settings = OutboxSettings.model_validate({"durability": "commit", "min_free_disk": "0B", "max_bytes": "400KiB"})
    return SqliteOutbox(path, name="killed", settings=settings, clock=SystemClock())


def line(word: str, record: Record) -> bytes:
    content = hashlib.sha1(repr(record.content).encode(), usedforsecurity=False).hexdigest()
    gap = record.content if isinstance(record.content, Gap) else None
    span = [gap.kind, gap.from_seq, gap.to_seq, gap.epoch] if gap else None
    name = gap.id if gap else ""
    facts = [word, record.stream.epoch, record.stream.device, record.seq, content, record.historical, span, name]
    return json.dumps(facts).encode() + b"\n"


async def write(path: Path, out: int, dice: random.Random) -> None:
    """Append, hand out, acknowledge: until killed."""
    outbox = make(path)

    async def append() -> None:
        while True:
            for _ in range(dice.randint(1, 30)):
                device, count = dice.choice("abc"), dice.randint(1, 40)
                number = dice.randrange(2**40)
                readings = [Reading(f"tag_{i}", number + i, 1_763_760_000_000, "good") for i in range(count)]
                outbox.append(Batch(device, 1_763_760_000_000, readings))
            await outbox.flush()

    async def publish(lane) -> None:
        while True:
            records = await lane(20)
            os.write(out, b"".join(line("out", record) for record in records))
            for record in dice.sample(records, len(records)):
                luck = dice.random()
                if luck < 0.8:
                    os.write(out, line("ack", record))
                    reader.ack(record)
                elif luck < 0.82:
                    reader.reject(record, "unlucky")
                elif luck < 0.84:
                    reader.retry(record)
            await asyncio.sleep(0)

    async with outbox.open():
        with outbox.reader() as reader:
            async with asyncio.TaskGroup() as group:
                group.create_task(append())
                group.create_task(publish(reader.live))
                group.create_task(publish(reader.backlog))


class Judge:
    """Keeps the books over all rounds."""

    def __init__(self) -> None:
        self.payloads: dict[Key, str] = {}
        self.acked: set[Key] = set()
        self.declared: set[Key] = set()
        self.gaps: dict[str, str] = {}
        self.acked_gaps: set[str] = set()
        self.problems: list[str] = []

    def hear(self, said: bytes) -> None:
        newest: dict[tuple[str, str, bool], int] = defaultdict(int)
        for text in said.decode().splitlines(keepends=True):
            if not text.endswith("\n"):
                break
            word, epoch, device, seq, content, historical, span, name = json.loads(text)
            if seq == 0:
                self.gap(word, device, span, name, content)
                continue
            key = (epoch, device, seq)
            if word == "ack":
                self.acked.add(key)
                continue
            if self.payloads.setdefault(key, content) != content:
                self.problems.append(f"two payloads: {key}")
            lane = (epoch, device, historical)
            if not historical and seq <= newest[lane]:
                self.problems.append(f"out of order: {key}")
            newest[lane] = seq

    def gap(self, word: str, device: str, span: list[Any], name: str, content: str) -> None:
        kind, low, high, epoch = span
        if self.gaps.setdefault(name, content) != content:
            self.problems.append(f"a declaration changed: {name}")
        if word == "ack":
            self.acked_gaps.add(name)
        if kind != "down" and low is not None:
            self.declared |= {(epoch, device, seq) for seq in range(low, high + 1)}


def one_round(path: Path, judge: Judge, dice: random.Random) -> None:
    read, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        try:
            asyncio.run(write(path, write_end, random.Random(dice.random())))
        finally:
            os._exit(1)
    os.close(write_end)
    said, enough = b"", dice.randrange(1_000, 200_000)
    while len(said) < enough:
        said += os.read(read, 65536)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while more := os.read(read, 65536):
        said += more
    os.close(read)
    judge.hear(said)


async def settle(path: Path, judge: Judge) -> int:
    """Read what is left; everything handed out is acknowledged, there, or declared."""
    outbox, left = make(path), set()
    async with outbox.open():
        for stream in outbox.streams():
            for seq in range(1, stream.low):
                key = (stream.epoch, stream.device, seq)
                if key not in judge.acked and key not in judge.declared:
                    judge.problems.append(f"low {stream.low} is above {key}")
        with outbox.reader() as reader:
            while reader.backlog_left:
                records = await reader.backlog(100)
                judge.hear(b"".join(line("out", record) for record in records))
                left |= {(one.stream.epoch, one.stream.device, one.seq) for one in records if one.seq}
    judge.problems += [f"lost: {key}" for key in judge.payloads.keys() - judge.acked - left - judge.declared]
    judge.problems += [f"declared and there: {key}" for key in left & judge.declared]
    return len(left)


def main(path: Path, rounds: int, seed: int) -> None:
    logging.configure(level="error", stream=sys.stderr)
    judge, dice = Judge(), random.Random(seed)
    for _ in range(rounds):
        one_round(path, judge, dice)
    left = asyncio.run(settle(path, judge))
    verdict = {
        "handed_out": len(judge.payloads),
        "acked": len(judge.acked),
        "left": left,
        "problems": judge.problems[:20],
    }
    sys.stdout.write(json.dumps(verdict) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
