"""A tag's minute under way, and the row it becomes. Pure."""

from __future__ import annotations

from typing import NamedTuple

MINUTE = 60_000
#: Of a text that is the last value of a minute so much is kept.
LONGEST_TEXT = 256

NUMBERS = frozenset({int, float, bool})
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


class RunningMinute:
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
        elif self.last.__class__ in NUMBERS:
            self.low = self.high = held
        else:
            self.text = True


def row_of(device: str, tag: str, running: RunningMinute) -> MinuteRow:
    """What it is so far."""
    minute = running.end - MINUTE
    newest = last(running.last)
    if running.text or running.low == _INFINITE:
        return MinuteRow(minute, device, tag, None, None, None, newest, running.good)
    low, high = running.low, running.high
    mean = running.area / running.good if running.good else (low + high) / 2
    return MinuteRow(minute, device, tag, figure(low), float(mean), figure(high), newest, running.good)


def figure(value: float | int) -> float | int:  # noqa: PYI041 - they differ here
    """Of a whole number the digits that a browser and SQLite can keep."""
    return float(value) if value.__class__ is int and not -_EXACT <= value <= _EXACT else value


def last(value: object) -> object:
    """The newest value of a minute, as it is kept."""
    if isinstance(value, str):
        return value if len(value) <= LONGEST_TEXT else value[: LONGEST_TEXT - 1] + "…"
    if value.__class__ is int and not -_EXACT <= value <= _EXACT:
        return str(value)
    return value if value.__class__ in NUMBERS else None  # lists and structures: they are in the data stream
