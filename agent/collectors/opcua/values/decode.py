"""Columns off the wire → columns of an Answer. Remembers each tag's type, so that a value costs one comparison."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from agent.collectors.opcua.values.indexrange import IgnoredError, IndexRange, within
from agent.collectors.opcua.values.recurring import FEWEST, Recurring
from agent.collectors.opcua.values.times import SourceClock, ticks_ms
from agent.collectors.opcua.values.values import (
    UNCERTAIN,
    BadPartError,
    Convert,
    DoubtfulError,
    UnsupportedError,
    converter,
    object_of,
    type_name,
)
from agent.collectors.opcua.wire.columns import ARRAY, FOREIGN, NOTHING, TOO_LARGE, Columns
from agent.collectors.opcua.wire.slow import columns_of
from agent.core.flow import Answer, Loss
from agent.core.quality import BAD_DATA_ENCODING_UNSUPPORTED, BAD_DECODING_ERROR, BAD_NODE_ID_UNKNOWN, number_of
from agent.core.sizes import least, over

_OVERFLOW = 0x0480  #: InfoType DataValue and its overflow bit (OPC 10000-4, 7.39.1): the server's queue lost values
_STRUCTURE = 22
_CHANGED = 0xC000  #: StructureChanged, SemanticsChanged
_SPECIAL = _OVERFLOW | _CHANGED
_BAD = 0x80000000
BAD_INDEX_RANGE_INVALID = number_of("BadIndexRangeInvalid")
BAD_ENCODING_LIMITS_EXCEEDED = number_of("BadEncodingLimitsExceeded")
_HIGH = 0xFFFF0000
_NUMBERS = frozenset(range(1, 12))  #: types whose values are fit as they are
#: What a character, a byte or an element of an array takes in any message, 24ths of a byte.
_SIZED = {12: 24, 15: 32, 1 | ARRAY: 3} | {number | ARRAY: 96 if number >= 10 else 24 for number in range(2, 12)}
_SAID = "the server says this value is bad"
_OVERFLOWED = "the server's queue overflowed"
_WORDS = {BAD_NODE_ID_UNKNOWN: "the server does not know this node"}


def _size(kind: int, value: Any) -> int:
    """Bytes of a message with it, at least; of what is no text and no number they are known once it is converted."""
    if kind in _SIZED:
        return len(value or ()) * _SIZED[kind] // 24
    return least(value) if kind in {12 | ARRAY, 15 | ARRAY} else 0


class Decoder:
    """Of one device on one connection. Not a value's fault ever raises here: it becomes bad with a reason."""

    def __init__(
        self,
        tags: int,
        clock: SourceClock,
        structure: Convert = object_of,
        parts: Mapping[int, IndexRange] = MappingProxyType({}),
        begin: Callable[[], None] = lambda: None,
        room: Callable[[], int] = lambda: sys.maxsize,
    ) -> None:
        """`structure` converts extension objects; `parts`: the tags that are parts of arrays, by position.

        `begin` is called before the values of an answer are converted: what they may cost together is bounded.
        `room`: bytes of the largest value that is carried.
        """
        self._room = room
        self._begin = begin
        self._clock = clock
        self._structure = structure
        self._parts = parts
        self._kinds = [NOTHING] * tags  # number of the type last seen, plus ARRAY
        self._converters: list[Convert | None] = [None] * tags
        self._names: list[str | None] = [None] * tags
        self._news: dict[int, str] = {}
        self._last: list[int | None] = [None] * tags  # time of the newest value
        self._losses: list[Loss] = []
        self._recurring = Recurring()
        self.first: dict[int, int] = {}  #: time of each tag's first value on this connection
        self.size = tags
        self.changed: set[int] = set()  #: positions of values that the server marked: they mean something else now …
        self.doubtful: set[int] = set()  #: … and of those of which it is not known yet what
        self.unsupported: set[int] = set()  #: positions whose value could not be represented
        self.overflows = 0  #: values the server marked: others before them were lost in its queue

    def grow(self, tags: int) -> None:
        """There are so many tags now; those before keep their places."""
        more = tags - self.size
        self._kinds += [NOTHING] * more
        self._converters += [None] * more
        self._names += [None] * more
        self._last += [None] * more
        self.size = tags
        self._recurring.forget()

    @property
    def structured(self) -> set[int]:
        """Positions whose values are structures."""
        return {at for at, kind in enumerate(self._kinds) if kind & ~ARRAY == _STRUCTURE}

    def news(self) -> dict[int, str] | None:
        """Types learned (position → name) since the last call."""
        news, self._news = self._news, {}
        return news or None

    def losses(self) -> list[Loss]:
        """What the server's queues lost, since the last call."""
        losses, self._losses = self._losses, []
        return losses

    def answer(self, tags: tuple[int, ...], data_values: Sequence[Any], now_ms: int) -> Answer:
        """Of the library's DataValues; `data_values[i]` belongs to the tag at position `tags[i]`."""
        return self.columns(tags, columns_of(data_values), now_ms)

    def columns(self, tags: tuple[int, ...], columns: Columns, now_ms: int) -> Answer:
        """Row i belongs to the tag at position `tags[i]`."""
        if len(tags) != len(columns.kinds):
            raise ValueError("columns of different length")
        kinds, values, status, ticks = columns
        codes = set(status)
        if any(code >= _BAD or code & _SPECIAL for code in codes):
            return self._one_by_one(tags, columns, now_ms)
        known = self._recurring.get(tags)
        sources = None if known is None else known.again(ticks, now_ms)
        if sources is None and ticks.count(None) < len(tags):
            sources = self._clock.judge_all(ticks, now_ms)
            if sources is None:
                return self._one_by_one(tags, columns, now_ms)
        if known is None or kinds != known.kinds:
            if not self._is_plain(tags, kinds):
                return self._one_by_one(tags, columns, now_ms)
            self._came(tags, sources or [now_ms] * len(tags))
            known = None
            if len(tags) >= FEWEST:
                known = self._recurring.add(tags, self.size)
                known.kinds = kinds
        elif known.rows is None:
            self._came(tags, sources or [now_ms] * len(tags))
        else:
            self._last[known.rows] = sources or [now_ms] * len(tags)
        if known is not None:
            known.ticks, known.sources, known.judged = ticks, sources, now_ms
        return Answer(tags=tags, values=values, ts=now_ms, status=status if any(codes) else 0, src=sources)

    def _came(self, tags: tuple[int, ...], whens: Sequence[int]) -> None:
        last, first = self._last, self.first
        for position, when in zip(tags, whens, strict=True):
            if last[position] is None:
                first[position] = when
            last[position] = when

    def _is_plain(self, tags: tuple[int, ...], kinds: list[int]) -> bool:
        """Whether all these values are fit as they are; their types are known from here on."""
        if self._parts or not _NUMBERS.issuperset(kinds):
            return False
        if [self._kinds[position] for position in tags] != kinds:
            for position, kind in zip(tags, kinds, strict=True):
                if self._kinds[position] != kind:
                    self._learn(position, kind)
        return True

    def _one_by_one(self, tags: tuple[int, ...], columns: Columns, now_ms: int) -> Answer:
        self._begin()
        values: list[object] = []
        status: list[int] = []
        sources: list[int | None] = []
        reasons: dict[int, str] = {}
        doubted: dict[int, int] = {}
        last = self._last
        for at, (position, kind, raw, given, ticks) in enumerate(zip(tags, *columns, strict=True)):
            value, code = None, given
            if code < _BAD:
                value, code = self._value(position, kind, raw, given, at, reasons)
            else:
                reasons[at] = _WORDS.get(code & _HIGH, _SAID)
            source = None
            if ticks is not None:
                claimed = ticks_ms(ticks)
                source = self._clock.judge_ms(claimed, now_ms)
                if source is None:
                    doubted[at] = self._clock.shown_ms(claimed, now_ms)
            when = now_ms if source is None else source
            if code:
                if code & _OVERFLOW == _OVERFLOW:
                    self._overflowed(position, when)
                if code & _CHANGED:  # also of a bad value: the next good one need not say it again
                    self.changed.add(position)
            if last[position] is None:
                self.first[position] = when
            last[position] = when
            values.append(value)
            status.append(code)
            sources.append(source)
        return Answer(
            tags=tags,
            values=values,
            ts=now_ms,
            status=status if any(status) else 0,
            src=sources if any(source is not None for source in sources) else None,
            reason=reasons or None,
            doubted=[doubted.get(at) for at in range(len(tags))] if doubted else None,
        )

    def history(self, position: int, data_values: Sequence[Any], now_ms: int, after: int, before: int) -> Answer | None:
        """Values out of the history of a tag, those between `after` and `before`, both excluded; None without any."""
        last = self._last[position]
        inside = []
        for data in data_values:
            source = self._clock.judge(data.SourceTimestamp, now_ms)
            if source is not None and after < source < before:
                inside.append(data)
        answer = self.answer((position,) * len(inside), inside, now_ms) if inside else None
        self._last[position] = last
        return answer

    def _overflowed(self, position: int, when: int) -> None:
        """Values between the last one of this tag and this one were lost in the server's queue."""
        self.overflows += 1
        before = self._last[position]
        if before is not None:  # else it says nothing about what this connection has seen
            self._losses.append(Loss(min(before, when), when, _OVERFLOWED, (position,)))

    def _value(
        self, position: int, kind: int, raw: Any, code: int, at: int, reasons: dict[int, str]
    ) -> tuple[object, int]:
        if kind == NOTHING:
            return None, code
        if kind == TOO_LARGE:
            reasons[at] = str(raw)
            return None, BAD_ENCODING_LIMITS_EXCEEDED
        value = raw
        if kind == FOREIGN:
            kind, value = raw.VariantType.value | (ARRAY if raw.is_array else 0), raw.Value
        if kind != self._kinds[position]:
            self._learn(position, kind)
        try:
            return self._converted(position, kind, value), code
        except DoubtfulError as doubtful:
            reasons[at] = str(doubtful)
            return doubtful.value, max(code, UNCERTAIN)  # a good one with a word beside it is no less doubtful
        except BadPartError as bad:
            reasons[at] = str(bad)
            return None, bad.status
        except IgnoredError as ignored:
            reasons[at] = str(ignored)
            return None, BAD_INDEX_RANGE_INVALID
        except UnsupportedError as unsupported:
            self.unsupported.add(position)
            reasons[at] = str(unsupported)
            return None, BAD_DATA_ENCODING_UNSUPPORTED
        except Exception as error:  # noqa: BLE001  # whatever a server sends, it costs this one value only
            reasons[at] = f"value cannot be understood: {error!r}"[:200]
            return None, BAD_DECODING_ERROR

    def _converted(self, position: int, kind: int, value: Any) -> object:
        """Raises what its converter raises, and BadPartError where no message can carry the value."""
        convert, part = self._converters[position], position in self._parts
        if not part:
            self._fits(_size(kind, value))
        if convert is None:
            return value
        made = convert(value)
        if part or kind not in _SIZED:
            self._fits(least(made))
        return made

    def _fits(self, size: int) -> None:
        if size and size > (room := self._room()):
            raise BadPartError(BAD_ENCODING_LIMITS_EXCEEDED, over(size, room))

    def _learn(self, position: int, kind: int) -> None:
        self._kinds[position] = kind
        self._recurring.forget()
        number, is_array = kind & ~ARRAY, bool(kind & ARRAY)
        how = converter(number, is_array, self._structure)
        part = self._parts.get(position)
        if part is not None:
            how, is_array = within(part, how), is_array and not part.single
        self._converters[position] = how
        name = type_name(number, is_array)
        if name is not None and self._names[position] != name:
            self._names[position] = self._news[position] = name
