"""What goes from one connection of a device to the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from agent.collectors.opcua.choice import Choice
from agent.collectors.opcua.limits import ChunkLimit
from agent.collectors.opcua.nodeid import NodeAddress


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
    found: dict[str, NodeAddress] = field(default_factory=dict)  #: nodes found by browsing, by name; said in this order
    present: frozenset[str] | None = None  #: those the last connection found
    announced: int = 0  #: how many of `found` were said

    def announce(self, find: Callable[[Sequence[str], Callable[[], None]], None]) -> None:
        """Say what was found and not said yet; it is said when it was handed on."""
        count = len(self.found)

        def said() -> None:
            self.announced = count

        if count > self.announced:
            find(list(self.found)[self.announced :], said)
