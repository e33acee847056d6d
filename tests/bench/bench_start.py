"""What a start costs: CPU of the agent from its exec until the first good reading of every device is at the broker.

Ten Modbus devices share the tags; BENCH_TURNS (3) starts of each size, the median and the spread. The memory of a tag
is the slope between the smallest and the largest size: what the libraries take is in both.
"""

from __future__ import annotations

import asyncio
import os
from statistics import median
from typing import Any

from tests.bench.figures import TURNS, keep
from tests.bench.pipeline import Started, modbus_plant, start

DEVICES = 10
SIZES = tuple(map(int, os.environ.get("BENCH_TAGS", "10 1000 10000 50000").split()))


def plant(ports: list[int], tags: int) -> dict[str, Any]:
    """Devices with that many float32 tags in all, each with a unit and a range, as tags in a plant have."""
    each = tags // len(ports)
    return {
        f"plc-{number}": {
            "type": "modbus",
            "url": f"tcp://127.0.0.1:{port}",
            "tags": {
                f"tag_{at:05}": {
                    "address": f"holding:{at * 2}",
                    "type": "float32",
                    "unit": "Cel",
                    "range": {"min": 0, "max": 2_000_000},
                }
                for at in range(each)
            },
        }
        for number, port in enumerate(ports)
    }


async def main() -> None:
    """Print a line a size."""
    async with modbus_plant(DEVICES) as (ports, _):
        rss: dict[int, float] = {}
        for tags in SIZES:
            runs: list[Started] = [await start(plant(ports, tags)) for _ in range(TURNS)]
            cpu = sorted(run.cpu for run in runs)
            rss[tags] = median(run.rss for run in runs)
            keep(f"start, {tags:,} tags", [run._asdict() for run in runs])
            print(
                f"start, {tags:6,} tags: {median(cpu):5.2f} s CPU ({cpu[0]:.2f} to {cpu[-1]:.2f})"
                f"  RSS {rss[tags] / 1e6:6.1f} MB",
                flush=True,
            )
        small, large = min(SIZES), max(SIZES)
        print(f"memory of a configured tag: {(rss[large] - rss[small]) / (large - small):,.0f} bytes")


if __name__ == "__main__":
    asyncio.run(main())
