"""How much JSON readings will be, from above. Pure.

The estimate is an upper bound of what the reference encoder makes, from the columns packing needs anyway. It is cheap,
not tight: an encoder with a fatter form still splits (`part`) what turns out too large.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import add

from agent.outbox.file.pack import OPTIONAL, PackedReadings

#: {"tag":"","value":,"ts":1763760000120,"quality":"uncertain"}, and the longest number.
PLAIN = 60 + 25
#: ,"reason":"" is the longest key around an optional value.
KEY = 12
#: A time or a status among optional values.
NUMBER = 14
NUMBERS = frozenset((float, int, bool, type(None)))


def _text(value: str) -> int:
    # Plain ASCII is one byte a character; a control character or a quote takes up to six, anything else at most four.
    plain = value.isascii() and value.isprintable() and '"' not in value and "\\" not in value
    return len(value) if plain else 6 * len(value)


def _value(value: object) -> int:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list | tuple):
        return sum(26 + _value(item) for item in value)
    if isinstance(value, dict):
        return sum(26 + 4 + _text(name) + _value(item) for name, item in value.items())
    return 0  # a number is in PLAIN


def _is_text(number: int) -> bool:
    return OPTIONAL[number] not in {"src", "status"}


def values_weight(values: Sequence[object]) -> int:
    """What values take beyond a number each."""
    return 0 if NUMBERS.issuperset(map(type, values)) else sum(map(_value, values))


def texts_weight(column: Sequence[str | None]) -> int:
    """What an optional text takes."""
    return len(column) * KEY + _text("".join(filter(None, column)))


def total(c: PackedReadings) -> int:
    """Upper bound of the JSON bytes of all readings, without looking at each."""
    n = len(c.tag)
    result = n * PLAIN + _text("".join(c.tag)) + values_weight(c.value)
    for number, column in enumerate(c.optional):
        if column is not None:
            result += texts_weight(column) if _is_text(number) else n * (KEY + NUMBER)
    return result


def _texts(column: list[str]) -> list[int]:
    lengths = list(map(len, column))
    joined = "".join(column)
    return lengths if _text(joined) == len(joined) else list(map(_text, column))


def sizes(c: PackedReadings) -> list[int]:
    """Upper bound of the JSON bytes of each reading."""
    result = _texts(c.tag)
    same = PLAIN
    if not NUMBERS.issuperset(map(type, c.value)):
        result = list(map(add, result, map(_value, c.value)))
    for number, column in enumerate(c.optional):
        if column is None:
            continue
        same += KEY
        if not _is_text(number):
            same += NUMBER
        else:
            result = list(map(add, result, _texts([value or "" for value in column])))
    return [size + same for size in result]
