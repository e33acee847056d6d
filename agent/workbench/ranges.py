"""Which places of one area can be read: what to ask next, given the answers so far. Pure.

A request that is refused is asked for in halves, at last in pairs (many meters refuse half of a 32-bit value) and one
by one. Nobody knows of a place that it cannot be read without asking for it; where nothing was read for a while, only
round places are asked at first, and all around one that answers. `deepen` asks for the others, as long as one likes.
"""

from __future__ import annotations

from itertools import pairwise

from msgspec import Struct
from msgspec.structs import astuple

#: From here on a refused request is asked for in pairs or place by place: halving further saves nothing.
_SMALL = 8
#: Places in a row that cannot be read, until only round ones are asked.
_LONG = 32
#: In a range that is no longer each place is asked.
_EACH = 1_000


class Span(Struct, frozen=True):
    """Places that can be read, both ends included."""

    first: int
    last: int


class _Stretch(Struct, frozen=True):
    """What is to be asked. Where `until` is set, it stands for the places from `since` on up to there, without it."""

    offset: int
    count: int
    since: int = 0
    until: int = 0


class Ranges:
    """One search. Ask for what `ask` says and tell by `told` whether it was answered, until there is no more."""

    def __init__(self, first: int, last: int, most: int, *, registers: bool) -> None:
        """`most`: places that one request may ask for."""
        self.spans: list[Span] = []  #: rising, never adjacent
        self.most = 0  #: places of the largest request that was answered
        self._gaps: list[tuple[int, int]] = []  #: passed over but for the round places between them, without the end
        self._rest: list[tuple[int, int]] = []  #: the same, last one first, while they are asked for
        self._next, self._last = first, last
        self._step = most
        self._end = first  #: behind the last place that can be read
        self._thin = last - first >= _EACH
        self._registers = registers
        self._pairs = registers  #: until a single register was answered
        self._waiting: list[_Stretch] = []
        self._refused: list[tuple[int, int]] = []
        self._asked = _Stretch(first, 0)

    def ask(self) -> tuple[int, int] | None:
        """Offset and count of the next request; None at the end."""
        if not self._waiting and self._next > self._last:
            if not self._rest:
                return None
            at, until = self._rest.pop()
            if at + 1 < until:
                self._rest.append((at + 1, until))
            self._waiting.append(_Stretch(at, 2 if self._pairs and at < self._last else 1, at, at + 1))
        elif not self._waiting:
            count = min(self._step, self._last + 1 - self._next)
            self._waiting.append(_Stretch(self._next, count))
            self._next += count
        asked = self._waiting.pop()
        if asked.count > self._step:  # its limit was learned meanwhile
            self._waiting.append(_Stretch(asked.offset + self._step, asked.count - self._step))
            asked = _Stretch(asked.offset, self._step)
        self._asked = asked
        return asked.offset, asked.count

    def deepen(self) -> None:
        """Ask for what was passed over, place by place."""
        self._rest, self._gaps = self._gaps[::-1], []

    @property
    def left(self) -> Span | None:
        """What was passed over lies between these."""
        gaps = [*self._gaps, *self._rest]
        return Span(min(gaps)[0], max(gaps)[1] - 1) if gaps else None

    def told(self, *, readable: bool) -> None:
        """Whether the request was answered."""
        offset, count, since, until = astuple(self._asked)
        if readable:
            self._add(offset, count)
            if until:
                self._wait(offset + count, until)
                self._wait(since, offset)
        elif until and count > 1:
            self._waiting.append(_Stretch(offset, 1, since, until))
        elif until:
            self._pass(since, offset)
            self._round(offset + 1, until)
        elif count > 1:
            self._refused.append((offset, count))
            if self._registers and count % 2 and count == self._step and offset + count == self._next:
                self._step = count = count - 1  # the next begins at an even offset, too
                self._next -= 1
            if self._thin and offset - self._end >= _LONG:
                self._round(offset, offset + count)
            else:
                self._split(offset, count)

    def _add(self, offset: int, count: int) -> None:
        self.most = max(self.most, count)
        self._end = max(self._end, offset + count)
        self._pairs = self._pairs and count > 1
        first, last = offset, offset + count - 1
        apart: list[Span] = []
        for span in self.spans:
            if span.last + 1 < first or last + 1 < span.first:
                apart.append(span)
            else:
                first, last = min(first, span.first), max(last, span.last)
        self.spans[:] = sorted([*apart, Span(first, last)], key=lambda span: span.first)
        if any(first <= at and at + size - 1 <= last for at, size in self._refused):
            self._refused.clear()  # all of it can be read, but not at once
            self._step = self.most

    def _split(self, offset: int, count: int) -> None:
        """In two, or in small pieces; values of 32 bits mostly begin at an even offset."""
        end, middle = offset + count, offset + count // 2
        size = 2 if self._pairs and count > 2 else 1
        cuts = [middle - middle % 2] if count > _SMALL else [at for at in range(offset + 1, end) if not at % size]
        for first, until in reversed(list(pairwise((offset, *cuts, end)))):
            self._waiting.append(_Stretch(first, until - first))

    def _round(self, since: int, until: int) -> None:
        at = next((at for at in range(since, until) if not at % 10 or not at % 16), None)
        if at is None:
            self._pass(since, until)
        else:
            self._waiting.append(_Stretch(at, 2 if self._pairs and at + 1 < until else 1, since, until))

    def _pass(self, since: int, until: int) -> None:
        if since < until:
            self._gaps.append((since, until))

    def _wait(self, first: int, end: int) -> None:
        if end > first:
            self._waiting.append(_Stretch(first, end - first))
