"""One stream as a consumer heard it: what came, what is declared, and what every hole is. Pure.

base        first number that must be accounted for: the first one heard, or where a session began that was
            heard from its beginning
low         the highest `low` the agent claimed: below it nothing is waiting to be sent any more
end         one past the highest number that is known to exist

[base, low)   a hole that is not declared is *missing*: a defect
[low, end)    a hole that is not declared is *pending*
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from agent.consumer.intervals import IntervalSet

#: Fingerprints kept per stream to tell a duplicate from a conflict; older repetitions are taken for duplicates.
REMEMBERED = 4096

Verdict = Literal["new", "duplicate", "conflict"]


class StreamKey(NamedTuple):
    """What sequence numbers count in."""

    agent: str
    epoch: str
    device: str


class Hole(NamedTuple):
    """Numbers `first` to `last` of a stream that never came."""

    stream: StreamKey
    first: int
    last: int
    state: Literal["missing", "pending"]


class HeardStream:
    """Bookkeeping of one stream."""

    def __init__(self, key: StreamKey) -> None:
        self.key = key
        self.base: int | None = None
        self.low = 1
        self.end = 1
        self._seen = IntervalSet()
        self._declared = IntervalSet()
        self._lost_from: int | None = None  # a tail that is declared lost, nobody knows how long it was
        self._missing_for_good = IntervalSet()  # from before the consumer itself was away
        self._fingerprints: dict[tuple[int, tuple[int, int] | None], bytes] = {}
        self._parts: dict[tuple[int, int], set[int]] = {}

    def hear(self, seq: int, low: int, part: tuple[int, int] | None, fingerprint: bytes) -> Verdict:
        """Take in one message."""
        if self.base is None:
            self.base = seq
        self.low = max(self.low, low)
        self.end = max(self.end, seq + 1)
        known = self._fingerprints.get((seq, part))
        if known is not None:
            return "duplicate" if known == fingerprint else "conflict"
        if seq in self._seen:
            return "duplicate"
        self._fingerprints[seq, part] = fingerprint
        if len(self._fingerprints) > REMEMBERED:
            del self._fingerprints[next(iter(self._fingerprints))]
        if part is None:
            self._complete(seq)
        else:
            number, of = part
            parts = self._parts.setdefault((seq, of), set())
            parts.add(number)
            if len(parts) == of:
                self._complete(seq)
        return "new"

    def _complete(self, seq: int) -> None:
        self._seen.add(seq)
        for pair in [pair for pair in self._parts if pair[0] == seq]:
            del self._parts[pair]

    def claim(self, low: int, following: int, *, begins: bool) -> None:
        """The agent said where the stream stands. `begins`: a session we hear from its beginning begins with this.

        What is not acknowledged then is still to come; but between `low` and `following` some may be acknowledged and
        have come before we listened, so only an epoch's very beginning and a stream with nothing open count from `low`.
        """
        if begins and self.base is None:
            self.base = low if low in (1, following) else following
        self.low = max(self.low, low)
        self.end = max(self.end, following)

    def declare(self, first: int | None, last: int | None) -> None:
        """A gap with sequence numbers; `last` None: from `first` on."""
        if first is not None and last is not None:
            self._declared.add(first, last + 1)
        elif first is not None:
            self._lost_from = first if self._lost_from is None else min(first, self._lost_from)

    def ends(self, last: int | None) -> None:
        """The epoch is over; its last number was `last`, where that is known."""
        if last is not None:
            self.end = max(self.end, last + 1)

    def interrupted(self) -> None:
        """The consumer itself was away: what it did not hear meanwhile is nobody's fault but its own."""
        for hole in self.holes():
            if hole.state == "missing":
                self._missing_for_good.add(hole.first, hole.last + 1)
        self.base = None

    def holes(self) -> Iterator[Hole]:
        """All undeclared holes, in order; a part of a record that is incomplete leaves the record a hole."""
        accounted = self._seen.copy()
        for first, end in self._declared:
            accounted.add(first, end)
        if self._lost_from is not None:
            accounted.add(self._lost_from, self.end)
        missing = IntervalSet()
        for first, end in self._missing_for_good:
            for lost in accounted.holes(first, end):
                missing.add(*lost)
        if self.base is not None:
            for lost in accounted.holes(self.base, min(self.low, self.end)):
                missing.add(*lost)
        for first, end in missing:
            yield Hole(self.key, first, end - 1, "missing")
        if self.base is not None:
            for first, end in accounted.holes(max(self.base, self.low), self.end):
                yield Hole(self.key, first, end - 1, "pending")
