"""How fast messages go, and how fast they may. Pure; times are monotonic seconds."""

from __future__ import annotations

#: So many seconds' worth may go at once after a pause.
BURST = 0.2
#: A broker that finds our rate too high gets half of it, down to this, messages per second.
SLOWEST = 10.0
#: Seconds without a complaint until a tenth more is tried, again and again: at half of what a broker takes, a plant may
#: be behind for as long as the session lives.
EASED = 10.0
#: A broker of which nobody knows what it takes: until so long after the first message, at most so many a second. The
#: greeting of a large plant comes all at once, and some brokers throw away in silence what is too much.
RAMP = ((2.0, 40.0), (5.0, 75.0))
#: So many in one second, all acknowledged, and the broker needs no ramp.
FAST = 100


class Pace:
    """Messages of one session. `rate`: messages per second the broker puts up with; None: as fast as they come."""

    def __init__(self, rate: float | None, *, ramp: bool = False) -> None:
        self.rate = rate
        self.learned: float | None = None  #: what the broker has turned out to put up with, for later sessions
        self.complained = False  #: it was too fast for the broker
        self.peak = 0  #: most messages sent in one second
        self._ramp = ramp
        self._began: float | None = None
        self._due = 0.0
        self.fast = False  #: the broker has acknowledged many within a second
        self._second_ends, self._count = 0, 0
        self._ack_second, self._acks = 0, 0
        self._halved = float("-inf")
        self._lowest = float("inf")
        self._eased = 0.0  #: when it was tried faster, or halved
        self._most = rate  #: what it may come back to

    @property
    def free(self) -> bool:
        """Whether nothing holds messages back."""
        return self.rate is None and not self._ramp

    def early(self, now: float) -> float:
        """Take the next turn; how long it is until then (not above 0: now)."""
        if self.complained and self.rate is not None and now - self._eased >= EASED:
            self._eased = now
            self.rate = min(self.rate * 1.1, self._most or float("inf"))
        rate = self._now(now) if self._ramp else self.rate
        if rate is None:
            return 0.0
        each = 1 / rate
        self._due = max(self._due, now - max(BURST, each)) + each
        return self._due - now

    def allow(self, rate: float | None) -> None:
        """What the configuration says from now on."""
        self.rate = self._most = rate

    def _now(self, now: float) -> float | None:
        if self._began is None:
            self._began = now
        for until, most in RAMP:
            if now - self._began < until:
                return most if self.rate is None else min(most, self.rate)
        self._ramp = False
        return self.rate

    def sent(self, now: float) -> None:
        """A message is written."""
        if now >= self._second_ends:
            self._second_ends, self._count = int(now) + 1, 0
        self._count += 1
        self.peak = max(self.peak, self._count)

    def acknowledged(self, now: float, messages: int) -> None:
        """The broker took so many."""
        if (second := int(now)) != self._ack_second:
            self._ack_second, self._acks = second, 0
        self._acks += messages
        if self._acks >= FAST:
            self.fast = True

    def halve(self, now: float) -> float | None:
        """It was too fast; said of many messages at a time, which counts once a second. The rate where it is news."""
        if now - self._halved < 1.0:
            return None
        self.complained, self._halved, self._eased = True, now, now
        self.rate = max(SLOWEST, min(self.peak, self.rate or self.peak) / 2)
        lowest, self._lowest = self._lowest, min(self._lowest, self.rate)
        return self.rate if self.rate < lowest else None

    def absolve(self) -> None:
        """It was not too fast: the broker complained of something else."""
        if self.complained and self.learned is None:
            self.complained, self.rate, self._lowest = False, self._most, float("inf")
