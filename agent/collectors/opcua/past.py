"""What goes from one connection of a device to the next."""

from __future__ import annotations

from dataclasses import dataclass, field

from agent.collectors.opcua.choice import Choice
from agent.collectors.opcua.limits import ChunkLimit


@dataclass(slots=True, eq=False)
class Span:
    """A time of one tag that history may fill; both ends (epoch ms) are said already."""

    position: int
    after: int
    before: int


@dataclass(slots=True)
class Past:
    """Of the connections before."""

    choice: Choice
    told: int | None = None  #: until when (epoch ms) the last one's subscriptions told us everything; None: not open
    reads: ChunkLimit = field(default_factory=ChunkLimit)
    creates: ChunkLimit = field(default_factory=ChunkLimit)
    browses: ChunkLimit = field(default_factory=ChunkLimit)
    last: dict[int, int] = field(default_factory=dict)  #: position → time of the last value before the outage
    spans: list[Span] = field(default_factory=list)  #: yet to be filled
    events: dict[tuple[int, bytes], None] = field(default_factory=dict)  #: position and id of those said, oldest first
