"""What follows from the tags a device has: what is asked, what is known of it. Pure."""

from __future__ import annotations

from typing import NamedTuple, Self

from msgspec.structs import replace

from agent.collectors.modbus.blocks.setup import Setup
from agent.collectors.modbus.learning.knowledge import Knowledge
from agent.collectors.modbus.learning.planned import PlannedBlocks
from agent.collectors.modbus.scan.triggers import Triggers
from agent.collectors.modbus.tags.points import ModbusPoint


class SetupReading(NamedTuple):
    """Of one setup."""

    setup: Setup
    knowledge: Knowledge
    blocks: PlannedBlocks
    triggers: Triggers

    @classmethod
    def of(cls, setup: Setup) -> Self:
        """Nothing is known yet."""
        knowledge = Knowledge(setup.limits, points_of(setup), setup.unread)
        return cls(setup, knowledge, PlannedBlocks(setup, knowledge), Triggers(setup.triggers))


class Succession(NamedTuple):
    """From one setup of a device to another."""

    reading: SetupReading
    moved: dict[int, int]  #: see :func:`moved_points`

    @classmethod
    def of(cls, before: Setup, now: Setup) -> Self:
        """Plans and compares, which takes its time with many tags."""
        return cls(SetupReading.of(now), moved_points(before, now))


def points_of(setup: Setup) -> list[ModbusPoint]:
    """All points, polled and triggered."""
    polled = [point for _, points in setup.groups for point in points]
    return [*polled, *(point for trigger in setup.triggers for point in trigger.points)]


def moved_points(before: Setup, now: Setup) -> dict[int, int]:
    """The points that are read as they were, by name: position before → position now."""
    here = {now.names[point.position]: point for point in points_of(now)}
    moved: dict[int, int] = {}
    for point in points_of(before):
        other = here.get(before.names[point.position])
        if other is not None and _meaning(point, before) == _meaning(other, now):
            moved[point.position] = other.position
    return moved


def _meaning(point: ModbusPoint, setup: Setup) -> tuple[ModbusPoint, str | None]:
    factor = None if point.factor is None else setup.names[point.factor]
    return replace(point, position=0, factor=None), factor
