"""Raw value → value, compiled per tag from its keys: sentinels, scale, offset, round, range.

A converter returns the bare value where nothing is wrong (the path that must be fast), else a :class:`Verdict`. It
never raises. Arithmetic is IEEE double (``raw * scale + offset``) unless raw, scale and offset are all integers: then
it is exact. NaN, infinities and integers beyond 64 bits are bad, BadOutOfRange: no message can carry them.

An array or a structure with one such element is bad as a whole, without a value: there is one quality for all of it,
and a hole would pass for an element, or move the others. That is decided here, for every encoder alike.
"""

from __future__ import annotations

import math
import re
import struct
import sys
from collections.abc import Callable, Mapping

from agent.core.quality import (
    BAD_DATA_ENCODING_UNSUPPORTED,
    BAD_DECODING_ERROR,
    BAD_NO_DATA,
    BAD_OUT_OF_RANGE,
    UNCERTAIN_ENGINEERING_UNITS_EXCEEDED,
    is_status_name,
    number_of,
    quality_of,
)
from agent.settings.tags import TagBase

BAD_TYPE_MISMATCH = number_of("BadTypeMismatch")

#: Beyond it lie only the infinities; a NaN is neither below nor above.
_LARGEST = sys.float_info.max
_LOWEST_INT, _HIGHEST_INT = -(1 << 63), (1 << 64) - 1


class Verdict:
    """What a converter says where a value cannot simply be passed on: `status` is bad (value None) or uncertain."""

    __slots__ = ("reason", "status", "value")

    def __init__(self, status: int, reason: str | None, value: object = None) -> None:
        self.status = status
        self.reason = reason
        self.value = value


Convert = Callable[[object], object]

_NAN = object()
_DECIMAL = re.compile(r"-?\d{1,20}(\.\d{1,20})?", re.ASCII)
_NAMED_NUMBERS = {"nan": math.nan, "inf": math.inf, "+inf": math.inf, "-inf": -math.inf}


def _named(text: str) -> float | int | None:
    """The number a text names."""
    if _DECIMAL.fullmatch(text):
        return int(text) if text.lstrip("-").isdigit() else float(text)
    return _NAMED_NUMBERS.get(text.lower())


def null_codes(tag: TagBase) -> dict[object, int]:
    """Raw sentinel → status code. A plain list means BadNoData: the device says "no value", not why.

    A float sentinel also stands for its nearest 32-bit float, which is what a float32 register gives for -9999.9. A
    text also stands for the number it names ("32768", as JSON writes a key; "nan", "inf" and "-inf"); NaN, which equals
    nothing, has its own key.
    """
    given: Mapping[float | int | str, str | None]
    given = tag.null_values if isinstance(tag.null_values, dict) else dict.fromkeys(tag.null_values or (), None)
    codes: dict[object, int] = {}
    for raw, name in given.items():
        code = number_of(name) if name is not None and is_status_name(name) else BAD_NO_DATA
        if quality_of(code) != "bad":
            code = BAD_NO_DATA
        codes[raw] = code
        number = _named(raw) if isinstance(raw, str) else raw
        if number is not None:
            codes[_NAN if math.isnan(number) else number] = code
            if isinstance(number, float) and abs(number) < 3.4e38:
                codes[struct.unpack("<f", struct.pack("<f", number))[0]] = code
    return codes


def limits_of(tag: TagBase) -> tuple[float, float]:
    """The least and the greatest plausible value."""
    low, high = (None, None) if tag.range is None else (tag.range.min, tag.range.max)
    return -math.inf if low is None else low, math.inf if high is None else high


def _word_of(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


class _Careful:
    """All rules of one tag, in order; what the quick converters fall back to."""

    def __init__(self, tag: TagBase) -> None:
        self.nulls = null_codes(tag)
        self.scale: float | int = 1 if tag.scale is None else tag.scale
        self.offset: float | int = 0 if tag.offset is None else tag.offset
        self.linear = self.scale != 1 or self.offset != 0
        self.digits = tag.round
        self.low, self.high = limits_of(tag)
        self.ranged = tag.range is not None

    def sure(self) -> tuple[float, float]:
        """A result between these is finite, in range, and fits 64 bits where it may be an integer."""
        if self.linear and (isinstance(self.scale, float) or isinstance(self.offset, float)):
            return max(self.low, -_LARGEST), min(self.high, _LARGEST)
        return max(self.low, _LOWEST_INT), min(self.high, _HIGHEST_INT)

    def __call__(self, raw: object) -> object:
        if raw is None:
            return Verdict(BAD_NO_DATA, "no value")
        kind = type(raw)
        if kind is list or kind is tuple:
            return self._array(raw)  # type: ignore[arg-type]
        if kind is int or kind is float:
            return self._number(raw)  # type: ignore[arg-type]
        if kind is bool or kind is str or kind is bytes:
            if self.nulls and kind is not bool and raw in self.nulls:
                return self._null(raw, self.nulls[raw])
            if self.linear or self.ranged:
                word = {bool: "a boolean", str: "a string", bytes: "a byte string"}[kind]
                return Verdict(BAD_TYPE_MISMATCH, f"scale, offset and range need a number, the device sent {word}")
            return self._text(raw) if isinstance(raw, str) else raw
        if kind is dict:
            return self._structure(raw)  # type: ignore[arg-type]
        return Verdict(BAD_DATA_ENCODING_UNSUPPORTED, f"a value of type {kind.__name__} cannot be carried")

    def _text(self, raw: str) -> object:
        try:
            raw.encode()
        except UnicodeEncodeError:
            return Verdict(BAD_DECODING_ERROR, "a text with half characters (lone surrogates)")
        return raw

    def _structure(self, raw: dict[str, object]) -> object:
        """Fields are carried as they are; one that no message can carry spoils the structure."""
        if self.linear or self.ranged:
            return Verdict(BAD_TYPE_MISMATCH, "scale, offset and range need a number, the device sent a structure")
        for name, member in raw.items():
            spoilt = None if member is None else _PLAIN(member)
            if type(spoilt) is Verdict:
                return Verdict(spoilt.status, f"{name}: {spoilt.reason}")
        return raw

    def _null(self, raw: object, code: int) -> Verdict:
        return Verdict(code, f"the raw value {raw!r} means no value")

    def _number(self, raw: float) -> object:
        nulls = self.nulls
        if nulls:
            key: object = _NAN if type(raw) is float and math.isnan(raw) else raw
            if key in nulls:
                return self._null(raw, nulls[key])
        value = raw
        try:
            if self.linear:
                value = raw * self.scale + self.offset
            if type(value) is float:
                if not math.isfinite(value):
                    return Verdict(BAD_OUT_OF_RANGE, f"{_word_of(value)} is not a number to publish")
                if self.digits is not None:
                    value = round(value, self.digits)
            elif not _LOWEST_INT <= value <= _HIGHEST_INT:
                return Verdict(BAD_OUT_OF_RANGE, "an integer that does not fit 64 bits")
        except OverflowError:
            return Verdict(BAD_OUT_OF_RANGE, "too large a number")
        if self.ranged and not self.low <= value <= self.high:
            return Verdict(UNCERTAIN_ENGINEERING_UNITS_EXCEEDED, None, value)
        return value

    def _array(self, raw: list[object] | tuple[object, ...]) -> object:
        values: list[object] = []
        doubt: Verdict | None = None
        for at, element in enumerate(raw):
            value = self(element)
            if type(value) is Verdict:
                if quality_of(value.status) == "bad":
                    return Verdict(value.status, f"element {at}: {value.reason}")
                doubt, value = value, value.value
            values.append(value)
        return values if doubt is None else Verdict(doubt.status, doubt.reason, values)


_PLAIN = _Careful(TagBase())

# --- quick converters: one expression for the ordinary value, everything else is for `careful` ------------------------


def _scaled(careful: _Careful) -> Convert:
    scale, offset = careful.scale, careful.offset
    low, high = careful.sure()

    def convert(raw: object) -> object:
        kind = type(raw)
        if kind is int or kind is float:
            try:
                value = raw * scale + offset  # type: ignore[operator]
            except OverflowError:
                return careful(raw)
            if low <= value <= high:
                return value
        return careful(raw)

    return convert


def _rounded(careful: _Careful) -> Convert:
    scale, offset, digits = careful.scale, careful.offset, careful.digits
    low, high = careful.sure()

    def convert(raw: object) -> object:
        kind = type(raw)
        if kind is int or kind is float:
            try:
                value = round(raw * scale + offset, digits)  # type: ignore[operator]
            except OverflowError:
                return careful(raw)
            if low <= value <= high:
                return value
        return careful(raw)

    return convert


def _bounded(careful: _Careful) -> Convert:
    low, high = careful.sure()

    def convert(raw: object) -> object:
        kind = type(raw)
        if (kind is int or kind is float) and low <= raw <= high:  # type: ignore[operator]
            return raw
        return careful(raw)

    return convert


def _passed(careful: _Careful) -> Convert:
    def convert(raw: object) -> object:
        kind = type(raw)
        if kind is bool or (kind is str and raw.isascii()):  # type: ignore[attr-defined]
            return raw
        if (kind is float and -_LARGEST <= raw <= _LARGEST) or (kind is int and _LOWEST_INT <= raw <= _HIGHEST_INT):  # type: ignore[operator]
            return raw
        return careful(raw)

    return convert


def _unless_null(quick: Convert, careful: _Careful) -> Convert:
    nulls = careful.nulls

    def convert(raw: object) -> object:
        kind = type(raw)
        if (kind is int or kind is float or kind is str) and raw in nulls:
            return careful(raw)
        return quick(raw)

    return convert


def compile_convert(tag: TagBase) -> Convert:
    """The converter of one tag."""
    careful = _Careful(tag)
    if careful.digits is not None:
        quick = _rounded(careful) if careful.linear else careful  # strings and 64-bit integers pass unrounded
    elif careful.linear:
        quick = _scaled(careful)
    elif careful.ranged:
        quick = _bounded(careful)
    else:
        quick = _passed(careful)
    return _unless_null(quick, careful) if careful.nulls and quick is not careful else quick
