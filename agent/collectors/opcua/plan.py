"""What is asked of a server: the configuration compiles it once and is not looked at again. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Hashable, Iterable, Iterator, Sequence
from datetime import tzinfo
from typing import NamedTuple

from agent.collectors.common.polling import PollGroup
from agent.collectors.opcua.address.nodeid import NodeAddress
from agent.collectors.opcua.address.paths import BrowsePath
from agent.collectors.opcua.floors import PERIOD
from agent.collectors.opcua.values.indexrange import IndexRange
from agent.collectors.opcua.wire.limits import WireLimits

_FASTEST_MS = 10.0  #: what "as fast as the server can" is taken for when a queue is sized
_MOST_QUEUED = 1000
_SLOWEST = 10.0  #: publishing interval of a subscription, seconds; how often a server samples is another matter


class ChangeFilter(NamedTuple):
    """What a server should report (OPC 10000-4, 7.22.2)."""

    trigger: int  #: 0 status, 1 status or value, 2 status, value or source time
    deadband: float = 0.0
    kind: int = 0  #: of deadband: 0 none, 1 absolute, 2 percent of the node's EURange


class TagPoint(NamedTuple):
    """One tag on the wire."""

    position: int  #: in the device's tag table; also its client handle
    name: str
    address: NodeAddress | BrowsePath
    sampling_ms: float
    queue_size: int
    index_range: IndexRange | None = None
    filter: ChangeFilter | None = None  #: None: the server's default, a change of status or value
    discard_oldest: bool = True
    queue_given: bool = False  #: by the configuration: then it is what is asked for

    def published(self, interval_ms: float) -> TagPoint:
        """The same where the server publishes only every `interval_ms`: its queue holds what comes in between."""
        queue_size = queue_for(self.sampling_ms, interval_ms)
        if self.queue_given or queue_size <= self.queue_size:
            return self
        return self._replace(queue_size=queue_size)


class ConnectionPace(NamedTuple):
    """Rhythms of a connection, seconds. The defaults are for servers in plants; tests run faster."""

    silence: float = 10.0  #: a subscription without changes says so at least this often (or every 3 intervals)
    pulse: float = 10.0  #: how often ServerStatus is read: keeps the session, finds a frozen server, measures its clock
    again: float = 30.0  #: how often refused nodes are tried again; sooner on a young connection
    session: float = 60.0  #: the server may forget a session it has not heard of for so long
    channel: float = 3600.0  #: life of a security token; renewed at three quarters
    audit: float = 30.0  #: how often what is monitored is compared with what should be
    history: float = 2.0  #: after a recovery, until history is read: the first values must have come
    types: float = 10.0  #: how long learning the data types of the tags may take
    close: float = 2.0  #: how long leaving may take before the socket is simply dropped
    call: float = 20.0  #: how long a server that calls is waited for; most call every 5 to 15 s


class Rhythm(NamedTuple):
    """Parameters of one subscription (OPC 10000-4, 5.14.2)."""

    interval_ms: float
    keep_alive: int  #: publishing intervals without a change until the server says "still here"
    lifetime: int  #: publishing intervals without a Publish request until it forgets the subscription


def rhythm(interval: float, pace: ConnectionPace) -> Rhythm:
    """The subscription for tags of this interval (seconds).

    The first values come with the end of its first publishing interval, and silence is measured in such: a tag that is
    sampled once an hour must not be without a value for the first one, nor a dead subscription stand for half a day.
    """
    interval = min(interval, _SLOWEST)
    keep_alive = max(1, math.ceil(max(pace.silence, 3 * interval) / interval - 1e-9))
    lifetime = max(3 * keep_alive, math.ceil(pace.session / interval))
    return Rhythm(interval * 1000, keep_alive, lifetime)


def allowed_silence(interval_ms: float, keep_alive: int, margin: float) -> float:
    """Seconds without any word of a subscription (values as the server revised them) after which it is dead."""
    return max(interval_ms / 1000 * keep_alive * 1.5, PERIOD) + margin


def sampling_of(interval: float, sampling: float | None = None, queue_size: int | None = None) -> tuple[float, int]:
    """Sampling interval in ms and queue size of a tag published every `interval` seconds.

    `sampling` (seconds) and `queue_size` where they are given; else sampling is as often as publishing, and the queue
    holds twice what sampling can bring between two notifications.
    """
    sampling_ms = (interval if sampling is None else sampling) * 1000
    return sampling_ms, queue_for(sampling_ms, interval * 1000) if queue_size is None else queue_size


def queue_for(sampling_ms: float, interval_ms: float) -> int:
    """Twice the samples between two notifications."""
    samples = math.ceil(interval_ms / max(sampling_ms, _FASTEST_MS) - 1e-9)
    return min(max(1, 2 * samples), _MOST_QUEUED)


class Notifier(NamedTuple):
    """One tag whose values are events."""

    position: int
    name: str
    address: NodeAddress
    min_severity: int


class FoundKeys(NamedTuple):
    """What the configuration says about a node that is found."""

    enabled: bool
    interval: float | None  #: seconds; None: once per connection
    silence: float | None  #: repeated after so many seconds without a change
    point: TagPoint  #: but for its position, name and address


class Selection(NamedTuple):
    """What to look for in the server."""

    root: NodeAddress
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    max_nodes: int
    keys: Callable[[str], FoundKeys]  #: of a node, by the name it is found under
    taken: tuple[NodeAddress | BrowsePath, ...] = ()  #: nodes that are configured: they are not found


class ConnectionPlan(NamedTuple):
    """All a connection must know of its device's configuration."""

    device: str
    agent: str
    servers: tuple[str, ...]  #: names of the ways to redundant servers, the preferred first
    subscribe: bool
    timeout: float
    use_source_time: bool
    zone: tzinfo  #: of the controller's clock
    max_skew: float
    backfill: bool
    interval: float  #: of the device; events are published with it
    notifiers: list[Notifier]
    names: frozenset[str]  #: of the tag table
    selection: Selection | None
    size: int  #: of the tag table, disabled tags included
    points: dict[int, TagPoint]  #: the enabled tags by position
    silences: dict[int, float]  #: those to be repeated after so many seconds without a change (`max_silence`)
    groups: list[PollGroup]  #: their intervals
    pace: ConnectionPace
    limits: WireLimits = WireLimits()


def indexed(plan: ConnectionPlan) -> Iterator[tuple[int, tuple[str, NodeAddress | BrowsePath]]]:
    """Each index of a namespace (`ns=2`) that the configuration writes, with what writes it: a tag and its address."""
    uses: list[tuple[str, NodeAddress | BrowsePath]] = [(one.name, one.address) for one in plan.points.values()]
    uses += [(one.name, one.address) for one in plan.notifiers]
    if plan.selection is not None:
        uses.append(("", plan.selection.root))
    return ((index, use) for use in uses for index in use[1].indexes)


def written_anew(had: Container[Hashable], now: Iterable[tuple[int, Hashable]]) -> set[int]:
    """The indexes that only tags use whose address was changed or is new. `had`: what wrote indexes before."""
    uses: dict[bool, set[int]] = {True: set(), False: set()}
    for index, use in now:
        uses[use in had].add(index)
    return uses[False] - uses[True]


def names_of(points: Sequence[TagPoint], most: int = 10) -> list[str]:
    """The first few names, for logs and notes."""
    names = [point.name for point in points[:most]]
    return [*names, f"and {len(points) - most} more"] if len(points) > most else names
