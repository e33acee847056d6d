"""One stream as a consumer heard it: what came, what is declared, and what every hole is. Pure.

base        first number that must be accounted for: the first one heard, or where a session began that was
            heard from its beginning. Of a session that we joined the first one heard live: what lies between its
            backlog and that may have come live before
low         the highest `low` the agent claimed: below it nothing is waiting to be sent any more
end         one past the highest number that is known to exist

[base, low)   a hole that is not declared is *missing*: a defect
[low, end)    a hole that is not declared is *pending*

Where the consumer's own session at the broker was lost, a hole of that time is *unheard* instead of missing: the agent
has its acknowledgement, so the broker (or our absence) lost it. `edge-agent outbox resend` can fill it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from agent.consumer.intervals import IntervalSet

#: Fingerprints kept per stream to tell a duplicate from a conflict; older repetitions are taken for duplicates.
REMEMBERED = 4096

Verdict = Literal["new", "duplicate", "conflict"]


class StreamKey(NamedTuple):
    """What sequence numbers count in."""

    agent: str
    epoch: str
    device: str


class MissingRange(NamedTuple):
    """Numbers `first` to `last` of a stream that never came."""

    stream: StreamKey
    first: int
    last: int
    state: Literal["missing", "pending", "unheard"]
    away: bool = False  #: of a time when the consumer's own session at the broker was lost


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
        self._for_good = IntervalSet()  # missing from before the consumer stopped listening
        self._away = IntervalSet()  # passed while the consumer's session was lost
        self._joined = False  # only backlog was heard, of a session that had begun before we listened
        self._was_absent = False  # then what is heard of the backlog says nothing about its neighbours
        self._away_from: int | None = None  # it was lost, and nothing live has come since
        self._fingerprints: dict[tuple[int, tuple[int, int] | None], tuple[str, bytes]] = {}  # with their lane
        self._parts: dict[tuple[int, int], set[int]] = {}

    def hear(
        self, seq: int, low: int, part: tuple[int, int] | None, fingerprint: bytes,
        *, live: bool = True, lane: str = "", resent: bool = False, joined: bool = False,
    ) -> Verdict:  # fmt: skip
        """Take in one message. Fingerprints of different lanes cannot be compared; `resent` says nothing of others.

        `joined`: its session had begun before we listened.
        """
        # of a record that was under way when we came, what we missed is nobody's fault
        first = seq if part is None or part[0] == 1 else seq + 1
        if self.base is None and not resent and (live or not self._was_absent):
            self.base, self._joined = first, joined and not live
        elif live and self._joined:
            self.base, self._joined = first, False
        if live and self._away_from is not None:
            self._away.add(self._away_from, first)
            self._away_from = None
        self.low = max(self.low, low)
        self.end = max(self.end, seq + 1)
        known = self._fingerprints.get((seq, part))
        if known is not None:
            return "conflict" if known[0] == lane and known[1] != fingerprint else "duplicate"
        if seq in self._seen or (part is not None and part[0] in self._parts.get((seq, part[1]), ())):
            return "duplicate"
        self._fingerprints[seq, part] = lane, fingerprint
        if len(self._fingerprints) > REMEMBERED:
            del self._fingerprints[next(iter(self._fingerprints))]
        if part is None:
            self._complete(seq)
        else:
            number, of = part
            parts = self._parts.setdefault((seq, of), set())
            parts.add(number)
            if len(self._parts) > REMEMBERED:  # whoever publishes may begin any number: these stay holes
                del self._parts[next(iter(self._parts))]
            if len(parts) == of:
                self._complete(seq)
        return "new"

    def forget_contents(self) -> None:
        """What comes again from now on is a duplicate, whatever it says."""
        self._fingerprints.clear()

    def lacking(self, first: int, last: int) -> dict[int, tuple[list[int], int]]:
        """Records of these numbers of which a part came: which of its messages did not, and how many it has."""
        found: dict[int, tuple[list[int], int]] = {}
        for (seq, of), parts in self._parts.items():
            if first <= seq <= last:
                found[seq] = [number for number in range(1, of + 1) if number not in parts], of
        return found

    def _complete(self, seq: int) -> None:
        self._seen.add(seq)
        for pair in [pair for pair in self._parts if pair[0] == seq]:
            del self._parts[pair]

    def claim(self, low: int, following: int, *, begins: bool) -> None:
        """The agent said where the stream stands. `begins`: a session we hear from its beginning begins with this.

        What is not acknowledged then is still to come; but between `low` and `following` some may be acknowledged and
        have come before we listened, so only an epoch's very beginning and a stream with nothing open count from `low`.
        """
        if begins and self.base is None and not self._was_absent:
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
        """The consumer's session at the broker was lost, and what was queued in it."""
        if self.base is None or self._away_from is not None:
            return
        pending = [hole.first for hole in self.holes() if hole.state == "pending"]
        self._away_from = min(pending, default=self.end)

    def absent(self) -> None:
        """The consumer stopped listening for a while: what passed meanwhile does not count."""
        for hole in self.holes():
            if hole.state == "missing":
                self._for_good.add(hole.first, hole.last + 1)
        if self._away_from is not None:
            self._away.add(self._away_from, self.end)
            self._away_from = None
        self.base, self._joined, self._was_absent = None, False, True

    def holes(self) -> Iterator[MissingRange]:
        """All undeclared holes, in order; a part of a record that is incomplete leaves the record a hole."""
        accounted = self._seen.copy()
        for first, end in self._declared:
            accounted.add(first, end)
        if self._lost_from is not None:
            accounted.add(self._lost_from, self.end)
        missing = IntervalSet()
        for first, end in self._for_good:
            for lost in accounted.holes(first, end):
                missing.add(*lost)
        if self.base is not None:
            settled = self.base if self._joined else min(self.low, self.end)
            for lost in accounted.holes(self.base, settled):
                missing.add(*lost)
        for first, end in missing:
            yield from self._named(first, end, "missing")
        if self.base is not None:
            for first, end in accounted.holes(self.base if self._joined else max(self.base, self.low), self.end):
                yield from self._named(first, end, "pending")

    def _named(self, first: int, end: int, state: Literal["missing", "pending"]) -> Iterator[MissingRange]:
        """A hole, cut where the consumer's absence begins and ends."""
        away = self._away.copy()
        if self._away_from is not None:
            away.add(self._away_from, max(end, self._away_from))
        while first < end:
            apart = next(away.holes(first, end), (end, end))
            if apart[0] > first:
                yield MissingRange(self.key, first, apart[0] - 1, state, away=True)
            if apart[1] > apart[0]:
                yield MissingRange(self.key, apart[0], apart[1] - 1, state)
            first = apart[1]

    # --- kept from one audit to the next ------------------------------------------------------------------------------

    def dump(self) -> dict[str, Any]:
        """Plain data; what is known of absences included."""
        sets = {name: list(getattr(self, name)) for name in _SETS}
        prints = [(seq, part, *print_) for (seq, part), print_ in self._fingerprints.items()]
        parts = [(*pair, sorted(numbers)) for pair, numbers in self._parts.items()]
        return {
            "key": tuple(self.key), "base": self.base, "low": self.low, "end": self.end, "lost_from": self._lost_from,
            "away_from": self._away_from, "sets": sets, "prints": prints, "parts": parts,
        }  # fmt: skip

    @classmethod
    def load(cls, data: dict[str, Any]) -> HeardStream:
        """What `dump` gave."""
        stream = cls(StreamKey(*data["key"]))
        stream.base, stream.low, stream.end = data["base"], data["low"], data["end"]
        stream._lost_from, stream._away_from = data["lost_from"], data["away_from"]
        for name in _SETS:
            for first, end in data["sets"][name]:
                getattr(stream, name).add(first, end)
        for seq, part, lane, print_ in data["prints"]:
            stream._fingerprints[seq, None if part is None else tuple(part)] = lane, print_
        for seq, of, numbers in data["parts"]:
            stream._parts[seq, of] = set(numbers)
        return stream


_SETS = ("_seen", "_declared", "_for_good", "_away")
