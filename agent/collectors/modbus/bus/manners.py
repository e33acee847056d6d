"""How a connection has to be treated. Pure."""

from __future__ import annotations

from typing import NamedTuple

from agent.collectors.modbus.bus.turnstile import Turnstile


class Manners(NamedTuple):
    """What a connection has to be treated with."""

    pause_after_connect: float = 0.0
    close_after_cycle: bool = False
    doubt_after: int = 3  #: unanswered requests in a row, of whatever unit; then the connection itself is doubted
    door: Turnstile | None = None  #: shared with buses that may not be connected at the same time
