"""A port beside those of ports.py: what some collectors can do for `edge-agent record`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from agent.core.ports import Collector


@runtime_checkable
class Recordable(Collector, Protocol):
    """A collector whose traffic can be recorded, to be replayed at a desk."""

    def record(self, take: Callable[[bytes], None], /) -> Callable[[], None]:
        """Hand `take` a line for each transaction from now on, a header at once, until the undo is called.

        `take` returns at once and never raises.
        """
