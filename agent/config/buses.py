"""Buses that several devices share: whether their time suffices. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from agent.settings.devices import BusLoad, DeviceConfig

NEARLY_FULL = 0.8
FULL = 1.0


class BusUse(NamedTuple):
    """One bus and who takes how much of it."""

    name: str
    loads: Mapping[str, BusLoad]  #: by device

    @property
    def share(self) -> float:
        """Seconds per second."""
        return sum(load.share for load in self.loads.values())

    def __str__(self) -> str:
        parts = "; ".join(f"{name} {load.share:.0%} ({load.words})" for name, load in self.loads.items())
        return f"{self.name} would be busy {self.share:.0%} of the time: {parts}"


def buses(devices: Mapping[str, DeviceConfig]) -> Iterator[BusUse]:
    """The buses of all enabled devices."""
    found: dict[str, dict[str, BusLoad]] = {}
    for name, device in devices.items():
        load = device.bus_load() if device.enabled else None
        if load is not None:
            found.setdefault(load.bus, {})[name] = load
    for bus, loads in found.items():
        yield BusUse(bus, loads)
