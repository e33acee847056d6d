"""An optional ability of collectors: to tell that a device does not answer before it is given up."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Patient(Protocol):
    """A collector that waits for more than one answer before it gives its device up."""

    @property
    def unanswered(self) -> float | None:
        """Since when (monotonic) the device is asked in vain, longer than an answer may take; None: it answers."""
