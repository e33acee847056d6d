"""The minute under way of tags that are read together, scan after scan, as columns. Pure.

It is the loop of rollup.py without a loop for each tag: a third of its price. All that is not wholly ordinary (a late
reading, a text, a loss) is for that one: the tags are given back, each by itself.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any, Self

from agent.core.columns import ColumnLayout
from agent.runtime.history.running import MINUTE, MinuteRow, RunningMinute, figure, last


class RunningColumn:
    """Of tags that hold a number each, and had their readings of this minute at the same instants."""

    __slots__ = ("_area", "_good", "_held", "_high", "_low", "_since", "_ts", "layout", "until")

    end = 0  #: whoever comes with a reading of one of these tags finds its minute over, and looks closer

    def __init__(self, layout: ColumnLayout, runnings: Sequence[RunningMinute]) -> None:
        first = runnings[0]
        self.layout = layout
        self.until = first.end  #: the end of the minute
        self._ts, self._since, self._good = first.ts, first.since, first.good
        self._held: Sequence[Any] = [running.held for running in runnings]
        self._area = array("d", [running.area for running in runnings])  # floats of their own were 32 bytes more
        self._low: Sequence[Any] = [running.low for running in runnings]
        self._high: Sequence[Any] = [running.high for running in runnings]

    @classmethod
    def of(cls, layout: ColumnLayout, runnings: Sequence[RunningMinute]) -> Self | None:
        """None where they are not alike."""
        kinds = {(one.ts, one.since, one.end, one.good, one.text, one.held is None) for one in runnings}
        return cls(layout, runnings) if len(kinds) == 1 and kinds.pop()[4:] == (False, False) else None

    def take(self, values: Sequence[Any], ts: Sequence[int] | int) -> bool:
        """One good value each. False where they are not for here, and nothing is taken."""
        if ts.__class__ is not int or not self._ts <= ts < self.until:
            return False
        try:
            low = [new if new < old else old for new, old in zip(values, self._low)]  # noqa: B905, FURB136 - alike; a call costs more
            high = [new if new > old else old for new, old in zip(values, self._high)]  # noqa: B905, FURB136 - the same
        except TypeError:  # a text is no number
            return False
        span = ts - self._ts
        self._low, self._high = low, high
        self._area = array("d", [area + held * span for area, held in zip(self._area, self._held)])  # noqa: B905 - the same
        self._good += span
        self._ts, self._held = ts, tuple(values)  # a list may be filled anew
        return True

    def passed(self, device: str, ts: int) -> list[MinuteRow]:
        """The rows of all minutes that are over by `ts`. What is held goes on."""
        if self._ts > self.until - MINUTE:
            self._since = self._ts
        rows: list[MinuteRow] = []
        while ts >= self.until:
            minute, span = self.until - MINUTE, self.until - self._ts
            good = self._good + span
            columns = zip(self.layout.tags, self._low, self._area, self._high, self._held, strict=True)
            rows += [
                MinuteRow(minute, device, tag, figure(low), (area + held * span) / good, figure(high), last(held), good)
                for tag, low, area, high, held in columns
            ]
            self._ts, self._good = self.until, 0
            self.until += MINUTE
            self._low = self._high = self._held
            self._area = array("d", [0.0]) * len(self._held)
        return rows

    def apart(self) -> dict[str, RunningMinute]:
        """The tags, each by itself."""
        runnings = {}
        for tag, held, area, low, high in zip(
            self.layout.tags, self._held, self._area, self._low, self._high, strict=True
        ):
            running = runnings[tag] = RunningMinute(self.until)
            running.ts, running.since, running.good = self._ts, self._since, self._good
            running.held = running.last = held
            running.area, running.low, running.high = area, low, high
        return runnings
