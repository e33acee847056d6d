"""Connect to configured devices and read every tag once: `check --live`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from msgspec import Struct

from agent.config.model import Config
from agent.core.errors import AgentError
from agent.core.flow import Reading
from agent.core.ports import BuildContext, Bus
from agent.core.quality import BAD_WAITING_FOR_INITIAL_DATA
from agent.normalize import compile_normalizer
from agent.settings.devices import DeviceConfig

#: Beyond the device's own timeouts, seconds: a slow server may need a while for thousands of tags.
PATIENCE = 10.0


class Visit(Struct):
    """What one device had to say."""

    device: str
    readings: Mapping[str, Reading]  #: newest of each tag that answered, in the order of the configuration
    silent: tuple[str, ...]  #: enabled tags that said nothing
    error: str | None = None  #: why the device could not be read

    @property
    def good(self) -> bool:
        """Every enabled tag was read, and none is bad."""
        return not self.error and not self.silent and all(one.quality != "bad" for one in self.readings.values())


async def visit_all(config: Config, context: BuildContext, buses: Mapping[str, Bus]) -> list[Visit]:
    """Read every enabled device once, all at the same time. `buses`: those of the context, driven meanwhile."""
    clock = context.clock
    enabled = {name: device for name, device in config.devices.items() if device.enabled}
    collectors = {name: device.build(name, context) for name, device in enabled.items()}
    visits: list[Visit] = []

    async def visit(name: str, device: DeviceConfig) -> None:
        table = device.tag_table
        wanted = {tag for tag, one in table.items() if one.enabled and not one.awaited}
        newest: dict[str, Reading] = {}
        normalize = compile_normalizer(name, table, cat=lambda: 1, clock=clock)
        error = None
        try:
            async with asyncio.timeout(3 * device.timeout + PATIENCE), collectors[name].open() as samples:
                async for sample in samples:
                    batch = normalize(sample)
                    for reading in batch.readings if batch else ():
                        if reading.status != BAD_WAITING_FOR_INITIAL_DATA:
                            newest[reading.tag] = reading
                    if wanted <= newest.keys():
                        break
        except TimeoutError:
            error = None if newest else "no answer in time"
        except AgentError as one:
            error = str(one)
        except ExceptionGroup as group:
            error = "; ".join(str(one) for one in group.exceptions)
        ordered = {tag: newest[tag] for tag in table if tag in newest}
        visits.append(Visit(name, ordered, tuple(tag for tag in table if tag in wanted - newest.keys()), error))

    async with _driving(buses), asyncio.TaskGroup() as group:
        for name, device in enabled.items():
            group.create_task(visit(name, device), name=f"visit {name}")
    order = list(enabled)
    return sorted(visits, key=lambda one: order.index(one.device))


@asynccontextmanager
async def _driving(buses: Mapping[str, Bus]) -> AsyncIterator[None]:
    """Run the shared buses for as long as the visits take."""
    async with asyncio.TaskGroup() as group:
        driving = [group.create_task(bus.run(), name=f"bus {key}") for key, bus in buses.items()]
        yield
        for task in driving:
            task.cancel()
