"""One subscription as a connection sees it: what it monitors, when it was heard, what is missing. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from agent.collectors.opcua.notification import Notification
from agent.collectors.opcua.services import ResolvedNode, Subscribed

_NEAR_MS = 5_000  #: a server's clock that is behind ours by less is taken for right: the notification was under way
_DRIFT = 1000  #: a clock that is off by more than one part in so many is none
_REMEMBERED = 32  #: notifications that are known when they come again
_LAST_SEQUENCE = 0xFFFFFFFF  #: 1 follows it: zero is never used (OPC 10000-4, 7.9)


@dataclass(slots=True, eq=False)
class Subscription:
    """Owned by `Publishing`; its items by `Monitoring`."""

    server: Subscribed
    heard: float  #: monotonic seconds of its last sign of life
    told: int  #: when its last word was made, by our clock, epoch ms: nothing that happened before is unknown to us
    allowed: float  #: seconds without one after which it is dead
    nodes: dict[int, ResolvedNode] = field(default_factory=dict)  #: monitored, by position
    items: dict[int, int] = field(default_factory=dict)  #: their ids at the server
    full: bool = False  #: it took no more items
    events: tuple[int, ...] = ()  #: positions of the tags whose events it brings
    expected: int | None = None  #: sequence number of the next notification
    ahead: tuple[int, int] | None = None  #: by how much the server's clock leads, at least, and as of when, ms
    made: int = 0  #: when its newest notification was made, by the server's clock, epoch ms
    slack: int = 0  #: numbers that may be missing: undecodable ones, keep-alives of servers that count them

    _came: deque[tuple[object, ...]] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))

    def again(self, notification: Notification) -> bool:
        """Whether it has come before: servers send again what they believe was not acknowledged, and what was asked
        for by Republish may be under way. It has the number, the time, the tags and the newest value it had: the number
        alone may be that of a server that counts wrongly, and its clock may stand still, too.
        """
        if notification.empty or notification.made is None:
            return False
        values = notification.values
        newest = repr(values.values[-1:])[:100], *values.ticks[-1:]
        one = notification.sequence, notification.made, hash(notification.handles), *newest
        if notification.sequence != self.expected and one in self._came:
            return True
        self._came.append(one)
        return False

    def follow(self, notification: Notification) -> int:
        """How many notifications were lost before this one."""
        if notification.empty:
            self.slack += 1
            return 0
        lost = 0
        if self.expected is not None:
            lost = (notification.sequence - self.expected) % _LAST_SEQUENCE
            lost = 0 if lost <= self.slack or lost > _LAST_SEQUENCE // 2 else lost
        self.expected = notification.sequence % _LAST_SEQUENCE + 1
        self.slack = 0
        return lost

    def tell(self, made: int | None, now: int) -> None:
        """A notification made then (by the server's clock) arrived now: what happened on its way is not known.

        What took the shortest way shows how far the clocks differ; they may also drift apart. One made before the one
        it follows shows that the server's clock was set back: what was known of it does not count any more.
        """
        if made is None:
            self.told = now
            return
        if made < self.made:
            self.ahead = None
        self.made = made
        seen = made - now
        shortest, since = self.ahead or (seen, now)
        ahead = max(seen, shortest)
        told = made - (max(ahead, 0) if ahead >= -_NEAR_MS else ahead)
        self.told = max(told, min(self.told, now))  # made after what was told before, whatever the clocks say
        self.ahead = max(seen, shortest - (now - since) // _DRIFT), now


def before(sequence: int, back: int) -> int:
    """The sequence number `back` notifications before this one."""
    return (sequence - 1 - back) % _LAST_SEQUENCE + 1
