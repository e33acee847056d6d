"""Readings of one device → one row a tag and minute: smallest, time-weighted mean, largest, last, good time. Pure.

A value is held from its reading to the next one of the tag, so a tag that is reported on change only has its good time
too. Uncertain and bad readings end it, and what a declared loss covers is taken out again. Instants are epoch ms UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from agent.core.columns import ColumnLayout, ReadingColumns
from agent.core.flow import Batch, Reading
from agent.runtime.history.columns import RunningColumn
from agent.runtime.history.running import MINUTE, NUMBERS, MinuteRow, RunningMinute, figure, row_of

#: No more is filled in at a stretch: a clock may jump by years, and a server names any time as the beginning of a loss.
LONGEST = 120 * MINUTE
#: Fewer tags are not worth what a column costs each time.
_SMALLEST = 16


class Minutes:
    """The running minutes of one device."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._tags: dict[str, RunningMinute | RunningColumn] = {}
        self._columns: dict[ColumnLayout, RunningColumn] = {}
        self._apart: set[ColumnLayout] = set()  #: tags each by themselves for the rest of the minute
        #: Waits for the second scan, which comes as columns: each tag by itself takes 0.2 kB meanwhile.
        self._first: Sequence[Reading] = ()
        self._rows: list[MinuteRow] = []

    def take(self, batch: Batch) -> None:
        """Its readings: whole columns at once, where it has them."""
        if batch.columns is None:
            if self._tags or self._first:
                self._work_off()
                self._each(batch.readings)
            else:
                self._first = batch.readings
            return
        first = {reading.tag: reading for reading in self._first}
        if len(first) < len(self._first):  # a tag had several
            self._work_off()
            first = {}
        start = 0
        for part in batch.columns.parts or (batch.columns,):
            end = start + len(part.values)
            column = self._columns.get(part.layout)
            if column is None or not (column.take(part.values, part.ts) or self._goes_on(column, part)):
                if first:
                    self._each([first.pop(tag) for tag in part.layout.tags if tag in first])
                self._each(batch.readings[start:end])
                self._join(part.layout)
            start = end
        self._first = ()
        self._each(first.values())

    def _work_off(self) -> None:
        first, self._first = self._first, ()
        self._each(first)

    def _goes_on(self, column: RunningColumn, part: ReadingColumns) -> bool:
        """Whether the column takes these once its minute is over."""
        ts = part.ts
        return isinstance(ts, int) and self._over(column, ts) and column.take(part.values, ts)

    def _over(self, column: RunningColumn, ts: int) -> bool:
        """Everything before the minute of `ts` is over for these tags; False where they are not for a column."""
        if not column.until <= ts <= column.until + LONGEST:
            return False
        self._rows += column.passed(self._device, ts)
        return True

    def _each(self, readings: Iterable[Reading]) -> None:
        """One by one. This is called for everything that is not read as columns: each statement in the loop costs."""
        tags: dict[str, Any] = self._tags  # of a column nothing but its `end` is looked at
        for reading in readings:
            ts = reading.ts
            running = tags.get(reading.tag)
            if running is None:
                running = tags[reading.tag] = RunningMinute(ts - ts % MINUTE + MINUTE)
                running.ts = ts
            elif ts >= running.end:
                running = self._passed(reading.tag, running, ts)
            span = ts - running.ts
            if span < 0:
                self._late(reading)
                continue
            held = running.held
            if held is not None:
                running.area += held * span
                running.good += span
            running.ts = ts
            value = reading.value
            if reading.quality != "good" or value is None:
                running.held = None
            elif value.__class__ in NUMBERS:
                running.held = running.last = value
                if value < running.low:  # type: ignore[operator]  # noqa: PLR1730 - a call costs as much as all of this
                    running.low = value
                if value > running.high:  # type: ignore[operator]  # noqa: PLR1730 - the same
                    running.high = value
            else:
                running.held, running.last, running.text = 0, value, True

    def _join(self, layout: ColumnLayout) -> None:
        """Its tags go on as columns, where they are alike."""
        if len(layout.tags) < _SMALLEST or layout in self._apart:
            return
        column = RunningColumn.of(layout, [self._tags[tag] for tag in layout.tags])  # type: ignore[misc]  # each was just looked at
        if column is None:
            self._apart.add(layout)
        else:
            self._columns[layout] = column
            self._tags.update(dict.fromkeys(layout.tags, column))

    def _part(self, column: RunningColumn, ts: int) -> None:
        """Its tags go on each by itself: for the rest of the minute, where that is not over by `ts`."""
        del self._columns[column.layout]
        if ts < column.until:
            self._apart.add(column.layout)
        self._tags.update(column.apart())

    def _part_all(self, ts: int) -> dict[str, RunningMinute]:
        self._work_off()
        for column in list(self._columns.values()):
            self._part(column, ts)
        return self._tags  # type: ignore[return-value]  # there are no others any more

    def _passed(self, tag: str, running: RunningMinute | RunningColumn, ts: int) -> RunningMinute:
        """What is under way for this tag, whose minute may be over by `ts`."""
        if isinstance(running, RunningColumn):
            self._part(running, ts)
            running = self._tags[tag]
            assert isinstance(running, RunningMinute)  # noqa: S101 - it was just given back
        if ts >= running.end:
            self._pass(tag, running, ts)
        return running

    def _pass(self, tag: str, running: RunningMinute, ts: int) -> None:
        """Everything before the minute of `ts` is over for this tag."""
        if running.ts > running.end - MINUTE:
            running.since = running.ts
        if ts - running.end > LONGEST:  # whatever happened, nobody looked: held again from now on
            self._rows.append(row_of(self._device, tag, running))
            running.ts = running.since = ts
            running.begin(ts - ts % MINUTE + MINUTE)
            return
        while ts >= running.end:
            if running.held is not None:
                span = running.end - running.ts
                running.area += running.held * span
                running.good += span
            self._rows.append(row_of(self._device, tag, running))
            running.ts = running.end
            if running.held is None:  # nothing is known of the minutes between
                running.end = ts - ts % MINUTE
            running.begin(running.end + MINUTE)

    def _late(self, reading: Reading) -> None:
        """A reading for an instant before one that is known: it holds for no time, and may be an extreme."""
        value = reading.value
        if reading.quality == "good" and value.__class__ in NUMBERS:
            minute = reading.ts - reading.ts % MINUTE
            kept = figure(value)  # type: ignore[arg-type]
            self._rows.append(MinuteRow(minute, self._device, reading.tag, kept, kept, kept, None, 0))

    def lose(self, begin: int, end: int, tags: list[str] | None) -> None:
        """A declared loss: what is held is not known to have been true from `begin` to `end`. None: of all tags."""
        runnings = self._part_all(end)
        for tag in runnings if tags is None else tags:
            running = runnings.get(tag)
            if running is None or running.held is None:
                continue
            read = running.ts if running.ts > running.end - MINUTE else running.since or running.ts
            at = max(begin, read, end - LONGEST)
            mean = None if running.text else float(running.held)
            while at < end:
                minute = at - at % MINUTE
                until = min(end, minute + MINUTE)
                self._rows.append(MinuteRow(minute, self._device, tag, None, mean, None, None, at - until))
                at = until

    def roll(self, now: int, most: int) -> Iterator[list[MinuteRow]]:
        """Rows of all minutes that are over by `now`, in portions of at most about `most` tags."""
        self._work_off()
        self._apart.clear()
        passed = 0
        for column in [one for one in self._columns.values() if now >= one.until]:
            if self._columns.get(column.layout) is not column or now < column.until:
                continue
            if not self._over(column, now):
                self._part(column, now)
            passed += len(column.layout.tags)
            if passed >= most:
                yield self._taken()
                passed = 0
        for number, (tag, running) in enumerate(list(self._tags.items())):
            if isinstance(running, RunningMinute) and now >= running.end and self._tags.get(tag) is running:
                self._pass(tag, running, now)
            if number % most == most - 1:
                yield self._taken()
        yield self._taken()

    def cut(self, now: int, going_on: int | None) -> list[MinuteRow]:
        """All that was good until `now` is in the rows. Values are held again from `going_on` on (None: they are not).

        For an end, and for a clock that was set: then the second is what it is set to.
        """
        for tag, running in self._part_all(now).items():
            self._close(tag, running, now)
            if going_on is not None:
                running.ts = running.since = going_on
                running.begin(going_on - going_on % MINUTE + MINUTE)
        if going_on is None:
            self._tags.clear()
        return self._taken()

    def keep(self, tags: frozenset[str], now: int) -> None:
        """Other tags than these are no longer configured."""
        runnings = self._part_all(now)
        for tag in runnings.keys() - tags:
            self._close(tag, runnings.pop(tag), now)

    def _close(self, tag: str, running: RunningMinute, now: int) -> None:
        self._pass(tag, running, now)
        if running.held is not None and now > running.ts:
            running.area += running.held * (now - running.ts)
            running.good += now - running.ts
        self._rows.append(row_of(self._device, tag, running))

    def _taken(self) -> list[MinuteRow]:
        rows, self._rows = self._rows, []
        return rows
