"""`edge-agent simulate`: devices from a description, of a configuration, or out of a recording, until Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from agent.cli import unwritten
from agent.cli.mistakes import report
from agent.config.loader import Loaded, load
from agent.core.clock import SystemClock
from agent.core.errors import AgentError, ConfigError
from agent.core.text import harmless
from agent.simulator.broker import EmbeddedBroker
from agent.simulator.description import load as load_description
from agent.simulator.description import plant_of
from agent.simulator.plant import Plant, PlantClock
from agent.simulator.rehearsal.plant import Rehearsal, rehearsal_of
from agent.simulator.replay import is_recording, replay_of
from agent.telemetry.logging import configure
from agent.workbench.rehearse import LOCAL_BROKER, one_broker, rehearsed, text_of


def simulate(file: Path | None, config: Path | None, *, broker: bool = False) -> int:
    """Serve the plant of `file`, or stand-ins for the devices of `config`, on loopback.

    0 at Ctrl-C, 1 where a port is in use or the broker does not start, 2 where the file is wrong.
    """
    configure(style="console", level="error", stream=sys.stderr)
    try:
        if (file is None) == (config is None):
            raise ConfigError(
                "command line", None, "either FILE or -c is needed", "write simulate plant.yaml, or simulate -c FILE"
            )
        with _broker(wanted=broker) as url:
            if config is not None:
                asyncio.run(_rehearse(config, load(config, secrets=False), url))
            elif file is not None:
                asyncio.run(_serve(_replayed(file) if is_recording(file) else plant_of(load_description(file))))
    except ConfigError as error:
        report(error, sys.stderr)
        return 2
    except (OSError, AgentError) as error:
        if unwritten(error) is not None:
            raise
        sys.stderr.write(f"{harmless(str(error))}\n")
        return 1
    return 0


@contextmanager
def _broker(*, wanted: bool) -> Iterator[str | None]:
    if not wanted:
        yield None
        return
    with EmbeddedBroker() as running:
        sys.stderr.write(f"broker: {running.url} (MQTT 3.1.1: {running.url_311})\n")
        yield running.url


def _replayed(file: Path) -> Plant:
    replay = replay_of(file, PlantClock(SystemClock(), 0.0))
    device, unit, seconds = replay.header.device, replay.header.unit, round(replay.seconds)
    sys.stderr.write(f"{device}: unit {unit}, {replay.exchanges:,} transactions of {seconds} s, again and again\n")
    return replay.plant


async def _serve(plant: Plant) -> None:
    stop = _stopped()
    async with plant:
        for name, device in plant.devices.items():
            sys.stdout.write(f"{name}: {device.url}\n")
        sys.stdout.flush()
        await stop.wait()


async def _rehearse(file: Path, loaded: Loaded, broker: str | None) -> None:
    stop = _stopped()
    rehearsal = rehearsal_of(loaded.whole.devices)
    async with rehearsal.plant:
        urls = {name: home.url for name, home in rehearsal.homes.items()}
        document = rehearsed(loaded, urls, broker or LOCAL_BROKER)
        _say(loaded, rehearsal, urls)
        sys.stdout.write(f"# {file} with simulated devices in place of the real ones, while `simulate` runs\n")
        sys.stdout.write(text_of(document))
        sys.stdout.flush()
        sys.stderr.write("this configuration is for `edge-agent run`; the devices are there until Ctrl-C\n")
        await stop.wait()


def _say(loaded: Loaded, rehearsal: Rehearsal, urls: Mapping[str, str]) -> None:
    for name, url in urls.items():
        sys.stderr.write(harmless(f"{name}: {loaded.whole.devices[name].where()} is {url} here") + "\n")
    for name, kind in rehearsal.left_out.items():
        sys.stderr.write(harmless(f"{name}: left out, devices of type {kind} cannot be simulated") + "\n")
    for name in loaded.config.publishers.keys() - one_broker(loaded).keys():
        sys.stderr.write(f"{name}: left out, at one broker it writes the topics of another publisher\n")


def _stopped() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop
