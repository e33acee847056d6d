"""Connect to configured devices and read every tag, once or again and again: `check --live`, `read`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager

from msgspec import Struct

from agent.config.model import Config
from agent.core.errors import AgentError
from agent.core.flow import Reading
from agent.core.ports import BuildContext, Bus, Collector
from agent.core.quality import BAD_WAITING_FOR_INITIAL_DATA
from agent.normalize import compile_normalizer
from agent.settings.devices import DeviceConfig
from agent.workbench.orders import looks_wrong

#: Beyond the device's own timeouts, seconds: a slow server may need a while for thousands of tags.
PATIENCE = 10.0
#: The same where the device is walked through first (`browse:`): small controllers take long for it.
FINDING = 60.0


class Visit(Struct):
    """What one device had to say."""

    device: str
    readings: Mapping[str, Reading]  #: newest of each tag that answered, in the order of the configuration
    silent: tuple[str, ...]  #: enabled tags that said nothing
    error: str | None = None  #: why the device could not be read
    doubtful: frozenset[str] = frozenset()  #: good, but of a size that a wrong byte order makes
    nodes: Mapping[str, str] = {}  #: of tags the device was found to have: where they are
    most_found: int | None = None  #: so many tags were found, and more were not looked for

    @property
    def good(self) -> bool:
        """Every enabled tag was read, and none is bad."""
        return not self.error and not self.silent and all(one.quality != "bad" for one in self.readings.values())


async def visit_all(config: Config, context: BuildContext, buses: Mapping[str, Bus]) -> list[Visit]:
    """Read every enabled device once, all at the same time. `buses`: those of the context, driven meanwhile."""
    enabled = {name: device for name, device in config.devices.items() if device.enabled}
    collectors = {name: device.build(name, context) for name, device in enabled.items()}
    visits: dict[str, Visit] = {}

    async def visit(name: str, device: DeviceConfig) -> None:
        async with aclosing(visits_of(name, device, collectors[name], context)) as rounds:
            visits[name] = await anext(rounds)

    async with driving(buses), asyncio.TaskGroup() as group:
        for name, device in enabled.items():
            group.create_task(visit(name, device), name=f"visit {name}")
    return [visits[name] for name in enabled]


async def visits_of(
    name: str, device: DeviceConfig, collector: Collector, context: BuildContext
) -> AsyncGenerator[Visit]:
    """A visit each time every tag has answered, found ones (`browse:`) too, over one connection, at the interval.

    The one with an error, or with silent tags, is the last. A tag is silent that says nothing for as long as the
    device's time-outs and a while.
    """
    table = device.tag_table
    wanted = {tag for tag, one in table.items() if one.enabled and not one.awaited}
    normalize = compile_normalizer(name, table, cat=lambda: 1, clock=context.clock, found=device.found_tag)
    newest: dict[str, Reading] = {}
    nodes: dict[str, str] = {}
    names = list(table)  # and behind them those that are found
    patience = 3 * device.timeout + (FINDING if device.finds_tags else PATIENCE)

    def visit(error: str | None = None) -> Visit:
        ordered = {tag: newest[tag] for tag in names if tag in newest}
        silent = tuple(tag for tag in names if tag in wanted - newest.keys())
        types = {tag: one.catalogue_type() for tag, one in table.items()}
        odd = {tag for tag, one in ordered.items() if looks_wrong(one.value, types.get(tag))}
        most = device.most_found if len(names) - len(table) == device.most_found else None
        return Visit(name, ordered, silent, error, frozenset(odd), nodes, most)

    last = None
    if not wanted and not device.finds_tags:
        yield visit()  # nothing is to be read, and nobody is asked
        return
    try:
        async with asyncio.timeout(patience) as deadline, collector.open() as samples:
            async for sample in samples:
                names += sample.found
                wanted |= {*sample.found}
                nodes |= {names[at]: one.node for at, one in (sample.facts or {}).items() if one.node is not None}
                batch = normalize(sample)
                for reading in batch.readings if batch else ():
                    if reading.status != BAD_WAITING_FOR_INITIAL_DATA:
                        newest[reading.tag] = reading
                if wanted <= newest.keys() and (not device.finds_tags or len(names) > len(table)):
                    deadline.reschedule(None)  # who looks at it may take its time, and so may leaving
                    yield visit()
                    newest = {}
                    deadline.reschedule(asyncio.get_running_loop().time() + device.interval + patience)
    except TimeoutError:
        last = visit(None if newest or device.finds_tags else "no answer in time")
    except AgentError as error:
        last = visit(str(error))
    except ExceptionGroup as group:
        last = visit("; ".join(str(one) for one in group.exceptions))
    if last is not None:
        yield last


@asynccontextmanager
async def driving(buses: Mapping[str, Bus]) -> AsyncIterator[None]:
    """Run the shared buses for as long as the visits take; what the visitor raises comes out as it is."""
    raised: list[Exception] = []
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(bus.run(), name=f"bus {key}") for key, bus in buses.items()]
        try:
            yield
        except Exception as error:  # noqa: BLE001 - raised below, not wrapped in a group
            raised.append(error)
        for task in tasks:
            task.cancel()
    if raised:
        raise raised[0]
