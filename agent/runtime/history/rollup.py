"""Readings of one device → one row a tag and minute: smallest, time-weighted mean, largest, last, good time. Pure.

A value is held from its reading to the next one of the tag, so a tag that is reported on change only has its good time
too. Uncertain and bad readings end it, and what a declared loss covers is taken out again. Instants are epoch ms UTC.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from agent.core.flow import Batch, Reading

MINUTE = 60_000
#: Of a text that is the last value of a minute so much is kept.
LONGEST_TEXT = 256
#: No more is filled in at a stretch: a clock may jump by years, and a server names any time as the beginning of a loss.
LONGEST = 120 * MINUTE

_NUMBERS = frozenset({int, float, bool})
_INFINITE = float("inf")
_EXACT = 1 << 53


class MinuteRow(NamedTuple):
    """One minute of one tag, or a part of it: rows of the same minute are merged."""

    minute: int  #: its start
    device: str
    tag: str
    low: float | int | None  #: None: nothing was good, or not a number
    mean: float | None
    high: float | int | None
    last: object  #: newest good value; None where there was none
    good_ms: int  #: below zero: so much of what was counted is taken out again


class _Running:
    """A tag's minute under way."""

    __slots__ = ("area", "end", "good", "held", "high", "last", "low", "since", "text", "ts")

    def __init__(self, end: int) -> None:
        self.ts = 0  #: of the newest reading, or where this minute began for what is held
        self.since = 0  #: the newest reading of the minutes before, where there was none in this one
        self.held: float | int | None = None  #: the value that is good since `ts`; 0 where that is no number
        self.last: object = None
        self.begin(end)

    def begin(self, end: int) -> None:
        """A minute that ends there. What is held goes on in it."""
        self.end = end
        self.area: float = 0.0
        self.good = 0
        self.text = False
        self.low: float | int = _INFINITE
        self.high: float | int = -_INFINITE
        held = self.held
        if held is None:
            self.last = None
        elif self.last.__class__ in _NUMBERS:
            self.low = self.high = held
        else:
            self.text = True


class Minutes:
    """The running minutes of one device."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._tags: dict[str, _Running] = {}
        self._rows: list[MinuteRow] = []

    def take(self, batch: Batch) -> None:
        """Its readings. This is called for everything that is read: each statement in the loop costs."""
        tags = self._tags
        for reading in batch.readings:
            ts = reading.ts
            running = tags.get(reading.tag)
            if running is None:
                running = tags[reading.tag] = _Running(ts - ts % MINUTE + MINUTE)
                running.ts = ts
            elif ts >= running.end:
                self._pass(reading.tag, running, ts)
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
            elif value.__class__ in _NUMBERS:
                running.held = running.last = value  # type: ignore[assignment]
                if value < running.low:  # type: ignore[operator]  # noqa: PLR1730 - a call costs as much as all of this
                    running.low = value  # type: ignore[assignment]
                if value > running.high:  # type: ignore[operator]  # noqa: PLR1730 - the same
                    running.high = value  # type: ignore[assignment]
            else:
                running.held, running.last, running.text = 0, value, True

    def _pass(self, tag: str, running: _Running, ts: int) -> None:
        """Everything before the minute of `ts` is over for this tag."""
        if running.ts > running.end - MINUTE:
            running.since = running.ts
        if ts - running.end > LONGEST:  # whatever happened, nobody looked: held again from now on
            self._rows.append(_row(self._device, tag, running))
            running.ts = running.since = ts
            running.begin(ts - ts % MINUTE + MINUTE)
            return
        while ts >= running.end:
            if running.held is not None:
                span = running.end - running.ts
                running.area += running.held * span
                running.good += span
            self._rows.append(_row(self._device, tag, running))
            running.ts = running.end
            if running.held is None:  # nothing is known of the minutes between
                running.end = ts - ts % MINUTE
            running.begin(running.end + MINUTE)

    def _late(self, reading: Reading) -> None:
        """A reading for an instant before one that is known: it holds for no time, and may be an extreme."""
        value = reading.value
        if reading.quality == "good" and value.__class__ in _NUMBERS:
            minute = reading.ts - reading.ts % MINUTE
            self._rows.append(MinuteRow(minute, self._device, reading.tag, value, value, value, None, 0))  # type: ignore[arg-type]

    def lose(self, begin: int, end: int, tags: list[str] | None) -> None:
        """A declared loss: what is held is not known to have been true from `begin` to `end`. None: of all tags."""
        for tag in self._tags if tags is None else tags:
            running = self._tags.get(tag)
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
        for number, (tag, running) in enumerate(list(self._tags.items())):
            if now >= running.end and self._tags.get(tag) is running:
                self._pass(tag, running, now)
            if number % most == most - 1:
                yield self._taken()
        yield self._taken()

    def cut(self, now: int, going_on: int | None) -> list[MinuteRow]:
        """All that was good until `now` is in the rows. Values are held again from `going_on` on (None: they are not).

        For an end, and for a clock that was set: then the second is what it is set to.
        """
        for tag, running in self._tags.items():
            self._close(tag, running, now)
            if going_on is not None:
                running.ts = running.since = going_on
                running.begin(going_on - going_on % MINUTE + MINUTE)
        if going_on is None:
            self._tags.clear()
        return self._taken()

    def keep(self, tags: frozenset[str], now: int) -> None:
        """Other tags than these are no longer configured."""
        for tag in self._tags.keys() - tags:
            self._close(tag, self._tags.pop(tag), now)

    def _close(self, tag: str, running: _Running, now: int) -> None:
        self._pass(tag, running, now)
        if running.held is not None and now > running.ts:
            running.area += running.held * (now - running.ts)
            running.good += now - running.ts
        self._rows.append(_row(self._device, tag, running))

    def _taken(self) -> list[MinuteRow]:
        rows, self._rows = self._rows, []
        return rows


def _row(device: str, tag: str, running: _Running) -> MinuteRow:
    minute = running.end - MINUTE
    last = _last(running.last)
    if running.text or running.low == _INFINITE:
        return MinuteRow(minute, device, tag, None, None, None, last, running.good)
    low, high = running.low, running.high
    mean = running.area / running.good if running.good else (low + high) / 2
    return MinuteRow(minute, device, tag, _figure(low), float(mean), _figure(high), last, running.good)


def _figure(value: float | int) -> float | int:  # noqa: PYI041 - they differ here
    """Of a whole number the digits that a browser and SQLite can keep."""
    return float(value) if value.__class__ is int and not -_EXACT <= value <= _EXACT else value


def _last(value: object) -> object:
    if isinstance(value, str):
        return value if len(value) <= LONGEST_TEXT else value[: LONGEST_TEXT - 1] + "…"
    if value.__class__ is int and not -_EXACT <= value <= _EXACT:
        return str(value)
    return value if value.__class__ in _NUMBERS else None  # lists and structures: they are in the data stream
