"""What a running agent offers the parts it builds: clock, data directory, shared buses, notes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent.core.clock import Clock
from agent.core.image import Image
from agent.core.ports import Bus
from agent.telemetry.bugs import Bugs


class RunningContext:
    """The `BuildContext` of production, one for each part: it keeps what the part takes and what it registers.

    Building touches nothing that runs, so any thread may do it. `standing` are the buses the part may share, those
    that are being built for other parts among them; a bus that is new is added to it.
    """

    def __init__(
        self,
        image: Image,
        data_dir: Path,
        clock: Clock,
        standing: dict[str, Bus],
        *,
        component: str = "command",
        recorded: Callable[[str], int | None] | None = None,
        room: Callable[[str], int] = lambda _device: sys.maxsize,
    ) -> None:
        """`component`: whose context it is, for the log. `recorded`, `room`: as in the port; without the former nothing
        is recorded.
        """
        self.room = room
        self.agent = image.agent.id
        self.data_dir = data_dir
        self.clock = clock
        self.buses: dict[str, Bus] = {}  #: those this part takes
        self.recording = recorded is not None
        self._standing = standing
        self._recorded = recorded
        self._image = image
        self._registrations: list[Callable[[], Callable[[], None]]] = []
        self._undo: list[Callable[[], None]] = []
        self._begun = False
        self._bugs = Bugs(component)

    @property
    def devices(self) -> int:
        """Those of the image."""
        return len(self._image.devices)

    def bus(self, key: str, make: Callable[[], Bus], /) -> Any:
        """The bus known as `key`; several devices on one connection or bus share it."""
        if key not in self._standing:
            self._standing[key] = make()
        bus = self.buses[key] = self._standing[key]
        return bus

    def recorded(self, device: str, /) -> int | None:
        """What the outboxes of this device's routes say, the latest."""
        return None if self._recorded is None else self._recorded(device)

    def note(self, device: str, key: str, value: object, /) -> None:
        """Into the image; a late note of a device that is gone goes nowhere."""
        if device in self._image.devices:
            self._image.note(device, key, value)

    def while_running(self, register: Callable[[], Callable[[], None]], /) -> None:
        """See the port."""
        if self._begun:
            self._undo.append(register())
        else:
            self._registrations.append(register)

    def begin(self) -> None:
        """The part begins to work."""
        self._begun = True
        self._standing = self.buses  # those of others may end before this part
        registrations, self._registrations = self._registrations, []
        for register in registrations:
            try:
                self._undo.append(register())
            except Exception as error:  # noqa: BLE001 - a part's bug: the part begins without it, the others as they should
                self._bugs.met(error)

    def end(self) -> None:
        """The part has ended."""
        self._begun = False
        while self._undo:
            try:
                self._undo.pop()()
            except Exception as error:  # noqa: BLE001 - a part's bug: what else it has left behind goes all the same
                self._bugs.met(error)
