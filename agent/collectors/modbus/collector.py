"""Reads one Modbus unit: blocks of the poll groups due at each tick, over a line it may share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from agent.collectors.common.planning import planned
from agent.collectors.modbus.blocks.compiled import Compiled
from agent.collectors.modbus.blocks.items import items_of
from agent.collectors.modbus.blocks.plan import Block, block_of, plan
from agent.collectors.modbus.blocks.reactions import reaction_to
from agent.collectors.modbus.blocks.setup import Setup
from agent.collectors.modbus.bus.bus import ModbusBus
from agent.collectors.modbus.bus.transaction import NoAnswer
from agent.collectors.modbus.scan.reading import Succession
from agent.collectors.modbus.scan.samples import Samples
from agent.core.flow import Sample
from agent.core.ports import BuildContext, Collector
from agent.telemetry.logging import get_logger
from agent.telemetry.repeats import Repeats

log = get_logger("modbus")


class ModbusCollector:
    """Implements `core.ports.Collector`."""

    def __init__(self, setup: Setup, bus: ModbusBus, context: BuildContext) -> None:
        self._setup = setup
        self._bus = bus
        self._context = context
        self.succession: Succession | None = None  #: how it takes the place of another, once that is known
        self._samples: Samples | None = None  #: of the present connection
        self._silent = False  #: the last connection ended in silence
        self._probes = 0
        self._read: frozenset[int] = frozenset()  #: tags read before that
        self._repeats = Repeats()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncIterator[Sample]]:
        with self._bus.used():
            await self._bus.ready()
            answers = await self._probe() if self._silent else None
            samples = self._samples = Samples(self._setup, self._bus, self._context, answers)
            try:
                yield samples
            finally:
                self._samples = None
                self._silent = samples.silent
                if self._silent:
                    self._probes = 0
                    self._read = samples.read or self._read
                    self._bus.lost(self._setup.unit)
                    self._say_silent()
                else:
                    self._bus.forget(self._setup.unit)
                samples.close()

    def _say_silent(self) -> None:
        if (repeats := self._repeats.due("silent", self._context.clock.monotonic())) is not None:
            unit, bus = self._setup.unit, self._bus.name
            log.warning("modbus.unit_silent", device=self._setup.device, bus=bus, unit=unit, repeats=repeats)

    async def prepare(self, successor: Collector, /) -> bool:
        """See `core.ports.Retaggable`."""
        if not isinstance(successor, ModbusCollector):
            return False
        successor.succession = await planned(Succession.of, self._setup, successor.setup)
        return True

    def retag(self, successor: Collector, /) -> bool:
        """See `core.ports.Retaggable`."""
        if not isinstance(successor, ModbusCollector) or successor.succession is None:
            return False
        if self._samples is not None and not self._samples.retag(successor.succession):
            return False
        self._setup = successor.setup
        self._read = frozenset()
        return True

    def record(self, take: Callable[[bytes], None], /) -> Callable[[], None]:
        """See `core.recordable.Recordable`."""
        return self._bus.taps.add(self._setup.device, self._setup.unit, take)

    @property
    def unanswered(self) -> float | None:
        """See `core.patient.Patient`."""
        return None if self._samples is None else self._bus.unanswered(self._setup.unit)

    @property
    def setup(self) -> Setup:
        """What it reads."""
        return self._setup

    async def _probe(self) -> Block | None:
        """One request to a unit that kept silent, so that its neighbours lose no more than one time-out.

        Another block each time, what was read last before all others, then one of each area, then a single value of
        each: what alone is silent must not keep the unit offline, and what is too much for it neither. Which one was
        answered.
        """
        setup = self._setup
        points = [point for _, group in setup.groups for point in group if point.position not in setup.unread]
        if not points:
            return None
        blocks = plan(points, setup.limits)
        areas = [block.area for block in blocks]
        places = {block: areas[:at].count(block.area) for at, block in enumerate(blocks)}
        blocks.sort(key=lambda each: (self._read.isdisjoint(p.position for p in each.points), places[each]))
        blocks += [block_of(item.points, setup.limits) for item in items_of(points)]
        block = blocks[self._probes % len(blocks)]
        self._probes += 1
        reply = await self._bus.ask(setup.unit, Compiled.of(block, setup.timeout).request)
        if reply.code and reaction_to(reply.code).kind == "silent":
            raise NoAnswer(reaction_to(reply.code).reason)
        return block
