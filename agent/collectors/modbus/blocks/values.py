"""From the raw item of a struct to the value of its tag, for the types Python's struct does not know. Pure.

| type | raw | value |
|---|---|---|
| `bits` | the register(s) as an integer | the field, signed where the type is |
| int8, uint8, int24, uint24 | the low byte (three bytes) of the register(s) | |
| int48, uint48 | three registers | |
| bcd16, bcd32 | four bits a decimal digit | a nibble above 9 is bad |
| sm16, sm32 | highest bit the sign, the rest the magnitude | |
| mod10_32, _48, _64 | registers of 0 to 9999 each (M10K); the first counts units | above is bad |
| string | bytes | text up to its first NUL |
| date and time | see times.py | ISO 8601 |

A value that cannot be told is a :class:`Doubt`, never a guess.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from struct import Struct
from typing import Any, NamedTuple

from agent.collectors.modbus.blocks.times import read_time
from agent.collectors.modbus.tags.points import TIMES, ValueForm
from agent.core.quality import BAD_DECODING_ERROR, BAD_NO_DATA, number_of

_NO_EXPONENT = (-0x8000, 0x8000)  #: SunSpec's "not implemented" of a sunssf, read as int16 or uint16
UNCERTAIN_DATA_SUB_NORMAL = number_of("UncertainDataSubNormal")

Finish = Callable[[Any], object]


class Doubt(NamedTuple):
    """Instead of a value: what there is of it (None where the status is bad), the status, and why."""

    value: object
    status: int
    reason: str


def finish_of(form: ValueForm) -> Finish | None:
    """What is still to be done to one raw item (of an array: to each); None where the raw item is the value."""
    finish = _by_type(form)
    return _unless_null(dict(form.nulls), finish) if form.nulls else finish


def _by_type(form: ValueForm) -> Finish | None:
    kind = form.type
    if form.bits is not None:
        return _field(*form.bits, signed=kind.startswith("int"))
    if kind in ("int48", "uint48"):
        return _six_bytes(form)
    if kind == "string":
        return _text(form)
    if kind in ("bcd16", "bcd32"):
        return _bcd
    if kind in ("sm16", "sm32"):
        return _signed_magnitude(16 if kind == "sm16" else 32)
    if kind.startswith("mod10"):
        return _modulo(form)
    if kind in TIMES:
        return _time(form)
    return None


def _unless_null(nulls: dict[float | str, int], finish: Finish | None) -> Finish:
    nan = nulls.get("nan")

    def check(raw: Any) -> object:
        status = nan if type(raw) is float and math.isnan(raw) else nulls.get(raw)
        if status is not None:
            return Doubt(None, status, f"the raw value {raw!r} means no value")
        return raw if finish is None else finish(raw)

    return check


def _field(low: int, high: int, *, signed: bool) -> Finish:
    mask = (1 << high - low + 1) - 1
    if not signed:
        return lambda raw: raw >> low & mask
    sign = 1 << high - low
    return lambda raw: ((raw >> low & mask) ^ sign) - sign


def _six_bytes(form: ValueForm) -> Finish:
    """Three registers; CDAB and DCBA: the first is the least significant."""
    unpack = Struct(">3H").unpack
    step = -1 if form.order in ("CDAB", "DCBA") else 1
    sign = 1 << 47 if form.type == "int48" else 0

    def finish(data: bytes) -> object:
        high, middle, low = unpack(data)[::step]
        return ((high << 32 | middle << 16 | low) ^ sign) - sign

    return finish


def _bcd(raw: int) -> object:
    digits = f"{raw:x}"
    if digits.isdecimal():
        return int(digits)
    return Doubt(None, BAD_DECODING_ERROR, f"0x{raw:04X} is no BCD number")


def _signed_magnitude(bits: int) -> Finish:
    sign = 1 << bits - 1
    return lambda raw: sign - raw if raw & sign else raw


def _modulo(form: ValueForm) -> Finish:
    """Sum of register i times 10000 to the i; CDAB and DCBA: the first register is the most significant."""
    unpack = Struct(f">{form.size // (form.items or 1)}H").unpack
    first_is_high = form.order in ("CDAB", "DCBA")

    def finish(data: bytes) -> object:
        total = 0
        registers: Sequence[int] = unpack(data)
        for register in registers if first_is_high else reversed(registers):
            if register > 9999:
                return Doubt(None, BAD_DECODING_ERROR, f"{register} in a modulo 10000 number")
            total = total * 10_000 + register
        return total

    return finish


def _time(form: ValueForm) -> Finish:
    read = read_time(form.type, form.zone)
    ones = b"\xff" * (2 * form.size // (form.items or 1))
    unset = ones, int.from_bytes(ones, "big")  # of a clock nobody has set; 2106 of unix32

    def finish(raw: Any) -> object:
        if raw in unset:
            return Doubt(None, BAD_NO_DATA, "all bits set: no date and time")
        try:
            text, sure = read(raw)
        except (ValueError, OverflowError) as error:
            return Doubt(None, BAD_DECODING_ERROR, f"no date and time: {error}")
        return text if sure else Doubt(text, UNCERTAIN_DATA_SUB_NORMAL, "the device marks its clock as not set")

    return finish


def _text(form: ValueForm) -> Finish:
    encoding, trim = form.encoding, form.trim
    name = {"utf-8": "UTF-8", "gb18030": "GB 18030", "ascii": "ASCII"}.get(encoding, encoding)
    start = 1 if form.text == "one_per_register" else 0
    step = 2 if form.text in ("one_per_register", "one_per_register_high") else 1

    def finish(data: bytes) -> object:
        text = data[start::step].partition(b"\0")[0]
        if trim:
            text = text.rstrip(b"\xff ")
        doubt = None
        try:
            read = text.decode(encoding)
        except UnicodeDecodeError:
            read, doubt = text.decode(encoding, errors="replace"), f"text is not valid {name}"
        if trim:
            read = read.strip(" ")
        return read if doubt is None else Doubt(read, UNCERTAIN_DATA_SUB_NORMAL, doubt)

    return finish


def scaled(raw: object, exponent: object) -> object:
    """A raw number times ten to the power that another register holds (SunSpec: sunssf, -10 to 10)."""
    if exponent in _NO_EXPONENT:
        return Doubt(None, BAD_NO_DATA, f"no scale factor: the raw value {exponent} means no value")
    if type(exponent) is not int or not -10 <= exponent <= 10:
        return Doubt(None, BAD_DECODING_ERROR, f"{exponent} is no scale factor (-10 to 10)")
    if type(raw) is list:
        values = [scaled(element, exponent) for element in raw]
        return next((value for value in values if type(value) is Doubt), values)
    if type(raw) is not int and type(raw) is not float:
        return raw
    return raw * 10**exponent if exponent >= 0 else raw / 10**-exponent
