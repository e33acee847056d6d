"""What goes from one connection of a device to the next."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Past:
    """Of the connections before."""

    told: int | None = None  #: until when (epoch ms) the last one's subscriptions told us everything; None: not open
