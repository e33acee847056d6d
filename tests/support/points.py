"""A point of a Modbus device, in one line."""

from __future__ import annotations

from typing import Any

from agent.collectors.modbus.tags.address import Area
from agent.collectors.modbus.tags.points import DataType, ModbusPoint, form_of


def point_at(
    position: int, area: Area, offset: int, size: int, kind: DataType, bit: int | None = None, order: str = "ABCD",
    length: int = 0, *, factor: int | None = None, group: str | None = None, **form: Any,
) -> ModbusPoint:  # fmt: skip
    """As `ModbusTag.point` makes it."""
    return ModbusPoint(position, area, offset, form_of(size, kind, bit, order, length, **form), factor, group)
