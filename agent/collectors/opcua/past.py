"""What goes from one connection of a device to the next; `logbook.py` keeps of it what must outlive the process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import NamedTuple

from agent.collectors.common.choice import Choice
from agent.collectors.common.limits import ChunkLimit
from agent.collectors.opcua.address.nodeid import NodeAddress
from agent.collectors.opcua.connect.ways import Way
from agent.collectors.opcua.inbox import SampleInbox
from agent.collectors.opcua.memory import NamespaceMemory
from agent.collectors.opcua.plan import TagPoint
from agent.core.flow import TagFacts
from agent.telemetry.repeats import Flapping

#: Nodes in one Read of what a server says of itself: more than is ever asked for.
FACTS = 16

_MOST_SHOWN = 100  #: found nodes

_NO_TEXTS: Mapping[int, str] = {}


class OperationLimits(NamedTuple):
    """What one request may ask a server for: as it told (None: not told, 0: no limit), and as its kind is known for."""

    read: int | None = None
    monitor: int | None = None
    browse: int | None = None
    history: int | None = None
    known_read: int | None = None
    known_monitor: int | None = None
    known_browse: int | None = None


class TagKey(NamedTuple):
    """A tag and where it comes from. Where the configuration changed either, nothing is known of it any more."""

    tag: str
    node: str  #: its address, and which part of an array


def key_of(point: TagPoint) -> TagKey:
    """The same in every run with this configuration."""
    part = "" if point.index_range is None else f"[{point.index_range.text}]"
    return TagKey(point.name, f"{point.address!r}{part}")


@dataclass(slots=True, eq=False)
class MissingSpan:
    """A time of one tag that history may fill; the values at both ends (epoch ms) are published already."""

    id: int  #: in the logbook
    key: TagKey
    after: int  #: values up to here are published
    before: int
    asked: int = 0  #: values up to here have been read; between the two they are on their way to being said

    def __post_init__(self) -> None:
        self.asked = max(self.asked, self.after)


@dataclass(slots=True)
class Past:
    """Of the connections before."""

    choice: Choice
    ways: Mapping[str, Way]  #: to the servers to choose from
    told: int | None = None  #: until when (epoch ms) the last one's subscriptions told us everything; None: not open
    reads: ChunkLimit = field(default_factory=ChunkLimit)
    creates: ChunkLimit = field(default_factory=ChunkLimit)
    browses: ChunkLimit = field(default_factory=ChunkLimit)
    histories: ChunkLimit = field(default_factory=ChunkLimit)
    facts: ChunkLimit = field(default_factory=partial(ChunkLimit, FACTS))  #: Reads of what the server says of itself
    unpublished: bool = False  #: the server takes subscriptions, and has no Publish service
    disbelieved: bool = False  #: what the server lists as monitored contradicted itself
    down: Flapping = field(default_factory=partial(Flapping, said=True))  #: what the log says of the connection
    memory: NamespaceMemory = field(default_factory=NamespaceMemory)
    clock_off: bool = False  #: it was said that the server's clock is
    recalled: bool = False  #: what the runs before knew is in here
    last: dict[TagKey, int] = field(
        default_factory=dict
    )  #: source time of the last value said, of tags not heard since
    spans: list[MissingSpan] = field(default_factory=list)  #: yet to be filled, oldest first
    spanned: int = 0  #: highest id of a span
    events: dict[tuple[int, bytes], None] = field(default_factory=dict)  #: position and id of those said, oldest first
    found: dict[str, NodeAddress] = field(default_factory=dict)  #: nodes found by browsing, by name; said in this order
    found_facts: dict[str, TagFacts] = field(default_factory=dict)  #: what the server says about them
    present: frozenset[str] | None = None  #: those the last connection found
    left_out: str = ""  #: why that is not all of them
    announced: int = 0  #: how many of `found` were said
    announced_facts: dict[str, TagFacts] = field(default_factory=dict)  #: what was said about them
    labelled: set[int] = field(default_factory=set)  #: positions for which a server told the texts of numbers

    def heed(self, limits: OperationLimits) -> None:
        """A new connection's limits; what cost a connection before counts too."""
        self.reads.told(limits.read, limits.known_read)
        self.creates.told(limits.monitor, limits.known_monitor)
        self.browses.told(limits.browse, limits.known_browse)
        self.histories.told(limits.history)

    def texts(self, asked: Iterable[int], told: Mapping[int, Mapping[int, str]]) -> dict[int, Mapping[int, str]]:
        """The texts of these positions as of now: those no longer told are void, they were of another program."""
        void = self.labelled.intersection(asked) - told.keys()
        self.labelled = (self.labelled - void) | told.keys()
        return {**dict.fromkeys(void, _NO_TEXTS), **told}

    def announce(self, inbox: SampleInbox, size: int) -> None:
        """Yield what was found and not handed on yet. `size`: of the configured table."""
        names = list(self.found)
        facts = dict(self.found_facts)
        news = {
            size + at: facts[name]
            for at, name in enumerate(names)
            if name in facts and facts[name] != self.announced_facts.get(name)
        }

        def said() -> None:
            self.announced = len(names)
            self.announced_facts = facts

        if len(names) > self.announced or news:
            inbox.find(names[self.announced :], news, said)

    def shown(self) -> dict[str, object]:
        """For people: the first nodes that browsing has found, by tag; the catalogue has all of them."""
        if not self.found:
            return {}
        nodes = {name: address.text for name, address in islice(self.found.items(), _MOST_SHOWN)}
        return {"found": len(self.found), "found_nodes": nodes}
