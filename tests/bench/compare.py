"""`make bench BASE=rev`: the agent of another commit beside this one, in one run. Ratios: no machine is ever quiet.

A worktree of `rev` stands in a temporary folder; servers and measuring are this tree's for both. Starts take turns; in
all else both run at once, so that what else the machine does meets both. The ratio is taken within each turn.
Words after the revision choose cases. BENCH_TURNS (3), BENCH_SECONDS (8) make it longer; BENCH_JSON names a file for
all figures.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.bench_start import plant
from tests.bench.figures import TURNS
from tests.bench.pipeline import measure, modbus_plant, opcua_plant, start
from tests.support.agent import REPOSITORY

#: What one agent costs: the agent's tree → a figure.
Measure = Callable[[Path], Awaitable[float]]


async def _turns(measured: Measure, base: Path) -> list[tuple[float, float]]:
    """Pairs (base, this), the two in turn; every second turn begins with the other."""
    pairs: list[tuple[float, float]] = []
    for turn in range(TURNS):
        if turn % 2:
            here = await measured(REPOSITORY)
            pairs.append((await measured(base), here))
        else:
            there = await measured(base)
            pairs.append((there, await measured(REPOSITORY)))
    return pairs


async def _together(
    plants: Sequence[dict[str, Any]], base: Path, *, samples: int = 0, history: bool = False
) -> list[tuple[float, float]]:
    """Likewise, the two at once, each on a plant; CPU us a reading, or a sample of so many a second."""
    pairs = []
    for turn in range(TURNS):
        trees = (base, REPOSITORY) if turn % 2 else (REPOSITORY, base)
        agents = [measure(devices, tree=tree, history=history) for devices, tree in zip(plants, trees, strict=True)]
        loads = dict(zip(trees, await asyncio.gather(*agents), strict=True))
        if samples:
            for load in loads.values():
                load.readings = round(samples * load.wall) - load.skipped * samples // len(plants[0])
        there, here = (loads[tree].per_reading for tree in (base, REPOSITORY))
        pairs.append((there, here))
    return pairs


async def _start(tags: int, base: Path) -> list[tuple[float, float]]:
    async with modbus_plant(10) as (ports, _):

        async def measured(tree: Path) -> float:
            return (await start(plant(ports, tags), tree=tree)).cpu

        return await _turns(measured, base)


async def _modbus(devices: int, tags: int, base: Path, *, history: bool = False) -> list[tuple[float, float]]:
    # one server cannot hold two agents' connections to 500 devices: libmodbus waits by select()
    async with modbus_plant(devices) as (one, _), modbus_plant(devices) as (other, _):
        return await _together([plant(ports, devices * tags) for ports in (one, other)], base, history=history)


async def _on_change(base: Path) -> list[tuple[float, float]]:
    """1 % of 10,000 tags change each second."""
    async with modbus_plant(10, still=100) as (one, _), modbus_plant(10, still=100) as (other, _):
        plants = [plant(ports, 10_000) for ports in (one, other)]
        for device in (device for devices in plants for device in devices.values()):
            device["tags"] = {name: tag | {"report": "on_change"} for name, tag in device["tags"].items()}
        return await _together(plants, base, samples=10_000)


async def _fast(base: Path) -> list[tuple[float, float]]:
    tags = {f"register_{at:04}": {"address": f"holding:{at}", "type": "uint16"} for at in range(1000)}
    async with modbus_plant(10) as (one, _), modbus_plant(10) as (other, _):
        plants = [plant(ports, 10) for ports in (one, other)]
        for device in (device for devices in plants for device in devices.values()):
            device |= {"tags": tags, "interval": "100ms"}
        return await _together(plants, base)


async def _opcua(
    nodes: int, mode: str, base: Path, *, every: float = 1.0, interval: str = "1s"
) -> list[tuple[float, float]]:
    async with opcua_plant(nodes, every=every) as port:
        tags = {f"variable_{at:04}": {"node": f"nsu=urn:bench;s=V{at}"} for at in range(nodes)}
        url = f"opc.tcp://127.0.0.1:{port}"
        device = {"type": "opcua", "url": url, "mode": mode, "interval": interval, "tags": tags}
        return await _together([{"server": device}] * 2, base)


CASES: dict[str, Callable[[Path], Awaitable[list[tuple[float, float]]]]] = {
    "start, 1,000 tags (s CPU)": lambda base: _start(1_000, base),
    "start, 10,000 tags (s CPU)": lambda base: _start(10_000, base),
    "modbus 10 x 1,000 float32 @ 1 s (us/reading)": lambda base: _modbus(10, 1_000, base),
    "history on, modbus 10 x 1,000 float32 @ 1 s (us/reading)": lambda base: _modbus(10, 1_000, base, history=True),
    "on_change, modbus 10 x 1,000 @ 1 s (us/sample)": _on_change,
    "modbus 10 x 1,000 uint16 @ 100 ms (us/reading)": _fast,
    "modbus 100 x 20 float32 @ 1 s (us/reading)": lambda base: _modbus(100, 20, base),
    "modbus 500 x 20 float32 @ 1 s (us/reading)": lambda base: _modbus(500, 20, base),
    "opcua poll 1,000 @ 1 s (us/reading)": lambda base: _opcua(1_000, "poll", base),
    "opcua poll 10,000 still @ 1 s (us/reading)": lambda base: _opcua(10_000, "poll", base, every=0),
    "opcua subscription 1,000 @ 1 s (us/reading)": lambda base: _opcua(1_000, "subscribe", base),
    "opcua subscription 1,000 @ 10 Hz (us/reading)": lambda base: _opcua(
        1_000, "subscribe", base, every=0.1, interval="100ms"
    ),
}


@contextmanager
def worktree(revision: str) -> Iterator[Path]:
    """That commit, beside this tree."""
    with tempfile.TemporaryDirectory(prefix="edge-bench-") as folder:
        tree = Path(folder) / "base"
        git = ("git", "-C", str(REPOSITORY), "worktree")
        subprocess.run([*git, "add", "--quiet", "--detach", str(tree), revision], check=True)
        try:
            # as here: compiled before it is measured
            subprocess.run([sys.executable, "-m", "compileall", "-q", str(tree / "agent")], check=True)
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)


async def main(revision: str, words: list[str]) -> int:
    """Print a line a case; 1 where no case was chosen."""
    chosen = {name: case for name, case in CASES.items() if not words or any(word in name for word in words)}
    if not chosen:
        print(f"nothing to run: {', '.join(CASES)}")
        return 1
    figures = {}
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(REPOSITORY / "agent")], check=True)
    with worktree(revision) as base:
        for name, case in chosen.items():
            pairs = await case(base)
            ratios = sorted(here / there for there, here in pairs)
            there, here = (median(column) for column in zip(*pairs, strict=True))
            figures[name] = {"base": there, "here": here, "ratio": median(ratios), "ratios": ratios, "pairs": pairs}
            spread = f"{ratios[0]:.2f} to {ratios[-1]:.2f}"
            print(f"{name:57} {there:8.2f} -> {here:8.2f}   x {median(ratios):.2f} ({spread})", flush=True)
    if (file := os.environ.get("BENCH_JSON")) is not None:
        Path(file).write_text(json.dumps({"base": revision, "turns": TURNS, "cases": figures}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    if not sys.argv[1:]:
        sys.exit("which commit? python -m tests.bench.compare REVISION [WORD...]")
    sys.exit(asyncio.run(main(sys.argv[1], sys.argv[2:])))
