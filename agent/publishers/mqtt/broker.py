"""What has been learned of one broker: what it cannot do, how much it takes, what its silence means. No I/O.

Limits that a broker does not announce are learned by being thrown out. They are kept in the route's memo, so that a
restart does not have to learn them again, and forgotten after :data:`KEPT_FOR`, so that a broker that was put right
gets its chance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from agent.core.clock import Clock
from agent.core.flow import Limits
from agent.core.ports import Memo
from agent.publishers.mqtt import reasons
from agent.publishers.mqtt.hangups import SMALLEST, End, Hangups
from agent.publishers.mqtt.hooks import Version
from agent.publishers.mqtt.link import Connack
from agent.publishers.mqtt.options import Options
from agent.publishers.mqtt.pace import SLOWEST
from agent.telemetry.logging import get_logger

log = get_logger("mqtt")

#: Closes without a CONNACK after which 3.1.1 is tried: old brokers disconnect at a version they do not know. After so
#: many ends while we subscribe we go without subscriptions.
TRIES = 3
#: What was learned is forgotten so long after it was last confirmed, ms.
KEPT_FOR = 7 * 86_400_000
#: A broker that finds our rate too high gets half of it for so long, ms: the trouble of an hour must not become a
#: backlog of a week.
SLOW_FOR = 3_600_000

_KEY = "mqtt.brokers"
_VERSION = 1


class BrokerMemory(Struct, omit_defaults=True):
    """The part that outlives the process."""

    since: int = 0  #: wall clock, ms
    without: tuple[reasons.Without, ...] = ()
    window: int | None = None
    max_packet: int | None = None
    cut: int | None = None  #: half of what a PUBACK found too large: what can be cut is
    rate: float | None = None
    slow_since: int = 0  #: wall clock, ms
    silent: int = 0  #: closes without a CONNACK in a row, where MQTT 5 was tried
    taken: int = 0  #: largest packet it has acknowledged
    large: int = 0  #: disconnects in a row on a larger one …
    sole: int = 0  #: … and nothing on another topic
    fast: bool = False  #: it has acknowledged many messages within a second


class _Note(Struct):
    """What stands in the memo."""

    version: int
    brokers: dict[str, BrokerMemory]


class Broker:
    """Remembers from one session to the next."""

    def __init__(self, name: str, publisher: str) -> None:
        self.name = name
        self.deaf = 0  #: ends while we subscribed, in a row
        self.hangups = Hangups()
        self.learned = BrokerMemory()
        self._publisher = publisher

    def without(self, what: reasons.Without) -> bool:
        """Whether the broker cannot do it."""
        return what in self.learned.without

    def limits(self, version: Version, connack: Connack, options: Options) -> Limits:
        """What holds in a session that begins with this CONNACK."""
        learned = self.learned
        sizes = [size for size in (connack.max_packet, learned.max_packet) if size is not None]
        return Limits(
            protocol=version,
            window=max(1, min(options.window, learned.window or options.window, connack.receive_maximum)),
            max_packet_bytes=min(sizes, default=None),
            cut_bytes=learned.cut and min([learned.cut, *sizes]),
            max_rate=min((rate for rate in (options.max_rate, learned.rate) if rate is not None), default=None),
            max_qos=0 if self.without("qos") else connack.max_qos,
            properties=version == "5",
            retain=connack.retain_available and not self.without("retain"),
            will=version == "5",
            keep_alive=min(connack.keep_alive or options.keep_alive, options.keep_alive),
            client_id=connack.client_id or options.client_id,
            server=self.name,
            servers=len(options.access.servers),
        )

    def refused(self, connack: Connack, now: int) -> None:
        """It did not accept our CONNECT."""
        self._does_without(reasons.reaction(reasons.CONNACK, connack.code), now)

    def said_goodbye(self, code: int, *, window: int, largest: int, rate: float, now: int) -> None:
        """It ended a session with this DISCONNECT; the session had this window, largest packet in flight and rate."""
        row, learned = reasons.reaction(reasons.DISCONNECT, code), self.learned
        self._does_without(row, now)
        if row.without == "window":
            learned.window, learned.since = max(1, min(window, learned.window or window) // 2), now
        elif row.without == "size" and largest:
            self._limit(max(SMALLEST, largest // 2), now)
        elif row.without == "rate":
            self.too_fast(max(SLOWEST, min(rate, learned.rate or rate) / 2), now)

    def too_large(self, size: int, taken: int, now: int) -> None:
        """It refused a packet for its size; the largest it took in that session had `taken` bytes."""
        known = max(taken, self.hangups.taken)
        self.learned.cut, self.learned.since = max(SMALLEST, size // 2, known if known < size else 0), now
        self._say_limit(self.learned.cut)

    def too_fast(self, rate: float, now: int) -> None:
        """It puts up with so many messages per second at most."""
        learned = self.learned
        if learned.rate is not None and learned.rate <= rate:
            return
        learned.rate, learned.slow_since, learned.fast = rate, now, False
        log.warning("mqtt.rate_learned", publisher=self._publisher, broker=self.name, per_second=round(rate, 1))

    def kept_up(self, now: int) -> None:
        """It has acknowledged many messages within one second, and never was too slow in that session."""
        learned = self.learned
        if learned.rate is None and not learned.fast:
            learned.fast, learned.since = True, learned.since or now

    def silently_closed(self, now: int) -> bool:
        """It closed on a CONNECT of MQTT 5 without an answer; whether 3.1.1 is to be tried."""
        self.learned.silent = min(TRIES, self.learned.silent + 1)
        self.learned.since = self.learned.since or now
        return self.learned.silent >= TRIES

    def ended(self, end: End, now: int) -> tuple[bool, float | None]:
        """A session is over. Whether another client uses our id (said now, once), and how long to keep away then."""
        verdict, learned = self.hangups.ended(end), self.learned
        if verdict.limit is not None:
            self._limit(verdict.limit, now)
        known = self.hangups.taken, self.hangups.large, self.hangups.sole
        if known != (learned.taken, learned.large, learned.sole):
            learned.taken, learned.large, learned.sole = known
            learned.since = learned.since or now
        return verdict.rival, verdict.keep_away

    def no_retained_will(self, now: int) -> None:
        """It takes us where our will is not retained, and closes without a word where it is."""
        self.learned.without = tuple(sorted({*self.learned.without, "will"}))
        self.learned.since = now

    def _does_without(self, row: reasons.ReasonReaction, now: int) -> None:
        if row.without in ("retain", "qos"):
            self.learned.without = tuple(sorted({*self.learned.without, row.without}))
            self.learned.since = now

    def _limit(self, size: int, now: int) -> None:
        self.learned.max_packet, self.learned.since = size, now
        self._say_limit(size)

    def _say_limit(self, size: int) -> None:
        log.warning("mqtt.limit_learned", publisher=self._publisher, broker=self.name, max_packet_bytes=size)

    def forget_old(self, now: int) -> None:
        """What was learned long ago need not be so any more. `now` may be before it: a clock that is not set yet."""
        if self.learned.since and now - self.learned.since >= KEPT_FOR:
            self.learned = BrokerMemory()
            self.hangups = Hangups()
        if self.learned.rate is not None and now - self.learned.slow_since >= SLOW_FOR:
            self.learned.rate, self.learned.slow_since = None, 0

    def recall(self, learned: BrokerMemory) -> None:
        """What an earlier run knew."""
        self.learned = learned
        self.hangups = Hangups(taken=learned.taken, large=learned.large, sole=learned.sole)


class Brokers:
    """All brokers of one publisher, in turn."""

    def __init__(self, names: Sequence[str], publisher: str, clock: Clock) -> None:
        self._all = {name: Broker(name, publisher) for name in names}
        self._names = names
        self._clock = clock
        self._memo: Memo | None = None

    def of(self, turn: int) -> Broker:
        """The one whose turn it is; what is too old is forgotten."""
        broker = self._all[self._names[turn % len(self._names)]]
        broker.forget_old(self._clock.now_ms())
        return broker

    def recall(self, memo: Memo) -> None:
        """Take up what earlier runs kept of these brokers, and keep what is learned there."""
        self._memo = memo
        try:
            note = msgspec.json.decode(memo.get(_KEY) or b"{}", type=_Note)
        except msgspec.DecodeError:  # nothing yet, or damaged: it is learned anew
            return
        for name, learned in note.brokers.items() if note.version == _VERSION else ():
            if name in self._all:
                self._all[name].recall(learned)

    def keep(self) -> None:
        """For later runs: what is known of those of which something is."""
        if self._memo is None:
            return
        known: Mapping[str, BrokerMemory] = {
            name: broker.learned for name, broker in self._all.items() if broker.learned != BrokerMemory()
        }
        self._memo.put(_KEY, msgspec.json.encode(_Note(_VERSION, dict(known))) if known else None)
