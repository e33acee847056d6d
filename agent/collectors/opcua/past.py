"""What goes from one connection of a device to the next."""

from __future__ import annotations

from dataclasses import dataclass, field

from agent.collectors.opcua.limits import ChunkLimit


@dataclass(slots=True)
class Past:
    """Of the connections before."""

    told: int | None = None  #: until when (epoch ms) the last one's subscriptions told us everything; None: not open
    reads: ChunkLimit = field(default_factory=ChunkLimit)
    creates: ChunkLimit = field(default_factory=ChunkLimit)
    browses: ChunkLimit = field(default_factory=ChunkLimit)
