"""What a running agent offers the parts it builds: clock, data directory, shared buses, notes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent.core.clock import Clock
from agent.core.image import Image
from agent.core.ports import Bus


class RunningContext:
    """The `BuildContext` of production. It collects buses while devices are built; app.py runs them."""

    def __init__(
        self,
        image: Image,
        data_dir: Path,
        clock: Clock,
        *,
        recorded: Callable[[str], int | None] | None = None,
    ) -> None:
        """`recorded` as in the port; without it nothing is recorded here."""
        self.agent = image.agent.id
        self.data_dir = data_dir
        self.clock = clock
        self.buses: dict[str, Bus] = {}
        self.recording = recorded is not None
        self._recorded = recorded
        self._image = image

    def bus(self, key: str, make: Callable[[], Bus], /) -> Any:
        """The bus known as `key`; several devices on one connection or bus share it."""
        if key not in self.buses:
            self.buses[key] = make()
        return self.buses[key]

    def recorded(self, device: str, /) -> int | None:
        """What the outboxes of this device's routes say, the latest."""
        return None if self._recorded is None else self._recorded(device)

    def note(self, device: str, key: str, value: object, /) -> None:
        """Into the image; a late note of a device that is gone goes nowhere."""
        if device in self._image.devices:
            self._image.note(device, key, value)
