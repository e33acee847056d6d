"""The compiled blocks of a device, made anew when something was learned; and what its status shows of them. Pure."""

from __future__ import annotations

from agent.collectors.modbus.blocks.compiled import Compiled, Roles
from agent.collectors.modbus.blocks.plan import Block
from agent.collectors.modbus.blocks.setup import Setup
from agent.collectors.modbus.learning.knowledge import Knowledge, as_yaml


class PlannedBlocks:
    """Blocks of each poll group, and of each trigger."""

    def __init__(self, setup: Setup, known: Knowledge) -> None:
        points = [point for _, points in setup.groups for point in points]
        points += [point for trigger in setup.triggers for point in trigger.points]
        self.roles = Roles(
            setup.tags,
            frozenset(point.factor for point in points if point.factor is not None),
            frozenset(trigger.bit for trigger in setup.triggers),
        )
        self.groups: list[list[Compiled]] = []
        self.on_edge: list[list[Compiled]] = []
        self._setup = setup
        self._known = known
        self._compiled: dict[Block, Compiled] = {}
        self.replan()

    def compile(self, block: Block) -> Compiled:
        """The compiled form of a block, the same as long as nothing is learned."""
        compiled = self._compiled.get(block)
        if compiled is None:
            compiled = self._compiled[block] = Compiled.of(block, self._setup.timeout, self.roles)
        return compiled

    def replan(self) -> None:
        """Blocks without what is known to be bad. Those that stay keep their compiled form, and their tuple of tags."""
        before, self._compiled = self._compiled, {}
        wanted = [self._known.blocks(points) for _, points in self._setup.groups]
        on_edge = [self._known.blocks(trigger.points, join=True) for trigger in self._setup.triggers]
        for block in (block for blocks in wanted + on_edge for block in blocks):
            if block in before:
                self._compiled[block] = before[block]
        self.groups = [[self.compile(block) for block in blocks] for blocks in wanted]
        self.on_edge = [[self.compile(block) for block in blocks] for blocks in on_edge]

    def note(self, bus: str) -> dict[str, object]:
        """For people: what is asked, what is not, and what may be written down."""
        names, known = self._setup.names, self._known
        note: dict[str, object] = {
            "bus": bus,
            "unit": self._setup.unit,
            "blocks": [str(compiled.block) for group in self.groups for compiled in group],
            "quarantined": {names[p]: reaction.reason for p, reaction in known.quarantine.refused.items()},
        }
        if self._setup.triggers:
            note["on_edge"] = [str(compiled.block) for group in self.on_edge for compiled in group]
        if known.search:
            note["searching"] = [names[p] for p in known.search.held]
        if learned := known.learned():
            note["learned"] = {**learned, "yaml": as_yaml(learned)}
        return note
