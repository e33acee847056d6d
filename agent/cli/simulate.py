"""`edge-agent simulate FILE`: devices from a description, until Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from agent.core.errors import ConfigError
from agent.simulator.description import load, plant_of
from agent.simulator.plant import Plant
from agent.telemetry.logging import configure


def simulate(file: Path) -> int:
    """Serve the plant described in `file`. 0 at Ctrl-C, 1 where a port is taken, 2 where the description is wrong."""
    configure(style="console", level="info")
    try:
        plant = plant_of(load(file))
        asyncio.run(_serve(plant))
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


async def _serve(plant: Plant) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with plant:
        for name, device in plant.devices.items():
            sys.stdout.write(f"{name}: {device.url}\n")
        sys.stdout.flush()
        await stop.wait()
