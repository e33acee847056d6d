"""A value of a tag → its registers: the inverse of `collectors/modbus/blocks/codec.py`. Pure.

`words_of` gives the registers of a point as they travel; what a point has only a part of (a bit, a field of bits) is
merged into what its register holds already.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo

from agent.collectors.modbus.tags.points import TIMES, ValueForm

Number = int | float
Raw = bool | int | float | str | datetime

_FORMATS = {
    "int8": ">h", "uint8": ">H", "int16": ">h", "uint16": ">H", "int24": ">i", "uint24": ">I", "int32": ">i",
    "uint32": ">I", "int64": ">q", "uint64": ">Q", "float16": ">e", "float32": ">f", "float64": ">d",
    "unix32": ">I", "unix64": ">Q", "unix64_ms": ">Q", "unix64_ns": ">Q", "datetime_iec870": ">Q",
}  # fmt: skip
_PER_SECOND = {"unix32": 1, "unix64": 1, "unix64_ms": 1000, "unix64_ns": 1_000_000_000}
_LIMITS: dict[str, tuple[int, int]] = {
    **{f"int{bits}": (-(1 << bits - 1), (1 << bits - 1) - 1) for bits in (8, 16, 24, 32, 48, 64)},
    **{f"uint{bits}": (0, (1 << bits) - 1) for bits in (8, 16, 24, 32, 48, 64)},
    "bool": (0, 1), "bcd16": (0, 9999), "bcd32": (0, 99_999_999), "sm16": (-0x7FFF, 0x7FFF),
    "sm32": (-0x7FFF_FFFF, 0x7FFF_FFFF), "mod10_32": (0, 10**8 - 1), "mod10_48": (0, 10**12 - 1),
    "mod10_64": (0, 10**16 - 1),
}  # fmt: skip


def limits_of(form: ValueForm) -> tuple[int, int] | None:
    """Lowest and highest whole number the point can hold; None where it holds other than whole numbers."""
    if form.bits is not None and form.type not in ("int8", "uint8", "int24", "uint24"):
        width = form.bits[1] - form.bits[0] + 1
        return (-(1 << width - 1), (1 << width - 1) - 1) if form.type.startswith("int") else (0, (1 << width) - 1)
    return _LIMITS.get(form.type)


def words_of(form: ValueForm, values: Sequence[Raw], held: Sequence[int]) -> list[int]:
    """The registers of a point whose raw value (of an array: each) is this. `held`: what they hold now."""
    if form.bit is not None:
        mask = 1 << form.bit
        return [held[0] & ~mask | (mask if values[0] else 0)]
    if form.type == "string":
        return _text(form, str(values[0]))
    each = form.size // (form.items or 1)
    return [
        word
        for number, value in enumerate(values)
        for word in _one(form, value, held[number * each : (number + 1) * each])
    ]


def _one(form: ValueForm, value: Raw, held: Sequence[int]) -> list[int]:
    if form.bits is not None:
        low, high = form.bits
        mask = (1 << high - low + 1) - 1
        raw = _whole(_arranged(form, list(held), back=True))
        raw = raw & ~(mask << low) | (int(value) & mask) << low  # type: ignore[arg-type]  # bits hold whole numbers
        return _arranged(form, _words(raw.to_bytes(2 * len(held))))
    return _arranged(form, _raw(form.type, value, form.zone))


def _raw(kind: str, value: Raw, zone: tzinfo | None) -> list[int]:
    """The registers, the most significant first, bytes as in ABCD; of modulo 10000 the least significant first."""
    if kind in TIMES:
        assert isinstance(value, datetime)  # noqa: S101  # who makes values knows the type
        return _time(kind, value, zone)
    if kind.startswith("float"):
        return _words(struct.pack(_FORMATS[kind], value))
    number = int(value)  # type: ignore[arg-type]  # what is left holds whole numbers
    if kind in ("bcd16", "bcd32"):
        return _words(int(str(number), 16).to_bytes(2 if kind == "bcd16" else 4))
    if kind in ("sm16", "sm32"):
        bits = 16 if kind == "sm16" else 32
        return _words((abs(number) | (1 << bits - 1 if number < 0 else 0)).to_bytes(bits // 8))
    if kind.startswith("mod10"):
        return [number // 10_000**place % 10_000 for place in range(int(kind[-2:]) // 16)]
    if kind in ("int48", "uint48"):
        return _words(number.to_bytes(6, signed=number < 0))
    return _words(struct.pack(_FORMATS["uint16" if kind == "bool" else kind], number))


def _time(kind: str, instant: datetime, zone: tzinfo | None) -> list[int]:
    """An instant on the device's clock: in its zone, UTC where that is not known."""
    local = instant.astimezone(zone or UTC)
    if kind in _PER_SECOND:
        seconds = local.replace(tzinfo=UTC, microsecond=0).timestamp()
        return _words(struct.pack(_FORMATS[kind], int(seconds) * _PER_SECOND[kind]))
    parts = (local.year - 2000, local.month, local.day, local.hour, local.minute, local.second)
    if kind == "datetime_6":
        return list(parts)
    if kind == "datetime_3":
        return _words(bytes(parts))
    summer = bool(local.dst())
    hour = local.hour | (0x80 if summer else 0)
    return [parts[0], parts[1] << 8 | parts[2], hour << 8 | local.minute, local.second * 1000]


def _arranged(form: ValueForm, words: list[int], *, back: bool = False) -> list[int]:
    """Registers in the byte order of the point; `back`: from it to ABCD."""
    order = form.order
    if order not in ("ABCD", "CDAB", "BADC", "DCBA"):
        places = [ord(letter) - ord("A") for letter in order]
        data = b"".join(word.to_bytes(2) for word in words)
        if back:
            return _words(bytes(byte for _, byte in sorted(zip(places, data, strict=True))))
        return _words(bytes(data[place] for place in places))
    if order in ("CDAB", "DCBA") and form.type not in ("datetime_3", "datetime_6"):
        words = [*words]
        words.reverse()
    return [_swapped(word) for word in words] if order in ("BADC", "DCBA") else words


def _text(form: ValueForm, text: str) -> list[int]:
    data = text.encode(form.encoding, errors="replace")[: form.length]
    if form.text == "one_per_register":
        return [data[place] if place < len(data) else 0 for place in range(form.size)]
    if form.text == "one_per_register_high":
        return [data[place] << 8 if place < len(data) else 0 for place in range(form.size)]
    words = _words(data.ljust(2 * form.size, b"\0"))
    low_first = form.order in ("BADC", "DCBA") if form.text is None else form.text == "low_first"
    return [_swapped(word) for word in words] if low_first else words


def _words(data: bytes) -> list[int]:
    return [int.from_bytes(data[place : place + 2]) for place in range(0, len(data), 2)]


def _whole(words: Sequence[int]) -> int:
    return int.from_bytes(b"".join(word.to_bytes(2) for word in words))


def _swapped(word: int) -> int:
    return (word & 0xFF) << 8 | word >> 8
