"""DataValues → columns, straight from the bytes (OPC 10000-6, 5.2.2.16 and 5.2.2.17).

Numbers, booleans and strings, single or in one-dimensional arrays, with status and source time, are what nearly every
value is: they are decoded here. Values of one layout that follow each other are unpacked in one call. Anything else is
one value for the library's decoder (`FOREIGN`), and this goes on behind it. Its slow twin is `slow.py`: whatever bytes
come, both say the same (tests/unit/collectors/opcua/wire/test_twins.py).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from struct import Struct
from typing import NamedTuple

from agent.collectors.opcua.wire.errors import LimitExceeded
from agent.collectors.opcua.wire.limits import WireLimits

NOTHING = -1  #: kind of a value that is not there
FOREIGN = -2  #: `values` holds the library's Variant
TOO_LARGE = -3  #: `values` holds words: more than the limits allow
ARRAY = 0x80  #: with a type's number: a one-dimensional array of it

#: Types of a fixed size, by their number (OPC 10000-6, table 1).
_CODES = {1: "?", 2: "b", 3: "B", 4: "h", 5: "H", 6: "i", 7: "I", 8: "q", 9: "Q", 10: "f", 11: "d"}
STRING = 12
_VALUE, _STATUS, _SOURCE, _SERVER, _SOURCE_PICO, _SERVER_PICO = 1, 2, 4, 8, 16, 32  # bits of a DataValue's mask
_MASK = 63
_LOOK = 32  #: values a run is looked ahead for at first
_INT32, _UINT32 = Struct("<i"), Struct("<I")


class Columns(NamedTuple):
    """What `kinds[i]`, `values[i]`, `status[i]` and `ticks[i]` say belongs together."""

    kinds: list[int]  #: number of the type, plus ARRAY; or NOTHING, FOREIGN, TOO_LARGE
    values: list[object]  #: as the library would have them: None for a null string or array
    status: list[int]
    ticks: list[int | None]  #: source times, 100 ns since 1601

    def pick(self, places: Sequence[int]) -> Columns:
        """Those at these places."""
        kinds, values, status, ticks = self
        return Columns(
            [kinds[place] for place in places],
            [values[place] for place in places],
            [status[place] for place in places],
            [ticks[place] for place in places],
        )

    def cut(self, start: int, end: int) -> Columns:
        """Those from here to there."""
        if not start and end >= len(self.kinds):
            return self
        kinds, values, status, ticks = self
        return Columns(kinds[start:end], values[start:end], status[start:end], ticks[start:end])


class _Layout(NamedTuple):
    """How a value of a fixed size lies in its bytes, and where its parts are once it is unpacked; -1: nowhere."""

    struct: Struct
    size: int
    value: int
    status: int
    ticks: int


def _layout(head: str, mask: int, code: str) -> _Layout:
    """`head`: what comes before, as codes."""
    at = len(head.replace("x", ""))
    places = []
    for given in (code, "I" if mask & _STATUS else "", "q" if mask & _SOURCE else ""):
        places.append(at if given else -1)
        at += bool(given)
    rest = ("2x" if mask & _SOURCE_PICO else "") + ("8x" if mask & _SERVER else "")
    text = f"<{head}{code}{'I' if mask & _STATUS else ''}{'q' if mask & _SOURCE else ''}{rest}"
    made = Struct(text + ("2x" if mask & _SERVER_PICO else ""))
    return _Layout(made, made.size, *places)


class _Layouts(dict[int, _Layout | None]):
    """By type and mask, those that have been met: a server uses two or three of them. None: not of a fixed size."""

    def __init__(self, handle: str) -> None:
        super().__init__()
        self._head = f"{handle}xx"

    def __missing__(self, key: int) -> _Layout | None:
        code = _CODES.get(key >> 6)
        if code is None:
            return None  # and not kept: it is the server that says which there are
        made = self[key] = _layout(self._head, key & _MASK, code)
        return made


def _layouts(handle: str) -> tuple[_Layouts, list[_Layout]]:
    """With a value, and without one by mask."""
    return _Layouts(handle), [_layout(f"{handle}x", mask, "") for mask in range(_MASK + 1)]


_PLAIN, _HANDLED = _layouts(""), _layouts("I")
_TAILS = [_layout("", mask, "") for mask in range(_MASK + 1)]  # what stands behind a value of any size

#: Takes where a Variant begins; gives it as the library's object, and where it ends.
Foreign = Callable[[int], tuple[object, int]]


#: More bytes the library decodes beside the loop: it needs a microsecond for each, at worst ten.
LARGE = 8_192


class ValueReader:
    """Reads `left` values from `at` on, some at a time. `end`: there they end; each has its client handle before."""

    def __init__(self, data: bytes, at: int, count: int, limits: WireLimits, foreign: Foreign, *, end: int = 0) -> None:
        self._data = data
        self._end = end or len(data)
        self._limits = limits
        self._elements, self._text = limits.elements, limits.text_bytes  # that may still be made
        self._foreign = foreign
        self._head = 4 if end else 0
        self._whole, self._empty = _HANDLED if end else _PLAIN
        self.at = at
        self.left = count
        self.heavy = False  #: what comes next is the library's to decode, and there is much left: not for the loop
        self.handles: list[int] = []
        self.columns = Columns([], [], [], [])

    def take(self, most: int) -> None:
        """About `most` values more, fewer where they are large. Raises LimitExceeded where the bytes are no values.

        It stops before what is `heavy`; called again, it takes that too.
        """
        here, self.heavy = self.heavy, False
        try:
            while most > 0 and self.left and not self.heavy:
                most -= self._some(min(most, self.left), heavy=here)
        except (IndexError, struct.error):
            raise LimitExceeded(f"the answer ends {self.left} values before its end") from None
        if self.at > self._end:
            raise LimitExceeded("values that go on behind their end")

    def _some(self, most: int, *, heavy: bool) -> int:
        """Values of fixed size up to the first of another kind, or that one; what they weigh."""
        data, head, whole, empty = self._data, self._head, self._whole, self._empty
        kinds, values, statuses, sources = self.columns
        at, done = self.at, 0
        while done < most:
            mask = data[at + head]
            if mask & _VALUE:
                kind, marks = data[at + head + 1], 2
                layout = whole[kind << 6 | mask & _MASK]
                if layout is None:
                    break
            else:
                kind, marks, layout = NOTHING, 1, empty[mask & _MASK]
            unpacker, size, value, status, ticks = layout
            mark, after = at + head, at + size + head
            if done + 1 < most and data[after : after + marks] == data[mark : mark + marks]:
                count = self._run(at, size, most - done, marks)
                rows = tuple(zip(*unpacker.iter_unpack(memoryview(data)[at : at + count * size]), strict=True))
                kinds.extend([kind] * count)
                values.extend(rows[value] if value >= 0 else [None] * count)
                statuses.extend(rows[status] if status >= 0 else [0] * count)
                sources.extend(rows[ticks] if ticks >= 0 else [None] * count)
                if head:
                    self.handles.extend(rows[0])
            else:
                count = 1
                row = unpacker.unpack_from(data, at)
                kinds.append(kind)
                values.append(row[value] if value >= 0 else None)
                statuses.append(row[status] if status >= 0 else 0)
                sources.append(row[ticks] if ticks >= 0 else None)
                if head:
                    self.handles.append(row[0])
            at += count * size
            done += count
        self.at = at
        self.left -= done
        return done or self._single(heavy=heavy)

    def _run(self, at: int, size: int, most: int, marks: int) -> int:
        """How many values from here on have the same `marks` bytes (mask, type), and so the same layout and size."""
        data, start = self._data, at + self._head
        most = min(most, (len(data) - at) // size)
        count = 1
        while count < most:
            window = min(max(count, _LOOK), most - count)  # as many again as are known: a short run costs little
            first = start + count * size
            same = window
            for mark in range(marks):
                found = data[first + mark : first + mark + window * size : size]
                same = min(same, len(found) - len(found.lstrip(data[start + mark : start + mark + 1])))
            count += same
            if same < window:
                break
        return count

    # --- of any size ----------------------------------------------------------------------------------------------

    def _single(self, *, heavy: bool) -> int:
        at = self.at + self._head + 1
        mask, kind = self._data[at - 1], self._data[at]
        if kind == STRING:
            value, end = self._string(at + 1)
            weight = 1 + (end - at >> 12)
        elif kind & 0x3F in _CODES and kind & 0xC0 == ARRAY:
            value, end = self._numbers(at + 1, _CODES[kind & 0x3F])
            weight = 1 + (end - at >> 10)
        elif kind == STRING | ARRAY:
            value, end = self._strings(at + 1)
            weight = 1 + (end - at >> 6)
        elif not heavy and len(self._data) - at > LARGE:
            self.heavy = True
            return 0
        else:
            value, end = self._foreign(at)
            kind, weight = FOREIGN, 20 + (end - at >> 4)
        if type(value) is _Excess:
            kind = TOO_LARGE
        unpacker, size, _, status, ticks = _TAILS[mask & _MASK]
        row = unpacker.unpack_from(self._data, end)
        kinds, values, statuses, sources = self.columns
        kinds.append(kind)
        values.append(value)
        statuses.append(row[status] if status >= 0 else 0)
        sources.append(row[ticks] if ticks >= 0 else None)
        if self._head:
            self.handles.append(_UINT32.unpack_from(self._data, self.at)[0])
        self.at = end + size
        self.left -= 1
        return weight

    def _length(self, at: int, size: int, most: int, what: str) -> tuple[int, _Excess | None]:
        """How many (-1: null), held against what is there, and against what may be."""
        count: int = _INT32.unpack_from(self._data, at)[0]
        if count < -1 or count * size > len(self._data) - at - 4:
            raise LimitExceeded(f"{what} of {count} in {len(self._data) - at - 4} bytes")
        return count, None if count <= most else _Excess(f"{what} of {count}; limits allow {most}")

    def _spend(self, elements: int, text: int) -> None:
        """As the library's buffer does (`bounds.py`); it is asked for less then (`tags/reader.py`)."""
        self._elements -= elements
        self._text -= text
        if self._elements < 0 or self._text < 0:
            limits = self._limits
            raise LimitExceeded(
                f"more than {limits.elements} elements of arrays or {limits.text_bytes} bytes of strings"
            )

    def _string(self, at: int) -> tuple[object, int]:
        count, excess = self._length(at, 1, self._limits.string_bytes, "a string")
        end = at + 4 + max(count, 0)
        if count < 0 or excess:
            return excess, end
        self._spend(0, count)
        return self._data[at + 4 : end].decode("utf-8", "surrogateescape"), end

    def _numbers(self, at: int, code: str) -> tuple[object, int]:
        size = struct.calcsize("<" + code)
        count, excess = self._length(at, size, self._limits.array, "an array")
        end = at + 4 + max(count, 0) * size
        if count < 0 or excess:
            return excess, end
        self._spend(count, 0)
        return list(struct.unpack_from(f"<{count}{code}", self._data, at + 4)), end

    def _strings(self, at: int) -> tuple[object, int]:
        count, excess = self._length(at, 4, self._limits.array, "an array")
        made: list[object] = []
        if excess is None:
            self._spend(count, 0)
        at += 4
        for _ in range(count):
            value, at = self._string(at)
            if type(value) is _Excess:
                excess = value
            if excess is None:
                made.append(value)
        return (made if count >= 0 and excess is None else excess), at


class _Excess(str):
    """Instead of a value: why it was left out."""

    __slots__ = ()
