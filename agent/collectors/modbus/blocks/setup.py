"""What a collector has to know, compiled from the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.collectors.modbus.blocks.layout import Trigger
from agent.collectors.modbus.blocks.plan import BlockLimits
from agent.collectors.modbus.tags.points import ModbusPoint


@dataclass(frozen=True, slots=True)
class Setup:
    """One device."""

    device: str
    unit: int
    timeout: float
    names: tuple[str, ...]  #: of all tags, by position; behind them what is read for their sake
    tags: int  #: how many of them are tags
    groups: tuple[tuple[float | None, tuple[ModbusPoint, ...]], ...]  #: interval (None: once) and points
    limits: BlockLimits
    retries: int = 0  #: how often a silent block is asked again within a scan
    idle: float = 1.0  #: how often a device with nothing to poll is looked at
    triggers: tuple[Trigger, ...] = ()
    unread: Mapping[int, str] = field(default_factory=dict)  #: positions that lie in `never_read`, and where
